"""What the server has answered for: what it said was committed must be there afterwards.

Kept by `worker`, fed by `stepwise` too. After a session was lost, the server that answers
next may be another one: a replica that was promoted without the last transactions. It
says so by lacking what the first one had acknowledged; nothing else would tell.
"""

from collections.abc import Iterable

from migrate.migration import Entry, State
from migrate.postgres.history import History

#: All of a migration, and its entry says so.
_WHOLE = -1


class Acknowledged:
    """How much of each version was acknowledged; the latest word about it counts."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._versions: dict[str, int] = {}

    def read(self, entries: Iterable[Entry]) -> None:
        """Take what the history said when the lock was taken."""
        for entry in entries:
            if entry.state is State.APPLIED:
                self._versions[entry.version] = _WHOLE

    def applied(self, versions: Iterable[str]) -> None:
        """The COMMITs of these migrations were answered."""
        self._versions.update(dict.fromkeys(versions, _WHOLE))

    def begun(self, version: str, statements: int) -> None:
        """So many of its statements are recorded as done, and that was answered."""
        self._versions[version] = statements

    def lacking(self, history: History) -> tuple[str, ...]:
        """Return the versions of which the server lacks something, in the order said."""
        if not history.inspect().layout:  # it was made, or found, before anything else
            return ("the history itself", *self._versions)
        found: dict[str, int] = {}
        for version, state, done in history.execute("standing"):
            whole = state == State.APPLIED.value
            found[str(version)] = _WHOLE if whole else int(str(done))
        return tuple(
            version
            for version, wanted in self._versions.items()
            if not _has(found.get(version), wanted)
        )


def _has(found: int | None, wanted: int) -> bool:
    """Whether what is there is as much as was acknowledged."""
    return found is not None and (found == _WHOLE or -1 < wanted <= found)
