"""A log entry as a value, and how a line that a container wrote becomes one.

Called by the executions and the builds when a process writes a line, and by the logging
service for entries that clients write. Pure.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from emulator.filters import SEVERITIES, Moment, Severity
from emulator.moments import parse_ns

LONGEST = 256 * 1024
_LIFTED = "logging.googleapis.com/"
_NAMES = {rank: name for name, rank in SEVERITIES.items()}


class Entry(NamedTuple):
    """One entry; ``payload`` is the text or the JSON object."""

    log_name: str
    resource_type: str
    resource_labels: Mapping[str, str]
    timestamp: int
    severity: int
    insert_id: str
    payload: str | Mapping[str, object]
    labels: Mapping[str, str] = {}
    trace: str = ""
    span_id: str = ""
    received: int = 0

    def field(self, path: tuple[str, ...]) -> object:
        """Answer a filter's path; the empty path is everything that has text."""
        if not path:
            return (self.payload, dict(self.labels), dict(self.resource_labels))
        get = _FIELDS.get(path[0])
        if get is None:
            return None
        value = get(self)
        return value if len(path) == 1 else _descend(value, path[1:])


_FIELDS: Mapping[str, Callable[[Entry], object]] = {
    "resource": lambda e: {"type": e.resource_type, "labels": e.resource_labels},
    "logName": lambda e: e.log_name,
    "log_name": lambda e: e.log_name,
    "timestamp": lambda e: Moment(e.timestamp),
    "receiveTimestamp": lambda e: Moment(e.received),
    "severity": lambda e: Severity(e.severity),
    "insertId": lambda e: e.insert_id,
    "insert_id": lambda e: e.insert_id,
    "labels": lambda e: e.labels,
    "trace": lambda e: e.trace,
    "spanId": lambda e: e.span_id,
    "textPayload": lambda e: e.payload if isinstance(e.payload, str) else None,
    "jsonPayload": lambda e: None if isinstance(e.payload, str) else e.payload,
}


def _descend(value: object, path: tuple[str, ...]) -> object:
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


class Parsed(NamedTuple):
    """What a line says about itself."""

    payload: str | Mapping[str, object]
    severity: int = 0
    timestamp: int | None = None
    insert_id: str = ""
    labels: Mapping[str, str] = {}
    trace: str = ""
    span_id: str = ""


def parse_line(line: str) -> Parsed:
    """Lift the special keys out of a JSON line, as Cloud Logging's agent does."""
    if not line.startswith("{"):
        return Parsed(line)
    try:
        told = json.loads(line)
    except ValueError:
        return Parsed(line)
    if not isinstance(told, dict):
        return Parsed(line)
    severity = _severity(told.pop("severity", None))
    timestamp = _timestamp(told)
    labels = told.pop(f"{_LIFTED}labels", None)
    lifted = {
        key: str(told.pop(f"{_LIFTED}{key}", ""))
        for key in ("insertId", "trace", "spanId")
    }
    # An object that has nothing left but its message becomes a text entry.
    payload = told["message"] if set(told) == {"message"} else told
    return Parsed(
        payload if isinstance(payload, str) else told,
        severity,
        timestamp,
        lifted["insertId"],
        {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {},
        lifted["trace"],
        lifted["spanId"],
    )


def _severity(given: object) -> int:
    return SEVERITIES.get(str(given).upper(), 0) if given is not None else 0


def _timestamp(told: dict[str, object]) -> int | None:
    for key in ("timestamp", "time"):
        given = told.get(key)
        if isinstance(given, str):
            try:
                found = parse_ns(given)
            except ValueError:
                continue
            del told[key]
            return found
        if isinstance(given, dict) and "seconds" in given:
            del told[key]
            return int(given["seconds"]) * 10**9 + int(given.get("nanos", 0))
    return None


def severity_name(rank: int) -> str:
    """The name of a severity."""
    return _NAMES.get(rank, "DEFAULT")


def split_long(line: str) -> list[str]:
    """Cut a line that is longer than an entry may be."""
    if len(line) * 4 <= LONGEST or len(line.encode()) <= LONGEST:
        return [line]
    step = LONGEST // 4
    return [line[at : at + step] for at in range(0, len(line), step)]


def text_of(entry: Entry) -> str:
    """What a person reads of an entry."""
    if isinstance(entry.payload, str):
        return entry.payload
    message = entry.payload.get("message")
    return message if isinstance(message, str) else json.dumps(dict(entry.payload))
