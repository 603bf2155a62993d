"""Cut a migration's statements into messages, or put small migrations into one.

Called by `transaction`; `opened` also by `stepwise`, `bundled` by `grouping`. Reads files,
sends nothing.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from migrate import classify
from migrate.migration import Mode, Script
from migrate.postgres.lexing import must_part, names_settings
from migrate.postgres.session import Readable
from migrate.postgres.sweep import may_stay
from migrate.refusals import PooledSessionState
from migrate.source import open_file
from migrate.statements import Splitter, Statement

#: Enough for round trips to vanish, little enough that savepoints stay few and memory small.
_BATCH_BYTES = 1 << 18
#: How many small migrations share a message, and what is small.
_MOST = 16
_SMALL_BYTES = 8 << 10
#: What the server has something to say about: its notices name no place in a message, so
#: such a file goes alone and they come under its name.
_SPEAKING_VERBS = {("DO",), ("CALL",)}
_SPEAKING = (b"exists", b"raise", b"notice", b"warning", b"inherits")


class Batch(NamedTuple):
    """Statements that share a message, or one COPY with its data."""

    statements: tuple[Statement, ...]  # and runs of them
    data: Readable | None = None

    @property
    def single(self) -> bool:
        """Whether it is one statement."""
        return len(self.statements) == 1 and self.statements[0].many == 1

    @property
    def ends_savepoints(self) -> bool:
        """Whether a savepoint of the file's may end in it, and any made later with it."""
        return any(
            s.words[:1] in {("ROLLBACK",), ("RELEASE",)} for s in self.statements
        )


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


def may_be_whole(batch: Batch) -> bool:
    """Whether it may share its message with the end of the transaction."""
    return batch.data is None and not must_part(batch.statements)


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


def bundled(scripts: Sequence[Script]) -> list[list[Script]]:
    """Return the migrations in order, small neighbours together."""
    groups: list[list[Script]] = []
    after_small = False
    for script in scripts:
        small = _is_small(script)
        if small and after_small and len(groups[-1]) < _MOST:
            groups[-1].append(script)
        else:
            groups.append([script])
        after_small = small
    return groups


def _is_small(script: Script) -> bool:
    """Whether it fits one message with others: short, plain, nothing to run in between."""
    migration = script.migration
    if script.mode is not Mode.TRANSACTIONAL or script.held is None:
        return False
    if migration.size > _SMALL_BYTES or migration.verify_path is not None:
        return False
    if any(s.words[:1] in _SPEAKING_VERBS for s in script.held):
        return False
    texts = b" ".join(s.text for s in script.held).lower()
    if any(word in texts for word in _SPEAKING):
        return False
    rescanned = any(s.rescan or s.copy for s in script.held)
    # What ends a LISTEN counts only when the transaction after it has ended.
    stays = may_stay(texts) or b"listen" in texts
    cascades = b"cascade" in texts and (b"drop" in texts or b"truncate" in texts)
    return not (rescanned or stays or cascades or names_settings(texts))
