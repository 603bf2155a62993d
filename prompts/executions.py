"""The log of executions: rows durable on return, no thread, never an exception.

Called by ``service``. Who comes first writes everybody's rows in one statement, then
somebody of those who came meanwhile does; a background thread would be starved between
the requests of Cloud Run.
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

LogRow = Mapping[str, object]


class _Waiting:
    """A row on its way; settled once it was written, or once that failed."""

    def __init__(self, row: LogRow) -> None:
        self.row = row
        self.settled = self.written = False


class ExecutionLog:
    """Combines the rows of many callers; counts the ones it had to drop."""

    def __init__(
        self, write: Callable[[Sequence[LogRow]], object], most: int = MOST_WAITING
    ) -> None:
        self._write = write
        self._most = most
        self._turn = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._writing = False
        self.dropped = 0

    def add(self, row: LogRow) -> bool:
        """Write a row. True: it is durable. False: it was dropped, and counted."""
        mine = _Waiting(row)
        with self._turn:
            if len(self._queue) >= self._most:
                return self.drop()
            self._queue.append(mine)
        while batch := self._wait(mine):
            try:
                self._write_some(batch)
            finally:
                self._settle(batch)
        return mine.written

    def drop(self, rows: int = 1) -> bool:
        """Count rows that were not written, or could not even be made."""
        with self._turn:
            self.dropped += rows
        return False

    def _wait(self, mine: _Waiting) -> list[_Waiting]:
        """Wait until a row is settled, or until this thread is the one to write a batch."""

        def ready() -> bool:
            return mine.settled or not self._writing

        with self._turn:
            if not self._turn.wait_for(ready, PATIENCE_S):
                if mine in self._queue:
                    self._queue.remove(mine)
                    self.drop()
                    return []
                self._turn.wait_for(ready)  # being written, and that has its own limit
            if mine.settled:
                return []
            self._writing = True
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        with self._turn:
            for waiting in batch:
                waiting.settled = True
            self.drop(sum(not waiting.written for waiting in batch))
            self._writing = False
            self._turn.notify_all()

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
    return json.dumps(rows, default=str)


def storable(value: Any) -> Any:
    """Return a value without what the server's text and numbers cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    return value
