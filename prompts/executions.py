"""The log of executions: rows durable on return, no thread, never an exception.

Called by ``service``. Who comes first writes everybody's rows in one statement and then
hands over; a background thread would be starved between the requests of Cloud Run.
"""

import json
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prompts.errors import StatementFailedError

BATCH = 500
MOST_WAITING = 10_000
PATIENCE_S = 5.0
_WIDTHS = {
    "model": 100,
    "error_type": 100,
    "error_message": 1000,
    "trace_id": 64,
    "environment": 50,
}

LogRow = Mapping[str, object]


class _Waiting:
    """A row and the thread that waits for it."""

    def __init__(self, row: LogRow) -> None:
        self.row = row
        self.woken = threading.Event()
        self.leads = False
        self.written: bool | None = None


class ExecutionLog:
    """Combines the rows of many callers; counts the ones it had to drop."""

    def __init__(
        self, write: Callable[[Sequence[LogRow]], object], most: int = MOST_WAITING
    ) -> None:
        self._write = write
        self._most = most
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._led = False
        self.dropped = 0

    def add(self, row: LogRow) -> bool:
        """Write a row. True: it is durable. False: it was dropped, and counted."""
        mine = _Waiting(row)
        with self._lock:
            if len(self._queue) >= self._most:
                self.dropped += 1
                return False
            self._queue.append(mine)
            mine.leads = not self._led
            self._led = True
        if not mine.leads and not mine.woken.wait(PATIENCE_S):
            with self._lock:
                if mine in self._queue and not mine.leads:
                    self._queue.remove(mine)
                    self.dropped += 1
                    return False
            mine.woken.wait()  # it is being written, and writing has its own limit
        if mine.leads:
            self._lead()
        return bool(mine.written)

    def drop(self) -> bool:
        """Count a row that could not even be made."""
        with self._lock:
            self.dropped += 1
        return False

    def _lead(self) -> None:
        """Write one batch, the leader's row in it, and hand over to who still waits."""
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        try:
            self._write_some(batch)
        finally:
            with self._lock:
                self.dropped += sum(not waiting.written for waiting in batch)
                self._led = bool(self._queue)
                if self._led:
                    self._queue[0].leads = True
                    self._queue[0].woken.set()
            for waiting in batch:
                waiting.woken.set()

    def _write_some(self, batch: Sequence[_Waiting]) -> None:
        """Write a batch; where one row is refused, the others are not its hostages."""
        try:
            self._write([waiting.row for waiting in batch])
        except StatementFailedError as error:
            if error.sqlstate.startswith(("22", "23")) and len(batch) > 1:
                half = len(batch) // 2
                self._write_some(batch[:half])
                self._write_some(batch[half:])
        except Exception:  # noqa: BLE001 - the promise: a logging failure reaches nobody
            return
        else:
            for waiting in batch:
                waiting.written = True


def as_json(rows: Sequence[LogRow]) -> str:
    """Return rows as the statement ``log`` takes them."""
    return json.dumps([dict(row) for row in rows], default=str)


def storable(row: Mapping[str, Any]) -> LogRow:
    """Return a row the server takes: cut to its columns, without what text cannot hold."""
    clean = {name: _clean(value) for name, value in row.items()}
    for name, width in _WIDTHS.items():
        clean[name] = clean[name][:width] if clean.get(name) else clean.get(name)
    clean["latency_ms"] = min(max(round(float(clean["latency_ms"])), 0), 2**31 - 1)
    return clean


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    return value
