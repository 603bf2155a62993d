"""Follow a log while something else goes on: tail for speed, list for completeness.

Called by the orchestrator in small steps. A tail may be late, end at any time, or not be
allowed at all; the list reads again from the last line that was told, more often while
there is no tail. Trouble with the log is told once and never ends a launch: the verdict
does not rest on it.
"""

import contextlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from jobs.errors import Denied, LaunchError, QuotaExceeded, Unsupported
from jobs.events import BuildLine, Listener, LogGap, LogLine, LogTrouble, Waiting
from jobs.logmerge import Gap, Line, Merger
from jobs.ports import Clock, Entry, Logs, Tail

#: Seconds between lists, with a tail and without; the read quota is 60 a minute. Inside a
#: build, where the launch reads the same log from outside, the two share it.
WITH_TAIL_S, WITHOUT_TAIL_S, IN_BUILD_S, MOST_S = 10.0, 2.0, 4.0, 30.0
#: The first list comes early: a tail may begin ten seconds late and shows no history.
FIRST_LIST_S = 2.0
#: How far back from the last line a list reads again: lines arrive out of order.
OVERLAP_S = 2.0
#: Clocks differ; the log is read from a little before the launch began.
SKEW_S = 60.0
#: How long a tail that is being emptied may be quiet.
STEP_S = 0.3
#: How long the last lines are waited for while the log cannot be read at all, and how
#: often it is said that they are waited for.
DOWN_S, SAY_S = 15.0, 10.0
#: What the clean-up step says of the verdict, in the build's log.
_VERDICT = "verdict: "
_STEP = re.compile(r'(?:Step #\d+(?: - "([^"]*)")?|([A-Z]+))(?:: ?(.*))?\Z', re.DOTALL)


class Place(NamedTuple):
    """Which log, and where a person can look at it.

    ``one_of_many``: the job has had other executions, so lines count only when it is known
    which one is ours.
    """

    project: str
    query: str
    since: float
    page: str
    live: bool = True
    one_of_many: bool = False
    pause: float = WITHOUT_TAIL_S


class LogWatch:
    """The log of one job, told line by line; and of its build, when that is asked for."""

    def __init__(
        self,
        logs: Logs,
        clock: Clock,
        tell: Listener,
        place: Place,
        tail_query: str = "",
    ) -> None:
        """Begin to follow; ``tail_query`` may hold more than the list: a build's lines."""
        self._logs, self._clock, self._tell, self._place = logs, clock, tell, place
        self._tail_query = tail_query or place.query
        self._merger = Merger()
        self._tail: Tail | None = None
        self._tail_allowed = place.live
        self._tail_pause = 1.0
        self._told_at = place.since
        self._next_list = clock.now() + FIRST_LIST_S
        self._list_pause = WITH_TAIL_S
        self._troubled: set[str] = set()
        self._reopen_at = 0.0
        self._readable = True
        self._flowing = False
        self.word = ""
        self._build_seen: set[tuple[float, str]] = set()
        self._execution = ""

    def only(self, execution: str) -> None:
        """Say which execution is ours, by its short name."""
        if not self._execution and self._place.one_of_many:
            self._next_list = self._clock.now()
        self._execution = execution

    @property
    def seen(self) -> bool:
        """Whether there is any sign that the job has run."""
        return bool(self._execution) or self._merger.newest > 0

    @property
    def merger(self) -> Merger:
        """The lines so far: the outcome, and what is missing."""
        return self._merger

    def step(self, seconds: float) -> int:
        """Wait for lines as long as ``seconds``, tell them, return how many came."""
        before = self._merger.newest
        self._open()
        if self._tail is not None:
            self._offer(self._tail.poll(seconds))
            if self._tail.ended:
                self._lost(self._tail.ended)
        else:
            self._clock.sleep(seconds)
        count = self._tell_all(self._merger.take(self._clock.now()))
        if count and self._tail is not None:
            self._flowing = True
        if self._clock.now() >= self._next_list:
            if self._flowing and not self._merger.missing:
                # The tail brings every line: a list would only read them all again.
                self._next_list = self._clock.now() + WITH_TAIL_S
            else:
                self.read()
                count += self._tell_all(self._merger.take(self._clock.now()))
            self._flowing = False
        return count or int(self._merger.newest > before)

    def read(self) -> bool:
        """List once; return whether the log could be read."""
        since = self._told_at - OVERLAP_S
        pause = WITH_TAIL_S if self._tail is not None else self._place.pause
        try:
            chunk: list[Entry] = []
            for entry in self._logs.list(self._place.project, self._place.query, since):
                chunk.append(entry)
                if len(chunk) >= 1000:  # noqa: PLR2004 - a page; memory stays small
                    self._offer(chunk)
                    chunk.clear()
                    self._tell_all(self._merger.take(self._clock.now()))
            self._offer(chunk)
            self._list_pause = pause
            self._readable = True
        except LaunchError as error:
            self._list_pause = min(max(self._list_pause, pause) * 2, MOST_S)
            self._readable = False
            self._trouble("list", error)
        self._next_list = self._clock.now() + self._list_pause
        return self._readable

    def finish(self, seconds: float) -> None:
        """After the end: read until the end marker is here and nothing is missing.

        What did not come in time is announced: the gaps, and an end that was not seen.
        """
        began = said = self._clock.now()
        pause = 0.25
        while self._drained():
            # What the tail has in hand comes without asking.
            continue
        while not self._read_all():
            now = self._clock.now()
            patience = seconds if self._readable else min(seconds, DOWN_S)
            left = began + patience - now
            if left <= 0:
                break
            if now - said >= SAY_S:
                said = now
                self._tell(Waiting("the last lines of the log", now - began))
            if self._tail is not None and not self._tail.ended:
                self._offer(self._tail.poll(min(pause, left)))
            else:
                self._clock.sleep(min(pause, left))
            pause = min(pause * 2, SAY_S)
        self._tell_all(self._merger.flush())
        if self._merger.newest and not self._merger.complete:
            what = "the last line of the migration has not arrived"
            self._tell(LogTrouble(what, self._place.page))

    def _read_all(self) -> bool:
        """List, if anything can be missing; return whether everything is here."""
        if not self._merger.complete:
            self.read()
            self._tell_all(self._merger.take(self._clock.now()))
        return self._merger.complete

    def _drained(self) -> int:
        """Tell what the tail has; return how much that was."""
        if self._tail is None or self._merger.complete:
            return 0
        self._offer(self._tail.poll(STEP_S))
        return self._tell_all(self._merger.take(self._clock.now()))

    def close(self) -> None:
        """Stop following."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _open(self) -> None:
        if self._tail is not None or not self._tail_allowed:
            return
        if self._clock.now() < self._reopen_at:
            return
        try:
            self._tail = self._logs.tail(self._place.project, self._tail_query)
        except LaunchError as error:
            self._tail_failed(error)

    def _tail_failed(self, error: LaunchError) -> None:
        if isinstance(error, Unsupported | Denied | QuotaExceeded):
            self._tail_allowed = False
            self._trouble("tail", error)
        self._wait_to_reopen()

    def _wait_to_reopen(self) -> None:
        self._next_list = min(self._next_list, self._clock.now())
        self._reopen_at = self._clock.now() + self._tail_pause
        self._tail_pause = min(self._tail_pause * 2, 60.0)

    def _lost(self, why: str) -> None:
        """End a tail that ended by itself; the list covers until it is open again."""
        if self._tail is not None:
            self._tail.close()
        self._tail = None
        if re.search(r"(?i)unimplemented|not supported|permission|quota", why):
            self._tail_allowed = False
        self._wait_to_reopen()

    def _trouble(self, what: str, error: LaunchError) -> None:
        if what not in self._troubled:
            self._troubled.add(what)
            self._tell(LogTrouble(f"{error}; the launch goes on", self._place.page))

    def _offer(self, entries: Iterable[Entry]) -> None:
        of_job = []
        for entry in entries:
            if entry.kind == "build":
                self._tell_build(entry)
            elif self._is_ours(entry):
                of_job.append(entry)
        self._merger.offer(of_job)

    def _tell_build(self, entry: Entry) -> None:
        key = (entry.timestamp, entry.insert_id)
        if key not in self._build_seen:
            self._build_seen.add(key)
            line = _build_line(entry)
            if line.text.startswith(_VERDICT):
                self.word = line.text.removeprefix(_VERDICT)
            self._tell(line)

    def read_build(self, query: str) -> None:
        """List a build's own lines: all there is to say why, when no job was made."""
        try:
            for entry in self._logs.list(self._place.project, query, self._place.since):
                self._tell_build(entry)
        except LaunchError as error:
            self._trouble("build", error)

    def _is_ours(self, entry: Entry) -> bool:
        if not self._place.one_of_many:
            return True
        found = entry.labels.get("run.googleapis.com/execution_name", "")
        return bool(self._execution) and found == self._execution

    def _tell_all(self, items: list[Line | Gap]) -> int:
        for item in items:
            if isinstance(item, Gap):
                self._tell(LogGap(item.first, item.last, self._place.page))
                continue
            if not item.late and item.seq is not None:
                self._told_at = max(self._told_at, item.timestamp)
            self._tell(
                LogLine(
                    severity=item.severity,
                    text=item.text,
                    seq=item.seq,
                    engine_event=item.event,
                    fields=item.fields,
                    timestamp=item.timestamp,
                    late=item.late,
                )
            )
        return len(items)


def _build_line(entry: Entry) -> BuildLine:
    """Take a line of a build apart: ``Step #1 - "push-image": text``."""
    step = entry.labels.get("build_step", "")
    text = entry.text
    if match := _STEP.match(text):
        text = match[3] or ""
        step = match[1] or match[2] or step
    with contextlib.suppress(IndexError):
        step = step.split('"')[1]
    return BuildLine(step, text)
