"""What `tests.forked` forks behaves as what Python starts."""

import os
import signal
import socket
import subprocess

import pytest

from tests.fix_cli import process_environment
from tests.forked import Forked, python

PIPE = subprocess.PIPE


@pytest.fixture(params=["forked", "started"])
def start(request, tmp_path):
    """Start a program in one way, then in the other; all else is the same."""
    ways = {"forked": Forked, "started": subprocess.Popen}
    started = []

    def start(*words, **env):
        environment = process_environment(tmp_path, env)
        environment.pop("COVERAGE_PROCESS_CONFIG", None)
        if request.param == "started":
            environment["LC_ALL"] = "C.UTF-8"
        streams = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
        process = python("-m", *words, env=environment, cwd=tmp_path, **streams)
        started.append(process)
        assert ways[request.param] is type(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_has_a_number_streams_and_an_exit_code(start):
    """Help goes to stdout with 0, a wrong word to stderr with 2."""
    helping, wrong = start("migrate", "--help"), start("migrate", "aply")

    out, err = helping.communicate()
    said, complained = wrong.communicate()

    assert helping.pid not in (wrong.pid, os.getpid())
    assert (0, "usage: python -m migrate [-h]", "") == (
        helping.returncode,
        out[:29],
        err,
    )
    assert (2, "") == (wrong.returncode, said)
    assert "invalid choice: 'aply'" in complained


def test_it_has_a_directory_and_an_environment(start, tmp_path):
    """A migration is written where it was started; its settings are those it was given."""
    for environment in ({}, {"MIGRATE_DIR": "elsewhere"}):
        made = start("migrate", "new", "users", **environment)
        out, err = made.communicate()
        assert 0 == made.returncode, out + err

    assert 1 == len(list((tmp_path / "migrations").glob("*users.sql")))
    assert 1 == len(list((tmp_path / "elsewhere").glob("*users.sql")))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), (signal.SIGTERM, 7), (signal.SIGINT, 7)],
)
def test_a_signal_ends_it(start, a_directory, number, code):
    """It is met by a signal while it waits for a server that does not answer."""
    a_directory({"0001_a.sql": "SELECT 1;"})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        process = start("migrate", "apply", "--wait", "1min", DATABASE_URL=address)
        session, _ = silent.accept()
        none = process.poll()
        process.send_signal(number)
        process.communicate(timeout=20)
        session.close()

    assert none is None
    assert code == process.returncode
    assert code == process.poll()
