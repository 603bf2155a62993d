"""A run leaves no job behind, whoever stops it, and sweeps what a killed one left."""

import pytest

from jobs import events
from jobs.errors import AnotherLaunch, Denied
from jobs.lifecycle import Ending, Job, Task
from jobs.settings import JobMode
from tests.scripted_cloud import START, Script, an_end
from tests.stories import run
from tests.unit.jobs.test_requests_on_the_wire import TARGET


@pytest.mark.parametrize(
    "call",
    [
        "jobs.create",
        "+jobs.create",
        "jobs.run",
        "+jobs.run",
        "jobs.execution",
        "jobs.tasks",
    ],
)
def test_ctrl_c_leaves_no_job(call):
    """At whichever call it comes."""
    script = Script()
    script.before = {call: [KeyboardInterrupt()]}

    ended, told, noted = run(script)

    assert 24 == ended.exit_code
    assert {} == script.jobs
    assert "cancelled" == noted[-1]
    assert Ending.CANCELLED is told[-1].verdict.ending


def test_a_second_ctrl_c_says_what_is_left():
    """And ends at once."""
    script = Script()
    script.before = {
        "jobs.execution": [KeyboardInterrupt()],
        "jobs.delete": [KeyboardInterrupt()],
    }

    ended, told, _ = run(script)

    assert 25 == ended.exit_code
    assert (
        "job dev-prompt-migration-aaaaaaaaaaaa"
        == told.of(events.CleanupFailed)[0].things[0]
    )
    assert 1 == len(script.jobs)


def test_ctrl_c_during_the_clean_up_does_not_stop_it():
    """The first one: the migration is over, the job still has to go."""
    script = Script()
    script.before = {"jobs.delete": [KeyboardInterrupt()]}

    ended, _, _ = run(script)

    assert 0 == ended.exit_code
    assert {} == script.jobs


def test_a_ctrl_c_after_the_engines_last_word_does_not_hide_it():
    """Cancelled, but the migration may well have landed."""
    script = Script()
    script.before = {"jobs.tasks": [KeyboardInterrupt()]}

    ended, _, _ = run(script)

    assert (Ending.CANCELLED, 24) == (ended.verdict.ending, ended.exit_code)
    assert "the engine had said that all went well" in ended.verdict.reason


def test_a_clean_up_that_fails_spoils_a_success():
    """But not the code of a failed migration."""
    refused = [Denied(call="deleting", reason="run.jobs.delete") for _ in range(2)]
    script, failed = Script(), Script()
    script.before = {"jobs.delete": refused[:1]}
    failed.before = {"jobs.delete": refused[1:]}
    failed.task, failed.counts = Task(0, 7), {"failed": 1}
    failed.entries = [an_end(1, exit_code=7)]

    assert 25 == run(script)[0].exit_code
    assert 7 == run(failed)[0].exit_code


def test_an_error_cleans_up_and_is_told():
    """What went wrong is raised; the job is gone."""
    script = Script()
    script.before = {"jobs.run": [Denied(call="starting", reason="run.jobs.run")]}

    with pytest.raises(Denied):
        run(script)
    assert {} == script.jobs


def test_the_clean_up_step_gets_its_job():
    """The build's third step leaves the job to the fourth, except when it is stopped."""
    script = Script()

    run(script, keep_job=True)

    assert 1 == len(script.jobs)


def test_a_stable_job_is_kept():
    """Updated, run, and left standing; its earlier executions are not ours."""
    script = Script()
    stable = TARGET._replace(job_mode=JobMode.STABLE)
    name = "projects/acme-dev/locations/us-central1/jobs/dev-prompt-migration"
    script.entries = [
        e._replace(
            labels={"run.googleapis.com/execution_name": "dev-prompt-migration-x0"}
        )
        for e in script.entries
    ]

    ended, told, _ = run(script, stable)

    assert 0 == ended.exit_code
    assert [name] == list(script.jobs)
    assert [1, 2, 3] == [line.seq for line in told.of(events.LogLine)]


# --- others at work -------------------------------------------------------------------

LABELS = {"managed-by": "cloudrun-migrate", "env": "dev", "launch-id": "b"}
OLD = "projects/acme-dev/locations/us-central1/jobs/dev-prompt-migration-old"


def test_a_running_job_of_another_launch_is_left_alone():
    """The second launch refuses, and names the execution."""
    script = Script()
    script.jobs[OLD] = Job(OLD, LABELS, START)
    script.lasts = 1e6
    script.executions[f"{OLD}/executions/e1"] = (
        script.add_execution(
            type("J", (), {"job": "x", "__str__": lambda _: OLD})(), LABELS
        )
    )._replace(name=f"{OLD}/executions/e1")

    with pytest.raises(AnotherLaunch, match="execution"):
        run(script)
    assert [OLD] == list(script.jobs)


@pytest.mark.parametrize(
    ("labels", "age", "why"),
    [
        (LABELS, 300, "nothing was ever started"),
        (LABELS | {"build-id": "dead"}, 1, "its build is over"),
        (LABELS | {"expires-at": "1"}, 1, "outlived"),
    ],
)
def test_what_a_killed_launch_left_is_swept(labels, age, why):
    """By the next launch, which says so."""
    script = Script()
    script.jobs[OLD] = Job(OLD, labels, START - age)

    ended, told, _ = run(script)

    assert 0 == ended.exit_code
    assert why in told.of(events.Swept)[0].why
    assert {} == script.jobs


def test_a_job_that_may_be_about_to_start_is_not_swept():
    """Between creating and starting there is a moment."""
    script = Script()
    script.jobs[OLD] = Job(OLD, LABELS, START - 1)

    with pytest.raises(AnotherLaunch, match="about to start"):
        run(script)


def test_jobs_of_other_environments_are_never_touched():
    """Nor those without our labels."""
    script = Script()
    script.jobs["a"] = Job("a", LABELS | {"env": "prod"}, 0.0)
    script.jobs["b"] = Job("b", {}, 0.0)

    run(script)

    assert ["a", "b"] == list(script.jobs)
