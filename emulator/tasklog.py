"""The log of an execution: lines of its tasks as entries, and the platform's own words.

Used by `executions`. Counts the lines of an attempt, because a fault may want to kill the
task after one of them.
"""

import threading
from collections.abc import Mapping, Sequence

from emulator.entries import Entry, parse_line, split_long
from emulator.faults import Fault
from emulator.filters import SEVERITIES
from emulator.logs import Line, LogStore
from emulator.moments import now_ns
from emulator.processes import Running

_LOG = "projects/{project}/logs/run.googleapis.com%2F{stream}"
_KILL = 9


class TaskLog:
    """What one execution writes into Cloud Logging."""

    def __init__(self, store: LogStore, execution: str) -> None:
        parts = execution.split("/")
        self._store = store
        self._project, self._location = parts[1], parts[3]
        self._job, self._short = parts[5], parts[7]

    def line(self, source: Line, stream: str, line: str) -> None:
        """Turn a line of a task into an entry, or into several when it is long."""
        for piece in split_long(line):
            told = parse_line(piece)
            self._store.write(
                self._entry(source, stream, told.payload)._replace(
                    timestamp=told.timestamp or now_ns(),
                    severity=told.severity,
                    insert_id=told.insert_id,
                    trace=told.trace,
                    span_id=told.span_id,
                    labels={**self._labels(source), **told.labels},
                ),
                source._replace(log=stream),
            )

    def platform(self, source: Line, text: str, severity: str) -> None:
        """Say something about a container, in the log that is the platform's."""
        entry = self._entry(source, "varlog%2Fsystem", text)
        self._store.write(entry._replace(severity=SEVERITIES[severity]))

    def _labels(self, source: Line) -> dict[str, str]:
        return {
            "run.googleapis.com/execution_name": self._short,
            "run.googleapis.com/task_index": str(source.task),
            "run.googleapis.com/task_attempt": str(source.attempt),
        }

    def _entry(
        self, source: Line, stream: str, payload: str | Mapping[str, object]
    ) -> Entry:
        return Entry(
            log_name=_LOG.format(project=self._project, stream=stream),
            resource_type="cloud_run_job",
            resource_labels={
                "project_id": self._project,
                "location": self._location,
                "job_name": self._job,
            },
            timestamp=now_ns(),
            severity=0,
            insert_id="",
            payload=payload,
            labels=self._labels(source),
        )


class Listener:
    """Counts the lines of one attempt, and kills after one of them when told to."""

    def __init__(self, log: TaskLog, source: Line) -> None:
        self._log, self._source = log, source
        self._number = 0
        self._process: Running | None = None
        self._deadly: list[Fault] = []
        self._ready = threading.Event()

    def attach(self, process: Running, faults: Sequence[Fault]) -> None:
        """Know the process whose lines these are."""
        self._process = process
        self._deadly = [fault for fault in faults if "after_line" in fault.settings]
        self._ready.set()
        for fault in faults:
            if fault not in self._deadly:
                signal = [fault.number_of("signal", _KILL)]
                timer = threading.Timer(fault.seconds(), process.send, signal)
                timer.daemon = True
                timer.start()

    def __call__(self, stream: str, line: str) -> None:
        """Take a line."""
        self._ready.wait(5)
        self._number += 1
        self._log.line(self._source._replace(number=self._number), stream, line)
        for fault in self._deadly:
            if self._process and self._number == fault.number_of("after_line", 0):
                self._process.send(fault.number_of("signal", _KILL))
