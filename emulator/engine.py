"""A stand-in for the docker engine of one build: build, tag, push, pull, inspect.

Asked by the little ``docker`` program that a step finds on its PATH. Says in what it
prints that no engine is there.
"""

import argparse
import json
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from emulator.dockerfile import BuildFailed, Image, build_image
from emulator.policy import PERMISSIONS
from emulator.registry import PushRefused, Shelf, parse_reference
from emulator.world import Pushed, World

SAYS_SO = "(no container engine: the emulator stands in for docker)"
_INDEX = re.compile(r"\{\{\s*index \.RepoDigests (\d+)\s*\}\}")
CLIENT = """\
#!{python} -I
import json, os, sys, urllib.request
asked = {{"build": {build!r}, "argv": sys.argv[1:], "cwd": os.getcwd()}}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
request = urllib.request.Request(
    "http://{address}/_emulator/docker",
    json.dumps(asked).encode(),
    {{"Content-Type": "application/json"}},
)
told = json.load(opener.open(request))
sys.stdout.write(told["out"])
sys.stderr.write(told["err"])
sys.exit(told["exit"])
"""


class Told(NamedTuple):
    """What the docker program writes, and how it exits."""

    exit: int
    out: str = ""
    err: str = ""


def refuse_push(world: World, account: str, name: str) -> None:
    """Raise `PushRefused` where Artifact Registry would not take an image from whom."""
    repository = parse_reference(name).repository()
    if repository and repository not in world.repositories:
        short = repository.rsplit("/", 1)[1]
        raise PushRefused(
            "PUSH_FAILED", f'name unknown: Repository "{short}" not found'
        )
    fault = world.faults.first("build", "push_denied")
    permission = PERMISSIONS["registry.push"]
    if fault is not None or not world.policy.allows(account, permission, repository):
        raise PushRefused(
            "PUSH_NOT_AUTHORIZED",
            f'denied: Permission "{permission}" denied on resource "{repository}" '
            "(or it may not exist)",
        )


class Engine:
    """The images of one build; what it pushes goes to ``pushed``."""

    def __init__(
        self, world: World, account: str, directory: Path, pushed: Shelf
    ) -> None:
        self._world, self._account, self._directory = world, account, directory
        self._pushed = pushed
        self.shelf = Shelf()
        self._digests: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._number = 0

    def docker(self, argv: list[str], cwd: str) -> Told:
        """Carry out a docker command line."""
        words = list(argv)
        if words[:1] in (["buildx"], ["image"], ["builder"]):
            words = words[1:]
        verb = words[0] if words else "version"
        method: Callable[[list[str], Path], Told] | None = getattr(
            self, f"_do_{verb}", None
        )
        if method is None:
            return Told(125, err=f"docker: '{verb}' is not carried out {SAYS_SO}\n")
        try:
            return method(words[1:], Path(cwd))
        except BuildFailed as failure:
            return Told(1, err=f"{failure}\n")
        except PushRefused as refusal:
            return Told(1, err=f"{refusal}\n")
        except SystemExit:
            return Told(125, err=f"docker: cannot read: {shlex.join(argv)}\n")

    def _do_version(self, _words: list[str], _cwd: Path) -> Told:
        return Told(0, f"Docker version 0 {SAYS_SO}\n")

    def _do_login(self, _words: list[str], _cwd: Path) -> Told:
        return Told(0, "Login Succeeded\n")

    def _do_build(self, words: list[str], cwd: Path) -> Told:
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        parser.add_argument("-t", "--tag", action="append", default=[])
        parser.add_argument("-f", "--file", default="Dockerfile")
        parser.add_argument("--build-arg", action="append", default=[])
        parser.add_argument("--target")
        parser.add_argument("--push", action="store_true")
        for ignored in ("--cache-from", "--cache-to", "--label", "--platform",
                        "--progress", "--network", "--iidfile", "--output"):  # fmt: skip
            parser.add_argument(ignored, action="append")
        for flag in ("-q", "--quiet", "--pull", "--no-cache", "--load"):
            parser.add_argument(flag, action="store_true")
        parser.add_argument("context")
        given = parser.parse_args(words)
        with self._lock:
            self._number += 1
            into = self._directory / f"image-{self._number}"
        context = (cwd / given.context).resolve()
        out: list[str] = [SAYS_SO]
        image = build_image(
            context,
            context / given.file
            if not (cwd / given.file).exists()
            else cwd / given.file,
            into,
            arguments=dict(
                part.partition("=")[::2] for part in given.build_arg if "=" in part
            ),
            target=given.target,
            say=out.append,
        )
        out.append(f"Successfully built {image.digest[7:19]}")
        for tag in given.tag:
            reference = self.shelf.put(tag, image)
            out.append(f"Successfully tagged {reference.name}:{reference.tag}")
        if given.push:
            out += [self.push(tag).line for tag in given.tag]
        return Told(0, "\n".join(out) + "\n")

    def _do_tag(self, words: list[str], _cwd: Path) -> Told:
        image = self.shelf.find(words[0])
        if image is None:
            return Told(
                1, err=f"Error response from daemon: No such image: {words[0]}\n"
            )
        self.shelf.put(words[1], image)
        return Told(0)

    def _do_push(self, words: list[str], _cwd: Path) -> Told:
        names = [word for word in words if not word.startswith("-")]
        return Told(0, "".join(self.push(name).line + "\n" for name in names))

    def _do_pull(self, words: list[str], _cwd: Path) -> Told:
        name = next(word for word in words if not word.startswith("-"))
        image = self._pushed.find(name)
        if image is not None:
            self.shelf.put(name, image)
            return Told(0, f"{image.digest}: Pulling from the registry\n")
        if parse_reference(name).repository():
            return Told(
                1,
                err=f"Error response from daemon: manifest for {name} not found: "
                "manifest unknown\n",
            )
        return Told(0, f"{name}: not pulled {SAYS_SO}\n")

    def _do_images(self, _words: list[str], _cwd: Path) -> Told:
        lines = [
            f"{name}  {','.join(tags)}  {image.digest[7:19]}"
            for name, image, tags in self.shelf.images()
        ]
        return Told(0, "".join(f"{line}\n" for line in lines))

    def _do_inspect(self, words: list[str], _cwd: Path) -> Told:
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        parser.add_argument("-f", "--format")
        parser.add_argument("--type")
        parser.add_argument("names", nargs="+")
        given = parser.parse_args(words)
        out = ""
        for name in given.names:
            image = self.shelf.find(name)
            if image is None:
                return Told(1, out, f"Error: No such object: {name}\n")
            out += self._inspected(image, given.format) + "\n"
        return Told(0, out)

    def _inspected(self, image: Image, wanted: str | None) -> str:
        digests = self._digests.get(image.digest, [])
        told = {"Id": image.digest, "RepoDigests": digests, "Size": image.size}
        if wanted is None:
            return json.dumps([told], indent=4)
        index = _INDEX.search(wanted)
        if index is not None:
            if int(index[1]) >= len(digests):
                raise BuildFailed(
                    'Template parsing error: template: :1:2: executing "" at <index '
                    ".RepoDigests 0>: error calling index: index out of range: 0"
                )
            return _INDEX.sub(digests[int(index[1])], wanted)
        return (
            wanted.replace("{{.Id}}", image.digest)
            .replace("{{json .RepoDigests}}", json.dumps(digests))
            .replace("{{.RepoDigests}}", f"[{' '.join(digests)}]")
        )

    def push(self, name: str) -> Pushed:
        """Push an image as the build's service account."""
        image = self.shelf.find(name)
        if image is None:
            raise PushRefused(
                "PUSH_IMAGE_NOT_FOUND",
                f"An image does not exist locally with the tag: {name}",
            )
        refuse_push(self._world, self._account, name)
        reference = self._pushed.put(name, image)
        full = f"{reference.name}@{image.digest}"
        digests = self._digests.setdefault(image.digest, [])
        if full not in digests:
            digests.append(full)
        return Pushed(
            image.digest,
            f"{reference.tag}: digest: {image.digest} size: {image.size}",
        )
