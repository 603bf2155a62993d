"""Images that stand in for public ones, and the docker builder among them.

Called by `container_mode`. The steps of a build name images that only a public registry
has; here each may be replaced by one of the engine's own. For Google's docker builder one
is made: this machine's docker client on the base image. Never pulls that builder.
"""

import hashlib
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emulator.containers import Container, Recipe
from emulator.dockerd import Dockerd, EngineProblem, NoEngine
from emulator.moments import short_id
from emulator.processes import CannotStart
from emulator.registry import parse_reference

#: Google's image with the docker client and a shell; and what ours is made on.
DOCKER, BASE = "gcr.io/cloud-builders/docker", "python:3.13-slim"
_MADE = "cloudrun-migrate/docker-builder"
_DOCKERFILES = ("Dockerfile.migrate", "Dockerfile")
_PLUGINS = (
    Path("~/.docker/cli-plugins"),
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)
_PLUGIN = "docker-buildx"
_TOLD = 5


class Builder:
    """Which image is used where another is named."""

    def __init__(
        self,
        engine: Dockerd,
        scratch: Path,
        stand_ins: Mapping[str, str],
        arguments: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._engine, self._scratch = engine, scratch
        self._stand_ins, self._arguments = dict(stand_ins), dict(arguments)
        self._lock = threading.Lock()
        client = shutil.which("docker")
        if client is None:
            raise NoEngine(
                "no docker client on the PATH, which build steps would find in their "
                "image; on Debian: apt-get install docker.io"
            )
        self._client = Path(client).resolve()

    def stand_in(self, name: str) -> str:
        """The image that stands for a name: for exactly it, its tag, or all its tags."""
        reference = parse_reference(name)
        short = reference.name.removeprefix("docker.io/").removeprefix("library/")
        for known in (name, f"{short}:{reference.tag}", reference.name, short):
            if known in self._stand_ins:
                return self._stand_ins[known]
        return name

    def arguments(self, given: Mapping[str, str]) -> dict[str, str]:
        """The arguments of a build: stand-ins for images, and ours where none is given."""
        stood = {name: value and self.stand_in(value) for name, value in given.items()}
        return {**self._arguments, **stood}

    def image_for(self, name: str) -> str:
        """The image a step runs in."""
        found = self.stand_in(name)
        if found == name and parse_reference(name).name == DOCKER:
            return self._docker()
        return found

    # --- the docker builder -----------------------------------------------------------

    def _docker(self) -> str:
        """Make the stand-in for the docker builder, unless it is there."""
        base = self.stand_in(BASE)
        with self._lock:
            try:
                return self._made_on(base)
            except EngineProblem as error:
                raise CannotStart(
                    f"the stand-in for {DOCKER} could not be made on {base}: {error}"
                ) from error

    def _made_on(self, base: str) -> str:
        if self._engine.image(base) is None:
            reference = parse_reference(base)
            tag = reference.digest or reference.tag
            given = {"fromImage": reference.name, "tag": tag}
            for _ in self._engine.lines("POST", "/images/create", **given):
                pass
        files = {"docker": self._client}
        lines = [f"FROM {base}", "COPY docker /usr/local/bin/", 'ENTRYPOINT ["docker"]']
        for directory in _PLUGINS:
            plugin = directory.expanduser() / _PLUGIN
            if plugin.is_file():
                files[_PLUGIN] = plugin
                lines.append(f"COPY {_PLUGIN} /usr/local/lib/docker/cli-plugins/")
                break
        dockerfile = "\n".join(lines) + "\n"
        under = self._engine.image(base) or {}
        recipe = [dockerfile, str(under.get("Id"))]
        recipe += [f"{path} {path.stat().st_mtime_ns}" for path in files.values()]
        tag = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
        name = f"{_MADE}:{tag}"
        if self._engine.image(name) is None:
            context = _archive(dockerfile, files)
            for _ in self._engine.lines("POST", "/build", context, t=name, rm=1):
                pass
        return name

    # --- images of a directory --------------------------------------------------------

    def build(self, name: str, told: Mapping[str, Any]) -> None:
        """Build an image as a build step would. Raises ValueError with docker's words."""
        context = Path(told.get("directory") or self._scratch / f"given-{short_id()}")
        context = context.absolute()
        context.mkdir(parents=True, exist_ok=True)
        named = [context / file for file in _DOCKERFILES]
        file = next((file for file in named if file.is_file()), None)
        if file is None:
            file = self._scratch / f"Dockerfile-{short_id()}"
            file.write_text(self._dockerfile(told), encoding="utf-8")
        elif {"entrypoint", "cmd", "environment"} & set(told):
            raise ValueError(f"{name}: its {file.name} says what it starts")
        said: list[str] = []
        arguments = [
            word
            for argument, value in self._arguments.items()
            for word in ("--build-arg", f"{argument}={value}")
        ]
        recipe = Recipe(
            name=f"image-{short_id()}-{id(said)}",
            image=self._docker(),
            environment={"DOCKER_BUILDKIT": "1"},
            args=[
                "build",
                "--tag",
                name,
                *arguments,
                "--file",
                "/file",
                "/in",
            ],
            mounts={
                "/in": str(context),
                "/file": str(file),
                "/var/run/docker.sock": self._engine.path,
            },
        )
        ended = Container(self._engine, recipe, lambda _, line: said.append(line))
        if ended.wait(None).exit_code:
            raise ValueError(f"{name}: " + "\n".join(said[-_TOLD:]))

    def _dockerfile(self, told: Mapping[str, Any]) -> str:
        lines = [f"FROM {self.stand_in(BASE)}", "WORKDIR /app", "COPY . /app"]
        for variable, value in dict(told.get("environment") or {}).items():
            lines.append(f"ENV {variable}={json.dumps(value)}")
        lines += [
            f"{word.upper()} {json.dumps(list(told[word]))}"
            for word in ("entrypoint", "cmd")
            if told.get(word)
        ]
        return "\n".join(lines) + "\n"


def _archive(dockerfile: str, files: Mapping[str, Path]) -> bytes:
    """The context of a build."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        text = dockerfile.encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
        for name, path in files.items():
            archive.add(path, name)
    return made.getvalue()
