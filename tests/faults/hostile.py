"""Fault 11: a server that is full, or forbids: disk, connections, writing, time.

The disk is a small file system of its own, as the case's tablespace, filled but for so
many kilobytes as the seed says: each case meets the end somewhere else. Names and paths
made to break quoting are in the tests of the command line.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from tests.faults import scenario
from tests.faults.bench import Bench, Case, finish
from tests.faults.case import Found
from tests.faults.check import afterwards, holds
from tests.fix_postgres import Database
from tests.postgres_process import account

NUMBER = 11
TITLE = "A server whose disk is full, without a free connection, read-only, or in haste"
TIMES = 120
FOUND: tuple[str, ...] = (
    "an error of the server about the history itself, midway, ended in a traceback",
    "a search_path that shadows the server's names reached three statements of ours",
    "a history whose name has braces, or 63 bytes in long letters, broke progress and lease",
    "a pipe among the migrations was waited for without end",
)

_DISK_BYTES = 64 << 20
_STEP_BYTES = 16 << 10
_EVERY = 10


def attempt(bench: Bench, seed: int) -> Found:
    """Meet one of them; when it is over, the next run finishes."""
    kinds = {0: _no_connection, 1: _read_only, 2: _in_haste}
    with bench.case(seed % scenario.VARIANTS) as case:
        return kinds.get(seed % _EVERY, _full_disk)(case, seed)


def _full_disk(case: Case, seed: int) -> Found:
    left = (seed % 97) * _STEP_BYTES
    name = f"small_{case.database.name}"
    with _small_disk(case.bench.scratch / name) as place:
        _admin(case, f"CREATE TABLESPACE {name} LOCATION '{place}'")
        _admin(case, f"ALTER DATABASE {case.database.name} SET TABLESPACE {name}")
        with _filled(place, left):
            run = case.run()
        said = run.exit == 0 or re.search("53100|No space left", run.said)
        holds("the full disk is named", when=bool(said), seen=run)
        if run.exit == 4:
            holds("exit 4: nothing was done", when=not run.outcome["done"], seen=run)
            holds("exit 4: no history is there", when=not case.state().history)
        afterwards(case, None if run.exit == 4 else run)
        _admin(case, f"ALTER DATABASE {case.database.name} SET TABLESPACE pg_default")
        _admin(case, f"DROP TABLESPACE {name}")
    return Found(f"variant {case.variant}, {left >> 10} kB left")


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of its own, which asks for root."""
    place.mkdir()
    size = f"size={_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=True)
    try:
        account().own(place)
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def _filled(place: Path, left: int) -> Iterator[None]:
    filling = place / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * (1 << 20)):
            pass
    with filling.open("r+b") as file:
        file.truncate(max(filling.stat().st_size - left, 0))
    try:
        yield
    finally:
        filling.unlink()


def _no_connection(case: Case, _seed: int) -> Found:
    taken: list[connection] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                taken.append(stack.enter_context(_open(case.database)))
        refused = case.run("apply", "--wait", "0")
        waiting = case.start("apply", "--wait", "60s")
        assert waiting.stdout is not None
        said = ""
        while "StillConnecting" not in said:
            said = waiting.stdout.readline()
    told = (refused.exit, refused.outcome["error"])
    holds("it is refused by name", when=told == (6, "too-many-connections"), seen=told)
    ended = finish(waiting)
    holds("who waits is let in", when=ended.exit == 0, seen=ended)
    afterwards(case, ended)
    return Found(f"variant {case.variant}, no connection left")


@contextlib.contextmanager
def _open(database: Database) -> Iterator[connection]:
    with contextlib.closing(database.connect()) as session:
        yield session


def _read_only(case: Case, _seed: int) -> Found:
    name = case.database.name
    _admin(case, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    run = case.run()
    _admin(case, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    told = (run.exit, run.outcome["error"])
    holds("it is refused by name", when=told == (4, "read-only"), seen=run)
    afterwards(case, None)
    return Found(f"variant {case.variant}, read-only")


def _in_haste(case: Case, _seed: int) -> Found:
    """A statement_timeout of the database's own is not the run's."""
    name = case.database.name
    _admin(case, f"ALTER DATABASE {name} SET statement_timeout = '1ms'")
    run = case.run()
    _admin(case, f"ALTER DATABASE {name} RESET statement_timeout")
    holds("it does not concern us", when=run.exit == 0, seen=run)
    afterwards(case, run)
    return Found(f"variant {case.variant}, a timeout of one millisecond")


def _admin(case: Case, sql: str) -> None:
    with case.bench.server.admin().cursor() as cursor:
        cursor.execute(sql)
