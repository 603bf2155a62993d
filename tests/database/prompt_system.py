"""The shipped migration applied by hand, and a session on what it makes.

Used by the tests of the shipped migration: a module that wants the fixture names it. The
engine has no part in it.
"""

import contextlib
from pathlib import Path

import pytest

from tests.fix_cli import CHECKOUT

STEM = CHECKOUT / "migrations" / "0001_enterprise_prompt_system_phase1"
UP, DOWN, VERIFY = (
    Path(f"{STEM}{ending}") for ending in (".sql", ".down.sql", ".verify.sql")
)
DESCRIPTION = "Enterprise Prompt Template Management System - Phase 1"
PROMPT = "nlu_topic_extraction"
HISTORY = """
CREATE TABLE schema_migrations (
    version varchar PRIMARY KEY, name varchar, description text, checksum text,
    executed_at timestamptz DEFAULT now()
)"""
RECORD = """
INSERT INTO schema_migrations
VALUES ('0001', 'enterprise_prompt_system_phase1', %s, 'sha256:0')"""
ROWS = """
SELECT (SELECT count(*) FROM prompt_templates),
       (SELECT count(*) FROM prompt_executions),
       (SELECT count(*) FROM prompt_guardrails),
       (SELECT count(*) FROM ab_test_experiments)
"""


@contextlib.contextmanager
def session_on(database):
    """Open a session whose statements commit one by one."""
    with contextlib.closing(database.connect()) as session:
        session.autocommit = True
        yield session


def ask(session, sql, parameters=None):
    """Return the rows of a query, or nothing."""
    with session.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else None


def apply(session):
    """Apply the migration as the runner does, its record included."""
    ask(session, HISTORY)
    ask(session, UP.read_text("utf-8"))
    ask(session, RECORD, (DESCRIPTION,))


@pytest.fixture
def migrated(blank_database):
    """Give a session on a database that holds the prompt system."""
    with session_on(blank_database) as session:
        apply(session)
        yield session
