"""Words for events and outcomes: lines for people, JSON lines for machines.

Called by the faces. The lines for people are the ones the seeds' runner printed. Under
Cloud Run, and with ``--output json``, every event is one JSON object that Cloud Logging
understands (https://cloud.google.com/logging/docs/structured-logging): ``severity``,
``message``, ``time``, labels, trace; with ``run_id`` and an increasing ``seq``, so that a
reader can tell a gap.
"""

import json
import sys
import time
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from migrate import events
from migrate.duration import readable
from migrate.errors import ExitCode, ExplainedError
from migrate.events import Event
from migrate.faults import StatementFailed
from migrate.outcome import SCHEMA, Outcome

RULE = "=" * 60
#: Cloud Logging takes 256 KiB an entry, what the platform adds included.
_LINE_BYTES = 128 << 10
_SEVERITIES = {
    events.Retrying: "WARNING",
    events.Blocked: "WARNING",
    events.WaitingForLock: "WARNING",
    events.StillConnecting: "WARNING",
    events.Resolving: "WARNING",
    events.CreatedUnseen: "WARNING",
    events.DebrisRemoved: "WARNING",
    events.LeftOut: "WARNING",
}


def _connecting(event: events.Connecting) -> str:
    lines = [
        "[Migration] Connecting to database...",
        f"  Host: {event.host}",
        f"  Port: {event.port}",
        f"  Database: {event.database}",
        f"  User: {event.user}",
    ]
    if len(event.files) == 1:
        lines.append(f"  Migration file: {event.files[0]}")
        what = "SQL file"
    else:
        folder = event.files[0].rpartition("/")[0]
        lines.append(f"  Migration files: {folder} ({len(event.files)} files)")
        what = f"{len(event.files)} SQL files"
    lines += [
        "",
        f"[Migration] Loaded {what} ({event.size} bytes, {event.lines} lines)",
    ]
    return "\n".join(lines)


def _connected(event: events.Connected) -> str:
    pooled = (
        "\n  Through a pooler: a lease takes the place of the lock"
        if event.pooled
        else ""
    )
    return f"[Migration] Connected successfully{pooled}"


def _executing(event: events.Executing) -> str:
    if event.total == 1:
        return "[Migration] Executing SQL migration..."
    return f"[Migration] Executing {event.file} ({event.number} of {event.total})..."


def _applied(event: events.Applied) -> str:
    if event.total == 1:
        return "[Migration] ✓ Migration executed successfully"
    spent = event.duration_ms
    took = "" if spent is None else f" ({readable(spent)})"
    return f"[Migration] ✓ {event.file}{took}"


def _retrying(event: events.Retrying) -> str:
    head = (
        f"[Migration] {event.file}: {event.reason}; try {event.attempt} of {event.tries} "
        f"rolled back, next in {readable(event.pause_ms)}"
    )
    return "\n".join([head, *(f"  blocked by {b}" for b in event.blockers)])


def _blocked(event: events.Blocked) -> str:
    head = f"[Migration] {event.file} waits for a lock"
    return "\n".join([head, *(f"  blocked by {b}" for b in event.blockers)])


def _notice(event: events.Notice) -> str:
    # Of one file: it stands below the line that the file begins with.
    said_by = f"{event.file}: " if " to " in event.file else ""
    return f"  {said_by}{event.text}"


def _progress(event: events.Progress) -> str:
    share = f" ({100 * event.done // event.total} %)" if event.total else ""
    of = f" of {event.total}" if event.total else ""
    return f"  {event.what}: {event.done}{of}{share}"


def _verified(event: events.Created) -> str:
    lines = ["", "[Verification] Checking migration results..."]
    tables = [name for kind, name in event.things if kind == "table"]
    if tables:
        lines += ["[Verification] Created tables:", *(f"  ✓ {name}" for name in tables)]
    counts: dict[str, int] = {}
    for kind, _ in event.things:
        if kind != "table":
            counts[kind] = counts.get(kind, 0) + 1
    if counts:
        listed = ", ".join(f"{n} {_plural(kind, n)}" for kind, n in counts.items())
        lines.append(f"[Verification] And {listed}")
    return "\n".join(lines)


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return kind + ("es" if kind.endswith("x") else "s")


#: Words for each event; None: it is for machines and terminals alone.
_WORDS: Mapping[type, Callable[[Any], str] | None] = {
    events.Connecting: _connecting,
    events.StillConnecting: lambda e: (
        f"[Migration] Still connecting ({readable(e.elapsed_ms)}): {e.reason}"
    ),
    events.Connected: _connected,
    events.WaitingForLock: lambda e: (
        f"[Migration] Waiting for another runner: {e.holder}"
    ),
    events.HistoryUpgraded: lambda e: (
        f"[Migration] History table upgraded from layout {e.before} to {e.after}"
    ),
    events.Executing: _executing,
    events.Resuming: lambda e: (
        f"[Migration] {e.file} resumes after statement {e.done} of {e.total}"
    ),
    events.Progress: None,
    events.Blocked: _blocked,
    events.Retrying: _retrying,
    events.Notice: _notice,
    events.DebrisRemoved: lambda e: (
        f"[Migration] Dropped INVALID index {e.name}, left by an interrupted run"
    ),
    events.Resolving: lambda e: (
        f"[Migration] Session lost ({e.reason}); asking the server what was committed..."
    ),
    events.CreatedUnseen: lambda e: (
        f"[Migration] All is committed; what it created could not be read back: {e.reason}"
    ),
    events.CheckPassed: lambda e: f"[Verification] ✓ {e.check}",
    events.Applied: _applied,
    events.Created: _verified,
    events.RolledBack: lambda e: (
        f"[Migration] ✓ Rolled back {e.version} {e.name} ({readable(e.duration_ms)})"
    ),
    events.LeftBehind: lambda e: (
        f"[Migration] {e.version} left behind: " + ", ".join(e.things)
    ),
    events.LeftOut: lambda e: (
        f"[Migration] Left out of the transaction: {e.file} ({'; '.join(e.reasons)})"
    ),
}


def words(event: Event) -> str | None:
    """Return the lines for people, or None."""
    found = _WORDS[type(event)]
    return found(event) if found else None


def explain(error: ExplainedError) -> str:
    """Return an error for people: what, where, and what to do next."""
    lines = [f"error: {error}", *(f"  {n}" for n in getattr(error, "__notes__", ()))]
    lines += [f"  → {line}" for line in error.advice().splitlines()]
    return "\n".join(lines)


def banner(outcome: Outcome) -> str:
    """Return the closing lines of ``apply`` for people."""
    if outcome.exit_code is ExitCode.OK:
        return f"\n{RULE}\n✓ MIGRATION COMPLETED SUCCESSFULLY\n{RULE}"
    return f"\n{RULE}\n✗ MIGRATION FAILED\n{RULE}"


class Printer:
    """Where output goes. A reader that hangs up, or a full disk, never stops the work."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``; line by line, so that a killed run leaves whole lines."""
        self._stream = stream
        self.broken = ""

    def line(self, text: str) -> None:
        """Write lines; a failure is kept, not raised."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write and flush; a failure is kept, not raised."""
        if self.broken:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.broken = getattr(error, "strerror", None) or str(error)
            # Python flushes once more at exit, and would complain again.
            sys.stdout = None


class TextListener:
    """Tells events to people; on a terminal also how far a long migration is."""

    def __init__(self, printer: Printer, *, terminal: bool) -> None:
        """Write to the printer; ``terminal``: rewrite a progress line in place."""
        self._printer = printer
        self._terminal = terminal
        self._shown = 0.0
        self._counted = ""
        self._open = False

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, events.Progress):
            self._progress(event)
            return
        if text := words(event):
            if self._open:
                self._printer.line("")
                self._open = False
            self._printer.line(text)

    def _progress(self, event: events.Progress) -> None:
        now = time.monotonic()
        # Ten times a second; what begins to be counted is shown at once.
        due = event.what != self._counted or now - self._shown > 0.1  # noqa: PLR2004
        if self._terminal and due:
            self._shown, self._counted = now, event.what
            self._open = True
            self._printer.write("\r\033[K" + _progress(event))


class JsonListener:
    """Tells events as JSON lines."""

    def __init__(
        self, printer: Printer, run_id: str, environment: Mapping[str, str]
    ) -> None:
        """Take what identifies the run; ``environment`` names execution and trace."""
        self._printer = printer
        self._run_id = run_id
        self._seq = 0
        self._guard = allocate_lock()
        self._labels = {
            name: environment[variable]
            for name, variable in (
                ("job", "CLOUD_RUN_JOB"),
                ("execution", "CLOUD_RUN_EXECUTION"),
                ("task_index", "CLOUD_RUN_TASK_INDEX"),
                ("task_attempt", "CLOUD_RUN_TASK_ATTEMPT"),
            )
            if environment.get(variable)
        }
        self._trace = environment.get("MIGRATE_TRACE", "")

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        severity = _SEVERITIES.get(type(event), "INFO")
        if isinstance(event, events.Progress):
            severity = "DEBUG"
        message = words(event) or _progress(event)  # type: ignore[arg-type]
        name = type(event).__name__
        self._line(severity, message.strip("\n"), name, event._asdict())

    def error(self, error: ExplainedError) -> None:
        """Tell an error."""
        fields = {k: v for k, v in vars(error).items() if not k.startswith("_")}
        if isinstance(error, StatementFailed):
            fields["source"], _ = error.shown()
        self._line("ERROR", explain(error), "Error", {"code": error.code, **fields})

    def refused(self, error: ExplainedError, duration_ms: float = 0.0) -> None:
        """Tell an error that kept the run from beginning, and its outcome."""
        self.error(error)
        self.end(
            Outcome(
                "apply",
                error.exit_code,
                error=error.code,
                message=str(error),
                duration_ms=round(duration_ms, 1),
            )
        )

    def end(self, outcome: Outcome) -> None:
        """Tell the outcome: the end marker, always the last line."""
        severity = (
            "INFO" if outcome.exit_code in {ExitCode.OK, ExitCode.PENDING} else "ERROR"
        )
        text = "finished" if severity == "INFO" else "failed"
        message = f"migration run {text} with exit code {int(outcome.exit_code)}"
        fields = json.loads(outcome.to_json())
        self._line(severity, message, "End", fields)

    def _line(
        self, severity: str, message: str, kind: str, fields: Mapping[str, Any]
    ) -> None:
        # The watching thread tells things, too: a number is taken and written in one go.
        with self._guard:
            self._seq += 1
            self._printer.line(self._json(severity, message, kind, fields))

    def _json(
        self, severity: str, message: str, kind: str, fields: Mapping[str, Any]
    ) -> str:
        value: dict[str, Any] = {
            "severity": severity,
            "message": message,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            + f".{time.time_ns() % 1_000_000_000 // 1000:06d}Z",
            "schema": SCHEMA,
            "run_id": self._run_id,
            "seq": self._seq,
            "event": kind,
            "fields": fields,
        }
        if self._labels:
            value["logging.googleapis.com/labels"] = self._labels
        if self._trace:
            value["logging.googleapis.com/trace"] = self._trace
        return _fitted(value)


def _fitted(value: Mapping[str, Any]) -> str:
    """Return the line; where it is too long, with its long texts and lists cut."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    most = _LINE_BYTES
    while len(line.encode(errors="replace")) > _LINE_BYTES and most:
        most //= 2
        line = json.dumps(_cut(value, most), ensure_ascii=False, default=str)
    return line


def _cut(value: Any, most: int) -> Any:
    """Cut texts to so many characters and lists to an eighth as many; say what is gone."""
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}… ({len(value)} characters)"
    if isinstance(value, list | tuple):
        return [_cut(one, most) for one in value[: most // 8]]
    if isinstance(value, Mapping):
        over = {
            key: len(one) - most // 8
            for key, one in value.items()
            if isinstance(one, list | tuple) and len(one) > most // 8
        }
        kept = {key: _cut(one, most) for key, one in value.items()}
        return kept | ({"cut": over} if over else {})
    return value
