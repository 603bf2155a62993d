"""Whether a secret, or a good part of it, stands in a text, in any way of writing it.

Used by the fault of secrets. Pure.
"""

import base64
import json
import urllib.parse
from collections.abc import Iterator

#: So many characters of it in a row are no coincidence: as it is, and written otherwise.
_RAW, _WRITTEN = 6, 12
_DISTINCT = 4


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    encoded = urllib.parse.quote(secret, safe="")
    yield "percent-encoded", encoded
    yield "percent-encoded, in small letters", encoded.lower()
    yield "percent-encoded loosely", urllib.parse.quote(secret)
    yield "percent-encoded as a form", urllib.parse.quote_plus(secret)
    yield "percent-encoded twice", urllib.parse.quote(encoded, safe="")
    yield "as a pair's value", secret.replace("\\", "\\\\").replace("'", "\\'")
    yield "in SQL", secret.replace("'", "''")
    yield "in JSON", json.dumps(secret)[1:-1]
    yield "in JSON, as it is", json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "in JSON in JSON", json.dumps(json.dumps(secret))[3:-3]
    yield "in Python", repr(secret)[1:-1]
    yield "in Python's ASCII", ascii(secret)[1:-1]
    yield "for a terminal", secret.encode("ascii", "backslashreplace").decode()
    raw = secret.encode()
    yield "in hexadecimal", raw.hex()
    for shift in range(3):  # whatever stands before it
        whole = base64.b64encode(b"\0" * shift + raw).decode()
        yield "in base64", whole[4 if shift else 0 : -4]


def shown(secret: str, text: str) -> list[str]:
    """Return which forms of the secret the text holds, or a good part of."""
    found = []
    if any(part in text for part in _parts(secret, _RAW)):
        found.append("as it is")
    for name, form in _forms(secret):
        if any(part in text for part in _parts(form, _WRITTEN)):
            found.append(name)
    return found


def _parts(form: str, size: int) -> Iterator[str]:
    for at in range(max(len(form) - size, 0) + 1):
        part = form[at : at + size]
        if len(set(part) - {" "}) >= _DISTINCT:
            yield part
