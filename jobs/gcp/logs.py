"""Cloud Logging behind `ports.Logs`: list for completeness, tail for liveness.

The generated client is used, never the hand-written one: that one adds ``timestamp >= 24
hours ago`` to a filter without a time, silently. A tail is opened with the library's
prefetch switched off, or the call would not return before the first line was written.
"""

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobs.gcp.clients import CALL_S, Clients
from jobs.ports import Entry, Tail

#: The most a page can hold; fewer pages spare the read quota of 60 a minute.
PAGE = 1000
#: Sessions end after an hour anyhow; asking for longer changes nothing.
TAIL_S = 3600.0
#: How many entries wait for the reader before the stream is throttled by gRPC itself.
_WAITING = 2000
#: How long the server gathers lines: two seconds by default, which is felt.
_BUFFER_S = 0.5


class GoogleLogs:
    """Reads the log of a project."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the client is made by the first call."""
        self._clients = clients
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            with self._clients.translated("loading Cloud Logging's client"):
                from google.cloud import logging_v2  # noqa: PLC0415
                from google.cloud.logging_v2.services.logging_service_v2 import (  # noqa: PLC0415
                    LoggingServiceV2Client,
                )
                from google.cloud.logging_v2.services.logging_service_v2.transports import (  # noqa: PLC0415
                    LoggingServiceV2GrpcTransport,
                )
                from google.cloud.logging_v2.types import (  # noqa: PLC0415
                    ListLogEntriesRequest,
                    LogEntry,
                    TailLogEntriesRequest,
                )

                self._list_request = ListLogEntriesRequest
                self._tail_request = TailLogEntriesRequest
                self._entry = LogEntry
                assert logging_v2 is not None  # noqa: S101 - loads the package's own types
                self._made = self._clients.gapic(
                    LoggingServiceV2Client, LoggingServiceV2GrpcTransport
                )
        return self._made

    def list(self, project: str, query: str, since: float) -> Iterator[Entry]:
        """Read page after page, oldest first."""
        client = self._client
        moment = datetime.fromtimestamp(since, UTC).isoformat().replace("+00:00", "Z")
        request = self._list_request(
            resource_names=[f"projects/{project}"],
            filter=f'({query}) AND timestamp>="{moment}"',
            order_by="timestamp asc",
            page_size=PAGE,
        )
        with self._clients.translated("reading the log"):
            pages = client.list_log_entries(request=request, retry=None, timeout=CALL_S)
            for entry in pages:
                yield entry_of(self._entry.pb(entry))

    def tail(self, project: str, query: str) -> Tail:
        """Open a stream at once."""
        client = self._client
        request = self._tail_request(
            resource_names=[f"projects/{project}"],
            filter=query,
            buffer_window={"nanos": int(_BUFFER_S * 1e9)},
        )
        return GoogleTail(client, request, self._clients, self._entry)


class GoogleTail:
    """A stream read by a thread of its own."""

    def __init__(self, client: Any, request: Any, clients: Clients, entry: Any) -> None:
        """Open the stream; a failure to open is told by `ended`."""
        self._clients = clients
        self._entry = entry
        self._queue: queue.Queue[Entry] = queue.Queue(_WAITING)
        self._over = threading.Event()
        self._ended = ""
        self.suppressed = 0
        self._stream: Any = None
        # api_core would wait for the first answer before it returned the stream, and a
        # log is quiet until the job starts. The flag is the one Pub/Sub's client uses:
        # github.com/googleapis/python-pubsub/issues/93
        client.transport.tail_log_entries._prefetch_first_result_ = False
        self._thread = threading.Thread(
            target=self._read, args=(client, request), daemon=True, name="tail"
        )
        self._thread.start()

    def _requests(self, request: Any) -> Iterator[Any]:
        yield request
        # Ending the requests half-closes the stream: hold them open until it is over.
        self._over.wait()

    def _read(self, client: Any, request: Any) -> None:
        try:
            with self._clients.translated("following the log"):
                self._stream = client.tail_log_entries(
                    requests=self._requests(request), retry=None, timeout=TAIL_S
                )
                for answer in self._stream:
                    for found in answer.suppression_info:
                        self.suppressed += found.suppressed_count
                    for entry in answer.entries:
                        self._put(entry_of(self._entry.pb(entry)))
                    if self._over.is_set():
                        return
            self._ended = "the stream ended"
        except Exception as error:  # noqa: BLE001 - a tail may die; the list goes on
            self._ended = str(error) or type(error).__name__

    def _put(self, entry: Entry) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(entry, timeout=0.5)
                return

    def poll(self, seconds: float) -> Sequence[Entry]:
        """Wait for the first entry, then take what is there."""
        found: list[Entry] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._queue.get(timeout=seconds))
            while len(found) < _WAITING:
                found.append(self._queue.get_nowait())
        return found

    @property
    def ended(self) -> str:
        """Why it ended; what has arrived is read first."""
        return self._ended if self._queue.empty() else ""

    def close(self) -> None:
        """End the stream and its thread."""
        self._over.set()
        if self._stream is not None:
            self._stream.cancel()
        self._thread.join(timeout=2)


def entry_of(pb: Any) -> Entry:
    """Return a LogEntry message as our value. Works on the raw message: it is read often."""
    kind = pb.WhichOneof("payload")
    payload: Mapping[str, Any] | None = None
    text = pb.text_payload
    if kind == "json_payload":
        payload = _plain(pb.json_payload)
        text = str(payload.get("message", ""))
    moment = pb.timestamp if pb.HasField("timestamp") else pb.receive_timestamp
    return Entry(
        timestamp=moment.seconds + moment.nanos / 1e9,
        insert_id=pb.insert_id,
        log_name=pb.log_name,
        severity=_SEVERITIES.get(pb.severity, "DEFAULT"),
        text=text,
        payload=payload,
        labels=dict(pb.labels),
        resource=dict(pb.resource.labels),
        kind=pb.resource.type,
    )


_SEVERITIES = {
    0: "DEFAULT",
    100: "DEBUG",
    200: "INFO",
    300: "NOTICE",
    400: "WARNING",
    500: "ERROR",
    600: "CRITICAL",
    700: "ALERT",
    800: "EMERGENCY",
}


def _plain(struct: Any) -> Mapping[str, Any]:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain(value.struct_value)
    if kind == "list_value":
        return [_value(v) for v in value.list_value.values]
    if kind == "null_value" or kind is None:
        return None
    found = getattr(value, kind)
    # JSON has one kind of number; ours without a fraction were whole.
    return int(found) if kind == "number_value" and found.is_integer() else found
