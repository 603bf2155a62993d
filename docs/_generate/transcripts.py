"""Run the commands that the documentation shows, and compare what they print.

Every block fenced as ``console`` is run: a line that begins with ``$`` is a command, what
follows is what it printed. The blocks of one page run in order, in one directory and
against one database. A comment right above a block says more:

``<!-- file: PATH -->``    the block is a file of the project, and is written
``<!-- scene: checkout -->``  above the first block of a page: run in a copy of this
checkout, with the database of ``make migrate``, instead of an empty project with a database
``<!-- scene: shipped -->``   the same: a project whose database has the shipped migration

What differs from run to run (times, ids) is printed as it came and not compared, so a page
changes only when something in it has changed. Called by ``python -m docs._generate`` and
by tests/docs.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from docs._generate.pages import CHECKOUT, Block, blocks
from tests.machine import scratch_directory
from tests.postgres_process import Server, running

#: The server whose output the pages show.
VERSION = 18
_SECONDS = 60
_PASSED_ON = ("LD_LIBRARY_PATH", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")
#: A directory that every reader could have.
_SHOWN_DIRECTORY = "/home/ada/project"
_PARTS_OF_CHECKOUT = (
    "Makefile", "environments", "migrate", "migrations", "prompts", "pyproject.toml",
    "requirements", "scripts", "verification",
)  # fmt: skip

#: What may differ between two runs that are the same.
_VARYING = (
    (r"\b\d+ min \d+ s\b|\b\d+(?:\.\d+)? m?s\b", "TIME"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00|[ ]UTC)?", "CLOCK"),
    (r'("(?:run_id|duration_ms|elapsed_ms)": )(?:"[0-9a-f]*"|[0-9.]+)', r"\1VALUE"),
    (r"\bpid \d+", "pid N"),
    (r"(cloudrun-migrate )[0-9a-f]{8}", r"\1ID"),
    (r"(PostgreSQL \d+)\.\d+", r"\1"),
)


def steady(lines: Sequence[str]) -> list[str]:
    """Return lines with what differs from run to run made equal."""
    text = "\n".join(line.rstrip() for line in lines)
    for pattern, replacement in _VARYING:
        text = re.sub(pattern, replacement, text)
    return text.split("\n")


class Stage:
    """A server, on which pages are performed one after another."""

    def __init__(self, server: Server) -> None:
        """Take a server that runs."""
        self._server = server

    def perform(self, text: str) -> str:
        """Return the page with its transcripts as they come out now."""
        found = [
            b for b in blocks(text) if b.language == "console" or b.mark[0] == "file"
        ]
        if not any(b.language == "console" for b in found):
            return text
        lines = text.splitlines()
        scene = next((b.mark[1] for b in found if b.mark[0] == "scene"), "")
        with self._scene(scene) as (directory, variables):
            moved = 0
            for block in found:
                if block.mark[0] == "file":
                    _write(directory, block)
                    continue
                printed = self._run(block, directory, variables)
                if steady(printed) != steady(block.lines):
                    first = block.first + moved
                    lines[first : first + len(block.lines)] = printed
                    moved += len(printed) - len(block.lines)
        return "\n".join(lines) + "\n"

    @contextlib.contextmanager
    def _scene(self, name: str) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """Give what a page asks for; without a word an empty project."""
        made = self._checkout() if name == "checkout" else self._project()
        with made as (directory, variables):
            if name == "shipped":
                shutil.copytree(CHECKOUT / "migrations", directory / "migrations")
                self._command("python -m migrate apply", directory, variables)
            yield directory, variables

    @contextlib.contextmanager
    def _project(self) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """Give an empty directory, and a database named ``app`` in DATABASE_URL."""
        directory = scratch_directory("docs-")
        self._server.create_database("app")
        try:
            yield directory, {"DATABASE_URL": self._server.url("app")}
        finally:
            self._server.drop_database("app")
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def _checkout(self) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """Give a checkout after ``make setup``, whose embedded database does not run yet."""
        directory = scratch_directory("docs-")
        for part in _PARTS_OF_CHECKOUT:
            (directory / part).symlink_to(CHECKOUT / part)
        environment = directory / ".venv"
        environment.mkdir()
        for part in ("bin", "lib", "pyvenv.cfg"):
            (environment / part).symlink_to(Path(sys.prefix) / part)
        (environment / ".complete").touch()
        try:
            yield directory, {}
        finally:
            self._command("python -m migrate.embedded stop", directory, {})
            shutil.rmtree(directory, ignore_errors=True)

    def _run(
        self, block: Block, directory: Path, variables: Mapping[str, str]
    ) -> list[str]:
        printed: list[str] = []
        for line in block.lines:
            if line.startswith("$ "):
                printed.append(line)
                printed += self._command(line[2:], directory, variables)
        return printed

    def _command(
        self, command: str, directory: Path, variables: Mapping[str, str]
    ) -> list[str]:
        kept = {n: os.environ[n] for n in _PASSED_ON if n in os.environ}
        programs = [Path(sys.prefix) / "bin", self._server.bin, "/usr/bin", "/bin"]
        ran = subprocess.run(
            ["/usr/bin/env", "bash", "-c", command],
            cwd=directory,
            env={
                "PATH": os.pathsep.join(map(str, programs)),
                "HOME": str(directory),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "PYTHONPATH": str(CHECKOUT),
                "PYTHONDONTWRITEBYTECODE": "1",
                **kept,
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_SECONDS,
            check=False,
        )
        text = ran.stdout.replace(str(directory), _SHOWN_DIRECTORY)
        text = text.replace(str(self._server.port), "5432")
        return [line.rstrip() for line in text.rstrip("\n").split("\n")] if text else []


def _write(directory: Path, block: Block) -> None:
    path = directory / block.mark[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(block.lines) + "\n", encoding="utf-8")


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Keep a server for the length of a block."""
    records = scratch_directory("docs-records-")
    try:
        with running(VERSION, records) as server:
            yield Stage(server)
    finally:
        shutil.rmtree(records, ignore_errors=True)
