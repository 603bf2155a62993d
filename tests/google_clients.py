"""Google's own clients, pointed at an emulator, with what its tests do again and again.

Asked for through the fixtures ``google`` and ``google_as``. Importing it takes half a
second, so nothing else does.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.cloud import run_v2, secretmanager_v1
from google.cloud.devtools import cloudbuild_v1
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

from tests.fix_emulator import PARENT, PROJECT, REGION, SECONDS, Emulator


class Google:
    """Google's own clients, pointed at an emulator, as somebody if need be."""

    def __init__(self, running: Emulator, principal: str = "") -> None:
        self.emulator, self.principal = running, principal
        self._channel = grpc.intercept_channel(
            grpc.insecure_channel(running.address), _Patient()
        )
        if principal:
            self._channel = grpc.intercept_channel(self._channel, _Named(principal))
        self.jobs = self.client(run_v2.JobsClient)
        self.executions = self.client(run_v2.ExecutionsClient)
        self.tasks = self.client(run_v2.TasksClient)
        self.builds = self.client(cloudbuild_v1.CloudBuildClient)
        self.logs = self.client(LoggingServiceV2Client)
        self.secrets = self.client(secretmanager_v1.SecretManagerServiceClient)

    def client(self, kind: Any) -> Any:
        """Make a client of any of Google's libraries."""
        transport = kind.get_transport_class("grpc")
        return kind(transport=transport(channel=self._channel))

    def image(self, *argv: str, **more: Any) -> str:
        """Put an image into the registry that starts this; give its reference."""
        name = f"{REGION}-docker.pkg.dev/{PROJECT}/images/{new_name('i')}:1"
        self.emulator.data(images={name: {"entrypoint": list(argv), **more}})
        return name

    def python(self, source: str) -> str:
        """Put an image into the registry that runs a piece of Python."""
        return self.image("python", "-u", "-c", source)

    def job(self, image: str, retries: int | None = 0, **task: Any) -> Any:
        """Make a job of one container; ``container`` adds to it."""
        container = run_v2.Container(image=image, **task.pop("container", {}))
        template = run_v2.TaskTemplate(containers=[container], **task)
        if retries is not None:
            template.max_retries = retries
        job = run_v2.Job(template=run_v2.ExecutionTemplate(template=template))
        return self.jobs.create_job(
            parent=PARENT, job=job, job_id=new_name("j")
        ).result(timeout=10)

    def run(self, job: Any) -> Any:
        """Run a job to its end; give the execution, whatever became of it."""
        operation = self.jobs.run_job(name=job.name, timeout=5)
        return self.ended(operation.metadata.name)

    def ended(self, execution: str) -> Any:
        """Wait until an execution has completed."""
        return until(
            lambda: self.executions.get_execution(name=execution, timeout=5),
            lambda found: found.completion_time is not None,
            self.emulator.seconds,
        )

    def attempt(self, execution: Any) -> Any:
        """The last attempt of an execution's first task."""
        return next(
            iter(self.tasks.list_tasks(parent=execution.name))
        ).last_attempt_result

    def entries(self, wanted: str) -> list[Any]:
        """The entries that a filter selects."""
        pages = self.logs.list_log_entries(
            resource_names=[f"projects/{PROJECT}"], filter=wanted
        )
        return list(pages)

    def lines(self, execution: Any) -> list[str]:
        """What an execution wrote to stdout, as text."""
        short = execution.name.rsplit("/", 1)[1]
        found = self.entries(
            f'labels."run.googleapis.com/execution_name"="{short}" logName:stdout'
        )
        return [entry.text_payload for entry in found]

    def build(self, *steps: Any, **more: Any) -> Any:
        """Run a build to its end; give it, whatever became of it."""
        asked = cloudbuild_v1.Build(steps=list(steps), **more)
        request = {"parent": PARENT, "project_id": PROJECT, "build": asked}
        operation = self.builds.create_build(request=request)
        return self.built(operation.metadata.build.name)

    def built(self, name: str) -> Any:
        """Wait until a build has finished."""
        return until(
            lambda: self.builds.get_build(request={"name": name}),
            lambda found: found.finish_time is not None,
            self.emulator.seconds,
        )

    def build_log(self, build: Any) -> list[str]:
        """The log of a build."""
        found = self.entries(
            f'resource.type="build" AND resource.labels.build_id="{build.id}"'
        )
        return [entry.text_payload for entry in found]

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class _Patient(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Gives every call a deadline: those without one are the orchestrator's, and wrong."""

    def intercept_unary_unary(self, go_on, details, request):
        timeout = min(details.timeout or SECONDS, SECONDS)
        return go_on(details._replace(timeout=timeout), request)


class _Named(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """Says on every call who is asking."""

    def __init__(self, principal: str) -> None:
        self._added = ("x-emulator-principal", principal)

    def _details(self, details: Any) -> Any:
        named = [*(details.metadata or ()), self._added]
        return details._replace(metadata=named)

    def intercept_unary_unary(self, go_on, details, request):
        return go_on(self._details(details), request)

    def intercept_stream_stream(self, go_on, details, requests):
        return go_on(self._details(details), requests)


def until(
    ask: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = SECONDS
) -> Any:
    """Ask until it holds, less often the longer it takes; fail when it does not in time."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while time.monotonic() < deadline:
        found = ask()
        if holds(found):
            return found
        time.sleep(pause)
        pause = min(1.3 * pause, 0.1)
    pytest.fail("it did not come about in time")


def new_name(kind: str) -> str:
    """A name that no other test has."""
    return f"{kind}-{uuid.uuid4().hex[:10]}"
