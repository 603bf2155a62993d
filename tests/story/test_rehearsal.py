"""``make rehearse``: the whole pipeline on this machine, from nothing."""

import signal
import subprocess
import sys

import pytest

from jobs import rehearsal
from jobs.config import load
from jobs.rehearsal import CannotRehearse
from tests.fix_cli import CHECKOUT, process_environment


@pytest.fixture
def rehearse(tmp_path):
    """Start a rehearsal in a checkout of its own."""
    for name in (
        *("jobs", "migrate", "emulator", "requirements", "environments", "migrations"),
        *("Dockerfile.migrate", "cloudbuild.migrate.yaml", "pyproject.toml"),
    ):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    started = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.rehearsal", *arguments],
            cwd=tmp_path,
            env=process_environment(tmp_path, variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


@pytest.mark.slow
def test_a_rehearsal_ends_with_the_seeds_banner(rehearse):
    """Exit 0, the shipped migration applied and verified, and nothing left running.

    Slow because it makes a PostgreSQL, an emulator and two images.
    """
    process = rehearse("--fresh")
    out, err = process.communicate(timeout=100)

    assert 0 == process.returncode, out + err
    assert "every container is a process on this machine" in err
    assert "  ✓ prompt_templates" in out
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in out
    assert "1 applied" in out.splitlines()[-1]


def test_what_does_not_start_is_named(tmp_path, monkeypatch):
    """The embedded Postgres, or the emulator, with its own last word."""
    target = load("rehearsal", str(CHECKOUT / "environments"))
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with (
        pytest.raises(CannotRehearse, match="the embedded Postgres did not start"),
        rehearsal.postgres(tmp_path / "x" / "postgres"),
    ):
        pass
    with (
        pytest.raises(CannotRehearse, match="the emulator did not start"),
        rehearsal.emulator(target),
    ):
        pass


def test_containers_without_an_engine_are_refused_with_the_cure(rehearse):
    """At once, before a server is started: what is missing, and three ways on."""
    process = rehearse("--containers", DOCKER_HOST="unix:///nowhere/docker.sock")
    out, err = process.communicate(timeout=60)

    assert 2 == process.returncode
    assert "" == out
    assert "no container engine answers at unix:///nowhere/docker.sock" in err
    assert "scripts/container_engine.sh start" in err
    assert "without containers: make rehearse" in err
