"""The shipped migration: what it creates, what its checks find, what undoing it leaves.

The files are applied as they stand, through the driver, with the runner's history table
made by hand: the payload must not need the engine to be right.
"""

import contextlib

import psycopg2
import pytest

from tests.database import prompt_system
from tests.database.prompt_system import (
    DESCRIPTION,
    DOWN,
    HISTORY,
    PROMPT,
    ROWS,
    UP,
    VERIFY,
    apply,
    ask,
    session_on,
)

migrated = prompt_system.migrated

COUNTS = {
    "tables": "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    "indexes": "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'idx\\_%'",
    "views": "SELECT count(*) FROM pg_views WHERE schemaname = 'public'",
    "triggers": "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
    "prompts": "SELECT count(*) FROM prompt_templates WHERE is_active",
    "guardrails": "SELECT count(*) FROM prompt_guardrails WHERE is_active",
    "records": "SELECT count(*) FROM schema_migrations",
    "performance": "SELECT count(*) FROM v_template_performance",
}
CATALOGS = """
SELECT relname FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared
"""
# What a vacuum or an analyze changes in pg_class is no trace of ours.
VOLATILE = "relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid"
LIVE_DATA = f"""
INSERT INTO prompt_templates
    (name, version, category, purpose, template_text, is_active)
VALUES ('{PROMPT}', 2, 'nlu', 'topic_extraction', 'Topics?', true),
       ('summary', 1, 'content', 'summary', 'Sum up.', false);
UPDATE prompt_guardrails SET action = 'block';
INSERT INTO prompt_guardrails (name, guardrail_type, severity, action)
VALUES ('length_limit', 'length', 'low', 'log');
INSERT INTO prompt_executions (template_id, prompt_name, status, error_type, latency_ms)
SELECT id, name, 'error', 'Timeout', 2000 FROM prompt_templates;
INSERT INTO ab_test_experiments
    (name, template_name, control_version, treatment_version, status, started_at)
VALUES ('short text', '{PROMPT}', 1, 2, 'running', now());
"""
COUNTS_NOTHING = """
CREATE OR REPLACE FUNCTION update_template_statistics() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS 'BEGIN RETURN NULL; END'
"""


def checks():
    """Return the statements of the checks file by their names."""
    blocks = VERIFY.read_text("utf-8").strip().split("\n\n")[1:]
    return dict(block.removeprefix("-- ").split("\n", 1) for block in blocks)


def failures(session):
    """Return the names of the checks that fail, by the runner's rule."""
    failed = []
    for name, sql in checks().items():
        try:
            rows = ask(session, sql)
        except psycopg2.Error:
            failed.append(name)
        else:
            if rows is not None and not (rows and rows[0][0]):
                failed.append(name)
    return failed


def catalogs(session):
    """Return every row of the catalogs as text."""
    volatile = f"'{{{VOLATILE}}}'::text[]"
    return {
        name: set(
            ask(session, f"SELECT (to_jsonb(c) - {volatile})::text FROM {name} c")
        )
        for (name,) in ask(session, CATALOGS)
    }


# --- what it creates ------------------------------------------------------------------


def test_fresh_database_holds_exactly_what_was_announced(any_version_database):
    """5 tables, 16 indexes, 4 views, 3 triggers, 3 + 3 seeds, 1 record, no figures."""
    with session_on(any_version_database) as session:
        apply(session)
        found = {name: ask(session, sql)[0][0] for name, sql in COUNTS.items()}

    assert {
        "tables": 5,
        "indexes": 16,
        "views": 4,
        "triggers": 3,
        "prompts": 3,
        "guardrails": 3,
        "records": 1,
        "performance": 0,
    } == found


def test_description_is_a_directive_at_the_head_of_the_file():
    """The runner finds the description of the record in the first line."""
    first = UP.read_text("utf-8").splitlines()[0]

    assert f"-- migrate: description={DESCRIPTION}" == first


def test_tables_are_created_in_the_order_they_are_reported_in(migrated):
    """Sorted by their age the tables stand as in the runner's printed list."""
    sql = """
        SELECT relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
          AND relname <> 'schema_migrations' ORDER BY oid"""

    names = [name for (name,) in ask(migrated, sql)]

    assert [
        "prompt_templates",
        "prompt_executions",
        "prompt_guardrails",
        "ab_test_experiments",
    ] == names


def test_other_schema_than_public_is_refused_at_once(blank_database):
    """The trigger functions look in public only, so nothing is created elsewhere."""
    with session_on(blank_database) as session:
        ask(session, "CREATE SCHEMA elsewhere")
        ask(session, "SET search_path = elsewhere, public")

        with pytest.raises(psycopg2.Error, match="the current schema is elsewhere"):
            ask(session, UP.read_text("utf-8"))

        assert ask(session, COUNTS["tables"]) == [(0,)]


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        ("variables = '[\"no spaces\"]'", "prompt_templates_variables_are_names"),
        ("variables = '[1]'", "prompt_templates_variables_are_names"),
        ("variables = '[[\"nested\"]]'", "prompt_templates_variables_are_names"),
        ("variables = '{}'", "prompt_templates_variables_check"),
        ("name = 'Not-A-Slug'", "prompt_templates_name_check"),
        ("template_text = ''", "prompt_templates_template_text_check"),
    ],
)
def test_template_that_could_not_be_rendered_is_refused(migrated, sql, constraint):
    """What the renderer would stumble over is not stored."""
    with pytest.raises(psycopg2.errors.CheckViolation) as refused:
        ask(migrated, f"UPDATE prompt_templates SET {sql}")

    assert constraint == refused.value.diag.constraint_name


# --- the checks beside it -------------------------------------------------------------


def test_every_check_holds_inside_the_migrations_transaction(any_version_database):
    """The runner verifies before it commits; the checks leave no row behind."""
    with contextlib.closing(any_version_database.connect()) as session:
        apply(session)
        failed = failures(session)
        rows = ask(session, ROWS)

    assert failed == []
    assert [(3, 0, 3, 0)] == rows


def test_every_check_holds_on_live_data(migrated):
    """Rows, versions and decisions of the users are none of the checks' business."""
    ask(migrated, LIVE_DATA)
    before = ask(migrated, ROWS)

    failed = failures(migrated)

    assert failed == []
    assert before == ask(migrated, ROWS)


def test_every_check_holds_in_a_read_only_session(migrated):
    """On a replica the checks that write pass unexercised."""
    ask(migrated, "SET default_transaction_read_only = on")

    assert failures(migrated) == []


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (
            "DROP INDEX idx_prompt_executions_fallback",
            "the sixteen indexes exist, are valid, and stand on their tables",
        ),
        (
            (
                "UPDATE pg_index SET indisvalid = false"
                " WHERE indexrelid = 'idx_prompt_templates_purpose'::regclass"
            ),
            "the sixteen indexes exist, are valid, and stand on their tables",
        ),
        (
            (
                "ALTER TABLE ab_test_experiments"
                " DROP CONSTRAINT ab_test_experiments_control_exists"
            ),
            "the four foreign keys exist and are validated",
        ),
        (
            "DROP VIEW v_active_ab_tests",
            "v_active_ab_tests runs",
        ),
        (
            "ALTER FUNCTION update_template_statistics() SECURITY INVOKER",
            (
                "the trigger functions run with their owner's rights"
                " and a pinned search_path"
            ),
        ),
        (
            (
                "UPDATE prompt_templates SET variables = '[\"topic\"]'"
                " WHERE name = 'educational_script_generation'"
            ),
            "the seed prompts declare the placeholders they use, no more and no fewer",
        ),
        (
            "DELETE FROM prompt_guardrails WHERE name = 'pii_detection_basic'",
            "the three seed guardrails exist",
        ),
        (
            COUNTS_NOTHING,
            (
                "an execution moves its template's counters once,"
                " and a retry of it not at all"
            ),
        ),
    ],
)
def test_check_that_fails_is_the_one_that_names_the_damage(migrated, damage, check):
    """Each kind of damage fails its own check and no other."""
    ask(migrated, damage)

    assert [check] == failures(migrated)


# --- undoing it -----------------------------------------------------------------------


def test_undoing_leaves_the_catalogs_as_before(any_version_database):
    """Not one row of any catalog is left over, changed or lost."""
    with session_on(any_version_database) as session:
        ask(session, HISTORY)
        before = catalogs(session)

        ask(session, UP.read_text("utf-8"))
        ask(session, DOWN.read_text("utf-8"))

        after = catalogs(session)
    assert {name: set() for name in before} == {
        name: before[name] ^ after[name] for name in before
    }


def test_migration_can_be_undone_and_applied_again(migrated):
    """Up, down and up again is the same as up."""
    ask(migrated, DOWN.read_text("utf-8"))
    ask(migrated, UP.read_text("utf-8"))

    assert failures(migrated) == []


def test_undoing_stops_at_somebody_elses_view(migrated):
    """There is no CASCADE: what others built on a table is not swept away."""
    ask(migrated, "CREATE VIEW theirs AS SELECT name FROM prompt_templates")

    with pytest.raises(psycopg2.errors.DependentObjectsStillExist) as refused:
        ask(migrated, DOWN.read_text("utf-8"))

    assert "view theirs depends on table prompt_templates" in str(refused.value)
    assert failures(migrated) == []
