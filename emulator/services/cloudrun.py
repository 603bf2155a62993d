"""Cloud Run v2: jobs.

The rules of a job are in `jobspec`, its run is in `executions`.
"""

import threading
from typing import Any

from google.cloud.run_v2 import types
from google.longrunning.operations_pb2 import Operation

from emulator import jobspec
from emulator.calls import Call, paged
from emulator.executions import ExecutionRun, condition, secret_refusal
from emulator.faults import Fault
from emulator.moments import new_uuid, now, short_id
from emulator.policy import PERMISSIONS
from emulator.problem import Code, Problem, exists, failed_precondition, not_found
from emulator.services.executions import forget, missing, operation_name
from emulator.services.lookups import Policies
from emulator.world import World

# An enum of proto-plus is an int to the type checker.
_STATE: Any = types.Condition.State
_COMMON: Any = types.Condition.CommonReason


class Jobs(Policies):
    """google.cloud.run.v2.Jobs."""

    def __init__(self, world: World) -> None:
        super().__init__(world)

    def _require(self, resource: str) -> None:
        if resource not in self._world.jobs:
            raise missing(resource, "JOB")

    def create_job(self, request: types.CreateJobRequest, call: Call) -> Operation:
        """Keep a job, and check what it needs."""
        jobspec.check_name(request.job_id)
        name = f"{request.parent}/jobs/{request.job_id}"
        if name in self._world.jobs:
            raise exists(f"Resource '{request.job_id}' already exists.")
        job = request.job
        job.name = name
        self._accept(job, call)
        job.uid, job.generation, job.creator = new_uuid(), 1, call.principal
        job.create_time = job.update_time = now()
        if request.validate_only:
            operation = self._world.operations.start(operation_name(name), job)
            return self._world.operations.finish(operation.name, job)
        return self._settle(job)

    def update_job(self, request: types.UpdateJobRequest, call: Call) -> Operation:
        """Replace a job as a whole; there is no update mask for jobs."""
        job = request.job
        with self._world.lock:
            old = self._world.jobs.get(job.name)
        if old is None and not request.allow_missing:
            raise missing(job.name, "JOB")
        if old is None:
            jobspec.check_name(job.name.rsplit("/", 1)[1])
        self._accept(job, call)
        job.uid = old.uid if old else new_uuid()
        job.creator = old.creator if old else call.principal
        job.create_time = old.create_time if old else now()
        job.generation = old.generation + 1 if old else 1
        job.execution_count = old.execution_count if old else 0
        if old and old.latest_created_execution.name:
            job.latest_created_execution = old.latest_created_execution
        job.update_time = now()
        return self._settle(job)

    def _accept(self, job: types.Job, call: Call) -> None:
        jobspec.check_job(job)
        jobspec.fill(job)
        account = job.template.template.service_account
        call.require_act_as(account or self._world.default_account())

    def _settle(self, job: types.Job) -> Operation:
        """Keep the job; it becomes ready, or the operation says why it does not."""
        job.etag = f'"{new_uuid()}"'
        job.observed_generation = job.generation
        job.reconciling = True
        facts = {"job": job.name.rsplit("/", 1)[1]}
        with self._world.lock:
            self._world.jobs[job.name] = job
        operation = self._world.operations.start(operation_name(job.name), job)
        slow = self._world.faults.first("job", "slow", **facts)
        if slow is None:
            return self._finish(job, operation.name)
        timer = threading.Timer(slow.seconds(1), self._finish, [job, operation.name])
        timer.daemon = True
        timer.start()
        return operation

    def _finish(self, job: types.Job, operation: str) -> Operation:
        short = job.name.rsplit("/", 1)[1]
        fault = self._world.faults.first("job", "not_ready", job=short)
        refusal = self._unready(job, fault)
        with self._world.lock:
            job.reconciling = False
            if refusal is None:
                job.terminal_condition = condition("Ready", _STATE.CONDITION_SUCCEEDED)
            else:
                reason, problem = refusal
                job.terminal_condition = condition(
                    "Ready", _STATE.CONDITION_FAILED, problem.message, reason=reason
                )
        self._world.happened("job.created", job=short)
        if refusal is not None:
            code, message = refusal[1].code, refusal[1].message
            return self._world.operations.fail(operation, code, message)
        return self._world.operations.finish(operation, job)

    def _unready(
        self, job: types.Job, fault: Fault | None
    ) -> tuple[Any, Problem] | None:
        """What the job names and does not exist, or may not be read."""
        task = job.template.template
        if fault is not None:
            code = Code[fault.text("code", "INTERNAL")]
            return _COMMON.UNKNOWN, Problem(code, fault.text("message", "Not ready."))
        connector = task.vpc_access.connector
        if connector:
            whole = self._connector_name(job.name, connector)
            if whole not in self._world.connectors:
                message = f"Resource '{whole}' was not found"
                return _COMMON.VPC_NETWORK_NOT_FOUND, not_found(message)
        for interface in task.vpc_access.network_interfaces:
            problem = self._subnetwork_problem(job.name, interface)
            if problem is not None:
                return _COMMON.VPC_NETWORK_NOT_FOUND, problem
        account = task.service_account or self._world.default_account()
        for secret in jobspec.secret_names(job, job.name.split("/")[1]):
            problem = self._secret_problem(secret, account)
            if problem is not None:
                return _COMMON.SECRETS_ACCESS_CHECK_FAILED, problem
        for container in task.containers:
            if self._world.registry.find(container.image) is None:
                message = f"Image '{container.image}' not found."
                return _COMMON.CONTAINER_MISSING, not_found(message)
        return None

    def _secret_problem(self, secret: str, account: str) -> Problem | None:
        permission = PERMISSIONS["SecretManagerService.AccessSecretVersion"]
        if not self._world.policy.allows(account, permission, secret):
            refused = secret_refusal(secret, account)
            return Problem(Code.PERMISSION_DENIED, refused)
        try:
            self._world.secrets.access(secret)
        except Problem as problem:
            return problem
        return None

    @staticmethod
    def _connector_name(job: str, given: str) -> str:
        if given.startswith("projects/"):
            return given
        return f"{job.partition('/jobs/')[0]}/connectors/{given}"

    def _subnetwork_problem(self, job: str, interface: Any) -> Problem | None:
        _, project, _, region = job.split("/")[:4]
        if interface.subnetwork:
            short = interface.subnetwork.rsplit("/", 1)[-1]
            whole = f"projects/{project}/regions/{region}/subnetworks/{short}"
            if whole not in self._world.subnetworks:
                return not_found(f"VPC subnetwork '{interface.subnetwork}' not found.")
            return None
        network = interface.network.rsplit("/", 1)[-1]
        if network and network not in self._world.networks:
            return not_found(f"VPC network '{interface.network}' not found.")
        return None

    def get_job(self, request: types.GetJobRequest, _call: Call) -> types.Job:
        """One job."""
        with self._world.lock:
            job = self._world.jobs.get(request.name)
        if job is None:
            raise missing(request.name, "JOB")
        return job

    def list_jobs(
        self, request: types.ListJobsRequest, _call: Call
    ) -> types.ListJobsResponse:
        """The jobs of a location, newest first."""
        with self._world.lock:
            jobs = [
                job
                for name, job in self._world.jobs.items()
                if name.startswith(f"{request.parent}/jobs/")
            ]
        jobs.reverse()
        page, token = paged(jobs, request.page_size, request.page_token)
        return types.ListJobsResponse(jobs=page, next_page_token=token)

    def delete_job(self, request: types.DeleteJobRequest, call: Call) -> Operation:
        """Delete a job; its executions are stopped and go with it."""
        job = self.get_job(types.GetJobRequest(name=request.name), call)
        jobspec.refuse_etag(request.etag, job.etag)
        operation = self._world.operations.start(operation_name(request.name), job)
        if request.validate_only:
            return self._world.operations.finish(operation.name, job)
        with self._world.lock:
            job.delete_time = now()
            del self._world.jobs[request.name]
            mine = [
                name
                for name in self._world.executions
                if name.startswith(f"{request.name}/executions/")
            ]
        for name in mine:
            forget(self._world, name)
        return self._world.operations.finish(operation.name, job)

    def run_job(self, request: types.RunJobRequest, call: Call) -> Operation:
        """Start an execution."""
        job = self.get_job(types.GetJobRequest(name=request.name), call)
        jobspec.refuse_etag(request.etag, job.etag)
        if job.terminal_condition.state != _STATE.CONDITION_SUCCEEDED:
            why = job.terminal_condition.message or "it is still being reconciled"
            raise failed_precondition(f"Job {request.name} is not ready: {why}")
        short = job.name.rsplit("/", 1)[1]
        name = f"{job.name}/executions/{short[:57]}-{short_id()}"
        execution = self._execution(job, name, request.overrides, call)
        operation = self._world.operations.start(operation_name(name), execution)
        if request.validate_only:
            return self._world.operations.finish(operation.name, execution)
        with self._world.lock:
            self._world.executions[name] = execution
            self._world.started.append(name)
            job.execution_count += 1
            job.latest_created_execution = types.ExecutionReference(
                name=execution.name.rsplit("/", 1)[1],
                create_time=execution.create_time,
                completion_status=3,
            )
        ExecutionRun(self._world, execution, operation.name).start()
        return operation

    @staticmethod
    def _execution(
        job: types.Job,
        name: str,
        overrides: types.RunJobRequest.Overrides,
        call: Call,
    ) -> types.Execution:
        template = types.TaskTemplate(job.template.template)
        for change in overrides.container_overrides:
            container = template.containers[0]
            if change.args or change.clear_args:
                container.args = list(change.args)
            mine = {v.name for v in change.env}
            kept = [v for v in container.env if v.name not in mine]
            container.env = [*kept, *change.env]
        if overrides.timeout:
            template.timeout = overrides.timeout
        short = job.name.rsplit("/", 1)[1]
        return types.Execution(
            name=name,
            uid=new_uuid(),
            generation=1,
            observed_generation=1,
            creator=call.principal,
            labels={**dict(job.labels), **dict(job.template.labels)},
            annotations=dict(job.template.annotations),
            create_time=now(),
            update_time=now(),
            job=short,
            parallelism=job.template.parallelism,
            task_count=overrides.task_count or job.template.task_count,
            template=template,
            reconciling=True,
            etag=f'"{new_uuid()}"',
            log_uri="https://console.cloud.google.com/logs/viewer?advancedFilter="
            f'resource.type%3D"cloud_run_job"%0Aresource.labels.job_name%3D"{short}"',
            conditions=[
                condition("Completed", _STATE.CONDITION_RECONCILING),
                condition("Started", _STATE.CONDITION_PENDING),
            ],
        )
