"""Cloud Run behind `ports.Jobs`: jobs, executions, tasks.

Long-running operations are waited for only where a job is made or deleted, never for an
execution: its operation ends without an error when it was cancelled, and Google's own
waiting gives up after 900 seconds while the job goes on.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from jobs.errors import Invalid, NoAnswer, NotFound
from jobs.gcp.clients import CALL_S, SLOW_CALL_S, Clients
from jobs.gcp.messages import from_json, seconds
from jobs.lifecycle import Condition, Execution, Job, Task
from jobs.names import ExecutionName, JobName
from jobs.spec import JobSpec

#: How long Cloud Run may take to make a job, or to delete one.
MADE_S = 120.0


class GoogleJobs:
    """Jobs of Cloud Run."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the clients are made by the first call."""
        self._clients = clients
        self._made: tuple[Any, Any, Any] | None = None

    def _three(self) -> tuple[Any, Any, Any]:
        if self._made is None:
            with self._clients.translated("loading Cloud Run's client"):
                from google.cloud import run_v2  # noqa: PLC0415
                from google.cloud.run_v2.services.executions.transports import (  # noqa: PLC0415
                    ExecutionsGrpcTransport,
                )
                from google.cloud.run_v2.services.jobs.transports import (  # noqa: PLC0415
                    JobsGrpcTransport,
                )
                from google.cloud.run_v2.services.tasks.transports import (  # noqa: PLC0415
                    TasksGrpcTransport,
                )

                self._types = run_v2
                made = self._clients.gapic
                self._made = (
                    made(run_v2.JobsClient, JobsGrpcTransport),
                    made(run_v2.ExecutionsClient, ExecutionsGrpcTransport),
                    made(run_v2.TasksClient, TasksGrpcTransport),
                )
        return self._made

    def create(self, spec: JobSpec) -> Job:
        """Create, and wait until the job is ready."""
        jobs, _, _ = self._three()
        call = f"creating job {spec.name.job}"
        request = self._types.CreateJobRequest(
            parent=spec.name.parent,
            job_id=spec.name.job,
            job=from_json(self._types.Job, spec.body),
        )
        operation = self._clients.asking(
            call, jobs.create_job, request=request, timeout=SLOW_CALL_S
        )
        made = self._result(call, operation)
        return _job(self._types.Job.deserialize(made.value))

    def update(self, spec: JobSpec) -> Job:
        """Make it so, new or not."""
        jobs, _, _ = self._three()
        call = f"updating job {spec.name.job}"
        job = from_json(self._types.Job, {**spec.body, "name": str(spec.name)})
        request = self._types.UpdateJobRequest(job=job, allow_missing=True)
        operation = self._clients.asking(
            call, jobs.update_job, request=request, timeout=SLOW_CALL_S
        )
        made = self._result(call, operation)
        return _job(self._types.Job.deserialize(made.value))

    def get(self, name: JobName) -> Job:
        """Read a job."""
        jobs, _, _ = self._three()
        request = self._types.GetJobRequest(name=str(name))
        return _job(
            self._clients.asking(
                f"reading job {name.job}", jobs.get_job, request=request
            )
        )

    def list(self, parent: str) -> Sequence[Job]:
        """Read the jobs of a location."""
        jobs, _, _ = self._three()
        with self._clients.translated("listing jobs"):
            request = self._types.ListJobsRequest(parent=parent, page_size=100)
            found = self._clients.asking(
                "listing jobs", jobs.list_jobs, request=request
            )
            return [_job(job) for job in found]

    def run(self, name: JobName) -> Execution:
        """Start; the operation's metadata is the execution already."""
        jobs, _, _ = self._three()
        operation = self._clients.asking(
            f"starting job {name.job}",
            jobs.run_job,
            request=self._types.RunJobRequest(name=str(name)),
            timeout=SLOW_CALL_S,
        )
        return _execution(operation.metadata)

    def delete(self, name: JobName) -> None:
        """Delete, and wait until it is gone."""
        jobs, _, _ = self._three()
        call = f"deleting job {name.job}"
        with contextlib.suppress(NotFound):
            operation = self._clients.asking(
                call,
                jobs.delete_job,
                request=self._types.DeleteJobRequest(name=str(name)),
                timeout=SLOW_CALL_S,
            )
            self._result(call, operation)

    def executions(self, name: JobName) -> Sequence[Execution]:
        """Read the executions of a job."""
        _, executions, _ = self._three()
        call = f"listing executions of {name.job}"
        with self._clients.translated(call):
            request = self._types.ListExecutionsRequest(parent=str(name), page_size=100)
            found = self._clients.asking(
                call, executions.list_executions, request=request
            )
            return [_execution(execution) for execution in found]

    def execution(self, name: ExecutionName) -> Execution:
        """Read one execution."""
        _, executions, _ = self._three()
        found = self._clients.asking(
            f"reading execution {name.execution}",
            executions.get_execution,
            request=self._types.GetExecutionRequest(name=str(name)),
            timeout=CALL_S,
        )
        return _execution(found)

    def cancel(self, name: ExecutionName) -> None:
        """Ask it to stop."""
        _, executions, _ = self._three()
        # Invalid: it has ended. NotFound: it went with its job.
        with contextlib.suppress(NotFound, Invalid):
            self._clients.asking(
                f"cancelling execution {name.execution}",
                executions.cancel_execution,
                request=self._types.CancelExecutionRequest(name=str(name)),
            )

    def tasks(self, name: ExecutionName) -> Sequence[Task]:
        """Read the tasks."""
        _, _, tasks = self._three()
        call = f"listing tasks of {name.execution}"
        with self._clients.translated(call):
            request = self._types.ListTasksRequest(parent=str(name))
            found = self._clients.asking(call, tasks.list_tasks, request=request)
            return [_task(self._types, task) for task in found]

    def _result(self, call: str, operation: Any) -> Any:
        """Wait for an operation: soon at first, never longer than its deadline.

        Not by the library's own waiting: that one has no deadline for a single look.
        """
        from google.api_core.exceptions import from_grpc_status  # noqa: PLC0415

        jobs, _, _ = self._three()
        found, pause = operation.operation, 0.2
        deadline = time.monotonic() + MADE_S
        while not found.done:
            if time.monotonic() > deadline:
                raise NoAnswer(call=call, reason=f"not done within {MADE_S:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 3.0)
            request = {"name": found.name}
            found = self._clients.asking(call, jobs.get_operation, request=request)
        with self._clients.translated(call):
            if found.HasField("error"):
                code, message = found.error.code, found.error.message
                raise from_grpc_status(code, message)  # type: ignore[no-untyped-call]
        return found.response


def _conditions(found: Any) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            kind=c.type_,
            state=c.state.name.removeprefix("CONDITION_"),
            reason=_reason(c),
            message=c.message,
        )
        for c in found
    )


def _reason(condition: Any) -> str:
    for name in ("execution_reason", "reason", "revision_reason"):
        if name in condition and (value := getattr(condition, name)):
            return str(value.name)
    return ""


def _job(found: Any) -> Job:
    containers = found.template.template.containers
    conditions = [*found.conditions, found.terminal_condition]
    return Job(
        name=found.name,
        labels=dict(found.labels),
        created=seconds(found.create_time) or 0.0,
        image=containers[0].image if containers else "",
        latest_execution=found.latest_created_execution.name,
        ready=found.terminal_condition.state.name == "CONDITION_SUCCEEDED",
        conditions=_conditions([c for c in conditions if c.type_]),
        etag=found.etag,
        annotations=dict(found.annotations),
    )


def _execution(found: Any) -> Execution:
    return Execution(
        name=found.name,
        created=seconds(found.create_time) or 0.0,
        task_count=found.task_count or 1,
        running=found.running_count,
        succeeded=found.succeeded_count,
        failed=found.failed_count,
        cancelled=found.cancelled_count,
        retried=found.retried_count,
        started=seconds(found.start_time),
        completed=seconds(found.completion_time),
        conditions=_conditions(found.conditions),
        labels=dict(found.labels),
        log_url=found.log_uri,
    )


def _task(types: Any, found: Any) -> Task:
    if "last_attempt_result" not in found:
        return Task(found.index)
    pb = types.TaskAttemptResult.pb(found.last_attempt_result)
    signal = int(getattr(pb, "term_signal", 0)) or None
    failed = bool(pb.status.code) or bool(pb.status.message)
    # Proto 3 does not tell a zero from nothing: with a status of its own and no exit code
    # the attempt was ended by the platform.
    ended = None if signal or (failed and not pb.exit_code) else int(pb.exit_code)
    return Task(found.index, ended, signal, pb.status.message)
