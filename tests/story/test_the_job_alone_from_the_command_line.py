"""``run`` and the verbs around it, typed on a machine, with an image that exists."""

import json

import pytest

from jobs import cli
from jobs.gcp.cloud import connect
from tests.fix_checkout import PROJECT, REGION
from tests.google_clients import until

IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/migrations/prompt-migration/runner"


@pytest.fixture
def typed(checkout, monkeypatch, capsys):
    """Type a command in the checkout; give its exit code and what it said."""
    monkeypatch.chdir(checkout.directory)
    for name, value in checkout.emulator.environment().items():
        monkeypatch.setenv(name, value)

    def type_it(*arguments):
        code = cli.main(arguments)
        told = capsys.readouterr()
        return code, told.out + told.err

    return type_it


@pytest.fixture
def image(checkout):
    """Give the runner's image by digest, as an earlier build has left it."""
    checkout.migration("0001_users.sql", "CREATE TABLE users (id int);\n")
    checkout.emulator.data(images={f"{IMAGE}:1": str(checkout.directory)})
    cloud = connect(PROJECT, REGION, "", checkout.emulator.environment())
    return f"{IMAGE}@{cloud.registry.digest(IMAGE, '1')}"


def test_a_dry_run_then_the_run_and_its_log(typed, image, checkout):
    """Nothing is left by the first, nothing pends after the second; the log outlives the job."""
    dry, said_dry = typed("run", "rehearsal", "--image", image, "--dry-run")
    tables = checkout.database.rows("SELECT 1 FROM pg_tables WHERE tablename = 'users'")
    wet, said = typed("run", "rehearsal", "--image", image, "--no-tail")
    status, standing = typed("status", "rehearsal")
    logs, lines = typed("logs", "rehearsal", "--follow")

    assert 0 == dry, said_dry
    assert [] == tables
    assert 0 == wet, said
    assert [(1,)] == checkout.database.rows("SELECT count(*) FROM schema_migrations")
    assert (0, "rehearsal: nothing is going on\n") == (status, standing)
    assert 0 == logs
    assert "[Migration] Connected successfully" in lines


def test_the_steps_of_the_build_by_hand(typed, image, checkout):
    """Run keeps job and verdict, cleanup deletes the one and ends with the other."""
    (checkout.directory / "image.digest").write_text(image, encoding="utf-8")
    verdict = ("--verdict", "verdict.json")

    ran, said = typed(
        "run", "rehearsal", "--image-file=image.digest", *verdict, "--keep-job"
    )
    kept = json.loads((checkout.directory / "verdict.json").read_text(encoding="utf-8"))
    status, standing = typed("status", "rehearsal")
    live, lines = typed("logs", "rehearsal", "--follow")
    cleaned, told = typed("cleanup", "rehearsal", *verdict, "--fail-unless-succeeded")

    assert 0 == ran, said
    assert "succeeded" == kept["state"]
    assert 0 == status
    assert f"job {kept['job']}: ended" in standing
    assert 0 == live
    assert "[Migration] Connected successfully" in lines
    assert 0 == cleaned, told
    assert [] == checkout.left()


def test_a_verdict_that_is_no_success_is_the_steps_exit_code(typed, checkout):
    """Failed with seven: seven. Killed before its end: 26, not known. No job made: 22."""
    file = checkout.directory / "verdict.json"
    verdict = ("--verdict", "verdict.json", "--fail-unless-succeeded")
    codes = [typed("cleanup", "rehearsal", *verdict)[0]]

    for state, code in (("failed", 7), ("created", 0), ("lost", 0)):
        file.write_text(
            json.dumps({"state": state, "job": "gone", "exit_code": code}),
            encoding="utf-8",
        )
        codes.append(typed("cleanup", "rehearsal", *verdict)[0])

    assert [22, 7, 26, 26] == codes


def test_sweeping_and_cancelling_where_nothing_is(typed):
    """Both say so, and are no error."""
    assert (0, "rehearsal: 0 stale jobs removed\n") == typed("sweep", "rehearsal")
    code, said = typed("cancel", "rehearsal", "--output", "json")
    assert 0 == code
    assert "ended nothing" in json.loads(said)["answer"]


def test_the_next_run_sweeps_what_a_killed_one_left_and_says_so(typed, image, checkout):
    """SIGKILL in mid-run: the job stands there until somebody comes."""
    process = checkout.start("run", "rehearsal", "--image", image)
    for line in process.stdout:
        if line.startswith("  execution "):
            break
    process.kill()
    process.communicate()
    (left,) = checkout.left()
    until(checkout.emulator.state, lambda told: told["executions"][0]["done"])

    code, said = typed("run", "rehearsal", "--image", image)

    assert 0 == code, said
    name = left.rpartition("/")[2]
    assert f"removed job {name}: its execution is over" in said
    assert [] == checkout.left()


def test_a_job_by_its_name(typed, image, checkout):
    """Cleanup takes one as well."""
    typed("run", "rehearsal", "--image", image, "--keep-job", "--quiet")
    job = checkout.left()[0].rpartition("/")[2]

    code, _ = typed("cleanup", "rehearsal", "--job", job)

    assert 0 == code
    assert [] == checkout.left()
