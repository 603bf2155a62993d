"""Cloud Run: a task is a process with exactly its environment, its end and its retries."""

import datetime as dt
import json
import os
import subprocess
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import run_v2

from tests.fix_emulator import PARENT
from tests.google_clients import Google, new_name, until

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"


def running(google, job):
    """Start a job and wait until its process has written a line."""
    operation = google.jobs.run_job(name=job.name)
    execution = google.executions.get_execution(name=operation.metadata.name)
    until(lambda: google.lines(execution), bool)
    return operation, execution


def test_success_is_told_by_counts_and_by_the_operation(google):
    """A task that exits with 0 makes its execution succeed."""
    job = google.job(google.python("print('hello')"))

    operation = google.jobs.run_job(name=job.name)
    execution = operation.result(timeout=20)

    assert (1, 0, 0) == (
        execution.succeeded_count,
        execution.failed_count,
        execution.cancelled_count,
    )
    assert operation.metadata.name == execution.name
    assert ["hello"] == google.lines(execution)


def test_metadata_names_the_execution_at_once(google):
    """The first reply to RunJob already says which execution it is."""
    job = google.job(google.python("print('hello')"))

    operation = google.jobs.run_job(name=job.name)

    assert operation.metadata.name.startswith(f"{job.name}/executions/")


def test_environment_is_the_jobs_and_nothing_of_the_machine(google, monkeypatch):
    """A task sees its own variables and those of Cloud Run, not the developer's."""
    variables = [run_v2.EnvVar(name="GREETING", value="good day")]
    image = google.python("import json, os; print('> ' + json.dumps(dict(os.environ)))")
    job = google.job(image, container={"env": variables})

    execution = google.run(job)

    seen = json.loads(google.lines(execution)[0][2:])
    assert "good day" == seen["GREETING"]
    assert job.name.rsplit("/", 1)[1] == seen["CLOUD_RUN_JOB"]
    assert execution.name.rsplit("/", 1)[1] == seen["CLOUD_RUN_EXECUTION"]
    assert ("0", "0", "1") == (
        seen["CLOUD_RUN_TASK_INDEX"],
        seen["CLOUD_RUN_TASK_ATTEMPT"],
        seen["CLOUD_RUN_TASK_COUNT"],
    )
    assert set() == {"USER", "PYTHONPATH", "TMPDIR"} & set(seen)


def test_exit_code_is_on_the_task_and_only_there(google):
    """A failing operation says that a task failed; the task says with which code."""
    job = google.job(google.python("import sys; sys.exit(10)"))

    operation = google.jobs.run_job(name=job.name)

    with pytest.raises(exceptions.Unknown, match="container exited with an error"):
        operation.result(timeout=20)
    execution = google.executions.get_execution(name=operation.metadata.name)
    assert 1 == execution.failed_count
    assert 10 == google.attempt(execution).exit_code


def test_signal_that_ended_a_task_is_on_the_task(google):
    """A task killed by the kernel tells the signal."""
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    execution = google.run(google.job(google.python(source)))

    assert 9 == google.attempt(execution).term_signal
    assert 137 == google.attempt(execution).exit_code


def test_timeout_is_per_attempt_and_named(google):
    """A task that is too slow is ended and says so."""
    image = google.python(SLEEPS)
    job = google.job(image, timeout=dt.timedelta(seconds=0.5))

    execution = google.run(job)

    assert "timeout" in google.attempt(execution).status.message
    assert 1 == execution.failed_count


@pytest.mark.parametrize(("sent", "attempts"), [(None, 4), (0, 1), (2, 3)])
def test_retries_are_three_unless_a_number_was_sent(google, sent, attempts):
    """A zero that was sent is a zero; nothing sent is three retries."""
    source = "import os, sys; print(os.environ['CLOUD_RUN_TASK_ATTEMPT']); sys.exit(1)"
    job = google.job(google.python(source), retries=sent)

    execution = google.run(job)

    assert [str(number) for number in range(attempts)] == google.lines(execution)
    assert attempts - 1 == execution.retried_count


def test_cancelled_execution_finishes_its_operation_without_an_error(google):
    """Only the counts show that an execution was cancelled."""
    operation, execution = running(google, google.job(google.python(SLEEPS)))

    google.executions.cancel_execution(name=execution.name)
    answer = operation.result(timeout=20)

    assert (0, 0, 1) == (
        answer.succeeded_count,
        answer.failed_count,
        answer.cancelled_count,
    )


def test_whole_process_group_is_stopped(google, tmp_path):
    """A child that a task left behind does not outlive it."""
    source = (
        "import subprocess, sys;"
        "print(subprocess.Popen(['sleep', '300']).pid, flush=True)"
    )

    execution = google.run(google.job(google.python(source)))

    pid = google.lines(execution)[0]
    state = Path(f"/proc/{pid}/stat")
    until(
        lambda: state.exists() and " Z " not in state.read_text(),
        lambda alive: not alive,
    )


def test_deleted_job_takes_its_executions_with_it(google):
    """Deleting a job stops what runs, and a second deletion finds nothing."""
    _, execution = running(google, google.job(google.python(SLEEPS)))
    job = execution.name.partition("/executions/")[0]

    google.jobs.delete_job(name=job).result(timeout=10)

    with pytest.raises(exceptions.NotFound):
        google.executions.get_execution(name=execution.name)
    with pytest.raises(exceptions.NotFound):
        google.jobs.delete_job(name=job)


def test_entrypoint_and_arguments_follow_the_rules_of_containers(google):
    """A command replaces the entrypoint; arguments replace the image's own."""
    image = google.image(
        "python", "-c", "import sys; print(sys.argv[1:])", cmd=["from the image"]
    )

    own = google.run(google.job(image))
    given = google.run(google.job(image, container={"args": ["a", "b"]}))
    other = google.run(
        google.job(image, container={"command": ["echo"], "args": ["hello"]})
    )

    assert ["['from the image']"] == google.lines(own)
    assert ["['a', 'b']"] == google.lines(given)
    assert ["hello"] == google.lines(other)


@pytest.mark.parametrize(
    "name",
    ["a" * 64, "-begins", "ends-", "Upper", "1st"],
    ids=["64 characters", "begins with a dash", "ends with one", "upper case", "digit"],
)
def test_names_that_cloud_run_refuses_are_refused(google, name):
    """A job's name has at most 63 characters of the right kind."""
    container = run_v2.Container(image="i")
    template = run_v2.TaskTemplate(containers=[container])
    job = run_v2.Job(template=run_v2.ExecutionTemplate(template=template))

    with pytest.raises(exceptions.InvalidArgument):
        google.jobs.create_job(parent=PARENT, job=job, job_id=name)


@pytest.mark.parametrize(
    "labels", [{"run.googleapis.com/x": "y"}, {"Upper": "x"}, {"branch": "feature/x"}]
)
def test_labels_that_google_refuses_are_refused(google, labels):
    """Labels are lower case and not of Google's own namespaces."""
    container = run_v2.Container(image=google.python(""))
    template = run_v2.TaskTemplate(containers=[container])
    job = run_v2.Job(
        labels=labels, template=run_v2.ExecutionTemplate(template=template)
    )

    with pytest.raises(exceptions.InvalidArgument):
        google.jobs.create_job(parent=PARENT, job=job, job_id=new_name("j"))


def test_job_of_a_name_exists_once(google):
    """Creating a job twice is refused."""
    job = google.job(google.python(""))
    again = run_v2.Job(template=job.template)

    with pytest.raises(exceptions.AlreadyExists):
        google.jobs.create_job(
            parent=PARENT, job=again, job_id=job.name.rsplit("/", 1)[1]
        )


def test_lists_are_newest_first_and_paged(google):
    """Jobs are listed newest first, page by page."""
    made = [google.job(google.python("")).name for _ in range(3)]

    listed = [
        job.name
        for job in google.jobs.list_jobs(request={"parent": PARENT, "page_size": 2})
    ]

    assert made[::-1] == [name for name in listed if name in made]


def test_stop_of_the_emulator_leaves_no_process(start_emulator, tmp_path):
    """What a task started is gone when the emulator is."""
    running_emulator = start_emulator()
    google = Google(running_emulator)
    source = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(os.getpid(), flush=True); time.sleep(300)"
    )
    operation = google.jobs.run_job(name=google.job(google.python(source)).name)
    execution = google.executions.get_execution(name=operation.metadata.name)
    pid = int(until(lambda: google.lines(execution), bool)[0])
    google.close()

    running_emulator.stop()

    def alive() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        listed = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return not listed.stdout.startswith("Z")

    until(alive, lambda still: not still)
