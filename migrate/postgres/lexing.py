"""Notice what changes how the server reads a file, where the splitter could not see it.

The server lexes a message whole, in the settings at hand before it; psql sends each
statement by itself. So a change within a message, by DO or by a function, makes another
thing of what follows. Called by `transaction`, `stepwise` and `batches`. libpq is told of
every change, so that to look costs no round trip.
"""

from collections.abc import Sequence

from migrate.faults import HiddenSetting
from migrate.places import apart
from migrate.postgres.session import Session
from migrate.statements import Statement

_STRINGS = "standard_conforming_strings"
_ENCODING = "client_encoding"
_NAMES = (_STRINGS.encode(), _ENCODING.encode(), b"set names")
# Names and operators are qualified: the file's search_path is still in force.
_GUARD = (
    "SELECT 1 OPERATOR(pg_catalog./) (pg_catalog.concat("
    f"pg_catalog.current_setting('{_STRINGS}'), pg_catalog.current_setting('{_ENCODING}')"
    ") OPERATOR(pg_catalog.=) 'onUTF8')::pg_catalog.int4; "
)


def names_settings(text: bytes) -> bool:
    """Whether a text, quoted or not, names a setting by which the server reads."""
    lowered = text.lower()
    return any(name in lowered for name in _NAMES)


def must_part(statements: Sequence[Statement]) -> bool:
    """Whether one of the statements names a setting, and others stand behind it.

    Behind one that the splitter follows none does: that ends its message.
    """
    followed = statements[-1].rescan
    return any(
        names_settings(s.text) for s in (statements[:-1] if followed else statements)
    )


def guard(statements: Sequence[Statement], text: bytes) -> str:
    """Return SQL that fails if a message of these statements changed a setting unseen.

    For a message that also resets the settings, so that none is left to look at. Only
    backslashes, and characters that are not ASCII, are read in more ways than one.
    """
    if (b"\\" not in text and text.isascii()) or statements[-1].rescan:
        return ""
    return _GUARD


def encoding(session: Session) -> str:
    """Return the encoding in which the server reads what is sent next."""
    return session.reported(_ENCODING)


def strayed(session: Session, last: Statement, before: str) -> bool:
    """Whether a message that ended with ``last`` changed a setting unseen.

    ``before`` is the encoding in which it was sent.
    """
    recoded = encoding(session) != before and not last.rescan
    return recoded or _differs(session, last)


def refuse_unseen(session: Session, file: str, last: Statement | None) -> None:
    """Look before the next statement is sent; ``last`` was sent before it, alone.

    The encoding need not be looked at: what is sent alone is read as psql's is. Raises
    `HiddenSetting`.
    """
    if last and _differs(session, last):
        *_, place = apart([last])
        value = session.reported(_STRINGS)
        raise HiddenSetting(file=file, line=place.line, setting=_STRINGS, value=value)


def _differs(session: Session, last: Statement) -> bool:
    return session.reported(_STRINGS) == ("off" if last.standard else "on")
