"""The verdict follows from counts, exit code and end marker, and from nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import LaunchCode
from jobs.judging import judge, judge_build
from jobs.lifecycle import (
    Build,
    BuildStatus,
    Condition,
    Ending,
    Execution,
    Step,
    Task,
)
from migrate.errors import ExitCode
from migrate.outcome import Outcome

RUNNING = Execution("projects/p/locations/l/jobs/j/executions/e", 1.0, running=1)
GOOD = RUNNING._replace(completed=2.0, succeeded=1, running=0)
BAD = RUNNING._replace(completed=2.0, failed=1, running=0)
CANCELLED = RUNNING._replace(completed=2.0, cancelled=1, running=0)


def an_outcome(code, message=""):
    """Make an end marker."""
    return Outcome("apply", ExitCode(code), message=message)


OK = an_outcome(0)


@pytest.mark.parametrize("end", [OK, None])
@pytest.mark.parametrize("task", [Task(0, 0), None])
def test_success_needs_no_log(task, end):
    """Counts decide: a log service that is down does not change the verdict."""
    assert (Ending.SUCCEEDED, 0) == judge(GOOD, task, end)[:2]


@pytest.mark.parametrize(
    ("execution", "task", "end"),
    [
        (GOOD, Task(0, 7), None),
        (GOOD, Task(0, 0), an_outcome(7)),
        (BAD, Task(0, 1), OK),
        (BAD, None, OK),
        (BAD, Task(0, 0), None),
        (CANCELLED, None, OK),
        (None, None, OK),
    ],
)
def test_a_contradiction_is_uncertain(execution, task, end):
    """What platform and engine tell differently is never called a plain failure."""
    verdict = judge(execution, task, end)

    assert Ending.UNCERTAIN is verdict.ending
    assert LaunchCode.UNCERTAIN == verdict.exit_code
    assert "python -m migrate status" in verdict.advice


def test_a_cancelled_execution_is_no_success():
    """Its operation completes without an error; its counts do not lie."""
    assert (Ending.CANCELLED, 24) == judge(CANCELLED, None, None)[:2]


@pytest.mark.parametrize(
    "counts",
    [
        {"succeeded": 0},
        {"succeeded": 1, "cancelled": 1},
        {"succeeded": 1, "failed": 1},
        {"succeeded": 1, "task_count": 2},
    ],
)
def test_success_needs_every_count(counts):
    """All tasks succeeded, none failed, none was cancelled: each of the three is asked."""
    assert Ending.SUCCEEDED is not judge(GOOD._replace(**counts), None, None).ending


@given(st.sampled_from(range(2, 11)), st.booleans())
def test_the_engines_exit_code_passes_through(code, seen):
    """Whether the log was seen or not."""
    end = an_outcome(code, "first\nsecond") if seen else None

    assert code == judge(BAD, Task(0, code), end).exit_code
    assert code == judge_build(a_build(code), end).exit_code
    if seen:
        assert code == judge(BAD, None, end).exit_code
        assert code == judge(None, None, end).exit_code
        assert "first" == judge(BAD, Task(0, code), end).reason


@pytest.mark.parametrize(
    ("task", "conditions", "ending", "code", "says"),
    [
        (Task(0, 1), (), Ending.FAILED, 22, "exit code 1"),
        (Task(0, 137), (), Ending.FAILED, 22, "out of memory"),
        (Task(0, None, 9), (), Ending.FAILED, 22, "out of memory"),
        (Task(0, 143), (), Ending.FAILED, 22, "signal 15"),
        (Task(0, None, 11), (), Ending.FAILED, 22, "signal 11"),
        (
            Task(0, message="The configured timeout was reached."),
            (),
            Ending.TIMED_OUT,
            23,
            "ran out of its time",
        ),
        (
            None,
            (Condition("Completed", "FAILED", message="Task timed out"),),
            Ending.TIMED_OUT,
            23,
            "ran out of its time",
        ),
        (
            Task(0),
            (Condition("Completed", "FAILED", "CONTAINER_MISSING"),),
            Ending.FAILED,
            22,
            "CONTAINER_MISSING",
        ),
        (None, (), Ending.FAILED, 22, "no reason given"),
    ],
)
def test_a_failure_without_the_engines_word_is_told_as_it_is(
    task, conditions, ending, code, says
):
    """Killed, out of memory, out of time, never started: each has its words."""
    verdict = judge(BAD._replace(conditions=conditions), task, None)

    assert (ending, code) == verdict[:2]
    assert says in verdict.reason


@pytest.mark.parametrize("end", [None, an_outcome(7)])
def test_waiting_ends(end):
    """An execution that outlives our deadline has timed out."""
    assert (Ending.TIMED_OUT, 23) == judge(RUNNING, None, end, waited_out=True)[:2]


def test_what_we_cancelled_for_its_time_has_timed_out():
    """Its cancellation was ours."""
    assert (Ending.TIMED_OUT, 23) == judge(CANCELLED, None, None, waited_out=True)[:2]


def test_an_end_that_was_said_before_the_deadline_is_uncertain():
    """The engine was done, the platform was not: only the database knows."""
    assert Ending.UNCERTAIN is judge(RUNNING, None, OK, waited_out=True).ending


def test_what_nobody_saw_end_is_lost():
    """Neither success nor failure is claimed; the code is one of its own."""
    assert (Ending.LOST, 26) == judge(None, None, None)[:2]
    assert Ending.LOST is judge(None, None, an_outcome(1)).ending
    assert Ending.LOST is judge(RUNNING, None, None).ending


def a_build(code=0, status=BuildStatus.FAILURE, **more):
    """Make a build whose run step ended with a code."""
    step = BuildStatus.FAILURE if code else BuildStatus.SUCCESS
    return Build("b", status, steps=(Step("run-migration", step, code),), **more)


@pytest.mark.parametrize(
    ("build", "ending", "code", "says"),
    [
        (a_build(0, BuildStatus.SUCCESS), Ending.SUCCEEDED, 0, "every task"),
        (Build("b", BuildStatus.SUCCESS), Ending.SUCCEEDED, 0, "every task"),
        (a_build(7, BuildStatus.SUCCESS), Ending.FAILED, 7, "ended with 7"),
        (a_build(22), Ending.FAILED, 22, "run-migration"),
        (a_build(26), Ending.UNCERTAIN, 26, "run-migration"),
        (a_build(1), Ending.LOST, 26, "did not come to its end"),
        (a_build(137), Ending.LOST, 26, "did not come to its end"),
        (a_build(23), Ending.TIMED_OUT, 23, "ran out"),
        (a_build(24), Ending.CANCELLED, 24, "cancelled"),
        (Build("b", BuildStatus.CANCELLED), Ending.CANCELLED, 24, "cancelled"),
        (Build("b", BuildStatus.TIMEOUT), Ending.TIMED_OUT, 23, "ran out"),
        (Build("b", BuildStatus.EXPIRED), Ending.TIMED_OUT, 23, "queue"),
        (
            Build("b", BuildStatus.INTERNAL_ERROR, "oops"),
            Ending.FAILED,
            20,
            "the build failed: oops",
        ),
        (
            Build(
                "b",
                BuildStatus.FAILURE,
                failure="push denied",
                steps=(Step("push-image", BuildStatus.FAILURE, 1),),
            ),
            Ending.FAILED,
            20,
            "step push-image failed: push denied",
        ),
        (
            Build(
                "b",
                BuildStatus.FAILURE,
                steps=(
                    Step("run-migration", BuildStatus.SUCCESS, 0),
                    Step("cleanup-migration-job", BuildStatus.FAILURE, 25),
                ),
            ),
            Ending.SUCCEEDED,
            25,
            "the migration succeeded; after it the step cleanup-migration-job",
        ),
        (
            a_build(0, failure="failed to push"),
            Ending.SUCCEEDED,
            25,
            "the migration succeeded; after it the build failed: failed to push",
        ),
        (
            Build(
                "b",
                BuildStatus.INTERNAL_ERROR,
                steps=(Step("run-migration", BuildStatus.WORKING, 0),),
            ),
            Ending.LOST,
            26,
            "while the migration was at work",
        ),
    ],
)
def test_a_builds_end_is_told_by_its_steps(build, ending, code, says):
    """The run step has judged; only where it did not, the build's own state counts."""
    verdict = judge_build(build, None)

    assert (ending, code) == verdict[:2]
    assert says in verdict.reason


@pytest.mark.parametrize("status", [BuildStatus.CANCELLED, BuildStatus.TIMEOUT])
def test_a_build_that_was_cut_short_after_the_engines_end_is_uncertain(status):
    """The migration may well have landed: that is not called cancelled."""
    assert (Ending.UNCERTAIN, 26) == judge_build(Build("b", status), OK)[:2]
    assert judge_build(Build("b", status), an_outcome(7)).ending is not Ending.UNCERTAIN


def test_a_step_that_missed_the_engines_end_is_uncertain():
    """It could not read the log, and says `failed`; whoever watched knows more."""
    assert (Ending.UNCERTAIN, 26) == judge_build(a_build(22), OK)[:2]
    assert (Ending.FAILED, 22) == judge_build(a_build(22), None)[:2]


def test_a_worker_that_is_lost_in_mid_migration_is_no_plain_failure():
    """Steps may be without a status; that the job was seen is enough."""
    build = Build("b", BuildStatus.INTERNAL_ERROR)

    assert (Ending.LOST, 26) == judge_build(build, None, seen=True)[:2]
    assert (Ending.FAILED, 20) == judge_build(build, None)[:2]


@pytest.mark.parametrize(
    ("word", "ending", "reason"),
    [
        ("failed: Image 'x' not found.", Ending.FAILED, "Image 'x' not found."),
        ("lost: the execution is gone", Ending.LOST, "the execution is gone"),
        ("created", Ending.FAILED, "the step run-migration ended with 22"),
        ("nonsense: x", Ending.FAILED, "the step run-migration ended with 22"),
        ("succeeded: x", Ending.FAILED, "the step run-migration ended with 22"),
        ("", Ending.FAILED, "the step run-migration ended with 22"),
    ],
)
def test_the_run_steps_own_word_is_taken(word, ending, reason):
    """It says more than an exit code; it never makes a success of one."""
    assert (ending, 22, reason) == judge_build(a_build(22), None, word=word)[:3]
    assert 7 == judge_build(a_build(7), None, word="lost: x").exit_code


def test_a_build_that_waits_for_approval_has_not_ended():
    """PENDING is before the beginning, not after the end."""
    assert Build("b", BuildStatus.PENDING).active
    assert not Build("b", BuildStatus.EXPIRED).active
    assert "e" == RUNNING.short
