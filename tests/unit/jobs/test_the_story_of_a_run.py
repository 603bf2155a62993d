"""A run is followed to its verdict, whatever answers and lines are lost on the way."""

import pytest

from jobs import events, orchestrator
from jobs.errors import CloudError, Denied, LaunchError, NotFound
from jobs.lifecycle import Ending, Task
from jobs.settings import JobMode
from tests.scripted_cloud import START, Script, a_line, an_end
from tests.stories import DOWN, LOST, WHO, means, run
from tests.unit.jobs.test_requests_on_the_wire import IMAGE, TARGET


def test_a_run_tells_its_lines_judges_and_deletes():
    """Create, run, follow, judge, delete."""
    script = Script()

    ended, told, noted = run(script)

    assert 0 == ended.exit_code
    assert [1, 2, 3] == [line.seq for line in told.of(events.LogLine)]
    assert {} == script.jobs
    assert ["created", "succeeded"] == noted
    assert ["preflight", "job", "migration"] == [
        phase.name for phase in told[-1].phases
    ]
    assert (1, Ending.SUCCEEDED) == (told[-1].done, told[-1].verdict.ending)


def test_the_engines_exit_code_is_the_runs():
    """Seven stays seven."""
    script = Script()
    script.task = Task(0, 7)
    script.counts = {"failed": 1}
    script.entries = [an_end(1, exit_code=7, message="no such table")]

    ended, _, noted = run(script)

    assert 7 == ended.exit_code
    assert "no such table" == ended.verdict.reason
    assert {} == script.jobs
    assert ["created", "failed"] == noted


def test_two_hours_are_waited_for():
    """Google's own waiting gives up after 900 seconds; ours after the task's time."""
    script = Script()
    script.lasts = 7200.0
    long = TARGET._replace(task_timeout_s=3 * 3600, build_timeout_s=5 * 3600)

    ended, told, _ = run(script, long)

    assert 0 == ended.exit_code
    assert script.clock.time > START + 7200
    assert told.of(events.Waiting)


def test_a_run_that_outlives_its_time_is_cancelled():
    """And has timed out, although its cancelled operation would look like a success."""
    script = Script()
    script.lasts = 1e9
    script.entries = [a_line(1)]

    ended, told, _ = run(script)

    assert 23 == ended.exit_code
    assert "jobs.cancel" in script.calls
    assert {} == script.jobs
    assert told.of(events.Cancelling)


def test_a_cancelled_execution_is_no_success():
    """Whoever cancelled it."""
    script = Script()
    script.counts = {"cancelled": 1}
    script.entries = []

    assert 24 == run(script)[0].exit_code


@pytest.mark.parametrize("lost", [LOST, DOWN])
def test_a_lost_answer_is_no_second_migration(lost):
    """The execution that a lost answer started is found and followed."""
    script = Script()
    script.before = {"+jobs.run": [lost], "+jobs.create": [lost]}

    ended, _, _ = run(script)

    assert 0 == ended.exit_code
    assert 1 == script.calls.count("jobs.run")
    assert 1 == script.calls.count("jobs.create")


def test_a_call_that_had_no_effect_is_made_again():
    """When it is certain that nothing was started."""
    script = Script()
    script.before = {"jobs.run": [DOWN]}

    assert 0 == run(script)[0].exit_code
    assert 2 == script.calls.count("jobs.run")


def test_a_call_whose_effect_is_unknown_is_not_made_again():
    """A deadline may pass before the effect shows: how it ended is not known either."""
    script = Script()
    script.before = {"jobs.run": [LOST]}

    ended, _, noted = run(script)

    assert (Ending.LOST, 26) == (ended.verdict.ending, ended.exit_code)
    assert 1 == script.calls.count("jobs.run")
    assert {} == script.jobs
    assert "lost" == noted[-1]


def test_an_execution_that_is_not_listed_yet_is_not_started_again():
    """The job itself names its latest execution: a second witness for a lost answer."""
    script = Script()
    script.before = {"+jobs.run": [DOWN]}
    script.hidden_s = 30.0

    ended, _, _ = run(script)

    assert 0 == ended.exit_code
    assert 1 == len(script.started)


def test_an_execution_that_its_job_does_not_name_yet_is_not_started_again():
    """The list does: the first witness, where the job's own look-up lags behind."""
    script = Script()
    script.before = {"+jobs.run": [DOWN]}
    script.job_lags = True

    ended, _, _ = run(script)

    assert 0 == ended.exit_code
    assert 1 == len(script.started)


def test_an_execution_of_an_earlier_launch_is_not_taken_for_ours():
    """A job that is kept has others: what was not started is started, and followed."""
    script = Script()
    stable = TARGET._replace(job_mode=JobMode.STABLE)
    run(script, stable)
    for name, execution in script.executions.items():
        script.executions[name] = execution._replace(labels={"launch-id": "earlier"})
    script.before = {"jobs.run": [DOWN]}

    ended, told, _ = run(script, stable)

    assert 0 == ended.exit_code
    assert 2 == len(script.started)
    assert script.started[1].endswith(told.of(events.ExecutionStarted)[0].execution)


def test_a_young_execution_that_is_not_found_is_not_gone():
    """Look-ups lag behind; what has been seen and is not found any more is."""
    young, gone = Script(), Script()
    young.hidden_s = 10.0
    gone.lasts = 1e6
    gone.before = {"jobs.execution": [None, NotFound(call="reading", reason="x")]}

    assert 0 == run(young)[0].exit_code
    assert 26 == run(gone)[0].exit_code


def test_an_error_in_mid_migration_leaves_the_end_open():
    """A role that is revoked meanwhile: nobody says that the migration was refused."""
    script = Script()
    script.before = {"jobs.execution": [Denied(call="reading", reason="run.get")]}

    ended, _, noted = run(script)

    assert (Ending.LOST, 26) == (ended.verdict.ending, ended.exit_code)
    assert ["created", "failed", "lost"] == noted
    assert {} == script.jobs


def test_a_refusal_keeps_its_word_for_the_clean_up_step():
    """The job was not made: the note says why, and with which code."""
    script = Script()
    noted = []
    script.before = {"jobs.create": [Denied(call="creating", reason="run.jobs.create")]}
    given, _ = means(script)

    with pytest.raises(Denied):
        orchestrator.run(
            given, TARGET, IMAGE, WHO, note=lambda *values: noted.append(values)
        )

    state, _, verdict, _ = noted[-1]
    assert ("failed", 21) == (state, verdict.exit_code)
    assert "run.jobs.create" in verdict.reason


def test_the_verdict_stands_without_a_log():
    """The log service is down from the beginning to the end."""
    script = Script()
    script.tail_works = script.list_works = False

    ended, told, _ = run(script)

    assert 0 == ended.exit_code
    assert 1 == len(told.of(events.LogTrouble))


def test_a_log_without_a_tail_is_complete():
    """The list alone brings every line."""
    script = Script()
    script.tail_works = False

    _, told, _ = run(script)

    assert [1, 2, 3] == [line.seq for line in told.of(events.LogLine)]


def test_a_launch_and_its_build_share_the_read_quota():
    """Sixty reads a minute are the project's; both list alone, and leave some to others."""
    counts = []
    for who in (WHO, WHO._replace(build_id="b" * 12)):
        script = Script()
        script.lasts, script.tail_works = 600.0, False
        given, _ = means(script)
        orchestrator.run(given, TARGET, IMAGE, who, note=lambda *_: None)
        counts.append(script.calls.count("logs.list") / 10)

    assert 10 < counts[1] < counts[0]
    assert sum(counts) < 50


class _DownFor:
    """A log service that is down for some hours: false until then."""

    def __init__(self, script, hours):
        self.clock, self.until = script.clock, START + hours * 3600

    def __bool__(self):
        return self.clock.now() > self.until


def test_lines_of_the_day_before_are_still_read(monkeypatch):
    """A list begins where the launch did, not a day or an hour before it is asked."""
    monkeypatch.setattr("jobs.following.STEP_S", 60.0)
    script = Script()
    script.lasts = 30 * 3600.0
    script.tail_works = False
    script.list_works = _DownFor(script, hours=29)
    long = TARGET._replace(task_timeout_s=48 * 3600, build_timeout_s=49 * 3600)

    ended, told, _ = run(script, long)

    assert 0 == ended.exit_code
    assert [1, 2, 3] == [line.seq for line in told.of(events.LogLine)]


def test_a_gap_is_announced_at_the_end():
    """With the numbers that are missing, and the page to look at."""
    script = Script()
    script.entries = [a_line(1), an_end(4)]

    _, told, _ = run(script)

    gap = told.of(events.LogGap)[0]
    assert (2, 3) == (gap.first, gap.last)
    assert gap.page.startswith("https://console.cloud.google.com/logs/")


def test_what_was_held_back_is_told_when_nobody_waits_any_longer():
    """A killed engine writes no last line: its gap and what came after it are told."""
    script = Script()
    script.lasts, script.task, script.counts = 1.0, Task(0, 137), {"failed": 1}
    script.entries = [a_line(1), a_line(3)]

    ended, told, _ = run(script)

    (gap,) = told.of(events.LogGap)
    (trouble,) = told.of(events.LogTrouble)
    assert "the last line of the migration has not arrived" == trouble.what
    assert 22 == ended.exit_code
    assert (2, 2) == (gap.first, gap.last)
    assert [1, 3] == [line.seq for line in told.of(events.LogLine)]


def test_errors_have_words_and_codes():
    """Every error of the story can be shown."""
    assert issubclass(CloudError, LaunchError)
    assert 6 == DOWN.exit_code
    assert 23 == LOST.exit_code
