"""Cloud Build behind `ports.Builds`."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.gcp.clients import SLOW_CALL_S, Clients
from jobs.gcp.messages import from_json, seconds, to_json
from jobs.lifecycle import Build, BuildStatus, Step
from jobs.names import BuildName
from jobs.spec import BuildSpec


class GoogleBuilds:
    """Builds and triggers of one project."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the client is made by the first call."""
        self._clients = clients
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            with self._clients.translated("loading Cloud Build's client"):
                from google.cloud.devtools import cloudbuild_v1  # noqa: PLC0415
                from google.cloud.devtools.cloudbuild_v1.services.cloud_build.transports import (  # noqa: PLC0415
                    CloudBuildGrpcTransport,
                )

                self._types = cloudbuild_v1
                self._made = self._clients.gapic(
                    cloudbuild_v1.CloudBuildClient, CloudBuildGrpcTransport
                )
        return self._made

    def create(self, spec: BuildSpec) -> Build:
        """Submit; the operation's metadata holds the build at once."""
        client = self._client
        operation = self._clients.asking(
            "submitting the build",
            client.create_build,
            request=self._types.CreateBuildRequest(
                parent=spec.parent,
                project_id=spec.project,
                build=from_json(self._types.Build, spec.body),
            ),
            timeout=SLOW_CALL_S,
        )
        return _build(operation.metadata.build)

    def get(self, name: BuildName) -> Build:
        """Read one build."""
        client = self._client
        found = self._clients.asking(
            f"reading build {name.build}",
            client.get_build,
            request=self._types.GetBuildRequest(
                name=str(name), project_id=name.project, id=name.build
            ),
        )
        return _build(found)

    def list(
        self, parent: str, tags: Sequence[str] = (), *, limit: int = 50
    ) -> Sequence[Build]:
        """Read the newest builds with these tags."""
        client = self._client
        request = self._types.ListBuildsRequest(
            parent=parent,
            project_id=parent.split("/")[1],
            filter=" AND ".join(f'tags="{tag}"' for tag in tags),
            page_size=limit,
        )
        with self._clients.translated("listing builds"):
            page = self._clients.asking(
                "listing builds", client.list_builds, request=request
            )
            return [_build(found) for found in page._response.builds]  # noqa: SLF001

    def cancel(self, name: BuildName) -> None:
        """Cancel; Cloud Build refuses to cancel what has ended, which is fine."""
        from jobs.errors import Invalid  # noqa: PLC0415

        client = self._client
        try:
            self._clients.asking(
                f"cancelling build {name.build}",
                client.cancel_build,
                request=self._types.CancelBuildRequest(
                    name=str(name), project_id=name.project, id=name.build
                ),
            )
        except Invalid:
            if self.get(name).active:
                raise

    def approve(self, name: BuildName, *, approved: bool, comment: str = "") -> None:
        """Decide on a build that waits for approval."""
        client = self._client
        decisions = self._types.ApprovalResult.Decision
        decision = decisions.APPROVED if approved else decisions.REJECTED
        self._clients.asking(
            f"deciding on build {name.build}",
            client.approve_build,
            request=self._types.ApproveBuildRequest(
                name=str(name),
                approval_result=self._types.ApprovalResult(
                    decision=decision, comment=comment
                ),
            ),
        )

    def default_service_account(self, parent: str) -> str:
        """Read who builds run as by default."""
        client = self._client
        found = self._clients.asking(
            "reading the default service account of builds",
            client.get_default_service_account,
            request=self._types.GetDefaultServiceAccountRequest(
                name=f"{parent}/defaultServiceAccount"
            ),
        )
        return str(found.service_account_email).rpartition("/")[2]

    def triggers(self, parent: str) -> Sequence[Mapping[str, Any]]:
        """Read the triggers."""
        client = self._client
        request = self._types.ListBuildTriggersRequest(
            parent=parent, project_id=parent.split("/")[1]
        )
        with self._clients.translated("listing triggers"):
            found = self._clients.asking(
                "listing triggers", client.list_build_triggers, request=request
            )
            return [to_json(self._types.BuildTrigger, trigger) for trigger in found]

    def save_trigger(self, parent: str, body: Mapping[str, Any]) -> str:
        """Create, or update the trigger of the same name."""
        client = self._client
        trigger = from_json(self._types.BuildTrigger, body)
        project = parent.split("/")[1]
        for found in self.triggers(parent):
            if found.get("name") == body["name"]:
                trigger.id = str(found["id"])
                trigger.resource_name = f"{parent}/triggers/{trigger.id}"
                request = self._types.UpdateBuildTriggerRequest(
                    project_id=project, trigger_id=trigger.id, trigger=trigger
                )
                saved = self._clients.asking(
                    "updating the trigger", client.update_build_trigger, request=request
                )
                return str(saved.id)
        request = self._types.CreateBuildTriggerRequest(
            parent=parent, project_id=project, trigger=trigger
        )
        saved = self._clients.asking(
            "creating the trigger", client.create_build_trigger, request=request
        )
        return str(saved.id)


def _build(found: Any) -> Build:
    images = found.results.images
    return Build(
        id=found.id,
        status=BuildStatus(found.status.name)
        if found.status.name in BuildStatus.__members__
        else BuildStatus.STATUS_UNKNOWN,
        detail=found.status_detail,
        failure=found.failure_info.detail,
        log_url=found.log_url,
        approval=found.approval.state.name if found.approval else "",
        tags=tuple(found.tags),
        substitutions=dict(found.substitutions),
        steps=tuple(_step(step) for step in found.steps),
        image_digest=images[0].digest if images else "",
        created=seconds(found.create_time),
        started=seconds(found.start_time),
        finished=seconds(found.finish_time),
        trigger_id=found.build_trigger_id,
    )


def _step(step: Any) -> Step:
    begun, ended = seconds(step.timing.start_time), seconds(step.timing.end_time)
    lasted = ended - begun if begun is not None and ended is not None else None
    known = step.status.name in BuildStatus.__members__
    status = BuildStatus(step.status.name) if known else BuildStatus.STATUS_UNKNOWN
    return Step(step.id, status, int(step.exit_code), lasted)
