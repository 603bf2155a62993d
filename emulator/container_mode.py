"""Containers as containers: `--mode container`, with an engine of this machine.

The other way a `World` can be run is `process_mode`. A step is a container of its image
with the build's workspace, a task one of exactly the digest that was pushed. What a build
has made and not pushed is gone with it. Never pulls the docker builder's image: a
stand-in is made for it (`builder`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.cloud.devtools.cloudbuild_v1.types import Build
from google.cloud.run_v2.types import TaskTemplate

from emulator.artifacts import Artifacts
from emulator.builder import Builder
from emulator.containers import Container, Recipe, remove, sweep
from emulator.dockerd import Dockerd, EngineProblem
from emulator.engine import refuse_push
from emulator.enginesocket import EngineSocket, Tell
from emulator.limits import cpus_of, memory_of
from emulator.problem import not_found
from emulator.processes import CannotStart, LineListener, Running
from emulator.registry import PushRefused, parse_reference
from emulator.steps import environment_of, write_script
from emulator.world import Pushed, World

_SOCKET = "/var/run/docker.sock"


class ContainerMode:
    """Steps and tasks are containers."""

    name = "container"

    def __init__(
        self, world: World, engine: Dockerd, artifacts: Artifacts, builder: Builder
    ) -> None:
        self.world, self.engine, self.artifacts = world, engine, artifacts
        self.builder = builder
        self.remark = f"steps and tasks are containers of engine {engine.version}"
        self._cpus = int(engine.ask("GET", "/info")["NCPU"])
        world.registry = artifacts
        sweep(engine)

    def open(self, build: Build, account: str, directory: Path) -> "ContainerWorkshop":
        """Give the build a way to the engine."""
        return ContainerWorkshop(self, build, account, directory)

    def start_task(
        self,
        template: TaskTemplate,
        environment: Mapping[str, str],
        name: str,
        listener: LineListener,
    ) -> Running:
        """Start a container of the digest that the registry has."""
        container = template.containers[0]
        image = self.artifacts.local(container.image)
        try:
            for _ in self.engine.lines("POST", "/images/create", **_split(image)):
                pass
        except EngineProblem as error:
            why = self.artifacts.theirs(str(error))
            raise CannotStart(
                f"failed to pull image {container.image}: {why}"
            ) from error
        limits = dict(container.resources.limits)
        memory = memory_of(limits.get("memory", "512Mi"))
        cpus = min(cpus_of(limits.get("cpu", "1")), self._cpus)
        recipe = Recipe(
            name=name,
            image=image,
            environment=environment,
            entrypoint=list(container.command),
            args=list(container.args),
            directory=container.working_dir,
            mounts=self._sockets(template),
            host={
                "Memory": memory,
                "MemorySwap": memory,
                "NanoCpus": int(cpus * 1_000_000_000),
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": "rw,nosuid,nodev"},  # noqa: S108 - in the container
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
            },
        )
        return Container(self.engine, recipe, listener)

    def _sockets(self, template: TaskTemplate) -> dict[str, str]:
        """Where a task finds the sockets of the Cloud SQL instances it mounts."""
        found = {}
        for path, directory in self.world.sockets(template).items():
            # The socket alone: the directory may be one that only the server may enter.
            for socket in directory.glob(".s.PGSQL.*"):
                if socket.is_socket():
                    found[f"{path}/.s.PGSQL.5432"] = str(socket)
        return found

    def add_image(self, name: str, told: Mapping[str, Any]) -> None:
        """Build an image from a directory and push it.

        Without a Dockerfile it is made of the base image and all that is in the directory;
        ``entrypoint``, ``cmd`` and ``environment`` may be given as well.
        """
        self.builder.build(name, told)
        self.push(name)
        self.untag(name)

    def push(self, name: str, tell: Tell = lambda _line: None) -> Pushed:
        """Push an image of the engine's to the registry on loopback."""
        reference = parse_reference(name)
        if self.engine.image(name) is None:
            raise PushRefused(
                "PUSH_IMAGE_NOT_FOUND",
                f"An image does not exist locally with the tag: {name}",
            )
        local = self.artifacts.local(reference.name)
        given = {"repo": local, "tag": reference.tag}
        self.engine.ask("POST", f"/images/{name}/tag", **given)
        digest, line = "", ""
        try:
            for told in self.engine.lines(
                "POST", f"/images/{local}/push", tag=reference.tag
            ):
                tell(json.loads(self.artifacts.theirs(json.dumps(told))))
                line = str(told.get("status") or line)
                digest = str((told.get("aux") or {}).get("Digest") or digest)
        except EngineProblem as problem:
            message = self.artifacts.theirs(str(problem))
            raise PushRefused("PUSH_FAILED", message) from problem
        return Pushed(digest, line)

    def untag(self, name: str) -> None:
        """Take a name from an image; an image without names is deleted."""
        try:
            self.engine.ask("DELETE", f"/images/{name}", noprune=1)
        except EngineProblem:
            return  # it has no such name, or a container of somebody's still uses it

    def close(self) -> None:
        """Leave no container, no name of an image and no registry."""
        try:
            sweep(self.engine, ours=True)
            for told in self.engine.ask("GET", "/images/json"):
                names = [*(told["RepoTags"] or ()), *(told["RepoDigests"] or ())]
                for name in names:
                    if name.startswith(f"{self.artifacts.address}/"):
                        self.untag(name)
        except EngineProblem:
            pass  # the engine is gone, and everything with it
        self.artifacts.close()


class ContainerWorkshop:
    """What one build works with: the engine, seen through a socket of its own."""

    def __init__(
        self, mode: ContainerMode, build: Build, account: str, directory: Path
    ) -> None:
        self._mode, self._build, self._account = mode, build, account
        self._directory = directory
        self._names: set[str] = set()
        self._digests: set[str] = set()
        self._socket = EngineSocket(directory / "docker.sock", mode.engine, self)

    def start(
        self, number: int, secrets: Mapping[str, str], listener: LineListener
    ) -> Running:
        """Start a step: its image, the workspace, the engine's socket."""
        step, directory = self._build.steps[number], self._directory
        environment = environment_of(
            self._mode.world, self._account, self._build, number
        )
        outputs = directory / "outputs" / str(number)
        outputs.mkdir(parents=True, exist_ok=True)
        mounts = {
            "/workspace": str(directory / "workspace"),
            "/builder/home": str(directory / "home"),
            "/builder/outputs": str(outputs),
            _SOCKET: str(self._socket.path),
        }
        entrypoint = [step.entrypoint] if step.entrypoint else []
        if step.script:
            script = write_script(step, directory / f"script-{number}", step.script)
            mounts[f"/builder/script-{number}"] = str(script)
            entrypoint = [f"/builder/script-{number}"]
        recipe = Recipe(
            name=f"step-{number}-{self._build.id}",
            image=self._image(step.name, listener),
            environment={
                "HOME": "/builder/home",
                "BUILDER_OUTPUT": "/builder/outputs",
                **environment,
                **secrets,
            },
            entrypoint=entrypoint,
            args=list(step.args),
            directory=f"/workspace/{step.dir_.lstrip('/')}".rstrip("/"),
            mounts=mounts,
        )
        return Container(self._mode.engine, recipe, listener)

    def _image(self, name: str, listener: LineListener) -> str:
        """See to it that the engine has a step's image; give its name there."""
        engine = self._mode.engine
        image = self._mode.builder.image_for(name)
        if image != name:
            listener("stdout", f"emulator: {image} stands in for {name}")
        name = image
        if engine.image(name) is not None:
            listener("stdout", f"Already have image: {name}")
            return name
        listener("stdout", f"Pulling image: {name}")
        try:
            if not self.fetch(name, lambda _line: None):
                for _ in engine.lines("POST", "/images/create", **_split(name)):
                    pass
        except EngineProblem as error:
            raise not_found(f"failed to pull image {name}: {error}") from error
        return name

    def push(self, name: str) -> Pushed:
        """Push an image as the build's service account."""
        return self._pushed(name, lambda _line: None)

    def _pushed(self, name: str, tell: Tell) -> Pushed:
        if not parse_reference(name).repository():
            raise PushRefused(
                "PUSH_FAILED",
                f"emulator: {name} is not in Artifact Registry; nothing is pushed "
                "anywhere else",
            )
        refuse_push(self._mode.world, self._account, name)
        done = self._mode.push(name, tell)
        self._digests.add(f"{parse_reference(name).name}@{done.digest}")
        return done

    def close(self) -> None:
        """Take the build's names from its images, and its containers away."""
        self._socket.close()
        for name in self._names:
            self._mode.untag(name)
        for number in range(len(self._build.steps)):
            remove(self._mode.engine, f"/containers/step-{number}-{self._build.id}")

    # --- for the socket ---------------------------------------------------------------

    def send(self, name: str, tell: Tell) -> None:
        """Push, as a step asks."""
        self._pushed(name, tell)

    def fetch(self, name: str, tell: Tell) -> bool:
        """Pull an image of Artifact Registry; false for any other."""
        reference = parse_reference(name)
        if not reference.repository():
            return False
        mode = self._mode
        local = mode.artifacts.local(name)
        try:
            for told in mode.engine.lines("POST", "/images/create", **_split(local)):
                tell(json.loads(mode.artifacts.theirs(json.dumps(told))))
        except EngineProblem as problem:
            raise EngineProblem(
                problem.status, mode.artifacts.theirs(str(problem))
            ) from problem
        image = mode.artifacts.find(name)
        if image is not None:
            self._digests.add(f"{reference.name}@{image.digest}")
        if reference.tag:
            given = {"repo": reference.name, "tag": reference.tag}
            mode.engine.ask("POST", f"/images/{local}/tag", **given)
            self.made(f"{reference.name}:{reference.tag}")
        return True

    def made(self, name: str) -> None:
        """Remember a name that the build has given to an image."""
        self._names.add(name)

    def arguments(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The build arguments that are used where these are given."""
        return self._mode.builder.arguments(given)

    def shown(self, told: Mapping[str, object]) -> Mapping[str, object]:
        """An image as a machine of the build's own would show it.

        Another build may have pushed the same one under other names.
        """
        ours = f"{self._mode.artifacts.address}/"
        digests: Any = told.get("RepoDigests") or ()
        tags: Any = told.get("RepoTags") or ()
        known = [digest.removeprefix(ours) for digest in digests]
        return {
            **told,
            "RepoDigests": [digest for digest in known if digest in self._digests],
            "RepoTags": [tag for tag in tags if not tag.startswith(ours)],
        }


def _split(name: str) -> dict[str, str]:
    """A reference as the engine's pull wants it: no tag would mean all of them."""
    reference = parse_reference(name)
    return {"fromImage": reference.name, "tag": reference.digest or reference.tag}
