"""Cut a migration's statements into messages.

Called by `transaction`; `opened` also by `stepwise`. Reads files, sends nothing.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from migrate import classify
from migrate.migration import Script
from migrate.postgres.session import Readable
from migrate.refusals import PooledSessionState
from migrate.source import open_file
from migrate.statements import Splitter, Statement

#: Enough for round trips to vanish, little enough that savepoints stay few and memory small.
_BATCH_BYTES = 1 << 18


class Batch(NamedTuple):
    """Statements that share a message, or one COPY with its data."""

    statements: tuple[Statement, ...]  # and runs of them
    data: Readable | None = None

    @property
    def single(self) -> bool:
        """Whether it is one statement."""
        return len(self.statements) == 1 and self.statements[0].many == 1


def text_of(batch: Batch) -> bytes:
    """Join the statements; each ends with a semicolon, or with the newline before one."""
    return b"\n".join(
        s.text if s.text.endswith(b";") else s.text + b"\n;" for s in batch.statements
    )


@contextlib.contextmanager
def opened(script: Script) -> Iterator[tuple[Iterator[Statement], Splitter | None]]:
    """Give a migration's statements: those kept from planning, or the file's, streamed.

    There are runs among them, which `places.apart` takes apart.
    """
    if script.held is not None:
        yield iter(script.held), None
        return
    with open_file(script.migration.path) as stream:
        splitter = Splitter(stream, script.migration.file, runs=True)
        yield iter(splitter), splitter


def batches(
    script: Script, statements: Iterator[Statement], splitter: Splitter | None
) -> Iterator[Batch]:
    """Cut the file into messages. The pair of a wrapped file is left out."""
    held: list[Statement] = []
    size = number = 0
    for statement in statements:
        before, number = number, number + statement.many
        if script.wrapped and (before == 0 or number == script.statements):
            continue
        if statement.copy and splitter:
            if held:
                yield Batch(tuple(held))
                held, size = [], 0
            yield Batch((statement,), splitter.copy_data())
            continue
        held.append(statement)
        size += len(statement.text)
        if size >= _BATCH_BYTES or statement.rescan:
            yield Batch(tuple(held))
            held, size = [], 0
    if held:
        yield Batch(tuple(held))


def refuse_session_state(script: Script) -> None:
    """Find a statement that a pooler would make vain, before anything is done.

    Raises `PooledSessionState`.
    """
    with opened(script) as (statements, _):
        for statement in statements:
            if classify.changes_session(statement):
                raise PooledSessionState(
                    file=script.migration.file, line=statement.line
                )
