"""A person at a terminal sees how far a long migration is."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys

import pytest

from tests.fix_cli import CHECKOUT, process_environment
from tests.observing import PATIENCE_S, holding

ROWS = "".join(f"{number}\t{'x' * 1000}\n" for number in range(9000))
COPY = f"COPY t FROM stdin;\n{ROWS}\\.\n"
LONG = {
    "0001_long.sql": "CREATE TABLE long (n int, filler text);\n"
    f"COPY long FROM stdin;\n{ROWS}\\.\n"
    "CREATE INDEX CONCURRENTLY long_n ON long (n);\n"
}


@pytest.fixture
def on_a_terminal(tmp_path):
    """Start ``apply`` with its output on a terminal of its own."""
    with contextlib.ExitStack() as stack:

        def start(directory, url):
            ours, theirs = pty.openpty()
            stack.callback(os.close, ours)
            environment = {"DATABASE_URL": url, "MIGRATE_DIR": str(directory)}
            process = subprocess.Popen(
                [sys.executable, "-m", "migrate", "apply"],
                cwd=CHECKOUT,
                env=process_environment(tmp_path, environment),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.STDOUT,
            )
            os.close(theirs)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process, ours

        yield start


def said_until(terminal, pattern=None):
    """Return what a terminal shows up to a text that matches, or to its end."""
    said = ""
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while select.select([terminal], [], [], PATIENCE_S)[0]:
            said += os.read(terminal, 4096).decode(errors="replace")
            if pattern and re.search(pattern, said):
                return said
    assert not pattern, f"it never said {pattern}:\n{said}"
    return said


def test_copy_data_and_index_builds_are_counted(
    blank_database, on_a_terminal, a_directory
):
    """Bytes of COPY, the phase of an index build, statements done; on one line that is
    written anew.
    """
    snapshot = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1")

    with holding(blank_database, *snapshot):
        run, terminal = on_a_terminal(a_directory(LONG), blank_database.url)
        said = said_until(terminal, "waiting for old snapshots")
    said += said_until(terminal)

    assert 0 == run.wait(), said
    assert re.search(r"\r\x1b\[K  bytes of COPY data: \d+ of \d+ \(9\d %\)", said)
    assert "\r\x1b[K  statements: " in said
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in said


def test_elsewhere_nothing_is_written_anew(blank_database, run_migrate, a_directory):
    """In a pipe there is no progress, and no escape sequence."""
    directory = a_directory({"0001_t.sql": f"CREATE TABLE t (n int, x text);\n{COPY}"})

    run = run_migrate(
        "apply", "--dir", directory, env={"DATABASE_URL": blank_database.url}
    )

    assert 0 == run.exit, run.err
    assert "\x1b" not in run.out
    assert "bytes of COPY" not in run.out
