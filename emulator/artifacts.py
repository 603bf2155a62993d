"""A real registry on this machine's loopback, which holds what has been pushed.

The counterpart of `registry.Shelf` in container mode: the registry's own program runs as
a child, and images are looked up over its HTTP API. An image of Artifact Registry is kept
under its whole name, behind the registry's address: `Artifacts.local`.
"""

import contextlib
import datetime as dt
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from emulator.dockerd import NoEngine
from emulator.dockerfile import Image
from emulator.registry import parse_reference

#: The same program under Debian's name and under its maker's.
PROGRAMS = ("docker-registry", "registry")
_START_S, _ANSWER_S = 10.0, 20.0
_TRIES = 3
_NEVER = "1970-01-01"
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_SETTINGS = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: '{directory}'}}}}
http: {{addr: '{address}'}}
"""


class Artifacts:
    """What has been pushed."""

    def __init__(
        self, address: str, process: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        self.address = address
        self._process = process

    @classmethod
    def start(cls, directory: Path) -> "Artifacts":
        """Start a registry of our own; `NoEngine` where its program is missing."""
        programs = filter(None, (shutil.which(name) for name in PROGRAMS))
        program = next(programs, None)
        if program is None:
            raise NoEngine(
                f"no registry to push to: neither {' nor '.join(PROGRAMS)} is on the "
                "PATH; on Debian: apt-get install docker-registry; or name one that "
                "listens on loopback with --registry HOST:PORT"
            )
        directory.mkdir(parents=True, exist_ok=True)
        # The engine knows by its address what a registry has; so it keeps its port.
        remembered = directory / "port"
        ports = [remembered.read_text("utf-8")] if remembered.is_file() else []
        for port in [*ports, *(str(_free_port()) for _ in range(_TRIES))]:
            address = f"127.0.0.1:{port}"
            file = directory / "registry.yaml"
            file.write_text(
                _SETTINGS.format(directory=directory / "images", address=address),
                encoding="utf-8",
            )
            process = subprocess.Popen(
                [program, "serve", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            made = cls(address, process)
            if made.answers(_START_S):
                if not ports:
                    remembered.write_text(port, encoding="utf-8")
                return made
            made.close()
        raise NoEngine(f"the registry did not start: {program} serve {file}")

    def answers(self, seconds: float) -> bool:
        """Wait until it answers; false when it does not, or has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                return False
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._get("/v2/")[0] == http.HTTPStatus.OK:
                    return True
            time.sleep(0.02)
        return False

    def local(self, name: str) -> str:
        """The name under which the engine pushes and pulls an image of Google's."""
        return f"{self.address}/{name}"

    def theirs(self, text: str) -> str:
        """A text of the engine's, with Google's names again."""
        return text.replace(f"{self.address}/", "")

    def find(self, text: str) -> Image | None:
        """The image behind a reference, as the registry tells it."""
        reference = parse_reference(text)
        return self._image(reference.name, reference.digest or reference.tag)

    def images(self) -> list[tuple[str, Image, list[str]]]:
        """Every (name, image, tags)."""
        found: dict[tuple[str, str], tuple[Image, list[str]]] = {}
        for name, tag in self._tags():
            image = self._image(name, tag)
            if image is not None:
                _, tags = found.setdefault((name, image.digest), (image, []))
                tags.append(tag)
        return [(name, image, tags) for (name, _), (image, tags) in found.items()]

    def close(self) -> None:
        """Stop the registry that was started here."""
        if self._process is None:
            return
        # What it has stored it has stored; it has nothing to finish.
        self._process.kill()
        self._process.wait()

    # --- its HTTP API -----------------------------------------------------------------

    def _tags(self) -> Iterator[tuple[str, str]]:
        catalog = json.loads(self._get("/v2/_catalog?n=1000")[2])
        for name in catalog.get("repositories") or ():
            status, _, text = self._get(f"/v2/{quote(name)}/tags/list")
            if status == http.HTTPStatus.OK:
                yield from ((name, tag) for tag in json.loads(text).get("tags") or ())

    def _image(self, name: str, reference: str) -> Image | None:
        path = f"/v2/{quote(name)}"
        status, headers, text = self._get(f"{path}/manifests/{reference}")
        if status != http.HTTPStatus.OK:
            return None
        manifest = json.loads(text)
        parts = [manifest["config"], *manifest["layers"]]
        config = json.loads(self._get(f"{path}/blobs/{parts[0]['digest']}")[2])
        return Image(
            digest=headers["docker-content-digest"],
            rootfs="",
            size=sum(int(part["size"]) for part in parts),
            created=_nanoseconds(str(config.get("created") or "")),
        )

    def _get(self, path: str) -> tuple[int, Mapping[str, Any], bytes]:
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=_ANSWER_S)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Accept": ", ".join(_MANIFESTS)})
            answer = connection.getresponse()
            text = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, text


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _nanoseconds(text: str) -> int:
    """A time of an image; the engine writes nine digits behind the point."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = dt.datetime.fromisoformat(whole or _NEVER).replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0") or 0)
