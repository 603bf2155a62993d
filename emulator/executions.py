"""A run of a job: tasks as real processes, attempts, counts, conditions, the operation.

Started by the Jobs service, cancelled by the Executions service. Each execution has a
thread; each task has one while it runs. Messages are changed under the world's lock.
"""

import threading
from typing import Any

from google.cloud.run_v2.types import (
    Condition,
    Execution,
    ExecutionReference,
    Task,
    TaskAttemptResult,
)
from google.rpc.status_pb2 import Status

from emulator import jobspec
from emulator.limits import memory_of
from emulator.logs import Line
from emulator.moments import new_uuid, now
from emulator.policy import PERMISSIONS
from emulator.problem import Code, Problem
from emulator.processes import CannotStart, Ending, Running
from emulator.tasklog import Listener, TaskLog
from emulator.world import World

# An enum of proto-plus is an int to the type checker.
_STATE: Any = Condition.State
_WHY: Any = Condition.ExecutionReason
_KILL = 9
#: Nobody knows here how much was used beyond the limit.
_OUT_OF_MEMORY = (
    "Memory limit of {mebibytes} MiB exceeded with {mebibytes} MiB used. Consider "
    "increasing the memory limit, see "
    "https://cloud.google.com/run/docs/configuring/memory-limits"
)
_NO_IMAGE = "Image '{image}' not found."


class _Refused(Exception):
    """The task cannot start: the message is the status of its attempt."""


def condition(kind: str, state: int, message: str = "", **why: object) -> Condition:
    """One condition of a resource."""
    return Condition(
        type_=kind, state=state, message=message, last_transition_time=now(), **why
    )


class ExecutionRun:
    """One execution while it runs."""

    def __init__(self, world: World, execution: Execution, operation: str) -> None:
        self.world, self.execution, self._operation = world, execution, operation
        self._cancelled = threading.Event()
        self._running: set[Running] = set()
        self.finished = threading.Event()
        parts = execution.name.split("/")
        self._project, self._job, self._short = parts[1], parts[5], parts[7]
        self._template = execution.template
        self._log = TaskLog(world.logs, execution.name)
        self._facts = {"job": self._job, "execution": self._short}

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self.world.stoppers[self.execution.name] = self.cancel
        threading.Thread(target=self._run, name=self._short, daemon=True).start()

    def cancel(self) -> None:
        """Stop what runs and start nothing more. Returns at once."""
        self._cancelled.set()
        with self.world.lock:
            running = list(self._running)
        for process in running:
            process.stop()

    # --- the story --------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self._ready():
                self._run_tasks()
            self._end()
        finally:
            self.world.logs.flush(self._short)
            self.world.stoppers.pop(self.execution.name, None)
            self.finished.set()

    def _ready(self) -> bool:
        """Wait for the start; false when it never comes."""
        late = self.world.faults.first("execution", "start_late", **self._facts)
        if late is not None:
            self._cancelled.wait(late.seconds(1))
        if self.world.faults.first("execution", "never_start", **self._facts):
            self._cancelled.wait()
        if self._cancelled.is_set():
            return False
        with self.world.lock:
            self.execution.start_time = now()
            self._say("ResourcesAvailable", _STATE.CONDITION_SUCCEEDED)
            self._say("Started", _STATE.CONDITION_SUCCEEDED)
        return True

    def _run_tasks(self) -> None:
        count = self.execution.task_count
        gate = threading.Semaphore(self.execution.parallelism or count)
        threads = []
        for index in range(count):
            gate.acquire()
            if self._cancelled.is_set():
                break
            thread = threading.Thread(
                target=self._run_task, args=(index, gate), daemon=True
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _run_task(self, index: int, gate: threading.Semaphore) -> None:
        task = self._new_task(index)
        try:
            with self.world.lock:
                self.execution.running_count += 1
            for attempt in range(self._template.max_retries + 1):
                result = self._attempt(index, attempt)
                done = result.status.code == 0 or self._cancelled.is_set()
                with self.world.lock:
                    task.last_attempt_result = result
                    if done or attempt == self._template.max_retries:
                        break
                    task.retried = attempt + 1
                    self.execution.retried_count += 1
            self._close_task(task)
        finally:
            gate.release()

    def _new_task(self, index: int) -> Task:
        name = f"{self.execution.name}/tasks/{self._short}-task{index}"
        template = self._template
        task = Task(
            name=name,
            uid=new_uuid(),
            job=self._job,
            execution=self._short,
            create_time=now(),
            scheduled_time=now(),
            start_time=now(),
            containers=template.containers,
            volumes=template.volumes,
            max_retries=template.max_retries,
            timeout=template.timeout,
            service_account=template.service_account,
            vpc_access=template.vpc_access,
            index=index,
            labels=dict(self.execution.labels),
            conditions=[condition("Started", _STATE.CONDITION_SUCCEEDED)],
        )
        with self.world.lock:
            self.world.tasks[name] = task
        return task

    def _close_task(self, task: Task) -> None:
        succeeded = task.last_attempt_result.status.code == 0
        with self.world.lock:
            task.completion_time = now()
            self.execution.running_count -= 1
            state = _STATE.CONDITION_SUCCEEDED
            if not succeeded:
                state = _STATE.CONDITION_FAILED
            task.conditions.append(
                condition("Completed", state, task.last_attempt_result.status.message)
            )
            if succeeded:
                self.execution.succeeded_count += 1
            elif self._cancelled.is_set():
                self.execution.cancelled_count += 1
            else:
                self.execution.failed_count += 1

    # --- one attempt ------------------------------------------------------------------

    def _attempt(self, index: int, attempt: int) -> TaskAttemptResult:
        source = Line(self._job, self._short, index, attempt)
        listener = Listener(self._log, source)
        try:
            process = self._start_process(index, attempt, listener)
        except _Refused as refusal:
            self._log.platform(source, str(refusal), "ERROR")
            return _result(Code.FAILED_PRECONDITION, str(refusal))
        except CannotStart as error:
            message = f"failed to start the container: {error}"
            self._log.platform(source, message, "ERROR")
            return _result(Code.INTERNAL, message)
        with self.world.lock:
            self._running.add(process)
        if self._cancelled.is_set():
            process.stop()
        listener.attach(process, self.world.faults.strike(
            "task", task=index, attempt=attempt, **self._facts
        ))  # fmt: skip
        ending = process.wait(self._template.timeout.total_seconds())
        with self.world.lock:
            self._running.discard(process)
        return self._judge(source, ending)

    def _judge(self, source: Line, ending: Ending) -> TaskAttemptResult:
        if ending.timed_out:
            message = "The configured timeout was reached."
            self._log.platform(source, f"Terminating task because it has reached the "
                           f"maximum timeout of {self._template.timeout.total_seconds():g} "
                           "seconds.", "ERROR")  # fmt: skip
            return _result(Code.DEADLINE_EXCEEDED, message)
        if ending.stopped and self._cancelled.is_set():
            return _result(
                Code.CANCELLED, "The execution was cancelled.", signal=ending.signal
            )
        if ending.out_of_memory:
            return self._out_of_memory(source)
        if ending.exit_code == 0:
            self._log.platform(source, "Container called exit(0).", "INFO")
            return TaskAttemptResult(exit_code=0)
        if ending.signal:
            message = f"The container was terminated by signal {ending.signal}."
            self._log.platform(
                source, f"Container terminated on signal {ending.signal}.", "ERROR"
            )
        else:
            message = "The container exited with an error."
            self._log.platform(
                source, f"Container called exit({ending.exit_code}).", "WARNING"
            )
        return _result(
            Code.UNKNOWN, message, exit_code=ending.exit_code, signal=ending.signal
        )

    def _out_of_memory(self, source: Line) -> TaskAttemptResult:
        limit = dict(self._template.containers[0].resources.limits)["memory"]
        told = _OUT_OF_MEMORY.format(mebibytes=memory_of(limit) >> 20)
        self._log.platform(source, told, "ERROR")
        return _result(Code.UNKNOWN, told, exit_code=137, signal=_KILL)

    def _start_process(self, index: int, attempt: int, listener: Listener) -> Running:
        container = self._template.containers[0]
        image = self.world.registry.find(container.image)
        pull = self.world.faults.first("execution", "image_pull_failure", **self._facts)
        if image is None or pull is not None:
            raise _Refused(_NO_IMAGE.format(image=container.image))
        environment = self._environment(index, attempt)
        name = f"{self._short}-{index}-{attempt}"
        return self.world.mode.start_task(self._template, environment, name, listener)

    def _environment(self, index: int, attempt: int) -> dict[str, str]:
        account = self._template.service_account or self.world.default_account()
        found = {"GCE_METADATA_HOST": f"{self.world.addresses.rest}/as/{account}"}
        for variable in self._template.containers[0].env:
            reference = variable.value_source.secret_key_ref
            if not reference.secret:
                found[variable.name] = variable.value
                continue
            name = jobspec.secret_name(
                self._project, reference.secret, reference.version
            )
            found[variable.name] = self._secret(name, account)
        return found | {
            "CLOUD_RUN_JOB": self._job,
            "CLOUD_RUN_EXECUTION": self._short,
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            "CLOUD_RUN_TASK_COUNT": str(self.execution.task_count),
        }

    def _secret(self, name: str, account: str) -> str:
        permission = PERMISSIONS["SecretManagerService.AccessSecretVersion"]
        if not self.world.policy.allows(account, permission, name):
            raise _Refused(secret_refusal(name, account))
        try:
            return self.world.secrets.access(name)[1].decode("utf-8")
        except Problem as problem:
            raise _Refused(problem.message) from problem

    # --- what is told -----------------------------------------------------------------

    def _say(self, kind: str, state: int, message: str = "", **why: object) -> None:
        others = [c for c in self.execution.conditions if c.type_ != kind]
        self.execution.conditions = [*others, condition(kind, state, message, **why)]
        self.execution.update_time = now()

    # --- the end ----------------------------------------------------------------------

    def _end(self) -> None:
        spurious = self.world.faults.first("execution", "report_failed", **self._facts)
        with self.world.lock:
            execution = self.execution
            if self._cancelled.is_set():
                whole = execution.succeeded_count + execution.failed_count
                execution.cancelled_count = execution.task_count - whole
            if spurious is not None and execution.succeeded_count:
                execution.succeeded_count -= 1
                execution.failed_count += 1
            execution.completion_time = now()
            execution.reconciling = False
            message = self._conclude()
        self._settle_job()
        if message is None:
            # A cancelled execution finishes its operation without an error, too.
            self.world.operations.finish(self._operation, execution)
        else:
            self.world.operations.fail(self._operation, Code.UNKNOWN, message)

    def _conclude(self) -> str | None:
        execution = self.execution
        if execution.cancelled_count:
            self._say("Completed", _STATE.CONDITION_FAILED,
                      "The execution was cancelled.",
                      execution_reason=_WHY.CANCELLED)  # fmt: skip
            return None
        if execution.failed_count:
            message = self._failure()
            self._say("Completed", _STATE.CONDITION_FAILED, message,
                      execution_reason=_WHY.NON_ZERO_EXIT_CODE)  # fmt: skip
            return message
        self._say("Completed", _STATE.CONDITION_SUCCEEDED)
        return None

    def _failure(self) -> str:
        for name, task in self.world.tasks.items():
            mine = name.startswith(f"{self.execution.name}/tasks/")
            if mine and task.last_attempt_result.status.code:
                why = task.last_attempt_result.status.message
                return f"Task {name.rsplit('/', 1)[1]} failed with message: {why}"
        return "The execution failed."

    def _settle_job(self) -> None:
        with self.world.lock:
            name = self.execution.name.partition("/executions/")[0]
            job = self.world.jobs.get(name)
            latest = job.latest_created_execution if job else None
            if latest is not None and latest.name == self._short:
                latest.completion_time = self.execution.completion_time
                latest.completion_status = _completion_status(self.execution)


def _completion_status(execution: Execution) -> Any:
    status = ExecutionReference.CompletionStatus
    if execution.cancelled_count:
        return status.EXECUTION_CANCELLED
    if execution.failed_count:
        return status.EXECUTION_FAILED
    return status.EXECUTION_SUCCEEDED


def secret_refusal(name: str, account: str) -> str:
    """What Cloud Run says when the runtime account may not read a secret."""
    return (
        f"Permission denied on secret: {name} for Revision service account {account}. "
        "The service account used must be granted the 'Secret Manager Secret Accessor' "
        "role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
    )


def _result(
    code: Code, message: str, *, exit_code: int = 0, signal: int = 0
) -> TaskAttemptResult:
    return TaskAttemptResult(
        status=Status(code=int(code), message=message),
        exit_code=exit_code,
        term_signal=signal,
    )
