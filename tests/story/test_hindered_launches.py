"""A build that never starts, and a launch that is killed with its build: each has its end."""

from jobs.gcp.cloud import connect
from jobs.names import BuildName
from tests.fix_checkout import PROJECT, REGION
from tests.google_clients import until

GOOD = "CREATE TABLE users (id int PRIMARY KEY);\n"


def test_a_build_that_never_starts_expires(checkout):
    """Exit 23: nothing ran, and how long it may wait is a setting."""
    checkout.migration("0001_users.sql", GOOD)
    file = checkout.directory / "cloudbuild.migrate.yaml"
    text = file.read_text(encoding="utf-8")
    assert "queueTtl: 600s" in text
    file.write_text(text.replace("queueTtl: 600s", "queueTtl: 1s"), encoding="utf-8")
    checkout.emulator.faults({"at": "build", "do": "stay_queued"})

    code, said = checkout.inside("launch", "rehearsal", JOBS_IGNORE="build-file")

    assert 23 == code, said
    assert "the build waited in the queue longer than it may; nothing ran" in said
    assert "queue_timeout says how long it may wait" in said
    assert [] == checkout.left()


def test_what_a_killed_launch_left_is_swept_by_the_next_which_says_so(checkout):
    """SIGKILL in mid-launch, and the build's worker is lost: the job stands there."""
    checkout.migration("0001_users.sql", GOOD)
    checkout.emulator.faults(
        {"at": "rpc", "do": "hold", "method": "Jobs.DeleteJob", "times": 1}
    )
    process = checkout.start("launch", "rehearsal")
    until(checkout.emulator.state, lambda state: state["held"], 50)
    process.kill()
    process.communicate()
    (build,) = (b["id"] for b in checkout.emulator.state()["builds"])
    cloud = connect(PROJECT, REGION, "", checkout.emulator.environment())
    cloud.builds.cancel(BuildName(PROJECT, REGION, build))
    until(checkout.emulator.state, lambda s: s["builds"][0]["status"] == "CANCELLED")
    (left,) = checkout.left()

    code, said = checkout.next_launch()

    name = left.rpartition("/")[2]
    assert 21 == code, said
    assert f"removed job {name}: its execution is over" in said
    assert [] == checkout.left()
