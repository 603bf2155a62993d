"""The log store: write, list, and subscriptions for tail; faithful until told otherwise.

Written by executions, builds and clients; read by the logging service and the page. An
entry has two ways out, the list and the tail, and a fault may delay or lose either.
"""

import heapq
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from emulator.entries import Entry
from emulator.faults import Fault, Faults
from emulator.filters import Predicate
from emulator.moments import insert_id, now_ns

_NANO = 1_000_000_000
NEVER = 1 << 62
SOON = 0.001


class Line(NamedTuple):
    """Where an entry comes from, for the faults: which job, and which line of it."""

    job: str = ""
    execution: str = ""
    task: int = 0
    attempt: int = 0
    number: int = 0
    log: str = ""


class _Way(NamedTuple):
    """When an entry becomes visible on one way, and how many times."""

    at: int
    copies: int = 1


class Subscription:
    """What one tail session is owed: entries by the time they may be handed out."""

    def __init__(self, wanted: Predicate, condition: threading.Condition) -> None:
        self.wanted = wanted
        self.suppressed = 0
        self._condition = condition
        self._due: list[tuple[int, int, Entry]] = []
        self._out_of_order: list[Entry] = []
        self._number = 0

    def push(self, at: int, entry: Entry) -> None:
        """Owe an entry from a time on. The store's lock is held."""
        self._number += 1
        heapq.heappush(self._due, (at, self._number, entry))

    def push_out_of_order(self, entry: Entry) -> None:
        """Owe an entry in a response of its own, after what is due by then."""
        self._out_of_order.append(entry)

    def take(self, most: int) -> list[Entry]:
        """Hand out what is due, for one response. The store's lock is held."""
        ready: list[Entry] = []
        now = now_ns()
        while self._due and self._due[0][0] <= now and len(ready) < most:
            ready.append(heapq.heappop(self._due)[2])
        if not ready:
            ready, self._out_of_order = self._out_of_order, []
        return ready

    def next_in(self, most: float) -> float:
        """Seconds until something is due, at most ``most``."""
        if self._out_of_order:
            return SOON
        if not self._due:
            return most
        return min(most, max(SOON, (self._due[0][0] - now_ns()) / _NANO))


class LogStore:
    """All entries of the emulated world, in the order in which they were received."""

    def __init__(self, faults: Faults) -> None:
        self.changed = threading.Condition()
        self._faults = faults
        self._entries: list[Entry] = []
        self._visible: dict[int, int] = {}  # position → when the list shows it
        self._held: list[tuple[Fault, Line, Entry]] = []
        self._subscriptions: set[Subscription] = set()
        self._number = 0
        self.tails_asked = 0

    def write(self, entry: Entry, line: Line | None = None) -> None:
        """Receive an entry."""
        with self.changed:
            self._number += 1
            if not entry.insert_id:
                entry = entry._replace(insert_id=insert_id(self._number))
            entry = entry._replace(received=now_ns())
            if line is None or not self._faults.any_at("log"):
                self._receive(entry, _Way(0), _Way(0))
            else:
                self._receive_badly(entry, line)
                self._release(line)
            self.changed.notify_all()

    def flush(self, execution: str) -> None:
        """An execution ended: whatever was held back for a later line goes out."""
        with self.changed:
            going = [held for held in self._held if held[1].execution == execution]
            self._held = [held for held in self._held if held not in going]
            for _, _, entry in going:
                self._receive(entry, _Way(0), _Way(0))
            self.changed.notify_all()

    def _receive(self, entry: Entry, listed: _Way, tailed: _Way) -> None:
        if listed.at != NEVER:
            for _ in range(listed.copies):
                if listed.at:
                    self._visible[len(self._entries)] = listed.at
                self._entries.append(entry)
        if tailed.at != NEVER:
            for subscription in self._subscriptions:
                if subscription.wanted(entry):
                    for _ in range(tailed.copies):
                        subscription.push(tailed.at, entry)

    def _receive_badly(self, entry: Entry, line: Line) -> None:
        listed, tailed = _Way(0), _Way(0)
        struck = self._faults.strike(
            "log",
            job=line.job,
            execution=line.execution,
            task=line.task,
            attempt=line.attempt,
            log=line.log,
            line=line.number,
        )
        for fault in struck:
            if fault.do == "hold":
                self._held.append((fault, line, entry))
                return
            if fault.do == "suppress":
                for subscription in self._subscriptions:
                    subscription.suppressed += subscription.wanted(entry)
                tailed = _Way(NEVER)
                continue
            where = fault.text("where", "both")
            changed = _bad_way(fault)
            listed = changed if where in {"both", "list"} else listed
            tailed = changed if where in {"both", "tail"} else tailed
        self._receive(entry, listed, tailed)

    def _release(self, line: Line) -> None:
        """A line has come: let go what was held until it."""
        for held in list(self._held):
            fault, source, entry = held
            same = source.execution == line.execution
            if same and line.number >= fault.number_of("until_line", source.number + 1):
                self._held.remove(held)
                self._receive(entry, _Way(0), _Way(NEVER))
                for subscription in self._subscriptions:
                    if subscription.wanted(entry):
                        subscription.push_out_of_order(entry)

    def select(self, wanted: Predicate) -> list[Entry]:
        """What a list shows now, in the order of (timestamp, insert id)."""
        now = now_ns()
        with self.changed:
            entries = self._entries[:]
            hidden = {at for at, when in self._visible.items() if when > now}
        found = [
            entry
            for at, entry in enumerate(entries)
            if at not in hidden and wanted(entry)
        ]
        found.sort(key=lambda entry: (entry.timestamp, entry.insert_id))
        return found

    def subscribe(self, wanted: Predicate) -> Subscription:
        """Open a tail: it is owed what is received from now on, never history."""
        subscription = Subscription(wanted, self.changed)
        with self.changed:
            self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Close a tail."""
        with self.changed:
            self._subscriptions.discard(subscription)

    def delete(self, keep: Callable[[Entry], bool]) -> None:
        """Forget the entries that are not kept (DeleteLog)."""
        with self.changed:
            pairs = [
                (entry, self._visible.get(at, 0))
                for at, entry in enumerate(self._entries)
                if keep(entry)
            ]
            self._entries = [entry for entry, _ in pairs]
            self._visible = {at: when for at, (_, when) in enumerate(pairs) if when}

    def names(self) -> Iterable[str]:
        """The log names that occur."""
        with self.changed:
            return sorted({entry.log_name for entry in self._entries})

    def open_tails(self) -> int:
        """How many tail sessions are open."""
        return len(self._subscriptions)


def _bad_way(fault: Fault) -> _Way:
    if fault.do == "lost":
        return _Way(NEVER)
    if fault.do == "duplicate":
        return _Way(0, copies=2)
    return _Way(now_ns() + int(fault.seconds() * _NANO))
