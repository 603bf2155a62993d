"""Two views of one log, tail and list, made into one: each line once, in order. Pure.

Called by the orchestrator with entries as they come from either side. The engine numbers
its lines from one; with those numbers a line that is late is waited for, and one that
never comes is announced. Lines without a number (the platform's, a traceback) are told
when they come, once. Memory stays small: of a hundred thousand lines only the last number
is kept.
"""

import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jobs.ports import Entry
from migrate.outcome import Outcome

#: How long a line is held back for one before it that has not come.
HOLD_S = 20.0
#: How many lines without a number are remembered, to know them when they come again.
_REMEMBERED = 20_000
END = "End"
_STDERR = "run.googleapis.com%2Fstderr"


class Line(NamedTuple):
    """A line to tell."""

    severity: str
    text: str
    seq: int | None
    event: str
    fields: Mapping[str, Any]
    timestamp: float
    late: bool = False


class Gap(NamedTuple):
    """Lines that did not come in time."""

    first: int
    last: int


class Merger:
    """The state between two looks at the log of one execution."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        """Begin before the first line."""
        self._hold_s = hold_s
        self._run_id = ""
        self._next = 1
        self._held: dict[int, Entry] = {}
        self._held_since: float | None = None
        self._given_up: set[int] = set()
        self._seen: OrderedDict[tuple[str, float, str], None] = OrderedDict()
        self._unnumbered: list[Entry] = []
        self._end_seq: int | None = None
        self._late: list[Entry] = []
        self.newest = 0.0
        self.outcome: Outcome | None = None

    def offer(self, entries: Iterable[Entry]) -> None:
        """Take entries from either side, in any order, any number of times."""
        for entry in entries:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        self.newest = max(self.newest, entry.timestamp)
        seq = _seq(entry)
        if seq is None or not self._is_ours(entry):
            key = (entry.log_name, entry.timestamp, entry.insert_id)
            if key not in self._seen:
                self._seen[key] = None
                self._unnumbered.append(entry)
                if len(self._seen) > _REMEMBERED:
                    self._seen.popitem(last=False)
            return
        if (entry.payload or {}).get("event") == END:
            self._end_seq = seq
            self._read_outcome(entry)
        if seq in self._given_up:
            self._given_up.discard(seq)
            self._late.append(entry)
        elif seq >= self._next:
            self._held.setdefault(seq, entry)

    def _is_ours(self, entry: Entry) -> bool:
        """One run is followed; should there be another, its lines are told as they come."""
        run_id = str((entry.payload or {}).get("run_id", ""))
        if not self._run_id:
            self._run_id = run_id
        return run_id == self._run_id

    def _read_outcome(self, entry: Entry) -> None:
        fields = (entry.payload or {}).get("fields")
        try:
            self.outcome = Outcome.from_json(json.dumps(fields))
        except ValueError:
            self.outcome = None

    def take(self, now: float) -> list[Line | Gap]:
        """Return what can be told now."""
        told: list[Line | Gap] = []
        others = [_line(e) for e in self._unnumbered]
        others += [_line(e, late=True) for e in self._late]
        self._unnumbered, self._late = [], []
        self._contiguous(told)
        if self._held and self._held_since is None:
            self._held_since = now
        if self._held_since is not None and now - self._held_since >= self._hold_s:
            self._jump(told)
        if not self._held:
            self._held_since = None
        return _among(told, others)

    def _contiguous(self, told: list[Line | Gap]) -> None:
        moved = False
        while (entry := self._held.pop(self._next, None)) is not None:
            told.append(_line(entry))
            self._next += 1
            moved = True
        if moved:
            self._held_since = None

    def _jump(self, told: list[Line | Gap]) -> None:
        """Announce what is missing before the first line that is held, and go on there."""
        first = min(self._held)
        told.append(Gap(self._next, first - 1))
        self._given_up |= set(range(self._next, first))
        self._next = first
        self._contiguous(told)

    def flush(self) -> list[Line | Gap]:
        """Return everything that is held; gaps are announced."""
        told = self.take(0.0)
        while self._held:
            self._jump(told)
        return told

    @property
    def complete(self) -> bool:
        """Whether the end marker is here, and every line before it."""
        return self._end_seq is not None and self._next > self._end_seq

    @property
    def missing(self) -> int:
        """How many lines are known to be missing."""
        top = max(self._held, default=self._next - 1)
        behind = sum(1 for seq in range(self._next, top) if seq not in self._held)
        return behind + len(self._given_up)


def _seq(entry: Entry) -> int | None:
    found = (entry.payload or {}).get("seq")
    return found if isinstance(found, int) and found > 0 else None


def _among(numbered: list[Line | Gap], others: list[Line]) -> list[Line | Gap]:
    """Put lines without a number where their time is; the numbered keep their order."""
    if not others:
        return numbered
    merged: list[Line | Gap] = []
    waiting = deque(sorted(others, key=lambda line: line.timestamp))
    for item in numbered:
        while waiting and isinstance(item, Line):
            if waiting[0].timestamp >= item.timestamp:
                break
            merged.append(waiting.popleft())
        merged.append(item)
    return [*merged, *waiting]


def _line(entry: Entry, *, late: bool = False) -> Line:
    payload = entry.payload or {}
    fields = payload.get("fields")
    severity = entry.severity
    if severity == "DEFAULT" and entry.log_name.endswith(_STDERR):
        severity = "ERROR"
    return Line(
        severity=severity,
        text=entry.text,
        seq=_seq(entry),
        event=str(payload.get("event", "")),
        fields=fields if isinstance(fields, dict) else {},
        timestamp=entry.timestamp,
        late=late,
    )
