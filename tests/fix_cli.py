"""The command line as a real process, and directories of migrations for it.

Asked for by every test of what a person or a pipeline sees. Nothing of the developer's
environment reaches the process; coverage follows it there by its own variables.
"""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.forked import python

CHECKOUT = Path(__file__).resolve().parent.parent
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")
SECONDS = 60


class Finished(NamedTuple):
    """What a process left: its exit code and all it wrote."""

    exit: int
    out: str
    err: str


def process_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process under test."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    fixed = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(CHECKOUT),
    }
    return {**kept, **fixed, **more}


@pytest.fixture
def start_migrate(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m migrate …`` and leave it running (signals, locks, races).

    Whatever still runs when the test ends is killed.
    """
    with contextlib.ExitStack() as stack:

        def start(
            *args: object,
            env: Mapping[str, str] | None = None,
            cwd: Path | None = None,
            module: str = "migrate",
            stdin: int | None = subprocess.DEVNULL,
        ) -> subprocess.Popen[str]:
            process = python(
                "-m",
                module,
                *args,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd or tmp_path,
                env=process_environment(tmp_path, env or {}),
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def run_migrate(start_migrate) -> Callable[..., Finished]:
    """Run ``python -m migrate …`` to its end: ``run_migrate("status", env={…})``."""

    def run(
        *args: object,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str | None = None,  # noqa: A002 - the name subprocess gives it
        module: str = "migrate",
    ) -> Finished:
        process = start_migrate(
            *args,
            env=env,
            cwd=cwd,
            module=module,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        )
        out, err = process.communicate(input, timeout=SECONDS)
        return Finished(process.returncode, out, err)

    return run


@pytest.fixture
def a_directory(tmp_path) -> Callable[..., Path]:
    """Write a directory of migrations: ``a_directory({"0001_users.sql": "…"})``."""

    def build(files: Mapping[str, str | bytes], name: str = "migrations") -> Path:
        directory: Path = tmp_path / name
        directory.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (directory / file).write_bytes(data)
        return directory

    return build
