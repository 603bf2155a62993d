"""Faults by script: each goes wrong where it was told to, and nowhere else."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.emulator.tailing import tailed
from tests.fix_emulator import PARENT, PROJECT
from tests.google_clients import new_name, until

COUNT = "for n in range(1, {last}): print(n, flush=True)"


def short(job):
    """The last part of a job's name."""
    return job.name.rsplit("/", 1)[1]


def counting(google, last=7):
    """Make a job that writes the numbers from 1 on."""
    return google.job(google.python(COUNT.format(last=last)))


def test_error_strikes_as_often_as_it_says(google, emulator):
    """A burst of 503 has a length."""
    emulator.faults(
        {"at": "rpc", "do": "error", "method": "Jobs.ListJobs", "code": "UNAVAILABLE",
         "times": 2}
    )  # fmt: skip

    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable):
            google.jobs.list_jobs(parent=PARENT, retry=None)
    google.jobs.list_jobs(parent=PARENT, retry=None)


def test_reply_is_lost_after_the_effect(google, emulator):
    """RunJob answers UNAVAILABLE, and an execution has begun all the same."""
    job = counting(google)
    emulator.faults(
        {"at": "rpc", "do": "lose_reply", "method": "Jobs.RunJob", "times": 1}
    )

    with pytest.raises(exceptions.ServiceUnavailable):
        google.jobs.run_job(name=job.name)

    (execution,) = google.executions.list_executions(parent=job.name)
    assert 1 == google.ended(execution.name).succeeded_count


def test_quota_refuses_what_is_too_much(google, emulator):
    """Reading more than so often a minute is RESOURCE_EXHAUSTED."""
    emulator.faults(
        {"at": "rpc", "do": "quota", "method": "*.ListLogEntries", "per_minute": 3}
    )

    for _ in range(3):
        google.entries('logName="none"')
    with pytest.raises(exceptions.ResourceExhausted, match="ReadRequestsPerMinute"):
        google.entries('logName="none"')


def test_log_service_can_be_down_while_jobs_run(google, emulator):
    """Reading fails, the execution succeeds."""
    job = counting(google)
    emulator.faults({"at": "rpc", "do": "error", "method": "LoggingServiceV2.*"})

    assert 1 == google.run(job).succeeded_count
    with pytest.raises(exceptions.ServiceUnavailable):
        google.logs.list_log_entries(resource_names=[f"projects/{PROJECT}"], retry=None)


def test_late_line_is_listed_later(google, emulator):
    """A late line is missing at first and there in the end."""
    job = counting(google)
    emulator.faults(
        {"at": "log", "do": "late", "job": short(job), "lines": 3, "seconds": 0.8}
    )

    execution = google.run(job)

    assert ["1", "2", "4", "5", "6"] == google.lines(execution)
    until(lambda: google.lines(execution), lambda lines: len(lines) == 6)
    assert ["1", "2", "3", "4", "5", "6"] == google.lines(execution)


def test_lost_line_is_nowhere(google, emulator):
    """A lost line is neither in the list nor in the tail."""
    job = counting(google)
    emulator.faults({"at": "log", "do": "lost", "job": short(job), "lines": "2-3"})

    with tailed(google, job) as tail:
        execution = google.run(job)
        until(lambda: tail.lines, lambda lines: "6" in lines)

    assert ["1", "4", "5", "6"] == google.lines(execution) == sorted(tail.lines)


def test_line_lost_in_the_tail_is_in_the_list(google, emulator):
    """Where says which way loses it."""
    job = counting(google)
    emulator.faults(
        {"at": "log", "do": "lost", "job": short(job), "lines": [2], "where": "tail"}
    )

    with tailed(google, job) as tail:
        execution = google.run(job)
        until(lambda: tail.lines, lambda lines: "6" in lines)

    assert "2" in google.lines(execution)
    assert "2" not in tail.lines


def test_duplicate_line_comes_twice_with_one_id(google, emulator):
    """A duplicate has the same insert id, by which it can be told."""
    job = counting(google)
    emulator.faults({"at": "log", "do": "duplicate", "job": short(job), "lines": [2]})

    execution = google.run(job)

    found = google.entries(
        f'resource.labels.job_name="{short(job)}" AND textPayload="2"'
    )
    assert 2 == google.lines(execution).count("2")
    assert 1 == len({entry.insert_id for entry in found})


def test_held_line_comes_after_later_ones(google, emulator):
    """A held line is delivered by the tail after the line it waits for."""
    job = counting(google)
    emulator.faults(
        {"at": "log", "do": "hold", "job": short(job), "lines": [1], "until_line": 6}
    )

    with tailed(google, job) as tail:
        google.run(job)
        until(lambda: tail.lines, lambda lines: {"1", "6"} <= set(lines))

    assert tail.lines.index("2") < tail.lines.index("1")


def test_suppressed_lines_are_counted(google, emulator):
    """What the tail leaves out it counts."""
    job = counting(google)
    emulator.faults({"at": "log", "do": "suppress", "job": short(job), "lines": "1-3"})

    with tailed(google, job) as tail:
        google.run(job)
        until(lambda: tail.lines, lambda lines: "6" in lines)

    assert 3 == tail.suppressed


def test_tail_can_begin_late(google, emulator):
    """Lines that come while a session lags are not delivered by it."""
    job = counting(google)
    emulator.faults({"at": "tail", "do": "lag", "seconds": 1})

    with tailed(google, job) as tail:
        google.run(job)
        time.sleep(0.2)

    assert [] == tail.lines


def test_execution_that_never_starts_can_be_cancelled(google, emulator):
    """It stays pending until somebody ends it."""
    job = counting(google)
    emulator.faults({"at": "execution", "do": "never_start", "job": short(job)})
    operation = google.jobs.run_job(name=job.name)
    name = operation.metadata.name

    time.sleep(0.2)
    waiting = google.executions.get_execution(name=name)
    google.executions.cancel_execution(name=name)

    assert (0, None) == (waiting.running_count, waiting.start_time)
    assert 1 == google.ended(name).cancelled_count


def test_image_pull_can_fail(google, emulator):
    """An image that is not there fails the task before it starts."""
    job = counting(google)
    emulator.faults({"at": "execution", "do": "image_pull_failure", "job": short(job)})

    execution = google.run(job)

    assert "not found" in google.attempt(execution).status.message
    assert [] == google.lines(execution)


def test_success_can_be_reported_as_failure(google, emulator):
    """The task ran to its end and the platform says that it did not."""
    job = counting(google)
    emulator.faults({"at": "execution", "do": "report_failed", "job": short(job)})

    execution = google.run(job)

    assert (0, 1) == (execution.succeeded_count, execution.failed_count)
    assert "6" == google.lines(execution)[-1]


def test_young_execution_can_be_invisible(google, emulator):
    """Reading an execution right after it was made may not find it."""
    job = counting(google)
    emulator.faults(
        {"at": "execution", "do": "stale", "job": short(job), "seconds": 0.5}
    )

    name = google.jobs.run_job(name=job.name).metadata.name

    with pytest.raises(exceptions.NotFound):
        google.executions.get_execution(name=name)
    assert [] == list(google.executions.list_executions(parent=job.name))
    until(lambda: list(google.executions.list_executions(parent=job.name)), bool)


def test_task_is_killed_after_a_line(google, emulator):
    """A kill comes at the line it was told to, with the signal it was told to."""
    source = "import time\nfor n in range(99): print(n, flush=True); time.sleep(0.05)"
    job = google.job(google.python(source))
    emulator.faults(
        {"at": "task", "do": "kill", "job": short(job), "after_line": 3, "signal": 9}
    )

    execution = google.run(job)

    assert 9 == google.attempt(execution).term_signal
    assert ["0", "1", "2"] == google.lines(execution)[:3]
    assert len(google.lines(execution)) < 20


def test_secret_is_disabled_between_creation_and_start(google, emulator):
    """A job that became ready fails to start when its secret is gone."""
    secret = new_name("s")
    emulator.data(secrets={secret: ["hush"]})
    reference = run_v2.SecretKeySelector(secret=secret, version="1")
    variable = run_v2.EnvVar(
        name="KEY", value_source=run_v2.EnvVarSource(secret_key_ref=reference)
    )
    image = google.python("")
    emulator.faults(
        {"at": "event", "event": "job.created", "do": "disable_secret", "secret": secret,
         "version": 1}
    )  # fmt: skip
    job = google.job(image, container={"env": [variable]})

    execution = google.run(job)

    assert "DISABLED" in google.attempt(execution).status.message


def test_job_can_be_slow_to_become_ready(google, emulator):
    """The operation of CreateJob is pending for a while."""
    image = google.python("")
    emulator.faults({"at": "job", "do": "slow", "seconds": 0.5})
    template = run_v2.TaskTemplate(containers=[run_v2.Container(image=image)])
    job = run_v2.Job(template=run_v2.ExecutionTemplate(template=template))

    operation = google.jobs.create_job(parent=PARENT, job=job, job_id=new_name("j"))

    assert not operation.operation.done
    with pytest.raises(exceptions.FailedPrecondition, match="not ready"):
        google.jobs.run_job(name=operation.metadata.name)
    assert operation.result(timeout=10).terminal_condition.type_ == "Ready"


def test_push_can_be_denied_and_a_worker_lost(google, emulator):
    """A build fails at its push, or is lost after a step."""
    step = cloudbuild.BuildStep(
        name="bash", script="echo FROM scratch > Dockerfile; docker build -t x:1 ."
    )
    emulator.faults({"at": "build", "do": "push_denied", "times": 1})
    denied = google.build(step, images=["x:1"])
    emulator.faults({"at": "build", "do": "internal_error", "step": 0})
    lost = google.build(step, step)

    assert "PUSH_NOT_AUTHORIZED" == denied.failure_info.type_.name
    assert "INTERNAL_ERROR" == lost.status.name
    assert "QUEUED" == lost.steps[1].status.name


def test_step_is_killed(google, emulator):
    """A step that is killed fails with the code of its signal."""
    step = cloudbuild.BuildStep(name="bash", id="slow", script="sleep 60")
    emulator.faults({"at": "step", "do": "kill", "id": "slow", "seconds": 0.1})

    build = google.build(step)

    assert 137 == build.steps[0].exit_code


def test_script_on_the_command_line_is_checked(start_emulator):
    """A slip in a script ends the emulator before it serves."""
    with pytest.raises(pytest.fail.Exception, match="did not say that it is ready"):
        start_emulator(faults=[{"at": "moon", "do": "x"}])


def test_held_call_goes_on_when_the_script_ends(google, emulator):
    """Until then its caller waits, and the state names it."""
    job = counting(google)
    emulator.faults({"at": "rpc", "do": "hold", "method": "Jobs.GetJob"})

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(google.jobs.get_job, name=job.name)
        until(lambda: emulator.state()["held"], lambda held: held == ["Jobs.GetJob"])
        waits = not asked.done()
        emulator.faults()
        found = asked.result(10)

    assert waits
    assert job.name == found.name
    assert [] == emulator.state()["held"]


@pytest.mark.parametrize(("do", "there"), [("hold", []), ("hold_reply", [1])])
def test_held_call_whose_caller_has_gone(google, emulator, do, there):
    """Before the effect it has none; after it the effect stays."""
    secret = new_name("s")
    emulator.faults({"at": "rpc", "do": do, "method": "*.CreateSecret"})

    with pytest.raises(exceptions.DeadlineExceeded):
        google.secrets.create_secret(
            parent=f"projects/{PROJECT}",
            secret_id=secret,
            secret={"replication": {"automatic": {}}},
            timeout=0.3,
        )
    until(lambda: emulator.state()["held"], lambda held: held == [])

    found = google.secrets.list_secrets(parent=f"projects/{PROJECT}")
    assert there == [1 for each in found if each.name.endswith(secret)]
