"""Faults by script, never by chance: what goes wrong, where, and at which count.

A script is a list of mappings (YAML or JSON), each with ``at`` (the place), conditions
and ``do``. The places ask `Faults.strike`; the n-th match of a fault is decided by
counting alone, so the same run meets the same faults. docs/reference/emulator.md lists
the places and what can be done there.
"""

import fnmatch
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# place → what can be done there
PLACES: Mapping[str, frozenset[str]] = {
    "rpc": frozenset({"error", "lose_reply", "slow", "quota", "hold", "hold_reply"}),
    "log": frozenset({"late", "lost", "hold", "duplicate", "suppress"}),
    "tail": frozenset({"lag", "end", "end_with_requests"}),
    "job": frozenset({"not_ready", "slow"}),
    "execution": frozenset(
        {"never_start", "start_late", "image_pull_failure", "report_failed", "stale"}
    ),
    "task": frozenset({"kill"}),
    "step": frozenset({"kill", "hold"}),
    "build": frozenset(
        {
            "stay_queued",
            "ask_approval",
            "push_denied",
            "internal_error",
            "fetch_failed",
        }
    ),
    "event": frozenset({"disable_secret", "destroy_secret", "delete_connector"}),
}
#: How soon something held notices that nobody waits for it any more.
_LOOK = 0.05
_SETTINGS = {
    "at", "do", "times", "skip", "seconds", "code", "message", "lines", "until_line",
    "where", "signal", "after_line", "per_minute", "step", "secret", "version",
    "connector",
}  # fmt: skip
_CONDITIONS = {
    "method", "principal", "job", "execution", "task", "attempt", "log", "build",
    "id",
    "event",
}  # fmt: skip


class BadScript(ValueError):
    """The fault script cannot be read; the message says which entry and why."""


class Fault(NamedTuple):
    """One entry of the script."""

    number: int
    at: str
    do: str
    conditions: Mapping[str, str]
    settings: Mapping[str, object]

    def seconds(self, default: float = 0.0) -> float:
        """The setting ``seconds``."""
        return float(str(self.settings.get("seconds", default)))

    def text(self, name: str, default: str = "") -> str:
        """A setting as text."""
        return str(self.settings.get(name, default))

    def number_of(self, name: str, default: int) -> int:
        """A setting as a number."""
        return int(str(self.settings.get(name, default)))

    def hits_line(self, line: int) -> bool:
        """Tell whether a line number is among ``lines`` (absent: every line)."""
        wanted = self.settings.get("lines")
        if wanted is None:
            return True
        numbers = wanted if isinstance(wanted, Sequence) else [wanted]
        if isinstance(wanted, str):
            numbers = wanted.replace(" ", "").split(",")
        return any(_in_range(line, str(part)) for part in numbers)


def _in_range(line: int, part: str) -> bool:
    if part.startswith("every"):
        return line % int(part.removeprefix("every")) == 0
    first, dash, last = part.partition("-")
    if not dash:
        return line == int(first)
    return int(first) <= line and (not last or line <= int(last))


def parse_faults(script: object) -> tuple[Fault, ...]:
    """Read a script; `BadScript` names the entry that is wrong."""
    if script is None:
        return ()
    if not isinstance(script, list):
        raise BadScript("a fault script is a list")
    return tuple(_parse(number, given) for number, given in enumerate(script, 1))


def _parse(number: int, given: object) -> Fault:
    if not isinstance(given, dict):
        raise BadScript(f"fault {number}: a fault is a mapping")
    place, action = str(given.get("at")), str(given.get("do"))
    if place not in PLACES:
        raise BadScript(f"fault {number}: `at` is one of {', '.join(PLACES)}")
    if action not in PLACES[place]:
        allowed = ", ".join(sorted(PLACES[place]))
        raise BadScript(f"fault {number}: `do` at {place} is one of {allowed}")
    unknown = set(given) - _SETTINGS - _CONDITIONS
    if unknown:
        raise BadScript(f"fault {number}: unknown key {min(unknown)}")
    return Fault(
        number,
        place,
        action,
        {key: str(value) for key, value in given.items() if key in _CONDITIONS},
        {key: value for key, value in given.items() if key in _SETTINGS},
    )


class Faults:
    """The script in force and how often each entry matched."""

    def __init__(self, script: Sequence[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._another = threading.Condition(self._lock)
        self._script = tuple(script)
        self._matched: dict[int, int] = {}
        #: What is being held just now, by name.
        self.held: list[str] = []

    def load(self, script: Sequence[Fault]) -> None:
        """Put another script in force; all counts start again."""
        with self._lock:
            self._script = tuple(script)
            self._matched = {}
            self._another.notify_all()

    def hold(self, name: str, gone: Callable[[], bool]) -> None:
        """Wait until another script is put in force, or nobody waits any more."""
        with self._another:
            script = self._script
            self.held.append(name)
            while self._script is script and not gone():
                self._another.wait(_LOOK)
            self.held.remove(name)

    def any_at(self, place: str) -> bool:
        """Tell whether the script says anything about a place (cheap)."""
        return any(fault.at == place for fault in self._script)

    def strike(self, place: str, **facts: object) -> list[Fault]:
        """Return the faults that strike now, and count."""
        struck = []
        with self._lock:
            for fault in self._script:
                if fault.at == place and _matches(fault, facts):
                    seen = self._matched.get(fault.number, 0) + 1
                    self._matched[fault.number] = seen
                    skipped = fault.number_of("skip", 0)
                    last = skipped + fault.number_of("times", 10**9)
                    if skipped < seen <= last:
                        struck.append(fault)
        return struck

    def first(self, place: str, do: str, **facts: object) -> Fault | None:
        """The first fault of one kind that strikes now; other kinds are not counted."""
        with self._lock:
            wanted = [f for f in self._script if f.at == place and f.do == do]
        for fault in wanted:
            if _matches(fault, facts) and self._counts(fault):
                return fault
        return None

    def _counts(self, fault: Fault) -> bool:
        with self._lock:
            seen = self._matched.get(fault.number, 0) + 1
            self._matched[fault.number] = seen
        skipped = fault.number_of("skip", 0)
        return skipped < seen <= skipped + fault.number_of("times", 10**9)


def _matches(fault: Fault, facts: Mapping[str, object]) -> bool:
    for name, wanted in fault.conditions.items():
        if not fnmatch.fnmatchcase(str(facts.get(name, "")), wanted):
            return False
    line = facts.get("line")
    return not isinstance(line, int) or fault.hits_line(line)
