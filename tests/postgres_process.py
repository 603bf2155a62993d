"""One throw-away PostgreSQL server: started, used, stopped.

Called by fix_postgres. Durability is off: it must never hold anything worth keeping.

Who may connect: over the socket everybody is trusted; over TCP the role ``postgres`` is
trusted and every other role needs its password (scram-sha-256).
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from psycopg2.extensions import connection, make_dsn

from tests.machine import LOOPBACK, account, free_port, roomy, scratch_directory
from tests.postgres_programs import binaries, bundled, runnable

SUPERUSER = "postgres"
#: What a new database is a copy of.
TEMPLATE = "template1"
START_SECONDS = 30
START_TRIES = 5
STOP_SECONDS = 10
#: Since when a database can be copied file by file: a third of the work of the WAL's way.
FILES_COPIED_SINCE = 15

SETTINGS = """
listen_addresses = '127.0.0.1,::1'
unix_socket_permissions = 0777
max_connections = 200
max_prepared_transactions = 10
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off            # a vacuum in the middle would hold locks no test asked for
log_line_prefix = '%m [%p] %a '
"""

HBA = """
local  all  all              trust
local  replication  all      trust
host   all  postgres  all    trust
host   all  all       all    scram-sha-256
"""


class Server:
    """A running server. ``dsn`` goes over its socket, ``url`` over TCP."""

    def __init__(self, version: int, records: Path) -> None:
        self.version = version
        self.host = LOOPBACK
        self.port = 0
        self.keep = False
        self._base = scratch_directory(f"pg{version}-")
        self._records = records
        self._place = scratch_directory(f"pg{version}-", roomy())
        self._data = self._place / "data"
        self._log = self._base / "log"
        self._admin: connection | None = None
        self._numbers = iter(range(1, 1_000_000))
        self._environment = {"PATH": os.defpath, "TZ": "UTC"}
        self.socket_dir = self._base
        try:
            self.bin = runnable(binaries(version), self._base)
            self._initialise()
            self._process = self._start()
        except BaseException:
            self._delete()
            raise
        self._remember()

    def restart(self, how: signal.Signals) -> None:
        """Stop it, SIGINT fast or SIGQUIT immediately, and start it at its old port."""
        if self._admin is not None:
            self._admin.close()
        self._process.send_signal(how)
        self._process.wait(STOP_SECONDS)
        self._process = self._start([self.port] * START_TRIES)
        self._record.unlink(missing_ok=True)
        self._remember()

    def _initialise(self) -> None:
        """Copy the empty cluster of these programs; whoever comes first makes it."""
        self._records.mkdir(parents=True, exist_ok=True)
        made = (self.bin / "postgres").stat()
        kept = self._records / f"empty-{self.version}-{made.st_size}-{made.st_mtime_ns}"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if kept.is_dir():
                shutil.copytree(kept, self._data)
            else:
                self._initdb()
                half = Path(tempfile.mkdtemp(dir=self._records)) / "data"
                shutil.copytree(self._data, half).rename(kept)
                half.parent.rmdir()
        owner = account()
        for path in (self._data, *self._data.rglob("*")):
            owner.own(path)
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + f"unix_socket_directories = '{self.socket_dir}'\n")
        (self._data / "pg_hba.conf").write_text(HBA)

    def _initdb(self) -> None:
        command = [self.bin / "initdb", "-D", self._data, "-U", SUPERUSER, "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust"]
        ran = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            cwd=self._base,
            check=False,
            env={"PATH": os.defpath, "TZ": "UTC"},
            **account().popen(),
        )
        if ran.returncode:
            raise RuntimeError(f"initdb of PostgreSQL {self.version}: {ran.stderr}")

    def _start(self, ports: Iterable[int] = ()) -> subprocess.Popen[bytes]:
        # A port found free may be taken a moment later by another worker: try again.
        for port in ports or (free_port() for _ in range(START_TRIES)):
            self.port = port
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    [self.bin / "postgres", "-D", self._data, "-p", str(self.port)],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    cwd=self._base,
                    env=self._environment,
                    # A Ctrl-C for pytest is not one for the server: a kept database
                    # must outlive the run.
                    start_new_session=True,
                    **account().popen(),
                )
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                with contextlib.suppress(psycopg2.OperationalError):
                    # Who comes first leaves a cache of the catalogs behind, and that is
                    # copied with the template.
                    psycopg2.connect(self.dsn(TEMPLATE)).close()
                    return process
                time.sleep(0.02)
            _end(process.pid)
        raise RuntimeError(f"PostgreSQL {self.version}: {self._log.read_text()}")

    def _remember(self) -> None:
        """Write down who started what, for ``sweep`` of a later run."""
        self._records.mkdir(parents=True, exist_ok=True)
        owner = psutil.Process()
        self._record = self._records / f"{self._process.pid}.json"
        self._record.write_text(
            json.dumps(
                {
                    "owner": [owner.pid, owner.create_time()],
                    "server": [
                        self._process.pid,
                        psutil.Process(self._process.pid).create_time(),
                    ],
                    "directories": [str(self._base), str(self._place)],
                }
            )
        )

    def dsn(self, database: str, **changes: object) -> str:
        """Return a key=value connection string; keywords replace or add parameters."""
        given = {"host": self.socket_dir, "port": self.port, "user": SUPERUSER}
        parameters: dict[str, Any] = {**given, "dbname": database, **changes}
        text: str = make_dsn(None, **parameters)
        return text

    def url(
        self, database: str, *, user: str = SUPERUSER, password: str = "", **query: str
    ) -> str:
        """Return a URL over TCP; further keywords become its query."""
        secret = ":" + urllib.parse.quote(password, safe="") if password else ""
        name = urllib.parse.quote(user, safe="")
        asked = "?" + urllib.parse.urlencode(query) if query else ""
        place = f"{self.host}:{self.port}/{urllib.parse.quote(database)}"
        return f"postgresql://{name}{secret}@{place}{asked}"

    def admin(self) -> connection:
        """Return the one autocommit connection to the database ``postgres``."""
        if self._admin is None or self._admin.closed:
            self._admin = psycopg2.connect(self.dsn("postgres"))
            self._admin.autocommit = True
        return self._admin

    def create_database(self, name: str = "", template: str = TEMPLATE) -> str:
        """Create an empty database and return its name; without one, find one."""
        name = name or f"test_{next(self._numbers)}"
        how = "STRATEGY file_copy" if self.version >= FILES_COPIED_SINCE else ""
        with self.admin().cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {how}')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        with self.admin().cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def program(self, name: str) -> Path:
        """Return a program of the server's version, or a newer one that serves it too."""
        own = self.bin / name
        return own if own.exists() else bundled()[max(bundled())] / name

    def psql(self, database: str, sql: str) -> str:
        """Run SQL through psql, stop at the first error, return the unaligned rows."""
        program = str(self.program("psql"))
        ran = subprocess.run(
            [program, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database)],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"psql on {database}: {ran.stderr}")
        return ran.stdout

    def connect_line(self, database: str) -> str:
        """Return what a person types to look into a database."""
        return f'{self.program("psql")} "{self.dsn(database)}"'

    def stop(self) -> None:
        """Stop the server and delete it, unless a failed test needs it kept."""
        if self._admin is not None:
            self._admin.close()
        if self.keep:
            self._process.returncode = 0  # it outlives us; to subprocess that is a slip
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._record.unlink(missing_ok=True)
        self._delete()

    def _delete(self) -> None:
        for path in (self._base, self._place):
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int, created: float) -> bool:
    """Tell whether this very process runs, not a later one of the same number."""
    with contextlib.suppress(psutil.Error):
        return abs(float(psutil.Process(pid).create_time()) - created) < 1
    return False


def _end(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()


def sweep(records: Path) -> None:
    """Stop and delete what runs that are over have left: kept, or killed half-way."""
    for record in sorted(records.glob("*.json")) if records.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            left = json.loads(record.read_text())
            if _alive(*left["owner"]):
                continue
            if _alive(*left["server"]):
                _end(left["server"][0])
            for path in left.get("directories", ()):
                shutil.rmtree(path, ignore_errors=True)
            record.unlink(missing_ok=True)


@contextlib.contextmanager
def running(version: int, records: Path) -> Iterator[Server]:
    """Keep a server for the length of a block."""
    server = Server(version, records)
    try:
        yield server
    finally:
        server.stop()
