"""Says where in its file something stands: a statement of a run, a character of a statement.

Called by whoever sends statements, when one is needed by itself: to be sent alone, or to
be named in an error. Never talks to a server.
"""

import io
from collections.abc import Iterable, Iterator
from typing import Final

from migrate.statements import Splitter, Statement

#: Stands for the file, where no statement of it is to blame.
NOWHERE: Final = Statement(b"", 0, 1, 1, (), copy=False, rescan=False)


def apart(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield the statements one by one, those of a run as if it had never been one."""
    for statement in statements:
        if statement.many == 1:
            yield statement
            continue
        for one in Splitter(io.BytesIO(statement.text), ""):
            first = one.line == 1
            yield one._replace(
                offset=statement.offset + one.offset,
                line=statement.line + one.line - 1,
                column=one.column + (statement.column - 1 if first else 0),
                # In no run is there a string that would end elsewhere by it.
                standard=statement.standard,
            )


def within(run: Statement, character: int) -> tuple[Statement, int]:
    """Return the statement at a character of a run, and which of its own that is.

    Both count from 1, as a server's error position does.
    """
    chosen, before = run, 0
    for one in apart([run]):
        skipped = len(run.text[: one.offset - run.offset].decode())
        if skipped >= character:
            break
        chosen, before = one, skipped
    return chosen, character - before


def position(
    text: bytes, line: int, column: int, characters: int
) -> tuple[int, int, str]:
    """Find a character of a statement in its file: line, column and that line's text.

    ``characters`` counts from 1, as a server's error position does; ``line`` and
    ``column`` say where the statement begins. Blanks stand for what is before the
    statement on its first line, so that a caret below the column always fits.
    """
    decoded = text.decode(errors="replace")
    index = min(max(characters, 1) - 1, len(decoded))
    before = decoded.count("\n", 0, index)
    first = decoded.rfind("\n", 0, index) + 1
    last = decoded.find("\n", index)
    shown = decoded[first : last if last >= 0 else None].rstrip("\r")
    indent = 0 if before else column - 1
    return line + before, indent + index - first + 1, " " * indent + shown
