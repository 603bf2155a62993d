"""How a step becomes a command: which program stands for its image, with what around it.

Called for each step of a build. Decides; starts nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from google.cloud.devtools.cloudbuild_v1.types import Build, BuildStep

from emulator.calls import token_for
from emulator.dockerfile import Image
from emulator.engine import Engine
from emulator.problem import not_found
from emulator.processes import Command
from emulator.registry import command_of, interpreted, parse_reference, search_path
from emulator.world import World


class StepPlace(NamedTuple):
    """Where a step runs and for whom."""

    world: World
    engine: Engine
    directory: Path
    account: str

    @property
    def workspace(self) -> Path:
        """The directory that stands for /workspace."""
        return self.directory / "workspace"

    def inside(self, text: str) -> str:
        """Point the fixed paths of a step at this build's directories."""
        return (
            text.replace("/workspace", str(self.workspace))
            .replace("/builder/outputs", str(self.directory / "outputs"))
            .replace("/builder/home", str(self.directory / "home"))
        )


def is_docker(name: str) -> bool:
    """Tell whether a step's image is a docker client."""
    short = parse_reference(name).name.rsplit("/", 1)[-1]
    return short == "docker" or short.startswith("docker-")


def environment_of(
    world: World, account: str, build: Build, number: int
) -> dict[str, str]:
    """What a step finds in its environment, wherever it runs; secrets are not in it."""
    step, rest = build.steps[number], world.addresses.rest
    found = {
        # Not in a real step, whose endpoints are Google's own:
        "GOOGLE_CLOUD_EMULATOR": world.addresses.grpc,
        "GOOGLE_CLOUD_EMULATOR_TOKEN": token_for(account),
        "STORAGE_EMULATOR_HOST": f"http://{rest}",
        # A real step finds the metadata server at a fixed address.
        "GCE_METADATA_HOST": f"{rest}/as/{account}",
        "GCE_METADATA_IP": rest,
    }
    if build.options.automap_substitutions or step.automap_substitutions:
        found |= dict(build.substitutions)
    for given in [*build.options.env, *step.env]:
        name, _, value = given.partition("=")
        found[name] = value
    return found


def write_script(step: BuildStep, file: Path, text: str) -> Path:
    """Write a step's script down; without a shebang it is one for sh."""
    if not step.script.startswith("#!"):
        text = f"#!/bin/sh\n{text}"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


def _environment(place: StepPlace, build: Build, number: int) -> dict[str, str]:
    outputs = place.directory / "outputs" / str(number)
    outputs.mkdir(parents=True, exist_ok=True)
    told = environment_of(place.world, place.account, build, number)
    return {
        # The stand-in comes first, so that no step reaches an engine of this machine.
        "PATH": search_path(str(place.directory / "bin")),
        "HOME": str(place.directory / "home"),
        "BUILDER_OUTPUT": str(outputs),
        **{name: place.inside(value) for name, value in told.items()},
    }


def step_command(
    place: StepPlace, build: Build, number: int, secrets: Mapping[str, str]
) -> Command:
    """What to start for a step."""
    step = build.steps[number]
    environment = _environment(place, build, number) | dict(secrets)
    directory = str(place.workspace / step.dir_.lstrip("/"))
    Path(directory).mkdir(parents=True, exist_ok=True)
    args = [place.inside(argument) for argument in step.args]
    entrypoint = [place.inside(step.entrypoint)] if step.entrypoint else []
    if step.script:
        file = place.directory / f"script-{number}"
        script = write_script(step, file, place.inside(step.script))
        return Command([str(script)], environment, directory)
    image = place.engine.shelf.find(step.name) or place.world.registry.find(step.name)
    if image is not None:
        # cwd is the workspace, as in a real step, so the image's own working directory
        # must be named for the interpreter to find what was copied there.
        own = str(Path(image.rootfs) / image.workdir.lstrip("/"))
        environment["PYTHONPATH"] = _search(image, environment, own)
        return command_of(
            image,
            entrypoint=entrypoint,
            args=args or None,
            environment={k: v for k, v in environment.items() if k != "PATH"},
            directory=directory,
        )
    if parse_reference(step.name).repository():
        raise not_found(
            f"failed to pull image {step.name}: manifest unknown: Failed to fetch"
        )
    if is_docker(step.name):
        entrypoint = entrypoint or ["docker"]
        if entrypoint == ["docker"]:
            entrypoint = [str(place.directory / "bin" / "docker")]
    return Command(interpreted([*entrypoint, *args]), environment, directory)


def _search(image: Image, environment: Mapping[str, str], own: str) -> str:
    given = environment.get("PYTHONPATH") or image.environment.get("PYTHONPATH", "")
    return ":".join([*(image.inside(part) for part in given.split(":") if part), own])
