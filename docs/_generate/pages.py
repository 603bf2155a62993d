"""The pages of the documentation, and cog over the text of one.

Called by ``python -m docs._generate`` and by tests/docs. Reads; the callers write.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cogapp  # type: ignore[import-untyped]

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_PROLOGUE = "from docs._generate.reference import *\n"
_FENCE = re.compile(r"(`{3,})(\S*)\s*\Z")
_MARK = re.compile(r"<!-- (\w+): (.+) -->\Z")


class Block(NamedTuple):
    """A fenced code block: ``first`` is the index of its first inner line.

    ``mark`` is the (key, value) of the comment right above the fence, if there is one.
    """

    language: str
    first: int
    lines: tuple[str, ...]
    mark: tuple[str, str]


def pages() -> list[Path]:
    """Return every page, in a fixed order."""
    found = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"]
    return found + sorted((CHECKOUT / "docs").rglob("*.md"))


def cog(text: str) -> str:
    """Return the text with its generated parts made anew."""
    if "[[[cog" not in text:
        return text
    engine = cogapp.Cog()
    engine.options.prologue = _PROLOGUE
    return str(engine.process_string(text))


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced code blocks of a page."""
    lines = text.splitlines()
    fence, first, language = "", 0, ""
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if not fence and found:
            fence, language = found[1], found[2]
            first = number + 1
        elif fence and line.strip() == fence:
            above = _MARK.match(lines[first - 2]) if first > 1 else None
            mark = (above[1], above[2]) if above else ("", "")
            yield Block(language, first, tuple(lines[first:number]), mark)
            fence = ""
