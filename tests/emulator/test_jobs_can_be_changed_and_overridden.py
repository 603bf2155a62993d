"""Cloud Run: updates, overrides, several tasks, and what stands in the way of a job."""

import datetime as dt

import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.longrunning import operations_pb2

from tests.fix_emulator import PARENT, PROJECT
from tests.google_clients import new_name, until


def test_update_replaces_the_job_and_counts_its_generation(google):
    """There is no mask: what is sent is the job."""
    job = google.job(google.python("print('old')"))
    changed = run_v2.Job(name=job.name, template=job.template)
    changed.template.template.containers[0].image = google.python("print('new')")

    updated = google.jobs.update_job(job=changed).result(timeout=10)

    assert (2, job.uid) == (updated.generation, updated.uid)
    assert ["new"] == google.lines(google.run(updated))


def test_update_can_make_the_job(google):
    """Only when it is allowed to."""
    job = google.job(google.python(""))
    other = run_v2.Job(name=f"{PARENT}/jobs/{new_name('j')}", template=job.template)

    with pytest.raises(exceptions.NotFound):
        google.jobs.update_job(job=other)
    request = run_v2.UpdateJobRequest(job=other, allow_missing=True)
    made = google.jobs.update_job(request=request).result(timeout=10)

    assert (1, other.name) == (made.generation, made.name)


def test_validation_alone_changes_nothing(google):
    """``validate_only`` answers and keeps nothing."""
    job = google.job(google.python(""))
    request = run_v2.CreateJobRequest(
        parent=PARENT,
        job=run_v2.Job(template=job.template),
        job_id=new_name("j"),
        validate_only=True,
    )

    made = google.jobs.create_job(request=request).result(timeout=10)
    run = run_v2.RunJobRequest(name=job.name, validate_only=True)
    google.jobs.run_job(request=run).result(timeout=10)

    with pytest.raises(exceptions.NotFound):
        google.jobs.get_job(name=made.name)
    assert [] == list(google.executions.list_executions(parent=job.name))


def test_stale_etag_is_refused(google):
    """A job that has changed meanwhile is not deleted."""
    job = google.job(google.python(""))

    with pytest.raises(exceptions.Aborted):
        google.jobs.delete_job(request={"name": job.name, "etag": '"old"'})


def test_overrides_change_arguments_environment_and_timeout(google):
    """For one execution; the job stays as it is."""
    image = google.python("import os, sys; print(sys.argv[1:], os.environ.get('A'))")
    job = google.job(image, container={"env": [run_v2.EnvVar(name="A", value="job")]})
    change = run_v2.RunJobRequest.Overrides.ContainerOverride(
        args=["x"], env=[run_v2.EnvVar(name="A", value="run")]
    )
    overrides = run_v2.RunJobRequest.Overrides(
        container_overrides=[change], timeout=dt.timedelta(seconds=30), task_count=1
    )

    request = run_v2.RunJobRequest(name=job.name, overrides=overrides)
    execution = google.jobs.run_job(request=request).result(timeout=10)

    assert ["['x'] run"] == google.lines(execution)
    assert dt.timedelta(seconds=30) == execution.template.timeout
    assert ["[] job"] == google.lines(google.run(job))


def test_overrides_need_a_permission_of_their_own(google, google_as, emulator):
    """run.invoker may run a job as it is, and not otherwise."""
    job = google.job(google.python(""))
    emulator.policy(bindings=[{"principal": "x@y", "role": "roles/run.invoker"}])
    change = run_v2.RunJobRequest.Overrides(task_count=1)
    invoker = google_as("x@y").jobs

    invoker.run_job(name=job.name)
    with pytest.raises(exceptions.PermissionDenied, match="runWithOverrides"):
        invoker.run_job(request={"name": job.name, "overrides": change})


def test_several_tasks_have_an_index_each(google):
    """All of them must succeed."""
    image = google.python(
        "import os, sys; n = int(os.environ['CLOUD_RUN_TASK_INDEX']); print(n); sys.exit(n == 1)"
    )
    job = google.job(image)
    job.template.task_count, job.template.parallelism = 3, 1
    job = google.jobs.update_job(job=job).result(timeout=10)

    execution = google.run(job)

    assert ["0", "1", "2"] == google.lines(execution)
    assert (2, 1) == (execution.succeeded_count, execution.failed_count)
    tasks = list(google.tasks.list_tasks(parent=execution.name))
    assert [0, 1, 2] == [task.index for task in tasks]
    assert tasks[1].name == google.tasks.get_task(name=tasks[1].name).name
    with pytest.raises(exceptions.NotFound):
        google.tasks.get_task(name=f"{execution.name}/tasks/absent")


def test_executions_of_all_jobs_can_be_listed(google):
    """``jobs/-`` stands for every job."""
    execution = google.run(google.job(google.python("")))

    listed = google.executions.list_executions(parent=f"{PARENT}/jobs/-")

    assert execution.name in {found.name for found in listed}


def test_finished_execution_can_be_deleted_and_not_cancelled(google):
    """Cancelling comes too late; deletion does not."""
    execution = google.run(google.job(google.python("")))

    with pytest.raises(exceptions.FailedPrecondition):
        google.executions.cancel_execution(name=execution.name)
    google.executions.delete_execution(name=execution.name).result(timeout=10)
    with pytest.raises(exceptions.NotFound):
        google.executions.get_execution(name=execution.name)


@pytest.mark.parametrize(
    ("interface", "why"),
    [
        ({"subnetwork": "absent"}, "subnetwork 'absent' not found"),
        ({"network": "absent"}, "network 'absent' not found"),
    ],
)
def test_network_that_is_not_there_is_named(google, interface, why):
    """A job on a network that does not exist does not become ready."""
    access = run_v2.VpcAccess(network_interfaces=[interface])

    with pytest.raises(exceptions.NotFound, match=why):
        google.job(google.python(""), vpc_access=access)


def test_job_on_the_default_network_is_ready(google):
    """A network and a subnetwork are there from the start."""
    access = run_v2.VpcAccess(network_interfaces=[{"subnetwork": "default"}])

    job = google.job(google.python(""), vpc_access=access)

    assert "CONDITION_SUCCEEDED" == job.terminal_condition.state.name


def test_secret_version_that_is_not_there_is_named(google):
    """A job with a secret that does not exist does not become ready."""
    reference = run_v2.SecretKeySelector(secret="absent", version="1")
    variable = run_v2.EnvVar(
        name="A", value_source=run_v2.EnvVarSource(secret_key_ref=reference)
    )

    with pytest.raises(exceptions.NotFound, match="absent"):
        google.job(google.python(""), container={"env": [variable]})


def test_job_can_fail_to_become_ready(google, emulator):
    """The reason is the script's."""
    image = google.python("")
    emulator.faults(
        {"at": "job", "do": "not_ready", "code": "INTERNAL", "message": "no capacity"}
    )

    with pytest.raises(exceptions.InternalServerError, match="no capacity"):
        google.job(image)


def test_program_that_cannot_be_started_fails_the_task(google):
    """An entrypoint that does not exist is an error of the platform."""
    execution = google.run(google.job(google.image("no-such-program")))

    assert "failed to start" in google.attempt(execution).status.message


def wait(google, name, milliseconds=10_000):
    """Wait for an operation; the library hands out its bytes as they came."""
    request = operations_pb2.WaitOperationRequest(name=name)
    request.timeout.FromMilliseconds(milliseconds)
    return operations_pb2.Operation.FromString(google.jobs.wait_operation(request))


def every_operation(google):
    """Return the names on all pages: other tests have operations, too."""
    names, token = set(), ""
    while True:
        listed = google.jobs.list_operations(
            operations_pb2.ListOperationsRequest(
                name=f"{PARENT}/operations", page_token=token
            )
        )
        names |= {found.name for found in listed.operations}
        token = listed.next_page_token
        if not token:
            return names


def test_operations_can_be_waited_for_listed_and_forgotten(google):
    """Waiting ends with the operation; cancelling is not offered."""
    job = google.job(google.python("import time; time.sleep(0.3)"))
    name = google.jobs.run_job(name=job.name).operation.name
    operations = google.jobs.transport.operations_client

    waited = wait(google, name)

    assert waited.done
    assert operations.get_operation(name).done
    assert name in every_operation(google)
    google.jobs.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
    with pytest.raises(exceptions.NotFound):
        operations.get_operation(name)
    with pytest.raises(exceptions.MethodNotImplemented):
        operations.cancel_operation(name)


def test_wait_gives_up_after_its_time(google):
    """The answer of a wait may still be pending."""
    job = google.job(google.python("import time; time.sleep(60)"))
    begun = google.jobs.run_job(name=job.name)

    waited = wait(google, begun.operation.name, milliseconds=50)

    assert not waited.done
    google.jobs.delete_job(name=job.name)
    until(begun.done, bool)


def test_policy_of_a_job_is_its_own(google):
    """A job has bindings like any resource."""
    job = google.job(google.python(""))

    policy = google.jobs.get_iam_policy(request={"resource": job.name})

    assert [] == list(policy.bindings)
    with pytest.raises(exceptions.NotFound):
        google.jobs.get_iam_policy(request={"resource": f"{PARENT}/jobs/absent"})
    assert PROJECT in job.name
