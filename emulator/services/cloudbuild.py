"""Cloud Build v1: builds, approvals, triggers.

The rules of a build are in `buildspec` and `substitutions`, its run is in `builds`.
"""

import base64
import fnmatch
import re
from pathlib import Path
from typing import Any

from google.cloud.devtools.cloudbuild_v1 import types
from google.longrunning.operations_pb2 import Operation
from google.protobuf import field_mask_pb2
from google.protobuf.empty_pb2 import Empty

from emulator import buildspec
from emulator.builds import BuildRun, finish
from emulator.calls import Call, paged
from emulator.filters import compile_filter
from emulator.moments import new_uuid, now
from emulator.operations import raw
from emulator.problem import failed_precondition, invalid, not_found
from emulator.substitutions import substitute
from emulator.triggers import build_of_trigger
from emulator.world import World

# An enum of proto-plus is an int to the type checker.
_STATUS: Any = types.Build.Status
_APPROVAL: Any = types.BuildApproval.State
_ENDED = {
    _STATUS.SUCCESS,
    _STATUS.FAILURE,
    _STATUS.INTERNAL_ERROR,
    _STATUS.TIMEOUT,
    _STATUS.CANCELLED,
    _STATUS.EXPIRED,
}
_LOCATION = re.compile(r"^projects/([^/]+)/locations/([^/]+)")


class _Ask:
    """A build as the filter language sees it."""

    def __init__(self, build: types.Build) -> None:
        self._build = build

    def field(self, path: tuple[str, ...]) -> object:
        """The fields that ListBuilds can be filtered by."""
        build = self._build
        if not path:
            return (build.id, list(build.tags), build.status.name)
        known: dict[str, object] = {
            "status": build.status.name,
            "tags": list(build.tags),
            "id": build.id,
            "build_id": build.id,
            "trigger_id": build.build_trigger_id,
            "build_trigger_id": build.build_trigger_id,
            "images": list(build.images),
            "service_account": build.service_account,
            "substitutions": dict(build.substitutions),
            "create_time": build.create_time and build.create_time.rfc3339(),
        }
        value = known.get(path[0])
        if isinstance(value, dict) and len(path) > 1:
            return value.get(path[1])
        return value


class CloudBuild:
    """google.devtools.cloudbuild.v1.CloudBuild."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._builds: dict[str, types.Build] = {}
        self._operations: dict[str, str] = {}
        self._waiting: dict[str, BuildRun] = {}
        world.builds = self._builds

    # --- builds -----------------------------------------------------------------------

    def create_build(self, request: types.CreateBuildRequest, call: Call) -> Operation:
        """Accept a build and start it."""
        where = _LOCATION.match(request.parent)
        project = where[1] if where else request.project_id
        location = where[2] if where else "global"
        return self._accept(request.build, project, location, call)

    def _accept(
        self,
        asked: types.Build,
        project: str,
        location: str,
        call: Call,
        *,
        checkout: Path | None = None,
        loose: bool = False,
        approval: bool = False,
    ) -> Operation:
        if project not in self._world.projects:
            raise not_found(f"project {project!r} not found or deleted")
        identity = new_uuid()
        buildspec.check_build(asked)
        account = self._account(asked, project)
        build = substitute(
            asked, self._builtins(identity, project, location, account), loose=loose
        )
        if build.service_account:
            call.require_act_as(buildspec.account_of(build.service_account))
        self._describe(build, identity, project, location)
        name = (
            f"operations/build/{project}/{base64.b64encode(identity.encode()).decode()}"
        )
        with self._world.lock:
            self._builds[identity] = build
            self._operations[identity] = name
        run = BuildRun(self._world, build, name, checkout)
        asked_for = self._world.faults.first("build", "ask_approval", build=identity)
        approval = approval or asked_for is not None
        if approval:
            build.status = _STATUS.PENDING
            build.approval = types.BuildApproval(
                state=_APPROVAL.PENDING,
                config=types.ApprovalConfig(approval_required=True),
            )
            self._waiting[identity] = run
        metadata = types.BuildOperationMetadata(build=build)
        operation = self._world.operations.start(name, metadata)
        if not approval:
            run.start()
        return operation

    def _account(self, build: types.Build, project: str) -> str:
        named = buildspec.account_of(build.service_account)
        return (named or self._world.default_account()).replace("$PROJECT_ID", project)

    def _builtins(
        self, identity: str, project: str, location: str, account: str
    ) -> dict[str, str]:
        return {
            "PROJECT_ID": project,
            "PROJECT_NUMBER": self._world.setting.number,
            "BUILD_ID": identity,
            "LOCATION": location,
            "SERVICE_ACCOUNT_EMAIL": account,
            "SERVICE_ACCOUNT": f"projects/{project}/serviceAccounts/{account}",
        }

    def _describe(
        self, build: types.Build, identity: str, project: str, location: str
    ) -> None:
        build.id, build.project_id = identity, project
        build.name = f"projects/{project}/locations/{location}/builds/{identity}"
        build.status = _STATUS.QUEUED
        build.create_time = now()
        build.timeout = build.timeout or buildspec.DEFAULT_TIMEOUT
        build.queue_ttl = build.queue_ttl or buildspec.DEFAULT_QUEUE_TTL
        build.log_url = (
            "https://console.cloud.google.com/cloud-build/builds"
            f";region={location}/{identity}?project={self._world.setting.number}"
        )
        for step in build.steps:
            step.status = _STATUS.QUEUED

    def _find(self, name: str, identity: str) -> types.Build:
        wanted = name.rsplit("/", 1)[-1] or identity
        with self._world.lock:
            build = self._builds.get(wanted)
        # A regional build is found under its own region only.
        elsewhere = build is not None and name and "/locations/" in name
        if build is None or (elsewhere and build.name != name):
            raise not_found("Requested entity was not found.")
        return build

    def get_build(self, request: types.GetBuildRequest, _call: Call) -> types.Build:
        """One build."""
        return self._find(request.name, request.id)

    def list_builds(
        self, request: types.ListBuildsRequest, _call: Call
    ) -> types.ListBuildsResponse:
        """The builds of a location, newest first."""
        prefix = request.parent or f"projects/{request.project_id}/locations/global"
        wanted = compile_filter(request.filter)
        with self._world.lock:
            found = [
                build
                for build in reversed(self._builds.values())
                if build.name.startswith(f"{prefix}/") and wanted(_Ask(build))
            ]
        page, token = paged(found, request.page_size, request.page_token)
        return types.ListBuildsResponse(builds=page, next_page_token=token)

    def cancel_build(
        self, request: types.CancelBuildRequest, _call: Call
    ) -> types.Build:
        """Stop a build; the answer already says CANCELLED."""
        build = self._find(request.name, request.id)
        if build.status in _ENDED:
            raise failed_precondition("Build already finished")
        stop = self._world.stoppers.get(f"builds/{build.id}")
        if stop is not None:
            stop()
        self._waiting.pop(build.id, None)
        with self._world.lock:
            waiting = build.status == _STATUS.PENDING
            answer = types.Build(build)
            answer.status = _STATUS.CANCELLED
            if waiting:
                build.status, build.finish_time = _STATUS.CANCELLED, now()
                build.approval.state = _APPROVAL.CANCELLED
        if waiting:
            finish(self._world, build, self._operations[build.id])
        return answer

    def retry_build(self, request: types.RetryBuildRequest, call: Call) -> Operation:
        """Run a build once more, as a new one."""
        old = self._find(request.name, request.id)
        again = types.Build(
            steps=[_plain(step) for step in old.steps],
            source=old.source,
            images=old.images,
            substitutions=dict(old.substitutions),
            tags=old.tags,
            timeout=old.timeout,
            queue_ttl=old.queue_ttl,
            options=old.options,
            service_account=old.service_account,
            available_secrets=old.available_secrets,
        )
        location = old.name.split("/")[3]
        return self._accept(again, old.project_id, location, call, loose=True)

    def approve_build(
        self, request: types.ApproveBuildRequest, call: Call
    ) -> Operation:
        """Decide about a build that waits for approval."""
        build = self._find(request.name, "")
        run = self._waiting.pop(build.id, None)
        if run is None:
            raise failed_precondition("Build is not pending approval")
        decision = request.approval_result.decision
        approved = decision == types.ApprovalResult.Decision.APPROVED
        with self._world.lock:
            build.approval.state = (
                _APPROVAL.APPROVED if approved else _APPROVAL.REJECTED
            )
            build.approval.result = types.ApprovalResult(
                approver_account=call.principal,
                approval_time=now(),
                decision=decision,
                comment=request.approval_result.comment,
                url=request.approval_result.url,
            )
            build.status = _STATUS.QUEUED if approved else _STATUS.CANCELLED
            if not approved:
                build.finish_time = now()
        name = self._operations[build.id]
        if approved:
            run.start()
        else:
            finish(self._world, build, name)
        return self._world.operations.get(name)

    def get_default_service_account(
        self, request: types.GetDefaultServiceAccountRequest, _call: Call
    ) -> types.DefaultServiceAccount:
        """The account of a build that names none."""
        email = self._world.default_account()
        return types.DefaultServiceAccount(
            name=request.name,
            service_account_email=(
                f"projects/{self._world.setting.project}/serviceAccounts/{email}"
            ),
        )

    # --- triggers ---------------------------------------------------------------------

    def create_build_trigger(
        self, request: types.CreateBuildTriggerRequest, _call: Call
    ) -> types.BuildTrigger:
        """Keep a trigger."""
        parent = request.parent or f"projects/{request.project_id}/locations/global"
        trigger = request.trigger
        if any(t.name == trigger.name for t in self._triggers(parent)):
            raise invalid(f"trigger {trigger.name!r} already exists")
        trigger.id, trigger.create_time = new_uuid(), now()
        trigger.resource_name = f"{parent}/triggers/{trigger.id}"
        self._world.triggers[trigger.id] = trigger
        return trigger

    def _triggers(self, parent: str) -> list[types.BuildTrigger]:
        return [
            trigger
            for trigger in self._world.triggers.values()
            if trigger.resource_name.startswith(f"{parent}/triggers/")
        ]

    def _trigger(self, name: str, identity: str) -> types.BuildTrigger:
        wanted = name.rsplit("/", 1)[-1] or identity
        for trigger in self._world.triggers.values():
            if wanted in {trigger.id, trigger.name}:
                return trigger
        raise not_found("Requested entity was not found.")

    def get_build_trigger(
        self, request: types.GetBuildTriggerRequest, _call: Call
    ) -> types.BuildTrigger:
        """One trigger by id or by name."""
        return self._trigger(request.name, request.trigger_id)

    def list_build_triggers(
        self, request: types.ListBuildTriggersRequest, _call: Call
    ) -> types.ListBuildTriggersResponse:
        """The triggers of a location."""
        parent = request.parent or f"projects/{request.project_id}/locations/global"
        page, token = paged(
            self._triggers(parent), request.page_size, request.page_token
        )
        return types.ListBuildTriggersResponse(triggers=page, next_page_token=token)

    def update_build_trigger(
        self, request: types.UpdateBuildTriggerRequest, _call: Call
    ) -> types.BuildTrigger:
        """Change a trigger: the fields of the mask, or all of them."""
        old = self._trigger(
            request.trigger.resource_name, request.trigger_id or request.trigger.id
        )
        new = request.trigger
        mask = field_mask_pb2.FieldMask(paths=list(request.update_mask.paths))
        if mask.paths:
            merged = types.BuildTrigger(old)
            mask.MergeMessage(raw(new), raw(merged), replace_repeated_field=True)
            new = merged
        new.id, new.create_time = old.id, old.create_time
        new.resource_name = old.resource_name
        self._world.triggers[old.id] = new
        return new

    def delete_build_trigger(
        self, request: types.DeleteBuildTriggerRequest, _call: Call
    ) -> Empty:
        """Forget a trigger."""
        trigger = self._trigger(request.name, request.trigger_id)
        del self._world.triggers[trigger.id]
        return Empty()

    def run_build_trigger(
        self, request: types.RunBuildTriggerRequest, call: Call
    ) -> Operation:
        """Run a trigger as if its branch had been pushed."""
        trigger = self._trigger(request.name, request.trigger_id)
        if trigger.disabled:
            raise failed_precondition("trigger is disabled")
        parts = trigger.resource_name.split("/")
        checkout = self._checkout(trigger)
        build = build_of_trigger(trigger, request.source, checkout)
        return self._accept(
            build,
            parts[1],
            parts[3],
            call,
            checkout=checkout,
            loose=True,
            approval=trigger.approval_config.approval_required,
        )

    def _checkout(self, trigger: types.BuildTrigger) -> Path | None:
        """The directory that stands for a trigger's repository."""
        repository = (
            trigger.repository_event_config.repository
            or trigger.source_to_build.repository
            or trigger.source_to_build.uri
            or f"{trigger.github.owner}/{trigger.github.name}"
        )
        for pattern, directory in self._world.checkouts.items():
            if fnmatch.fnmatchcase(repository, pattern):
                return directory
        return None


def _plain(step: types.BuildStep) -> types.BuildStep:
    """A step without what a run wrote into it."""
    plain = types.BuildStep(step)
    plain.status, plain.exit_code = _STATUS.QUEUED, 0
    for name in ("timing", "pull_timing"):
        raw(plain).ClearField(name)
    return plain
