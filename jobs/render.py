"""Words for a launch: lines for people, one JSON object per event for machines.

Called by `commands`. A line of the job is printed as the engine wrote it; on a terminal
its severity has a colour. Every command ends with one line that can stand alone.
"""

import enum
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from jobs import events
from jobs.events import Event
from jobs.findings import Weight
from jobs.lifecycle import Ending
from migrate.errors import ExplainedError

RULE = "=" * 60
SCHEMA = 1
_COLOURS = {
    "WARNING": "33",
    "ERROR": "31",
    "CRITICAL": "31;1",
    "ALERT": "31;1",
    "EMERGENCY": "31;1",
    "NOTICE": "36",
}
_DIM, _BOLD, _GOOD, _BAD = "2", "1", "32;1", "31;1"
#: What the step run-migration says of itself; the rest of its lines are the job's.
_TROUBLES = ("error:", "→")
_LOUD = frozenset(_COLOURS) - {"NOTICE"}
_MARKS = {Weight.FINE: "✓", Weight.WARNING: "!", Weight.FATAL: "✗"}


def readable(seconds: float) -> str:
    """Return a length of time for people: ``0.4 s``, ``12 s``, ``5 min 46 s``."""
    if seconds < 10:  # noqa: PLR2004 - a tenth is felt below ten
        return f"{seconds:.1f} s"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def explain(error: ExplainedError) -> str:
    """Return an error for people: what, where, and what to do next."""
    lines = [f"error: {error}", *(f"  {n}" for n in getattr(error, "__notes__", ()))]
    if advice := error.advice():
        lines += [f"  → {line}" for line in advice.splitlines()]
    return "\n".join(lines)


class JsonTeller:
    """One event, one line."""

    def __init__(self, stream: TextIO) -> None:
        """Write to the stream."""
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        fields = _plain(event)
        value = {"schema": SCHEMA, "event": type(event).__name__, "time": time.time()}
        self._stream.write(json.dumps(value | fields, ensure_ascii=False) + "\n")
        self._stream.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: _plain(v) for k, v in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


class TextTeller:
    """Tells a launch to people."""

    def __init__(
        self,
        stream: TextIO,
        *,
        colour: bool,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        """Write to the stream. ``quiet``: trouble and the end alone."""
        self._stream = stream
        self._colour = colour
        self._quiet = quiet
        self._verbose = verbose
        self._build_lines: list[str] = []
        self._elsewhere = False

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, events.LaunchStarted):
            self._elsewhere = bool(event.endpoint)
        if self._elsewhere and isinstance(event, _PAGED):
            # Google's console has no page for what an emulator does.
            event = event._replace(page="")
        if isinstance(event, events.LogLine):
            self._line(event)
        elif isinstance(event, events.BuildLine):
            self._build_line(event)
        elif isinstance(event, events.LaunchEnded):
            self._end(event)
        elif isinstance(event, _TROUBLE):
            self.say(_WORDS[type(event)](event), _COLOURS["WARNING"])
        elif isinstance(event, events.PreflightDone):
            self._findings(event)
        elif not self._quiet and (text := _WORDS[type(event)](event)):
            self.say(text, _DIM if isinstance(event, events.Waiting) else "")

    def say(self, text: str, colour: str = "") -> None:
        """Write a line."""
        if colour and self._colour:
            text = f"\033[{colour}m{text}\033[0m"
        self._stream.write(text + "\n")
        self._stream.flush()

    def _line(self, line: events.LogLine) -> None:
        if line.severity == "DEBUG" and not self._verbose:
            return
        if line.engine_event == "End" or (self._quiet and line.severity not in _LOUD):
            return
        text = f"(late) {line.text}" if line.late else line.text
        self.say(text, _COLOURS.get(line.severity, ""))

    def _build_line(self, line: events.BuildLine) -> None:
        text = f"  {line.step or 'build'} │ {line.text}"
        if self._verbose:
            self.say(text, _DIM)
        elif line.step != "run-migration" or line.text.lstrip().startswith(_TROUBLES):
            self._build_lines = [*self._build_lines[-39:], text]

    def _findings(self, event: events.PreflightDone) -> None:
        for finding in event.findings:
            if finding.weight is Weight.FINE and not self._verbose:
                continue
            colour = _BAD if finding.weight is Weight.FATAL else _COLOURS["WARNING"]
            self.say(f"  {_MARKS[finding.weight]} {finding.what}", colour)
            if finding.why:
                self.say(f"      without a cure: {finding.why}")
            if finding.cure:
                self.say(f"      → {finding.cure}")

    def _end(self, event: events.LaunchEnded) -> None:
        verdict = event.verdict
        good = verdict.exit_code == 0
        if not good and verdict.ending is not Ending.CANCELLED and not event.execution:
            for line in self._build_lines if event.done is None else []:
                self.say(line, _DIM)
        if not self._quiet:
            title = "COMPLETED SUCCESSFULLY" if good else _TITLES[verdict.ending]
            mark = "✓" if good else "✗"
            self.say(f"\n{RULE}", _GOOD if good else _BAD)
            self.say(f"{mark} MIGRATION {title}", _GOOD if good else _BAD)
            self.say(RULE, _GOOD if good else _BAD)
            for row in _timeline(event):
                self.say(row)
        if not good:
            self.say(f"{verdict.reason}", _BAD)
            if verdict.advice:
                self.say(f"  → {verdict.advice}")
        self.say(final_line(event), _BOLD)


_TITLES = {
    Ending.SUCCEEDED: "SUCCEEDED, CLEAN-UP FAILED",
    Ending.FAILED: "FAILED",
    Ending.TIMED_OUT: "TIMED OUT",
    Ending.CANCELLED: "CANCELLED",
    Ending.LOST: "LOST",
    Ending.UNCERTAIN: "UNCERTAIN",
}


def final_line(event: events.LaunchEnded) -> str:
    """Return one line that can stand alone in a chat."""
    verdict = event.verdict
    what = "succeeded" if verdict.exit_code == 0 else verdict.ending.value
    parts = [f"{event.env}: {what} in {readable(event.seconds)}"]
    if event.done is not None:
        idle = event.done == 0 and verdict.exit_code == 0
        parts.append("nothing was pending" if idle else f"{event.done} applied")
    if verdict.exit_code:
        parts.append(f"exit code {verdict.exit_code}")
    where = [f"build {event.build_id}"] if event.build_id else []
    where += [f"execution {event.execution}"] if event.execution else []
    if where:
        parts.append(", ".join(where))
    return "; ".join(parts)


def _timeline(event: events.LaunchEnded) -> list[str]:
    rows = [("phase", "time", "")]
    for phase in event.phases:
        mark = "✓" if phase.good else "✗"
        rows.append((f"  {phase.name}", readable(phase.seconds), mark))
        if phase.name == "build":
            rows += [
                (f"    {step.id}", readable(step.seconds), _step_mark(step))
                for step in event.steps
                if step.seconds is not None
            ]
    rows.append(("total", readable(event.seconds), ""))
    width = max(len(name) for name, _, _ in rows)
    right = max(len(spent) for _, spent, _ in rows)
    return [f"{n:<{width}}  {t:>{right}} {m}".rstrip() for n, t, m in rows]


def _step_mark(step: Any) -> str:
    return "✓" if step.status.value == "SUCCESS" else f"✗ exit code {step.exit_code}"


def _started(event: events.LaunchStarted) -> str:
    where = f"at {event.endpoint}" if event.endpoint else f"in {event.region}"
    return (
        f"{event.verb} {event.launch_id}: {event.env}, project {event.project} {where}"
    )


def _phase(event: events.PhaseDone) -> str:
    return f"{'✓' if event.good else '✗'} {event.name} ({readable(event.seconds)})"


def _uploaded(event: events.SourceUploaded) -> str:
    return f"  {event.files} files, {event.size / 1024:.0f} KiB → {event.place}"


def _at(page: str) -> str:
    return f"; the log is at {page}" if page else ""


_WORDS: Mapping[type, Callable[[Any], str]] = {
    events.LaunchStarted: _started,
    events.Swept: lambda e: f"  removed {e.thing}: {e.why}",
    events.SourceUploaded: _uploaded,
    events.BuildSubmitted: lambda e: f"  build {e.build_id}\n  {e.page}".rstrip(),
    events.BuildState: lambda e: (
        f"  build {e.status.lower()}" + (f": {e.detail}" if e.detail else "")
    ),
    events.JobCreated: lambda e: f"  job {e.job}\n  {e.image}",
    events.ExecutionStarted: lambda e: (
        f"  execution {e.execution}\n  {e.page}".rstrip()
    ),
    events.ExecutionState: lambda e: (
        f"  execution {e.state}" + (f": {e.detail}" if e.detail else "")
    ),
    events.LogGap: lambda e: (
        f"… lines {e.first} to {e.last} have not arrived" + _at(e.page)
    ),
    events.LogTrouble: lambda e: f"… {e.what}" + _at(e.page),
    events.Waiting: lambda e: f"… waiting for {e.what} ({readable(e.seconds)})",
    events.Retrying: lambda e: f"… {e.call}: {e.reason}; trying again",
    events.Cancelling: lambda e: f"  cancelling {e.what}: {e.why}",
    events.JobDeleted: lambda e: f"  job {e.job} is gone",
    events.CleanupFailed: lambda e: (
        f"left behind: {', '.join(e.things)} ({e.reason})"
        + (f"\n  → {e.advice}" if e.advice else "")
    ),
    events.PhaseDone: _phase,
}
_PAGED = (
    events.BuildSubmitted,
    events.JobCreated,
    events.ExecutionStarted,
    events.LogGap,
    events.LogTrouble,
)
_TROUBLE = (
    events.LogGap,
    events.LogTrouble,
    events.Retrying,
    events.CleanupFailed,
    events.Cancelling,
)


def teller(
    output: str, *, quiet: bool, verbose: bool, environment: Mapping[str, str]
) -> events.Listener:
    """Return the listener of a command."""
    if output == "json":
        return JsonTeller(sys.stdout)
    colour = sys.stdout.isatty() and not environment.get("NO_COLOR")
    return TextTeller(sys.stdout, colour=colour, quiet=quiet, verbose=verbose)
