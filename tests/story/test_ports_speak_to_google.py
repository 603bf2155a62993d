"""Each port does with Google's own clients what it promises, in time, with our errors."""

import time
import uuid

import pytest

from jobs import queries
from jobs.errors import Denied, Invalid, NotFound, Unavailable
from jobs.names import ExecutionName, JobName
from tests.fix_emulator import PARENT, PROJECT, REGION
from tests.google_clients import until


def test_a_tail_on_a_quiet_log_opens_and_closes_at_once(cloud, emulator):
    """Google's library would wait for the first line, and could not be stopped until then.

    Sessions are ten a project: one that stays open on a log that stays quiet is missed.
    """

    def tails():
        return emulator.state()["tails"]

    # Those of other tests are closed, and end a tick of the emulator later.
    until(tails, lambda n: n == 0)
    # A stream whose requests end is half closed: whether it goes on then nobody knows.
    emulator.faults({"at": "tail", "do": "end_with_requests"})
    began = time.monotonic()
    tail = cloud.logs.tail(PROJECT, queries.of_job("no-such-job", REGION))
    opened = time.monotonic() - began
    until(tails, lambda n: n == 1)
    found = tail.poll(0.5)
    goes_on = tail.ended
    began = time.monotonic()
    tail.close()
    closed = time.monotonic() - began

    assert opened < 1.0
    assert closed < 1.0
    assert 0 == until(tails, lambda n: n == 0)
    assert [] == list(found)
    assert "" == goes_on
    assert "" == tail.ended or "ancel" in tail.ended


def test_a_list_goes_back_as_far_as_it_is_told(cloud, google):
    """Not 24 hours, which a client of Google's adds by itself."""
    text = uuid.uuid4().hex
    two_days_ago = time.time() - 48 * 3600
    google.logs.write_log_entries(
        entries=[
            {
                "log_name": f"projects/{PROJECT}/logs/old",
                "resource": {"type": "global"},
                "timestamp": {"seconds": int(two_days_ago)},
                "text_payload": text,
            }
        ]
    )

    query = f'textPayload="{text}"'

    found = list(cloud.logs.list(PROJECT, query, two_days_ago - 60))
    assert [text] == [entry.text for entry in found]
    assert [] == list(cloud.logs.list(PROJECT, query, two_days_ago + 60))


def test_googles_errors_become_ours(cloud, emulator):
    """None of the library's own leaves the adapters."""
    name = JobName(PROJECT, REGION, "no-such-job")

    with pytest.raises(NotFound, match="reading job no-such-job"):
        cloud.jobs.get(name)
    emulator.faults({"at": "rpc", "method": "*", "do": "error", "code": "UNAVAILABLE"})
    with pytest.raises(Unavailable):
        cloud.jobs.get(name)
    emulator.faults(
        {"at": "rpc", "method": "*", "do": "error", "code": "PERMISSION_DENIED"}
    )
    with pytest.raises(Denied):
        list(cloud.jobs.list(PARENT))
    emulator.faults(
        {"at": "rpc", "method": "*", "do": "error", "code": "FAILED_PRECONDITION"}
    )
    with pytest.raises(Invalid):
        list(cloud.logs.list(PROJECT, "x", 0.0))


def test_deleting_and_cancelling_twice_is_no_error(cloud):
    """Clean-up may come more than once."""
    name = JobName(PROJECT, REGION, "never-was")

    cloud.jobs.delete(name)
    cloud.jobs.cancel(ExecutionName(*name, "never-was-x"))


def test_secrets_are_added_and_read(cloud):
    """With their checksums; latest is a number."""
    secret = f"projects/{PROJECT}/secrets/s-{uuid.uuid4().hex[:8]}"

    assert not cloud.secrets.exists(secret)
    cloud.secrets.create(secret)
    cloud.secrets.add(secret, "one")
    added = cloud.secrets.add(secret, "two")
    cloud.secrets.disable(secret, "1")

    assert cloud.secrets.exists(secret)
    assert ("2", "ENABLED") == (added.version, added.state)
    assert "two" == cloud.secrets.access(secret, "latest")
    assert "2" == cloud.secrets.version(secret, "latest").version
    assert ["ENABLED", "DISABLED"] == [v.state for v in cloud.secrets.versions(secret)]


def test_a_source_is_uploaded_once(cloud):
    """The same name is the same content; the generation is pinned."""
    bucket = f"b-{uuid.uuid4().hex[:8]}"

    first = cloud.source.upload(bucket, "source/x.tgz", b"content")
    second = cloud.source.upload(bucket, "source/x.tgz", b"content")

    assert first == second
    assert first.generation > 0
