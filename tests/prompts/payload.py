"""What the tests of this ring have in common: the shipped SQL, one prompt, its values."""

import contextlib

from tests.fix_cli import CHECKOUT
from tests.fix_postgres import Database

UP = CHECKOUT / "migrations" / "0001_enterprise_prompt_system_phase1.sql"
NLU = "nlu_topic_extraction"
VALUES = {"user_input": "Why is the sky blue?", "grade_level": 6}


def run(database: Database, sql: str) -> None:
    """Run SQL as the owner, in a session of its own, and commit it."""
    with (
        contextlib.closing(database.connect()) as session,
        session,
        session.cursor() as cursor,
    ):
        cursor.execute(sql)


def add_version(
    database: Database, version: int, *, name: str = NLU, active: bool = False
) -> None:
    """Add a version of a prompt that takes the same variables as its first."""
    run(
        database,
        "INSERT INTO prompt_templates (name, version, category, purpose, template_text,"
        f" variables, is_active) VALUES ('{name}', {version}, 'nlu', 'topic_extraction',"
        f" 'v{version}: {{{{user_input}}}} {{{{grade_level}}}}',"
        f""" '["user_input", "grade_level"]', {active})""",
    )


def counters(database: Database, name: str = NLU) -> list[tuple[object, ...]]:
    """Return rows in the log and executions counted, of one prompt."""
    return database.rows(
        "SELECT (SELECT count(*) FROM prompt_executions x WHERE x.prompt_name = t.name),"
        f" sum(total_executions)::int FROM prompt_templates t WHERE name = '{name}'"
        " GROUP BY t.name"
    )
