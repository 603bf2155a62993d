"""Values: what a migration is, and what the history remembers of one.

Made by `source` and `postgres.history`, read by everybody. No I/O, no decisions.
"""

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple


class Kind(enum.Enum):
    """How often a migration is applied."""

    VERSIONED = "versioned"
    REPEATABLE = "repeatable"


class Mode(enum.Enum):
    """Whether a migration commits together with its history entry."""

    TRANSACTIONAL = "transactional"
    NON_TRANSACTIONAL = "non-transactional"


class State(enum.Enum):
    """What the history says of a version."""

    APPLIED = "applied"
    BASELINE = "baseline"
    RUNNING = "running"
    FAILED = "failed"


# By their own names: ``State.BASELINE`` takes Python 3.11 a microsecond, a thousand times.
VERSIONED, REPEATABLE = Kind.VERSIONED, Kind.REPEATABLE
BASELINE = State.BASELINE
#: States of a version that began and did not finish. No set: an enum is slow to hash.
UNFINISHED = (State.RUNNING, State.FAILED)

#: A repeatable migration has no number; its history key is its file name's stem.
REPEATABLE_PREFIX = "R__"


class Migration(NamedTuple):
    """One migration file, as the directory shows it. Its text is read when it is needed.

    ``checksum`` is ``sha256:`` and 64 hex digits over the bytes without byte order mark
    and with every CRLF as LF (docs/reference/file-format.md). ``size`` is in bytes.
    """

    version: str
    name: str
    kind: Kind
    path: str
    checksum: str
    size: int
    lines: int
    undo_path: str | None
    verify_path: str | None

    @property
    def file(self) -> str:
        """The file's name without its directory."""
        return self.path.rpartition("/")[2]


class Directives(NamedTuple):
    """What the comments at the head of a file ask for. Times are in milliseconds."""

    description: str | None = None
    transaction: bool | None = None
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    requires: tuple[str, ...] = ()


class Script(NamedTuple):
    """What the text of one migration says: how it must be applied.

    ``statements`` counts them; ``wrapped``: the whole file is one BEGIN … COMMIT, and
    ``modes`` says of what kind, where that BEGIN asks for one (``line 1: …``).
    """

    migration: Migration
    directives: Directives
    mode: Mode
    reasons: tuple[str, ...]
    statements: int
    wrapped: bool
    held: tuple[Any, ...] | None = None  # the statements of a small file, split already
    modes: str = ""

    @property
    def description(self) -> str:
        """The directive's words, or the file name's."""
        return self.directives.description or self.migration.name.replace("_", " ")


class Entry(NamedTuple):
    """One row of the history, as far as decisions need it."""

    version: str
    name: str
    checksum: str | None
    state: State


def newest(migrations: Sequence[Migration]) -> str:
    """Return the newest version of a directory; repeatables have none."""
    numbers = [m.version for m in migrations if m.kind is VERSIONED]
    return max(numbers, key=int, default="none")


def span(scripts: Sequence[Script]) -> str:
    """Return the file's name, or of several the first and the last: ``a.sql to b.sql``."""
    first, last = scripts[0].migration.file, scripts[-1].migration.file
    return first if len(scripts) == 1 else f"{first} to {last}"


def order(version: str) -> tuple[int, int, str]:
    """Return the sort key of a version: numbers as numbers, repeatables last, by name."""
    if version.isdigit():
        return (0, int(version), version)
    return (1, 0, version)
