"""The verification script as a process, and a database it has nothing to say against.

Used by the tests of the verification: a module that wants a fixture names it.
"""

import contextlib
import subprocess
import sys

import pytest

from tests.fix_cli import CHECKOUT, Finished, process_environment
from tests.fix_postgres import a_database

SCRIPT = CHECKOUT / "scripts" / "verify_prompt_system_migration.py"
STEM = CHECKOUT / "migrations" / "0001_enterprise_prompt_system_phase1"
HISTORY = """
CREATE TABLE schema_migrations (
    version varchar PRIMARY KEY, name varchar, description text, checksum text,
    executed_at timestamptz DEFAULT now()
);
INSERT INTO schema_migrations
VALUES ('0001', 'enterprise_prompt_system_phase1',
        'Enterprise Prompt Template Management System - Phase 1', 'sha256:0');
"""


def change(database, sql):
    """Run SQL in a session of its own and commit it."""
    with (
        contextlib.closing(database.connect()) as session,
        session,
        session.cursor() as cursor,
    ):
        cursor.execute(sql)


def start(tmp_path, *args, url=None, **options):
    """Start the script as a process."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *args],
        cwd=tmp_path,
        env=process_environment(tmp_path, {"DATABASE_URL": url} if url else {}),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.fixture
def run(tmp_path):
    """Run the script to its end on the database of a URL."""

    def run(url, *args):
        with start(tmp_path, *args, url=url, encoding="utf-8") as process:
            out, err = process.communicate(timeout=60)
        return Finished(process.returncode, out, err)

    return run


@pytest.fixture
def migrated(postgres_server, shipped, request):
    """Give a database that holds the prompt system and its record."""
    for database in a_database(postgres_server, request, template=shipped):
        change(database, HISTORY)
        yield database
