"""``make docs`` and ``make docs-check``: write the generated parts, or compare them.

``python -m docs._generate write`` and ``… check``, in the checkout. Never touches a line
that a person wrote.
"""

import sys
from pathlib import Path

from docs._generate import transcripts
from docs._generate.pages import CHECKOUT, cog, pages

_WRITE, _CHECK = "write", "check"


def main(verb: str) -> int:
    """Return 0 when everything generated is, or has been made, current."""
    stale: list[Path] = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        current = cog(text)
        if current == text:
            continue
        stale.append(page)
        if verb == _WRITE:
            page.write_text(current, encoding="utf-8")
    with transcripts.stage() as stage:
        for page in pages():
            text = page.read_text(encoding="utf-8")
            current = stage.perform(text)
            if current == text:
                continue
            stale.append(page)
            if verb == _WRITE:
                page.write_text(current, encoding="utf-8")
    said = "written" if verb == _WRITE else "out of date; run: make docs"
    for page in dict.fromkeys(stale):
        sys.stdout.write(f"{page.relative_to(CHECKOUT)}: {said}\n")
    return int(bool(stale) and verb == _CHECK)


if __name__ == "__main__":
    if sys.argv[1:] not in ([_WRITE], [_CHECK]):
        sys.exit(f"usage: python -m docs._generate {_WRITE}|{_CHECK}")
    sys.exit(main(sys.argv[1]))
