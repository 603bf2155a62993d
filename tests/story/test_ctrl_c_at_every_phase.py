"""Ctrl-C at every phase of a launch: a real process, held in the phase by a fault.

Whenever it comes, the launch says so and ends with 24, or with its verdict where that was
known; no job, no execution and no session is left, at most one execution ran, and the next
launch finds nobody in its way. A second Ctrl-C is answered with what stays behind.
"""

import signal
from typing import Any, NamedTuple

import pytest

from tests.google_clients import until

GOOD = "CREATE TABLE users (id int PRIMARY KEY);\n"
SLOW = "SELECT pg_sleep(300);\n"
#: A machine with other work takes its time to bring a launch to a phase.
SLOW_S = 50
CANCELLED = ("cancelling build", "✗ MIGRATION CANCELLED", "stopped by Ctrl-C")
#: The platform says so after the engine has said its last line.
LANDED = "Container called exit(0)."


class Phase(NamedTuple):
    """Where a launch is held, by what, and how it then ends."""

    fault: dict[str, Any]
    #: What the emulator holds, or the state of the build, when the launch is there.
    held: str
    says: tuple[str, ...] = CANCELLED
    code: int = 24
    #: How many executions may have been started by then.
    most: int = 0
    #: A line that must have come before.
    line: str = ""
    sql: str = GOOD
    #: How the build fails as well: then nothing is left to do but the clean-up.
    also: str = ""


def rpc(method: str, do: str = "hold", **more: Any) -> dict[str, Any]:
    """Hold a call; ``hold_reply``: after its effect."""
    return {"at": "rpc", "do": do, "method": method, "times": 1, **more}


ASKED, UPLOADED = "SecretManagerService.AccessSecretVersion", "Storage.objects.insert"
SUBMITTED, MADE = "CloudBuild.CreateBuild", "Jobs.CreateJob"
JUDGED, DELETED = "Tasks.ListTasks", "Jobs.DeleteJob"
PHASES = {
    "preflight": Phase(rpc(ASKED), ASKED, ("error: interrupted",)),
    "upload": Phase(rpc(UPLOADED), UPLOADED, ("error: interrupted",)),
    "submitting": Phase(rpc(SUBMITTED, "hold_reply"), SUBMITTED),
    "queued": Phase({"at": "build", "do": "stay_queued"}, "QUEUED"),
    "waiting for approval": Phase({"at": "build", "do": "ask_approval"}, "PENDING"),
    "building": Phase(
        {"at": "step", "do": "hold", "id": "build-image"}, "step build-image"
    ),
    "making the job": Phase(rpc(MADE, "hold_reply"), MADE),
    "starting": Phase({"at": "execution", "do": "never_start"}, "execution", most=1),
    "running": Phase({}, "", line="Executing SQL migration", sql=GOOD + SLOW, most=1),
    "verdict": Phase(
        rpc(JUDGED),
        JUDGED,
        (*CANCELLED, "the engine had said that all went well"),
        most=1,
        line=LANDED,
    ),
    "clean-up by the build": Phase(rpc(DELETED), DELETED, most=1),
    "clean-up from here": Phase(
        rpc(DELETED), DELETED, ("rehearsal: failed in",), 20, also="fetch_failed"
    ),
}


def reached(checkout, process, phase):
    """Wait until a launch is in its phase; return what it said until then."""
    read = []
    if phase.line:
        for line in process.stdout:
            read.append(line)
            if phase.line in line:
                break

    def there():
        state = checkout.emulator.state()
        running = ["execution"] if state["executions"] else []
        builds = [build["status"] for build in state["builds"]]
        return phase.held in {*state["held"], *builds, *running}

    if phase.held:
        until(lambda: process.poll() is not None or there(), bool, SLOW_S)
    return "".join(read)


def interrupted(checkout, phase):
    """Launch, and press Ctrl-C in a phase; return the exit code and everything said."""
    checkout.migration("0001_users.sql", phase.sql)
    failing = {"at": "build", "do": phase.also}
    faults = [phase.fault, failing] if phase.also else [phase.fault]
    checkout.emulator.faults(*filter(None, faults))
    process = checkout.start("launch", "rehearsal")
    said = reached(checkout, process, phase)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=SLOW_S)
    return process.returncode, said + rest


def nothing_is_left(checkout, most):
    """Assert that no build, job, execution or session is at work, and one ran at most."""
    state = checkout.emulator.state()
    working = {"QUEUED", "PENDING", "WORKING"}
    assert [] == state["jobs"]
    assert working.isdisjoint(build["status"] for build in state["builds"])
    assert all(execution["done"] for execution in state["executions"])
    assert len(state["started"]) - checkout.before <= most
    assert [] == checkout.database.rows(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND state <> 'idle'"
        "AND backend_type = 'client backend'"
    )


@pytest.fixture(autouse=True)
def counted(checkout):
    """Keep how many executions earlier tests have started."""
    checkout.before = len(checkout.emulator.state()["started"])


@pytest.mark.slow
@pytest.mark.parametrize("name", PHASES)
def test_ctrl_c_leaves_nothing_and_says_so(checkout, name):
    """Slow for its number: each is a process, most with steps of a build beside it."""
    phase = PHASES[name]

    code, said = interrupted(checkout, phase)

    assert phase.code == code, said
    assert [] == [text for text in phase.says if text not in said], said
    nothing_is_left(checkout, phase.most)
    next_code, told = checkout.next_launch()
    assert 21 == next_code, told
    assert "another launch" not in told
    assert "removed job" not in told


def test_a_second_ctrl_c_says_what_stays_behind(checkout):
    """At once, with the command; meanwhile and after it the next launch names the build."""
    checkout.migration("0001_users.sql", GOOD + SLOW)
    process = checkout.start("launch", "rehearsal")
    reached(checkout, process, PHASES["running"])
    meanwhile = checkout.next_launch()
    checkout.emulator.faults(rpc("CloudBuild.CancelBuild"))

    process.send_signal(signal.SIGINT)
    until(checkout.emulator.state, lambda state: state["held"], SLOW_S)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=SLOW_S)
    afterwards = checkout.next_launch()
    cancelled, ended = checkout.inside("cancel", "rehearsal")

    (build,) = {build["id"] for build in checkout.emulator.state()["builds"]}
    assert 25 == process.returncode, said
    assert f"build {build}, if it still runs" in said
    assert "interrupted again" in said
    assert "python -m jobs cancel rehearsal" in said
    for refused, told in (meanwhile, afterwards):
        assert 5 == refused, told
        assert f"another launch: build {build}" in told
    assert 0 == cancelled, ended
    nothing_is_left(checkout, 1)
