"""A build while it runs: source, steps in their order, pushes, its status and its log.

Started by the CloudBuild service. One thread for the build, one for each step that runs.
Messages are changed under the world's lock.
"""

import contextlib
import io
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.cloud.devtools.cloudbuild_v1.types import (
    Build,
    BuildOperationMetadata,
    BuildOptions,
    BuiltImage,
    Results,
    TimeSpan,
)

from emulator import buildspec
from emulator.buildlog import log_entry
from emulator.entries import split_long
from emulator.moments import now
from emulator.policy import PERMISSIONS
from emulator.problem import Code, Problem
from emulator.processes import CannotStart, Running
from emulator.registry import PushRefused
from emulator.world import Workshop, World

# An enum of proto-plus is an int to the type checker.
_STATUS: Any = Build.Status
_KIND: Any = Build.FailureInfo.FailureType
_CANCEL_GRACE = 2.0
_KILL = 9
_FAILED = {
    _STATUS.TIMEOUT: (Code.DEADLINE_EXCEEDED, "Build timed out"),
    _STATUS.CANCELLED: (Code.CANCELLED, "Build cancelled"),
    _STATUS.EXPIRED: (Code.DEADLINE_EXCEEDED, "Build expired in the queue"),
    _STATUS.INTERNAL_ERROR: (Code.INTERNAL, "Internal error"),
}


class _Stop(Exception):
    """The build ends here, with this status and reason."""

    def __init__(self, status: Any, detail: str, kind: str = "") -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind


class BuildRun:
    """One build from QUEUED to its end."""

    workshop: Workshop

    def __init__(
        self, world: World, build: Build, operation: str, checkout: Path | None
    ) -> None:
        self.world, self.build, self._operation = world, build, operation
        self._checkout = checkout
        self._account = buildspec.account_of(build.service_account)
        self._account = self._account or world.default_account()
        self._stopped = threading.Event()
        self._verdict: _Stop | None = None
        self._running: set[Running] = set()
        self._done = [threading.Event() for _ in build.steps]
        self.directory = world.scratch / f"build-{build.id}"
        self._closing = contextlib.ExitStack()
        self._facts = {"build": build.id}

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self.world.stoppers[f"builds/{self.build.id}"] = self.cancel
        threading.Thread(target=self._run, name=self.build.id, daemon=True).start()

    def cancel(self) -> None:
        """CancelBuild: whatever runs is killed; no later step, no clean-up, runs."""
        self._halt(_Stop(_STATUS.CANCELLED, ""))

    def _halt(self, verdict: _Stop) -> None:
        with self.world.lock:
            if self._verdict is None:
                self._verdict = verdict
            running = list(self._running)
        self._stopped.set()
        for process in running:
            process.stop(_CANCEL_GRACE)

    # --- the story --------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._queue()
            self._begin()
            self._fetch()
            self._say("BUILD")
            self._steps()
            self._push()
            self._end(_STATUS.SUCCESS)
        except _Stop as stop:
            self._end(stop.status, str(stop), stop.kind)
        finally:
            self._closing.close()
            self.world.stoppers.pop(f"builds/{self.build.id}", None)
            shutil.rmtree(self.directory / "workspace", ignore_errors=True)

    def _queue(self) -> None:
        stuck = self.world.faults.first("build", "stay_queued", **self._facts)
        if stuck is None:
            return
        ttl = self.build.queue_ttl.total_seconds()
        asked = stuck.seconds(ttl)
        self._stopped.wait(min(asked, ttl))
        self._check()
        if asked >= ttl:
            raise _Stop(_STATUS.EXPIRED, "The build expired in the queue.")

    def _check(self) -> None:
        if self._verdict is not None:
            raise self._verdict

    def _begin(self) -> None:
        with self.world.lock:
            self.build.status = _STATUS.WORKING
            self.build.start_time = now()
        seconds = self.build.timeout.total_seconds()
        late = _Stop(_STATUS.TIMEOUT, "The build has timed out.")
        timer = threading.Timer(seconds, self._halt, [late])
        timer.daemon = True
        timer.start()
        for name in ("workspace", "home", "outputs"):
            (self.directory / name).mkdir(parents=True)
        self.workshop = self.world.mode.open(self.build, self._account, self.directory)
        self._closing.callback(self.workshop.close)
        self._say(f'starting build "{self.build.id}"')
        self._say(f"emulator: {self.world.mode.remark}")

    def _fetch(self) -> None:
        self._say("FETCHSOURCE")
        workspace = self.directory / "workspace"
        if self._checkout is not None:
            shutil.copytree(
                self._checkout,
                workspace,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".*", "__pycache__"),
            )
            return
        source = self.build.source.storage_source
        if not source.bucket:
            return
        where = f"gs://{source.bucket}/{source.object_}"
        self._say(f"Fetching storage object: {where}#{source.generation}")
        try:
            self._unpack(workspace)
        except (Problem, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            detail = f"failed to fetch source {where}: {error}"
            raise _Stop(_STATUS.FAILURE, detail, "FETCH_SOURCE_FAILED") from error

    def _unpack(self, workspace: Path) -> None:
        source = self.build.source.storage_source
        if self.world.faults.first("build", "fetch_failed", **self._facts):
            raise Problem(Code.NOT_FOUND, "storage: object doesn't exist")
        permission = PERMISSIONS["storage.objects.get"]
        bucket = f"projects/{self.build.project_id}/buckets/{source.bucket}"
        if not self.world.policy.allows(self._account, permission, bucket):
            raise Problem(
                Code.PERMISSION_DENIED,
                f"{self._account} does not have {permission} access to the Google Cloud "
                "Storage object. Permission "
                f"'{permission}' denied on resource (or it may not exist).",
            )
        stored = self.world.buckets.get(
            source.bucket, source.object_, source.generation
        )
        if source.object_.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(stored.data)) as archive:
                archive.extractall(workspace)  # noqa: S202 - a throw-away directory
            return
        with tarfile.open(fileobj=io.BytesIO(stored.data)) as archive:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(workspace, filter(_is_plain, archive), **safe)  # type: ignore[arg-type]  # noqa: S202

    # --- steps ------------------------------------------------------------------------

    def _steps(self) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(number,), daemon=True)
            for number in range(len(self.build.steps))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._check()

    def _guarded(self, number: int) -> None:
        try:
            for other in self._before(number):
                self._done[other].wait()
            if self._verdict is None:
                self._step(number)
        except _Stop as stop:
            self._halt(stop)
        finally:
            self._done[number].set()

    def _before(self, number: int) -> list[int]:
        """The steps that must end first: all earlier ones unless ``waitFor`` says."""
        wanted = list(self.build.steps[number].wait_for)
        if not wanted:
            return list(range(number))
        ids = {step.id: at for at, step in enumerate(self.build.steps) if step.id}
        return [ids[name] for name in wanted if name != "-"]

    def _step(self, number: int) -> None:
        step, name = self.build.steps[number], buildspec.label(self.build, number)
        self._say(f"Starting {name}")
        begun = now()
        with self.world.lock:
            step.status = _STATUS.WORKING
        code, timed_out, why = self._carry_out(number)
        with self.world.lock:
            step.timing = TimeSpan(start_time=begun, end_time=now())
            step.exit_code = code
            step.status = _STATUS.SUCCESS if code == 0 else _STATUS.FAILURE
            if timed_out:
                step.status = _STATUS.TIMEOUT
            if self._verdict is not None and self._verdict.status == _STATUS.CANCELLED:
                step.status = _STATUS.CANCELLED
        self._say(f"Finished {name}")
        self._crash(number)
        if code == 0 or self._verdict is not None:
            return
        # A list of exit codes wins over the plain permission.
        allowed = list(step.allow_exit_codes)
        if code in allowed or (step.allow_failure and not allowed):
            self._say(
                f"{name} failed with exit code {code}, which is allowed", "WARNING"
            )
            return
        detail = f'build step {number} "{step.name}" failed: {why}'
        if timed_out:
            raise _Stop(_STATUS.TIMEOUT, detail, "USER_BUILD_STEP")
        raise _Stop(_STATUS.FAILURE, detail, "USER_BUILD_STEP")

    def _crash(self, number: int) -> None:
        fault = self.world.faults.first("build", "internal_error", **self._facts)
        if fault is not None and fault.number_of("step", number) == number:
            raise _Stop(_STATUS.INTERNAL_ERROR, "The worker was lost.")

    def _carry_out(self, number: int) -> tuple[int, bool, str]:
        step = self.build.steps[number]
        prefix = buildspec.label(self.build, number)
        secrets = self._secrets(number)
        struck = self.world.faults.strike("step", id=step.id, **self._facts)
        for fault in struck:
            if fault.do == "hold":
                self.world.faults.hold(f"step {step.id}", self._stopped.is_set)
        if self._stopped.is_set():
            return 1, False, "the build was over before it began"
        try:
            process = self.workshop.start(
                number,
                secrets,
                lambda _stream, line: self._say(f"{prefix}: {line}", step=prefix),
            )
        except (CannotStart, Problem) as error:
            self._say(f"{prefix}: {error}", "ERROR", step=prefix)
            return 1, False, f"starting step container failed: {error}"
        with self.world.lock:
            self._running.add(process)
        if self._verdict is not None:
            process.stop(_CANCEL_GRACE)
        for fault in struck:
            if fault.do != "kill":
                continue
            signal = [fault.number_of("signal", _KILL)]
            timer = threading.Timer(fault.seconds(), process.send, signal)
            timer.daemon = True
            timer.start()
        limit = step.timeout.total_seconds() if step.timeout else None
        ending = process.wait(limit or None)
        with self.world.lock:
            self._running.discard(process)
        if ending.timed_out:
            self._say(f"{prefix}: the step has timed out", "ERROR", step=prefix)
            return 1, True, "the step has timed out: context deadline exceeded"
        code = ending.exit_code
        return code, False, f"step exited with non-zero status: {code}"

    def _secrets(self, number: int) -> Mapping[str, str]:
        wanted = {*self.build.steps[number].secret_env, *self.build.options.secret_env}
        found = {}
        permission = PERMISSIONS["SecretManagerService.AccessSecretVersion"]
        for secret in self.build.available_secrets.secret_manager:
            if secret.env not in wanted:
                continue
            name = secret.version_name
            if not self.world.policy.allows(self._account, permission, name):
                detail = (
                    f'failed to access secret version for secret "{name}": '
                    f"rpc error: code = PermissionDenied desc = Permission "
                    f"'{permission}' denied for resource '{name}' (or it may not exist)."
                )
                raise _Stop(_STATUS.FAILURE, detail, "USER_BUILD_STEP")
            try:
                found[secret.env] = self.world.secrets.access(name)[1].decode()
            except Problem as problem:
                detail = (
                    f'failed to access secret version for secret "{name}": {problem}'
                )
                raise _Stop(_STATUS.FAILURE, detail, "USER_BUILD_STEP") from problem
        return found

    # --- the end ----------------------------------------------------------------------

    def _push(self) -> None:
        self._say("PUSH")
        pushed = []
        for name in self.build.images:
            begun = now()
            self._say(f"Pushing {name}")
            try:
                done = self.workshop.push(name)
            except PushRefused as refusal:
                detail = f'failed to push because of: "{refusal}"'
                raise _Stop(_STATUS.FAILURE, detail, refusal.kind) from refusal
            self._say(done.line)
            span = TimeSpan(start_time=begun, end_time=now())
            pushed.append(BuiltImage(name=name, digest=done.digest, push_timing=span))
        with self.world.lock:
            self.build.results = Results(
                images=pushed, build_step_outputs=self._outputs()
            )

    def _outputs(self) -> list[bytes]:
        files = [
            self.directory / "outputs" / str(number) / "output"
            for number in range(len(self.build.steps))
        ]
        return [file.read_bytes()[:4096] if file.exists() else b"" for file in files]

    def _end(self, status: Any, detail: str = "", kind: str = "") -> None:
        word = "DONE" if status == _STATUS.SUCCESS else status.name
        if detail:
            self._say(f"ERROR: {detail}", "ERROR")
        self._say(word)
        with self.world.lock:
            build = self.build
            build.finish_time = now()
            build.status_detail = detail
            if detail:
                known = _KIND[kind or "FAILURE_TYPE_UNSPECIFIED"]
                build.failure_info = Build.FailureInfo(type_=known, detail=detail)
            if build.start_time:
                span = TimeSpan(start_time=build.start_time, end_time=now())
                build.timing = {"BUILD": span}
            build.status = status
        finish(self.world, build, self._operation)

    def _say(self, text: str, severity: str = "DEFAULT", step: str = "") -> None:
        if self.build.options.logging == BuildOptions.LoggingMode.NONE:
            return
        for piece in split_long(text):
            self.world.logs.write(log_entry(self.build, piece, severity, step))


def finish(world: World, build: Build, operation: str) -> None:
    """Close a build's operation."""
    world.operations.describe(operation, BuildOperationMetadata(build=build))
    if build.status == _STATUS.SUCCESS:
        world.operations.finish(operation, build)
        return
    default = (Code.UNKNOWN, "Build failed; check build logs for details")
    world.operations.fail(operation, *_FAILED.get(build.status, default))


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Whether it stays where it is unpacked; Python before 3.11.4 does not ask."""
    inside = not member.name.startswith("/") and ".." not in member.name.split("/")
    return inside and (member.isfile() or member.isdir())
