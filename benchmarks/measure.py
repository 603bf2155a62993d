"""Run whole processes, interleaved in rounds, each on a database of its own.

Called by `__main__`. The clock runs from the start of a process to its end, its start-up
included; CPU and memory are the kernel's own account of the finished process. After each
run the database is looked at: a contender that left work undone is not measured.
"""

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection

from benchmarks.contender import Command, Contender
from benchmarks.server import Server
from benchmarks.workloads import Workload

_TABLES = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'app\\_%'"
_ACTION_THAT_APPLIES = "separate"


class Run(NamedTuple):
    """One process: seconds, seconds, seconds, kilobytes."""

    wall: float
    client_cpu: float
    server_cpu: float | None
    peak_kb: int


class Result(NamedTuple):
    """The runs of one contender, one for each round."""

    contender: str
    runs: list[Run]

    def median(self, field: str) -> float | None:
        """Return the median of one figure, where every run has it."""
        values = [getattr(run, field) for run in self.runs]
        return None if None in values else statistics.median(values)

    def ratio(self, other: "Result") -> float:
        """Return the median of the ratios of wall time, pair by pair within a round."""
        pairs = zip(self.runs, other.runs, strict=True)
        return statistics.median(mine.wall / theirs.wall for mine, theirs in pairs)


class WorkUndone(Exception):
    """A contender failed, or ended with another number of tables or history rows."""


def floor_kb() -> int:
    """Return what peak memory cannot read below: a child begins as a copy of us."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(
    server: Server,
    workload: Workload,
    contenders: Sequence[Contender],
    rounds: int,
    scratch: Path,
) -> list[Result]:
    """Measure every contender once a round, beginning with another one each round.

    Raises `WorkUndone`.
    """
    taking_part = [
        (contender, command, Result(contender.name, []))
        for contender in contenders
        if (command := contender.command(workload, scratch))
    ]
    bench = _Bench(server, workload, scratch)
    try:
        for number in range(rounds):
            turn = number % len(taking_part)
            for contender, command, result in taking_part[turn:] + taking_part[:turn]:
                result.runs.append(bench.run(contender, command))
    finally:
        bench.close()
    return [result for _, _, result in taking_part]


class _Bench:
    """Databases for one workload: a fresh one a run, or one a contender if it only reads."""

    def __init__(self, server: Server, workload: Workload, scratch: Path) -> None:
        self._server = server
        self._workload = workload
        self._scratch = scratch
        self._admin: connection = server.admin()
        self._standing: dict[str, str] = {}
        self._made = 0

    def close(self) -> None:
        for database in self._standing.values():
            self._drop(database)
        self._admin.close()

    def run(self, contender: Contender, command: Command) -> Run:
        if self._workload.action == "start":
            return self._timed(command, "nowhere")
        if self._workload.applied:
            database = self._standing.get(contender.name) or self._prepared(contender)
            return self._timed(command, database)
        database = self._create()
        try:
            found = self._timed(command, database)
            self._check(contender, database)
        finally:
            self._drop(database)
        return found

    def _prepared(self, contender: Contender) -> str:
        """Return a database in which the contender has applied everything already."""
        database = self._standing[contender.name] = self._create()
        applying = self._workload._replace(action=_ACTION_THAT_APPLIES)
        command = contender.command(applying, self._scratch)
        assert command is not None
        self._timed(command, database)
        self._check(contender, database)
        session = psycopg2.connect(self._server.url(database))
        session.autocommit = True
        session.cursor().execute("VACUUM ANALYZE")  # not in the middle of a round
        session.close()
        return database

    def _timed(self, command: Command, database: str) -> Run:
        url = self._server.url(database)
        arguments = [part.replace("{url}", url) for part in command.arguments]
        server_before = self._server.backends_cpu()
        errors = self._scratch / "errors"
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DATABASE_URL": url,
            "HOME": str(self._scratch),
        }
        with errors.open("wb") as stderr:
            began = time.perf_counter()
            process = subprocess.Popen(
                arguments,
                cwd=command.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = errors.read_text(errors="replace")[-2000:]
            shown = " ".join(arguments)
            raise WorkUndone(f"exit {process.returncode}: {shown}\n{said}")
        server_cpu = None
        if server_before is not None:
            self._wait_until_left(database)
            server_cpu = (self._server.backends_cpu() or 0.0) - server_before
        cpu = usage.ru_utime + usage.ru_stime
        return Run(wall, cpu, server_cpu, usage.ru_maxrss)

    def _check(self, contender: Contender, database: str) -> None:
        session = psycopg2.connect(self._server.url(database))
        try:
            with session.cursor() as cursor:
                found = []
                for query in (_TABLES, contender.history):
                    cursor.execute(query)
                    (row,) = cursor.fetchall()
                    found.append(row[0])
        finally:
            session.close()
        wanted = [self._workload.tables, self._workload.migrations]
        if found != wanted:
            raise WorkUndone(
                f"{contender.name} left {found[0]} tables and {found[1]} history rows,"
                f" not {wanted[0]} and {wanted[1]}"
            )

    # --- the server -------------------------------------------------------------------

    def _send(self, sql: str) -> None:
        with self._admin.cursor() as cursor:
            cursor.execute(sql)

    def _create(self) -> str:
        self._made += 1
        database = f"benchmark_{os.getpid()}_{self._made}"
        self._send(f"CREATE DATABASE {database} TEMPLATE template0")
        return database

    def _drop(self, database: str) -> None:
        # It ends with a checkpoint: the next to run does not pay for what this one wrote.
        self._send(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def _wait_until_left(self, database: str) -> None:
        """Wait for the sessions to end: only then is their time known."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        with self._admin.cursor() as cursor:
            for _ in range(500):
                cursor.execute(sql, (database,))
                if cursor.fetchone() == (0,):
                    time.sleep(0.02)  # it left the list, its process ends now
                    return
                time.sleep(0.01)
