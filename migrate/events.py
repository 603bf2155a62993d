"""What a run tells while it runs: facts, without words. `render` has the words.

Made by the runner and by `postgres`, given to a listener. Times are in milliseconds.
"""

from collections.abc import Callable
from typing import NamedTuple


class Connecting(NamedTuple):
    """A session is about to be opened. No password is in here."""

    host: str
    port: str
    database: str
    user: str
    files: tuple[str, ...]
    size: int
    lines: int


class StillConnecting(NamedTuple):
    """The first connection failed and will be tried again."""

    reason: str
    elapsed_ms: float


class Connected(NamedTuple):
    """There is a session."""

    server: str
    pooled: bool


class WaitingForLock(NamedTuple):
    """Another runner holds the lock."""

    holder: str
    elapsed_ms: float


class HistoryUpgraded(NamedTuple):
    """The history table got a newer layout."""

    before: int
    after: int


class Executing(NamedTuple):
    """A migration begins."""

    version: str
    name: str
    file: str
    mode: str
    number: int
    total: int


class Resuming(NamedTuple):
    """An interrupted migration goes on after the statements an earlier run did."""

    file: str
    done: int
    total: int


class Progress(NamedTuple):
    """How far a long migration is. ``total`` is 0 when it is not known."""

    what: str
    done: int
    total: int


class Blocked(NamedTuple):
    """A statement waits for a lock that others hold."""

    file: str
    blockers: tuple[str, ...]


class Retrying(NamedTuple):
    """A lock timeout; the whole migration is tried again after a pause."""

    file: str
    attempt: int
    tries: int
    pause_ms: float
    reason: str
    blockers: tuple[str, ...]


class Notice(NamedTuple):
    """The server said something while a migration ran."""

    file: str
    text: str


class DebrisRemoved(NamedTuple):
    """An INVALID index that an interrupted run of ours left was dropped."""

    name: str


class Resolving(NamedTuple):
    """The session was lost; the server is asked what happened."""

    file: str
    reason: str


class CheckPassed(NamedTuple):
    """One check of a ``.verify.sql`` held."""

    file: str
    check: str


class Applied(NamedTuple):
    """A migration is applied and recorded; one of ``total`` in this run."""

    version: str
    name: str
    file: str
    duration_ms: float
    total: int


class Created(NamedTuple):
    """What the run created, as its transactions read it from the catalogs: (kind, name)."""

    things: tuple[tuple[str, str], ...]


class LeftBehind(NamedTuple):
    """What a ``.down.sql`` did not undo of what its migration created."""

    version: str
    things: tuple[str, ...]


class RolledBack(NamedTuple):
    """A migration was undone by its ``.down.sql`` and its entry removed."""

    version: str
    name: str
    duration_ms: float


class LeftOut(NamedTuple):
    """A dry run cannot include this migration."""

    file: str
    reasons: tuple[str, ...]


Event = (
    Connecting
    | StillConnecting
    | Connected
    | WaitingForLock
    | HistoryUpgraded
    | Executing
    | Resuming
    | Progress
    | Blocked
    | Retrying
    | Notice
    | DebrisRemoved
    | Resolving
    | CheckPassed
    | Applied
    | Created
    | LeftBehind
    | RolledBack
    | LeftOut
)

Listener = Callable[[Event], None]
