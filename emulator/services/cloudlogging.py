"""Cloud Logging v2: write, list, tail.

The store decides what is visible when; here are filters, pages, sessions and their ends.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

import grpc
from google.api.monitored_resource_pb2 import MonitoredResource
from google.cloud.logging_v2.types import (
    DeleteLogRequest,
    ListLogEntriesRequest,
    ListLogEntriesResponse,
    ListLogsRequest,
    ListLogsResponse,
    LogEntry,
    TailLogEntriesRequest,
    TailLogEntriesResponse,
    WriteLogEntriesRequest,
    WriteLogEntriesResponse,
)
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from emulator.calls import Call, paged
from emulator.entries import Entry
from emulator.filters import Predicate, compile_filter
from emulator.logs import SOON, Subscription
from emulator.moments import now_ns, short_id
from emulator.problem import Code, Problem, invalid
from emulator.world import World

MOST_TAILS = 10
MOST_SELECTIONS = 32
LONGEST_TAIL = 3600.0
MOST_PER_RESPONSE = 1000
USUAL_WINDOW, LONGEST_WINDOW = 2.0, 60.0
_TICK = 0.1  # how soon a session notices that its client has gone
_NANO = 1_000_000_000
_Entry = LogEntry.pb()
_ListResponse = ListLogEntriesResponse.pb()
_TailResponse = TailLogEntriesResponse.pb()


def _stamp(nanoseconds: int) -> Timestamp:
    seconds, nanos = divmod(nanoseconds, _NANO)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_message(entry: Entry) -> object:
    """An entry as Google's message."""
    message = _Entry(
        log_name=entry.log_name,
        resource=MonitoredResource(
            type=entry.resource_type, labels=dict(entry.resource_labels)
        ),
        timestamp=_stamp(entry.timestamp),
        receive_timestamp=_stamp(entry.received),
        severity=entry.severity,
        insert_id=entry.insert_id,
        labels=dict(entry.labels),
        trace=entry.trace,
        span_id=entry.span_id,
    )
    if isinstance(entry.payload, str):
        message.text_payload = entry.payload
    else:
        payload = Struct()
        payload.update(dict(entry.payload))
        message.json_payload.CopyFrom(payload)
    return message


def _from_message(message: LogEntry, request: WriteLogEntriesRequest) -> Entry:
    raw = LogEntry.pb(message)
    resource = message.resource if message.resource.type else request.resource
    stamp = raw.timestamp
    payload: str | Mapping[str, object] = raw.text_payload
    if raw.WhichOneof("payload") == "json_payload":
        payload = MessageToDict(raw.json_payload)
    return Entry(
        log_name=message.log_name or request.log_name,
        resource_type=resource.type or "global",
        resource_labels=dict(resource.labels),
        timestamp=stamp.seconds * _NANO + stamp.nanos or now_ns(),
        severity=int(message.severity),
        insert_id=message.insert_id,
        payload=payload,
        labels={**dict(request.labels), **dict(message.labels)},
        trace=message.trace,
        span_id=message.span_id,
    )


def _wanted(text: str, resource_names: list[str]) -> Predicate:
    if not resource_names:
        raise invalid("resource_names must not be empty.")
    chosen = compile_filter(text)
    prefixes = tuple(
        f"{'/'.join(name.split('/')[:2])}/logs/" for name in resource_names
    )
    return lambda record: (
        str(record.field(("logName",))).startswith(prefixes) and chosen(record)
    )


def _ends_with(requests: Iterator[object], ended: threading.Event) -> threading.Event:
    """An event that is also set when the client sends nothing more."""

    def read() -> None:
        with contextlib.suppress(grpc.RpcError):
            for _ in requests:
                pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    return ended


class LoggingServiceV2:
    """google.logging.v2.LoggingServiceV2."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[str, list[Entry]] = {}

    def write_log_entries(
        self, request: WriteLogEntriesRequest, _call: Call
    ) -> WriteLogEntriesResponse:
        """Receive entries from a client."""
        entries = [_from_message(message, request) for message in request.entries]
        for entry in entries:
            if not entry.log_name.startswith("projects/"):
                raise invalid("log_name is required.")
        if not request.dry_run:
            for entry in entries:
                self._world.logs.write(entry)
        return WriteLogEntriesResponse()

    def list_log_entries(self, request: ListLogEntriesRequest, _call: Call) -> object:
        """A page of entries; 50 unless asked otherwise, never more than 1000."""
        order = request.order_by or "timestamp asc"
        if order not in {"timestamp asc", "timestamp desc"}:
            raise invalid("order_by must be 'timestamp asc' or 'timestamp desc'.")
        wanted = _wanted(request.filter, list(request.resource_names))
        kept, _, offset = request.page_token.partition(".")
        entries = self._kept.get(kept)
        if entries is None:
            if request.page_token:
                raise invalid("page_token is invalid or has expired.")
            entries = self._world.logs.select(wanted)
            if order.endswith("desc"):
                entries.reverse()
        page, token = paged(entries, request.page_size, offset, most=1000, usual=50)
        if token and not kept:
            kept = self._keep(entries)
        return _ListResponse(
            entries=[to_message(entry) for entry in page],
            next_page_token=f"{kept}.{token}" if token else "",
        )

    def _keep(self, entries: list[Entry]) -> str:
        """Keep a selection for its later pages; the oldest one makes room."""
        name = short_id(12)
        self._kept[name] = entries
        while len(self._kept) > MOST_SELECTIONS:
            self._kept.pop(next(iter(self._kept)), None)
        return name

    def list_logs(self, request: ListLogsRequest, _call: Call) -> ListLogsResponse:
        """The names of the logs of a project."""
        names = [n for n in self._world.logs.names() if n.startswith(request.parent)]
        return ListLogsResponse(log_names=names)

    def delete_log(self, request: DeleteLogRequest, _call: Call) -> Empty:
        """Forget a log."""
        self._world.logs.delete(lambda entry: entry.log_name != request.log_name)
        return Empty()

    def tail_log_entries(
        self,
        requests: Iterator[TailLogEntriesRequest],
        call: Call,
        ended: threading.Event,
    ) -> Iterator[object]:
        """Entries as they are received, from now on, until somebody ends it."""
        first = next(iter(requests), None)
        if first is None:
            raise invalid("A tail begins with a request.")
        wanted = _wanted(first.filter, list(first.resource_names))
        call.require("logging.logEntries.list", first.resource_names[0])
        if self._world.logs.open_tails() >= MOST_TAILS:
            raise Problem(
                Code.RESOURCE_EXHAUSTED,
                "Quota exceeded: too many concurrent tail sessions.",
            )
        window = USUAL_WINDOW
        # A window of zero is not the same as none.
        if TailLogEntriesRequest.pb(first).HasField("buffer_window"):
            window = first.buffer_window.total_seconds()
        if not 0 <= window <= LONGEST_WINDOW:
            raise invalid("buffer_window must be between 0 and 60 seconds.")
        if self._world.faults.first("tail", "end_with_requests") is not None:
            ended = _ends_with(requests, ended)
        lag = self._world.faults.first("tail", "lag")
        if lag is not None:
            self._world.logs.tails_asked += 1
            if ended.wait(lag.seconds(10)):
                return
        subscription = self._world.logs.subscribe(wanted)
        self._world.logs.tails_asked += lag is None
        try:
            yield from self._session(subscription, window, ended)
        finally:
            self._world.logs.unsubscribe(subscription)

    def _session(
        self, subscription: Subscription, window: float, ended: threading.Event
    ) -> Iterator[object]:
        begun = time.monotonic()
        end = self._world.faults.first("tail", "end")
        last = begun + (end.seconds(LONGEST_TAIL) if end else LONGEST_TAIL)
        while not ended.is_set():
            if time.monotonic() >= last:
                code = end.text("code", "OUT_OF_RANGE") if end else "OUT_OF_RANGE"
                raise Problem(
                    Code[code], "The maximum duration of the session is over."
                )
            with self._world.logs.changed:
                self._world.logs.changed.wait(
                    subscription.next_in(min(_TICK, max(0.0, last - time.monotonic())))
                )
                due = subscription.next_in(1) <= SOON
            if not due and not subscription.suppressed:
                continue
            # The window gathers entries so that they can be put in order, and no more.
            ended.wait(min(window, max(0.0, last - time.monotonic())))
            yield from self._batches(subscription)

    def _batches(self, subscription: Subscription) -> Iterator[object]:
        while True:
            with self._world.logs.changed:
                entries = subscription.take(MOST_PER_RESPONSE)
                suppressed, subscription.suppressed = subscription.suppressed, 0
            if not entries and not suppressed:
                return
            # Order holds inside one response only.
            entries.sort(key=lambda entry: (entry.timestamp, entry.insert_id))
            response = _TailResponse(entries=[to_message(entry) for entry in entries])
            if suppressed:
                response.suppression_info.add(reason=1, suppressed_count=suppressed)
            yield response
