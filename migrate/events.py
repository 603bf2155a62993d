"""What a run tells while it runs: facts, without words. `render` has the words.

Made by the runner and by `postgres`, given to a listener. Times are in milliseconds.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True)
class Fact:
    """One event. A subclass declares its fields as annotations and is no more than that.

    Not a named tuple: to make two dozen of those takes 4 ms of every start, and few runs
    see more than five kinds (docs/decisions/0003-values-are-named-tuples.md).
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Take the annotations for fields."""
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: object, **named: object) -> None:
        """Take every field, by place or by name."""
        given = dict(zip(self._fields, values, strict=False)) | named
        if len(values) + len(named) != len(given) or given.keys() != {*self._fields}:
            raise TypeError(f"{type(self).__name__} is made of {self._fields}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """A fact does not change."""
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set")

    def _asdict(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self._fields}

    def __eq__(self, other: object) -> bool:
        """The same kind with the same fields."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """By the fields."""
        return hash((type(self), *self._asdict().values()))

    def __repr__(self) -> str:
        """As it is made."""
        fields = (f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({', '.join(fields)})"


class Connecting(Fact):
    """A session is about to be opened. No password is in here."""

    host: str
    port: str
    database: str
    user: str
    files: tuple[str, ...]
    size: int
    lines: int


class StillConnecting(Fact):
    """The first connection failed and will be tried again."""

    reason: str
    elapsed_ms: float


class Connected(Fact):
    """There is a session."""

    server: str
    pooled: bool


class WaitingForLock(Fact):
    """Another runner holds the lock."""

    holder: str
    elapsed_ms: float


class HistoryUpgraded(Fact):
    """The history table got a newer layout."""

    before: int
    after: int


class Executing(Fact):
    """A migration begins.

    Of those that share a message the first when it is sent, the next when the answer is
    there; one that was not reached is not told.
    """

    version: str
    name: str
    file: str
    mode: str
    number: int
    total: int


class Resuming(Fact):
    """An interrupted migration goes on after the statements an earlier run did."""

    file: str
    done: int
    total: int


class Progress(Fact):
    """How far a long migration is. ``total`` is 0 when it is not known."""

    what: str
    done: int
    total: int


class Blocked(Fact):
    """A statement waits for a lock that others hold.

    ``file`` is ``FIRST to LAST`` where several share a message and a transaction.
    """

    file: str
    blockers: tuple[str, ...]


class Retrying(Fact):
    """A lock timeout; the whole migration is tried again after a pause."""

    file: str
    attempt: int
    tries: int
    pause_ms: float
    reason: str
    blockers: tuple[str, ...]


class Notice(Fact):
    """The server said something while a migration ran.

    ``file`` is ``FIRST to LAST`` where several shared a message: it does not say of which.
    """

    file: str
    text: str


class DebrisRemoved(Fact):
    """An INVALID index that an interrupted run of ours left was dropped."""

    name: str


class Resolving(Fact):
    """The session was lost; the server is asked what happened."""

    file: str
    reason: str


class CheckPassed(Fact):
    """One check of a ``.verify.sql`` held."""

    file: str
    check: str


class Applied(Fact):
    """A migration is applied and recorded; one of ``total`` in this run.

    No ``duration_ms``: it shared a transaction with others.
    """

    version: str
    name: str
    file: str
    duration_ms: float | None
    total: int


class Created(Fact):
    """What the run created, as its transactions read it from the catalogs: (kind, name)."""

    things: tuple[tuple[str, str], ...]


class CreatedUnseen(Fact):
    """All is committed, and the session was lost before what was created was read."""

    reason: str


class LeftBehind(Fact):
    """What a ``.down.sql`` did not undo of what its migration created."""

    version: str
    things: tuple[str, ...]


class RolledBack(Fact):
    """A migration was undone by its ``.down.sql`` and its entry removed."""

    version: str
    name: str
    duration_ms: float


class LeftOut(Fact):
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
    | CreatedUnseen
    | LeftBehind
    | RolledBack
    | LeftOut
)

Listener = Callable[[Event], None]
