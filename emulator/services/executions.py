"""Cloud Run v2: executions and tasks, once a job has been run."""

import threading
import time

from google.cloud.run_v2 import types
from google.longrunning.operations_pb2 import Operation

from emulator.calls import Call, paged
from emulator.moments import new_uuid, now
from emulator.problem import Problem, failed_precondition, not_found
from emulator.world import World

_TICK = 0.02


def missing(name: str, kind: str) -> Problem:
    """Cloud Run's sentence for what is not there."""
    return not_found(f"Resource '{name.rsplit('/', 1)[1]}' of kind '{kind}' in region "
                     f"'{name.split('/')[3]}' in project '{name.split('/')[1]}' "
                     "does not exist.")  # fmt: skip


def operation_name(resource: str) -> str:
    """A new name for an operation on a resource."""
    parts = resource.split("/")
    return f"projects/{parts[1]}/locations/{parts[3]}/operations/{new_uuid()}"


class Executions:
    """google.cloud.run.v2.Executions."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_execution(
        self, request: types.GetExecutionRequest, _call: Call
    ) -> types.Execution:
        """One execution."""
        with self._world.lock:
            execution = self._world.executions.get(request.name)
        if execution is None or self._stale(execution):
            raise missing(request.name, "EXECUTION")
        return execution

    def _stale(self, execution: types.Execution) -> bool:
        """Tell whether a fault still hides a young execution."""
        facts = {"job": execution.job, "execution": execution.name.rsplit("/", 1)[1]}
        fault = self._world.faults.first("execution", "stale", **facts)
        age = (now() - execution.create_time).total_seconds()
        return fault is not None and age < fault.seconds(1)

    def list_executions(
        self, request: types.ListExecutionsRequest, _call: Call
    ) -> types.ListExecutionsResponse:
        """The executions of a job, or of all jobs (``jobs/-``), newest first."""
        every = request.parent.endswith("/jobs/-")
        prefix = request.parent.removesuffix("-") if every else f"{request.parent}/"
        with self._world.lock:
            found = [
                execution
                for name, execution in self._world.executions.items()
                if name.startswith(prefix)
            ]
        found = [
            execution for execution in reversed(found) if not self._stale(execution)
        ]
        page, token = paged(found, request.page_size, request.page_token)
        return types.ListExecutionsResponse(executions=page, next_page_token=token)

    def cancel_execution(
        self, request: types.CancelExecutionRequest, call: Call
    ) -> Operation:
        """Ask an execution to stop."""
        get = types.GetExecutionRequest(name=request.name)
        execution = self.get_execution(get, call)
        if execution.completion_time:
            raise failed_precondition("The execution has already completed.")
        operation = self._world.operations.start(
            operation_name(request.name), execution
        )
        stop = self._world.stoppers.get(request.name)
        if stop is not None:
            stop()
        waiting = threading.Thread(
            target=self._finish_with, args=(execution, operation.name), daemon=True
        )
        waiting.start()
        return operation

    def _finish_with(self, execution: types.Execution, operation: str) -> None:
        """End a cancellation's operation when the execution has ended."""
        while not execution.completion_time:
            time.sleep(_TICK)
        self._world.operations.finish(operation, execution)

    def delete_execution(
        self, request: types.DeleteExecutionRequest, call: Call
    ) -> Operation:
        """Delete an execution, stopping it first."""
        get = types.GetExecutionRequest(name=request.name)
        execution = self.get_execution(get, call)
        operation = self._world.operations.start(
            operation_name(request.name), execution
        )
        forget(self._world, request.name)
        return self._world.operations.finish(operation.name, execution)


def forget(world: World, execution: str) -> None:
    """Stop and remove an execution with its tasks."""
    stop = world.stoppers.get(execution)
    if stop is not None:
        stop()
    with world.lock:
        world.executions.pop(execution, None)
        for name in [n for n in world.tasks if n.startswith(f"{execution}/")]:
            del world.tasks[name]


class Tasks:
    """google.cloud.run.v2.Tasks."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_task(self, request: types.GetTaskRequest, _call: Call) -> types.Task:
        """One task."""
        with self._world.lock:
            task = self._world.tasks.get(request.name)
        if task is None:
            raise missing(request.name, "TASK")
        return task

    def list_tasks(
        self, request: types.ListTasksRequest, _call: Call
    ) -> types.ListTasksResponse:
        """The tasks of an execution, by index."""
        prefix = f"{request.parent}/tasks/"
        with self._world.lock:
            found = [t for n, t in self._world.tasks.items() if n.startswith(prefix)]
        found.sort(key=lambda task: task.index)
        page, token = paged(found, request.page_size, request.page_token)
        return types.ListTasksResponse(tasks=page, next_page_token=token)
