"""A real pgbouncer in front of a test's database, in any pooling mode.

Asked for by the tests of locks and of connections through a pooler.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from tests.fix_postgres import Database
from tests.machine import LOOPBACK, account, free_port, scratch_directory

MISSING = "pgbouncer is not installed: apt-get install pgbouncer"
START_SECONDS = 15
STOP_SECONDS = 5


class Pooler(NamedTuple):
    """A running pgbouncer."""

    database: Database
    port: int
    pid: int

    @property
    def dsn(self) -> str:
        """Connect to the database through the pooler."""
        return make_dsn(
            host=LOOPBACK, port=self.port, user="postgres", dbname=self.database.name
        )

    @property
    def url(self) -> str:
        """Connect to the database through the pooler."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{self.database.name}"


def _program() -> str:
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    found = found or shutil.which("pgbouncer")
    if not found:
        raise FileNotFoundError(MISSING)
    return found


def _settings(database: Database, mode: str, port: int, more: dict[str, object]) -> str:
    server = database.server
    chosen: dict[str, object] = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": 5,
        "max_client_conn": 100,
        **more,
    }
    lines = [f"{key} = {value}" for key, value in chosen.items()]
    target = f"host={server.socket_dir} port={server.port} user=postgres"
    return "\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""])


@contextlib.contextmanager
def running(database: Database, mode: str, more: dict[str, object]) -> Iterator[Pooler]:
    """Keep a pooler for the length of a block."""
    base = scratch_directory("pgb-")
    port = free_port()
    file = base / "pgbouncer.ini"
    file.write_text(_settings(database, mode, port, more))
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [_program(), str(file)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=base,
            **account().popen(),
        )
    try:
        pooler = Pooler(database, port, process.pid)
        _wait(pooler, process, base / "log")
        yield pooler
    finally:
        process.terminate()  # in 1.18 SIGTERM is the immediate shutdown
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(base, ignore_errors=True)


def _wait(pooler: Pooler, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(pooler.dsn).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"pgbouncer did not start: {log.read_text()}")


@pytest.fixture
def pgbouncer() -> Iterator[Callable[..., Pooler]]:
    """Start poolers: ``pgbouncer(database, "transaction")``; keywords are settings."""
    with contextlib.ExitStack() as stack:

        def start(database: Database, mode: str = "session", **more: object) -> Pooler:
            return stack.enter_context(running(database, mode, more))

        yield start
