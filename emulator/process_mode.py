"""Containers as processes of this machine: what the emulator does without an engine.

One of the two ways a `World` can be run (`--mode process`); the other is
`container_mode`. Images are directories, a step or task that runs in one is a process
group, and `docker` is a stand-in. Never asks a container engine.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.cloud.devtools.cloudbuild_v1.types import Build
from google.cloud.run_v2.types import TaskTemplate

from emulator.dockerfile import build_image
from emulator.engine import CLIENT, Engine
from emulator.moments import short_id
from emulator.processes import CannotStart, LineListener, LocalProcesses, Running
from emulator.registry import Shelf, command_of
from emulator.steps import StepPlace, step_command
from emulator.world import Pushed, World

_DOCKERFILES = ("Dockerfile.migrate", "Dockerfile")


class ProcessMode:
    """Steps and tasks are processes of this machine."""

    name = "process"
    remark = "no container engine; processes stand in for step containers"

    def __init__(self, world: World) -> None:
        self._world = world
        self._processes = LocalProcesses()
        self.shelf = Shelf()
        world.registry = self.shelf

    def open(self, build: Build, account: str, directory: Path) -> "ProcessWorkshop":
        """Give the build a stand-in for docker."""
        engine = Engine(self._world, account, directory / "images", self.shelf)
        place = StepPlace(self._world, engine, directory, account)
        return ProcessWorkshop(place, build, self._processes)

    def start_task(
        self,
        template: TaskTemplate,
        environment: Mapping[str, str],
        _name: str,
        listener: LineListener,
    ) -> Running:
        """Start a process in the directory that stands for the image."""
        container = template.containers[0]
        image = self.shelf.find(container.image)
        if image is None:
            raise CannotStart(f"no image {container.image}")
        own = {"HOME": str(self._world.home), **environment}
        for path, directory in self._world.sockets(template).items():
            own = {k: v.replace(path, str(directory)) for k, v in own.items()}
        command = command_of(
            image,
            entrypoint=list(container.command),
            args=list(container.args) or None,
            environment={k: image.inside(v) for k, v in own.items()},
            directory=image.inside(container.working_dir)
            if container.working_dir
            else "",
        )
        return self._processes.start(command, listener)

    def add_image(self, name: str, told: Mapping[str, Any]) -> None:
        """Make an image from a directory: its Dockerfile, or everything in it.

        ``entrypoint``, ``cmd`` and ``environment`` may be given as well.
        """
        into = self._world.scratch / f"given-{short_id()}"
        into.mkdir(parents=True)
        directory = Path(told.get("directory") or into)
        named = [directory / file for file in _DOCKERFILES]
        files = [file for file in named if file.is_file()]
        if not files:
            files = [into / "Dockerfile"]
            files[0].write_text("FROM scratch\nWORKDIR /app\n", encoding="utf-8")
            if told.get("directory"):
                with files[0].open("a", encoding="utf-8") as file:
                    file.write("COPY . /app\n")
        image = build_image(
            directory,
            files[0],
            into / "stages",
            arguments={},
            target=None,
            say=lambda _line: None,
        )
        image = image._replace(
            entrypoint=tuple(told.get("entrypoint", image.entrypoint)),
            cmd=tuple(told.get("cmd", image.cmd)),
            environment={**image.environment, **told.get("environment", {})},
        )
        self.shelf.put(name, image)

    def close(self) -> None:
        """Kill what is still there."""
        self._processes.close()


class ProcessWorkshop:
    """What one build works with: a stand-in for docker, and processes."""

    def __init__(
        self, place: StepPlace, build: Build, processes: LocalProcesses
    ) -> None:
        self._place, self._build, self._processes = place, build, processes
        world, directory = place.world, place.directory
        for name in ("bin", "images"):
            (directory / name).mkdir(parents=True)
        client = directory / "bin" / "docker"
        address = world.addresses.rest
        client.write_text(
            CLIENT.format(python=sys.executable, build=build.id, address=address),
            encoding="utf-8",
        )
        client.chmod(0o755)
        world.engines[build.id] = place.engine

    def start(
        self, number: int, secrets: Mapping[str, str], listener: LineListener
    ) -> Running:
        """Start a step."""
        command = step_command(self._place, self._build, number, secrets)
        return self._processes.start(command, listener)

    def push(self, name: str) -> Pushed:
        """Push an image as the build's service account."""
        return self._place.engine.push(name)

    def close(self) -> None:
        """Forget the build's own images."""
        self._place.world.engines.pop(self._build.id, None)
