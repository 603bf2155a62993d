"""Enough of a Dockerfile to make a pseudo image: what is copied where, and what starts.

`build_image` reads the file, copies the context's files into a directory that stands for
the image's file system and returns what a process needs to start from it. RUN is not
carried out: the interpreter is the emulator's own, and finds the image's Python compiled.
Called by the docker stand-in and by ``--image``.
"""

import contextlib
import fnmatch
import functools
import hashlib
import importlib.util
import json
import marshal
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_VARIABLE = re.compile(r"\\\$|\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
Say = Callable[[str], None]


class BuildFailed(Exception):
    """The build cannot go on; the message is what docker would print."""


class Image(NamedTuple):
    """A pseudo image: a directory, and how to start a process in it."""

    digest: str
    rootfs: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    workdir: str = "/"
    size: int = 0
    created: int = 0

    def inside(self, text: str) -> str:
        """Turn an absolute path of the image into the path on this machine."""
        head, equals, tail = text.partition("=")
        if equals and tail.startswith("/"):
            return f"{head}={self.inside(tail)}"
        if text.startswith("/") and text != "/":
            real = Path(self.rootfs) / text.lstrip("/")
            if real.exists():
                return str(real)
        return text


class _Stage:
    """One FROM … and what has been gathered for it."""

    def __init__(self, rootfs: Path, base: "_Stage | None") -> None:
        self.rootfs = rootfs
        rootfs.mkdir(parents=True, exist_ok=True)
        self.environment: dict[str, str] = {}
        self.entrypoint: tuple[str, ...] = ()
        self.cmd: tuple[str, ...] = ()
        self.workdir = "/"
        if base is not None:
            shutil.copytree(base.rootfs, rootfs, dirs_exist_ok=True, symlinks=True)
            self.environment = dict(base.environment)
            self.entrypoint, self.cmd = base.entrypoint, base.cmd
            self.workdir = base.workdir

    def path(self, written: str) -> Path:
        """Where a path of the image is on this machine."""
        whole = written if written.startswith("/") else f"{self.workdir}/{written}"
        return self.rootfs / whole.lstrip("/")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield (INSTRUCTION, rest); continued lines are joined, comments are dropped."""
    pending = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#") or (not line and not pending):
            continue
        if line.endswith("\\"):
            pending += line[:-1].rstrip() + " "
            continue
        word, _, rest = (pending + line).strip().partition(" ")
        pending = ""
        if word:
            yield word.upper(), rest.strip()


def _expand(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(3)
        if name is None:
            return "$"
        return values.get(name) or match.group(2) or ""

    return _VARIABLE.sub(value, text)


def _argv(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        return tuple(str(word) for word in json.loads(text))
    return ("/bin/sh", "-c", text)


class _Builder:
    """The state of one build; a method per instruction."""

    def __init__(self, context: Path, into: Path, given: Mapping[str, str]) -> None:
        self._context, self._into, self._given = context, into, given
        self._arguments: dict[str, str] = {}
        self._stages: dict[str, _Stage] = {}
        self._order: list[_Stage] = []
        self._ignored = _ignore_patterns(context)

    @property
    def stage(self) -> _Stage:
        if not self._order:
            raise BuildFailed("no build stage in current context")
        return self._order[-1]

    def values(self) -> dict[str, str]:
        own = self._order[-1].environment if self._order else {}
        return {**self._arguments, **own}

    def named(self, name: str) -> _Stage | None:
        return self._stages.get(name)

    def do(self, word: str, rest: str) -> None:
        method = getattr(self, f"do_{word.lower()}", None)
        if method is not None:
            method(rest)

    def do_arg(self, rest: str) -> None:
        for part in shlex.split(rest):
            name, _, default = part.partition("=")
            self._arguments[name] = self._given.get(
                name, _expand(default, self.values())
            )

    def do_from(self, rest: str) -> None:
        words = [
            word
            for word in _expand(rest, self._arguments).split()
            if not word.startswith("--")
        ]
        base = self._stages.get(words[0])
        stage = _Stage(self._into / str(len(self._order)), base)
        self._stages[str(len(self._order))] = stage
        match words:
            case [_, word, name] if word.upper() == "AS":
                self._stages[name] = stage
        self._order.append(stage)

    def do_workdir(self, rest: str) -> None:
        written = _expand(rest, self.values())
        whole = (
            written if written.startswith("/") else f"{self.stage.workdir}/{written}"
        )
        self.stage.workdir = whole
        self.stage.path(whole).mkdir(parents=True, exist_ok=True)

    def do_env(self, rest: str) -> None:
        expanded = _expand(rest, self.values())
        if "=" not in expanded.split(" ", 1)[0]:
            name, _, value = expanded.partition(" ")
            self.stage.environment[name] = value.strip()
            return
        for part in shlex.split(expanded):
            name, _, value = part.partition("=")
            self.stage.environment[name] = value

    def do_entrypoint(self, rest: str) -> None:
        self.stage.entrypoint, self.stage.cmd = _argv(rest), ()

    def do_cmd(self, rest: str) -> None:
        self.stage.cmd = _argv(rest)

    def do_add(self, rest: str) -> None:
        self.do_copy(rest)

    def do_copy(self, rest: str) -> None:
        expanded = _expand(rest, self.values())
        words = (
            [str(w) for w in json.loads(expanded)]
            if expanded.startswith("[")
            else shlex.split(expanded)
        )
        flags = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = next((f[7:] for f in flags if f.startswith("--from=")), None)
        for source in sources:
            self._copy(source, target, origin, several=len(sources) > 1)

    def _copy(
        self, source: str, target: str, origin: str | None, *, several: bool
    ) -> None:
        stage = self._stages.get(origin) if origin else None
        if origin is not None:
            if stage is None or not (stage.rootfs / source.lstrip("/")).exists():
                return  # made by a RUN or in a foreign image: the interpreter has it
            found = [stage.rootfs / source.lstrip("/")]
        else:
            found = self._in_context(source)
        into = self.stage.path(target)
        directory = several or target.endswith("/") or target in {".", "./"}
        for path in found:
            if path.is_dir():
                shutil.copytree(
                    path, into, dirs_exist_ok=True, ignore=self._ignore, symlinks=True
                )
            else:
                place = into / path.name if directory or into.is_dir() else into
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, place)

    def _in_context(self, source: str) -> list[Path]:
        pattern = source.lstrip("/").rstrip("/")
        plain = {".", ""}
        found = (
            [self._context] if pattern in plain else sorted(self._context.glob(pattern))
        )
        found = [path for path in found if not self._is_ignored(path)]
        if not found:
            raise BuildFailed(
                "COPY failed: file not found in build context or excluded by "
                f".dockerignore: stat {source}: file does not exist"
            )
        return found

    def _is_ignored(self, path: Path) -> bool:
        if path == self._context:
            return False
        name = path.relative_to(self._context).as_posix()
        verdict = False
        for pattern, kept in self._ignored:
            if fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern}/"):
                verdict = not kept
            elif kept and pattern.startswith(f"{name}/"):
                verdict = False  # a directory with an exception inside it is there
        return verdict

    def _ignore(self, directory: str, names: list[str]) -> set[str]:
        here = Path(directory)
        if not here.is_relative_to(self._context):
            return set()
        # A directory with an exception inside it is entered all the same.
        return {
            name
            for name in names
            if name == "__pycache__"
            or (
                self._is_ignored(here / name)
                and not any(kept for _, kept in self._ignored if (here / name).is_dir())
            )
        }


def _ignore_patterns(context: Path) -> list[tuple[str, bool]]:
    """Read .dockerignore: (pattern, is an exception)."""
    file = context / ".dockerignore"
    if not file.is_file():
        return []
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        (line.lstrip("!").strip("/").removeprefix("**/"), line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    ]


def build_image(
    context: Path,
    file: Path,
    into: Path,
    *,
    arguments: Mapping[str, str],
    target: str | None,
    say: Say,
) -> Image:
    """Build a pseudo image from a context directory; `BuildFailed` when it cannot be."""
    if not file.is_file():
        raise BuildFailed(
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
            f"lstat {file.name}: no such file or directory"
        )
    steps = list(instructions(file.read_text(encoding="utf-8")))
    builder = _Builder(context, into, arguments)
    for number, (word, rest) in enumerate(steps, 1):
        if word == "FROM" and target and builder.named(target) is not None:
            break
        note = " (skipped: no container engine)" if word == "RUN" else ""
        say(f"Step {number}/{len(steps)} : {word} {rest}{note}")
        builder.do(word, rest)
    stage = builder.named(target) if target else builder.stage
    if stage is None:
        raise BuildFailed(f"failed to reach build target {target} in Dockerfile")
    return _sealed(stage)


def _sealed(stage: _Stage) -> Image:
    """Give a finished stage its digest: a hash of all it holds and how it starts."""
    how = [
        stage.entrypoint,
        stage.cmd,
        sorted(stage.environment.items()),
        stage.workdir,
    ]
    digest = hashlib.sha256(json.dumps(how).encode())
    size = 0
    for path in sorted(stage.rootfs.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            size += len(content)
            name = path.relative_to(stage.rootfs).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    _compile(stage.rootfs)
    return Image(
        digest=f"sha256:{digest.hexdigest()}",
        rootfs=str(stage.rootfs),
        entrypoint=stage.entrypoint,
        cmd=stage.cmd,
        environment=stage.environment,
        workdir=stage.workdir,
        size=size,
    )


def _compile(rootfs: Path) -> None:
    """Compile an image's Python, as a RUN of its own would: a start has not to."""
    for path in rootfs.rglob("*.py"):
        place = Path(importlib.util.cache_from_source(str(path)))
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            compiled = _bytecode(path.read_bytes(), path.name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(compiled)


@functools.cache
def _bytecode(source: bytes, name: str) -> bytes:
    """Return a module as its .pyc, never to be compared with its source (PEP 552).

    Kept: one build has most of its files in common with the next.
    """
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    unchecked = (1).to_bytes(4, "little")
    head = importlib.util.MAGIC_NUMBER + unchecked
    return head + importlib.util.source_hash(source) + code
