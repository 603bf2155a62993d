"""Images: what a build's own engine holds, and what has been pushed.

A reference is ``HOST/PROJECT/REPOSITORY/IMAGE[:TAG][@DIGEST]``. The registry is one for
the emulated world; each build has an `Engine` of its own, which is gone with it. That
difference is the seeds' first failure: built, never pushed, not found by the job.
"""

import re
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from emulator.dockerfile import Image
from emulator.moments import now_ns
from emulator.problem import not_found
from emulator.processes import Command

_REFERENCE = re.compile(
    r"^(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)
_REGION_HOST = re.compile(r"^([a-z0-9-]+)-docker\.pkg\.dev$")
_PYTHON = re.compile(r"^(/usr/(local/)?bin/)?python(3(\.\d+)?)?$")


class Reference(NamedTuple):
    """An image reference, taken apart."""

    name: str
    tag: str
    digest: str

    def repository(self) -> str:
        """The Artifact Registry repository, or an empty string for another host."""
        host, _, path = self.name.partition("/")
        region = _REGION_HOST.match(host)
        parts = path.split("/")
        if region is None or len(parts) < len(("project", "repository", "image")):
            return ""
        return f"projects/{parts[0]}/locations/{region[1]}/repositories/{parts[1]}"


def parse_reference(text: str) -> Reference:
    """Take a reference apart; a missing tag is ``latest`` unless there is a digest."""
    match = _REFERENCE.match(text)
    if match is None:
        raise not_found(f"invalid reference format: {text}")
    digest = match["digest"] or ""
    return Reference(
        match["name"], match["tag"] or ("" if digest else "latest"), digest
    )


class Shelf:
    """Images by name, tag and digest: what an engine and a registry have in common."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: dict[tuple[str, str], Image] = {}
        self._tags: dict[tuple[str, str], str] = {}

    def put(self, text: str, image: Image) -> Reference:
        """Keep an image under a reference."""
        reference = parse_reference(text)
        dated = image if image.created else image._replace(created=now_ns())
        with self._lock:
            self._images[reference.name, image.digest] = dated
            if reference.tag:
                self._tags[reference.name, reference.tag] = image.digest
        return reference

    def find(self, text: str) -> Image | None:
        """The image behind a reference."""
        reference = parse_reference(text)
        with self._lock:
            digest = reference.digest or self._tags.get(
                (reference.name, reference.tag), ""
            )
            return self._images.get((reference.name, digest))

    def images(self) -> list[tuple[str, Image, list[str]]]:
        """Every (name, image, tags)."""
        with self._lock:
            return [
                (name, image, sorted(
                    tag for (other, tag), to in self._tags.items()
                    if other == name and to == digest
                ))
                for (name, digest), image in self._images.items()
            ]  # fmt: skip


class Images(Protocol):
    """What has been pushed, as far as it is looked up."""

    def find(self, text: str) -> Image | None:
        """The image behind a reference."""
        ...

    def images(self) -> Sequence[tuple[str, Image, list[str]]]:
        """Every (name, image, tags)."""
        ...


class PushRefused(Exception):
    """A push did not succeed; ``kind`` is the failure type of Cloud Build."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def interpreted(argv: Sequence[str]) -> list[str]:
    """Replace the image's Python by the emulator's own."""
    words = list(argv)
    if words and _PYTHON.match(words[0]):
        words[0] = sys.executable
    return words


def search_path(*before: str) -> str:
    """The PATH of a process that stands for a container."""
    own = str(Path(sys.executable).parent)
    return ":".join([*before, own, "/usr/local/bin", "/usr/bin", "/bin"])


def command_of(
    image: Image,
    *,
    entrypoint: Sequence[str],
    args: Sequence[str] | None,
    environment: Mapping[str, str],
    directory: str = "",
) -> Command:
    """What to start for a container of this image.

    As with containers: an entrypoint given replaces the image's and drops its CMD;
    arguments given replace the CMD.
    """
    default = () if entrypoint else image.cmd
    argv = [*(entrypoint or image.entrypoint), *(args or default)]
    own = {
        name: ":".join(image.inside(part) for part in value.split(":"))
        if name == "PYTHONPATH"
        else image.inside(value)
        for name, value in image.environment.items()
        if name != "PATH"
    }
    whole = {"PATH": search_path(), "HOME": image.rootfs, **own, **environment}
    workdir = directory or str(Path(image.rootfs) / image.workdir.lstrip("/"))
    return Command(interpreted([image.inside(word) for word in argv]), whole, workdir)
