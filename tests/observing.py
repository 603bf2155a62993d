"""What tests of races, faults and signals share: wait for a condition, look at a server.

Asked for by the tests that leave a run going. Nothing here sleeps for a fixed time: what
a test waits for is a condition, and a condition that never comes true fails by name.
"""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from psycopg2.extensions import connection

from tests.fix_cli import Finished
from tests.fix_postgres import Database

T = TypeVar("T")

PATIENCE_S = 20.0
OURS = "application_name LIKE 'cloudrun-migrate%'"


def until(probe: Callable[[], T], what: str, seconds: float = PATIENCE_S) -> T:
    """Return the first true answer of ``probe``; fail when none comes in time.

    Most probes open a session: they are made less often the longer it takes.
    """
    deadline, pause = time.monotonic() + seconds, 0.01
    while time.monotonic() < deadline:
        if answer := probe():
            return answer
        time.sleep(pause)
        pause = min(1.3 * pause, 0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")


def until_said(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Read a run's standard output up to a line that matches; return what was read."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"it ended without saying {pattern!r}:\n{said}")


def finish(process: "subprocess.Popen[str]") -> Finished:
    """Return how a run ended, and what it wrote since it was last read."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    return Finished(process.wait(PATIENCE_S), out, err)


def until_running(database: Database, text: str) -> int:
    """Wait until a session runs a query that holds ``text``; return its process id."""
    escaped = text.replace("'", "''").replace("%", "%%")
    sql = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%{escaped}%' "
        "AND query NOT LIKE '%pg_blocking_pids%'"
    )
    rows = until(lambda: database.rows(sql), f"nobody runs {text}")
    return int(str(rows[0][0]))


def ours_connected(database: Database) -> int:
    """Return how many sessions of ours the database has."""
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND datname = current_database()"
    return int(str(database.rows(sql)[0][0]))


def versions(database: Database, table: str = "schema_migrations") -> list[str]:
    """Return the versions that the history calls applied, in order."""
    sql = f"SELECT version FROM {table} WHERE state = 'applied' ORDER BY version"
    return [str(version) for (version,) in database.rows(sql)]


@contextlib.contextmanager
def holding(
    database: Database, *statements: str, **changes: object
) -> Iterator[connection]:
    """Keep a transaction open that has run the statements: a blocker."""
    with contextlib.closing(database.connect(**changes)) as session:
        with session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield session
