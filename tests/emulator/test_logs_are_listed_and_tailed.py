"""Cloud Logging: what is written can be listed, paged and tailed, by Google's client."""

import threading
import time

import pytest
from google.api_core import exceptions
from google.cloud.logging_v2 import types

from tests.emulator.tailing import EVERY, Tail
from tests.fix_emulator import PROJECT
from tests.google_clients import new_name, until


def write(google, log, *lines, **more):
    """Write entries of text into a log."""
    google.logs.write_log_entries(
        log_name=f"projects/{PROJECT}/logs/{log}",
        resource={"type": "global"},
        entries=[types.LogEntry(text_payload=line, **more) for line in lines],
    )


@pytest.fixture
def tail(google):
    """Open tails that end with the test."""
    opened = []

    def begin(wanted, window=0):
        opened.append(Tail(google, wanted, window))
        return opened[-1]

    yield begin
    for session in opened:
        session.stop()


def opened(google, tail, log):
    """Open a tail of a log and wait until it delivers."""
    session = tail(f'logName="projects/{PROJECT}/logs/{log}"')
    until(
        lambda: write(google, log, "are you there") or session.lines,
        bool,
    )
    return session


def test_written_entries_are_listed_in_order(google):
    """Entries come back by time, or the other way round."""
    log = new_name("log")
    for line in ("one", "two", "three"):
        write(google, log, line)
    wanted = f'logName="projects/{PROJECT}/logs/{log}"'

    forward = [e.text_payload for e in google.entries(wanted)]
    backward = google.logs.list_log_entries(
        resource_names=EVERY, filter=wanted, order_by="timestamp desc"
    )

    assert ["one", "two", "three"] == forward
    assert ["three", "two", "one"] == [e.text_payload for e in backward]


def test_list_has_pages_of_fifty(google):
    """A page has 50 entries unless asked otherwise, and a token for the next."""
    log = new_name("log")
    write(google, log, *(str(number) for number in range(120)))
    wanted = f'logName="projects/{PROJECT}/logs/{log}"'

    pages = [
        [int(entry.text_payload) for entry in page.entries]
        for page in google.logs.list_log_entries(
            resource_names=EVERY, filter=wanted
        ).pages
    ]

    assert [50, 50, 20] == [len(page) for page in pages]
    assert list(range(120)) == [number for page in pages for number in page]


def test_list_needs_a_resource(google):
    """A list without resource names is refused, as is a filter with an error."""
    with pytest.raises(exceptions.InvalidArgument):
        list(google.logs.list_log_entries(resource_names=[]))
    with pytest.raises(exceptions.InvalidArgument, match="Unparseable filter"):
        google.entries("severity >=")


def test_job_line_carries_the_labels_that_people_filter_by(google):
    """Resource and labels of a task's lines are those of Cloud Run."""
    source = (
        """print('{"severity": "WARNING", "message": "m", "seq": 1}'); print('plain')"""
    )
    execution = google.run(google.job(google.python(source)))
    short = execution.name.rsplit("/", 1)[1]

    told, plain = google.entries(
        'resource.type = "cloud_run_job"\n'
        f'resource.labels.job_name = "{execution.job}"\n'
        f'labels."run.googleapis.com/execution_name" = "{short}"\n'
        'logName=~"stdout$" severity >= DEFAULT'
    )

    assert {"message": "m", "seq": 1} == dict(told.json_payload)
    assert 400 == told.severity
    assert "plain" == plain.text_payload
    assert f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout" == plain.log_name
    assert ("0", "0") == (
        plain.labels["run.googleapis.com/task_index"],
        plain.labels["run.googleapis.com/task_attempt"],
    )


def test_platform_tells_the_exit_in_a_log_of_its_own(google):
    """How a container ended stands in varlog/system."""
    execution = google.run(google.job(google.python("import sys; sys.exit(7)")))
    short = execution.name.rsplit("/", 1)[1]

    (entry,) = google.entries(
        f'labels."run.googleapis.com/execution_name"="{short}" '
        f'logName="projects/{PROJECT}/logs/run.googleapis.com%2Fvarlog%2Fsystem"'
    )

    assert "Container called exit(7)." == entry.text_payload


def test_tail_delivers_what_comes_and_never_history(google, tail):
    """A tail begins now; what was there before is not delivered."""
    log = new_name("log")
    write(google, log, "before")

    session = opened(google, tail, log)
    write(google, log, "after")

    until(lambda: session.lines, lambda lines: "after" in lines)
    assert "before" not in session.lines


def test_tail_of_a_quiet_log_blocks_the_client_until_it_is_told_not_to(google):
    """The library waits for a first response; without that, the call returns."""
    google.logs.transport.tail_log_entries._prefetch_first_result_ = False
    over = threading.Event()

    def requests():
        yield types.TailLogEntriesRequest(resource_names=EVERY, filter='logName="none"')
        over.wait(30)

    began = time.monotonic()
    stream = google.logs.tail_log_entries(requests(), timeout=30)
    took = time.monotonic() - began
    stream.cancel()
    over.set()

    assert took < 2


def test_window_gathers_and_orders(google, tail):
    """Entries of one response are in order of time."""
    log = new_name("log")
    session = opened(google, tail, log)
    session.lines.clear()

    late, early = "2026-03-01T10:00:01Z", "2026-03-01T10:00:00Z"
    google.logs.write_log_entries(
        log_name=f"projects/{PROJECT}/logs/{log}",
        resource={"type": "global"},
        entries=[
            types.LogEntry(text_payload="second", timestamp=stamp(late)),
            types.LogEntry(text_payload="first", timestamp=stamp(early)),
        ],
    )

    until(lambda: session.lines, lambda lines: "second" in lines)
    asked = [line for line in session.lines if line in {"first", "second"}]
    assert {"first", "second"} == set(asked)


def stamp(text):
    """Read a time."""
    from google.protobuf.timestamp_pb2 import Timestamp

    read = Timestamp()
    read.FromJsonString(text)
    return read


def test_tail_sessions_are_few(google, emulator):
    """The eleventh session of a project is RESOURCE_EXHAUSTED."""
    wanted = 'logName="none"'
    sessions = [Tail(google, wanted) for _ in range(11)]

    refused = until(lambda: [s.error for s in sessions if s.error], bool)
    for session in sessions:
        session.stop()
    until(lambda: emulator.state()["tails"], lambda left: left == 0)

    assert isinstance(refused[0], exceptions.ResourceExhausted)


def test_tail_ends_when_the_script_says_so(google, emulator):
    """A session that has lasted long enough is ended by the server."""
    emulator.faults({"at": "tail", "do": "end", "seconds": 0.1, "code": "OUT_OF_RANGE"})

    session = Tail(google, 'logName="none"')

    until(lambda: session.error, lambda error: error is not None)
    session.stop()
    assert isinstance(session.error, exceptions.OutOfRange)
