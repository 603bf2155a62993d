"""Fault 4: fifty runners started at the same instant, direct and behind a pooler.

They wait for one pipe to be closed, so that all begin together. Then either all may wait
for the lock, or none may, or the one that holds it is killed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.faults import scenario
from tests.faults.bench import Bench, Case, Ended, finish
from tests.faults.case import Found
from tests.faults.check import finishes, holds, left_nothing
from tests.fix_cli import process_environment
from tests.fix_pgbouncer import running as pooling
from tests.observing import until

NUMBER = 4
TITLE = "50 runners at once: direct, and through pgbouncer in each of its modes"
TIMES = 12
FOUND = (
    "Of runners that made the lease's table at the same moment one could end in a traceback.",
    "A run whose lock a function or a check had let go of went on: another could begin beside it.",
)

_CROWD = 50
_MODES = ("", "session", "transaction", "statement")
_WAYS = ("all wait", "none waits", "the holder is killed")
_PATIENCE_S = 500.0
_GATE = ("sh", "-c", 'read go; exec "$@"', "sh")
_HOLDER = r"cloudrun-migrate [0-9a-f]{8} runner-\d+"
_HOLDS = """
SELECT substring(a.application_name FROM 'runner-([0-9]+)')
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND a.datname = current_database()
   AND a.application_name LIKE '%runner-%'
"""
_LEASED = """
SELECT substring(holder FROM 'runner-([0-9]+)') FROM schema_migrations_lease
"""


def attempt(bench: Bench, seed: int) -> Found:
    """Start a crowd; every migration is applied once, and everybody told the truth."""
    mode, way = _MODES[seed % len(_MODES)], _WAYS[seed // len(_MODES) % len(_WAYS)]
    variant = _variant(seed, plain=bool(mode) or way == _WAYS[2])
    wait = "0" if way == _WAYS[1] else "8min"
    with bench.case(variant) as case:
        with _address(case, mode) as address:
            with _gate() as (gate, go):
                crowd = [_start(case, address, wait, gate, n) for n in range(_CROWD)]
                go()
            if way == _WAYS[2] and mode != "statement":
                _kill_the_holder(case, mode, crowd)
            ended = [finish(each, _PATIENCE_S) for each in crowd]
        # The pooler is gone, and with it the sessions that it kept.
        if mode == "statement":
            _refused(ended)
        else:
            _told(ended, way)
        finishes(case)
        left_nothing(case)
    return Found(f"{_CROWD} runners, {mode or 'direct'}, {way}", _CROWD)


def _variant(seed: int, *, plain: bool) -> int:
    """Choose a directory; a ``plain`` one sets no state and asks nobody."""
    for number in range(seed, seed + scenario.VARIANTS):
        variant = number % scenario.VARIANTS
        names = "".join(scenario.files(variant))
        if not plain or not re.search("_(?:called|vacuumed)", names):
            return variant
    raise LookupError("no variant is plain")


@contextlib.contextmanager
def _address(case: Case, mode: str) -> Iterator[str]:
    if not mode:
        yield case.database.url
        return
    with pooling(case.database, mode, {"default_pool_size": 20}) as pooler:
        yield pooler.url


@contextlib.contextmanager
def _gate() -> Iterator[tuple[int, Callable[[], None]]]:
    """Give what the crowd waits for, and what to call to let all of them go."""
    reading, writing = os.pipe()
    with contextlib.ExitStack() as opened:
        opened.callback(os.close, reading)
        closing = contextlib.ExitStack()
        closing.callback(os.close, writing)
        opened.callback(closing.close)
        yield reading, closing.close


def _start(
    case: Case, address: str, wait: str, gate: int, number: int
) -> "subprocess.Popen[str]":
    words = ("-m", "migrate", "apply", "--lock-wait", wait, "--wait", "5min")
    environment = {
        "DATABASE_URL": address,
        "CLOUD_RUN_EXECUTION": f"runner-{number}",
    }
    process = subprocess.Popen(
        [*_GATE, sys.executable, *words, "--dir", case.directory, "--output", "json"],
        stdin=gate,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=case.bench.scratch,
        env=process_environment(case.bench.scratch, environment),
    )
    case._running.append(process)
    return process


def _kill_the_holder(
    case: Case, mode: str, crowd: "list[subprocess.Popen[str]]"
) -> None:
    """Kill the first that is seen to hold the lock, or the lease."""
    sql = _LEASED if mode else _HOLDS

    def seen() -> list[tuple[object, ...]]:
        leased = "SELECT to_regclass('schema_migrations_lease') IS NOT NULL"
        if mode and case.database.rows(leased) != [(True,)]:
            return []
        return case.database.rows(sql)

    ((number,),) = until(seen, "nobody holds the lock", 120)[:1]
    crowd[int(str(number))].send_signal(signal.SIGKILL)


def _refused(ended: list[Ended]) -> None:
    for run in ended:
        holds("statement mode is refused with exit 6", when=run.exit == 6, seen=run)
        holds(
            "it is said which modes work",
            when="session or transaction mode" in run.said,
            seen=run,
        )


def _told(ended: list[Ended], way: str) -> None:
    """Winners say what they did, losers who was in the way."""
    allowed = {0: {0}, 1: {0, 5}, 2: {0, -signal.SIGKILL}}[_WAYS.index(way)]
    for run in ended:
        holds(f"exit codes: {allowed}", when=run.exit in allowed, seen=run)
        holds("no traceback", when="Traceback" not in run.err, seen=run)
        if run.exit == 5:
            named = re.search(_HOLDER, run.outcome["message"])
            holds("the holder is named", when=bool(named), seen=run.outcome)
    versions = [
        done["version"] for run in ended for done in run.outcome.get("done", ())
    ]
    again = len(versions) - len(set(versions))
    holds("no two runs applied the same", when=not again, seen=versions)
