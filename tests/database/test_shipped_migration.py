"""The shipped migration: what it creates, what it promises, what undoing it leaves.

The files are applied as they stand, through the driver, with the runner's history table
made by hand: the payload must not need the engine to be right.
"""

import contextlib
import json
import threading
import time
from pathlib import Path

import psycopg2
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
ROWS = """
SELECT (SELECT count(*) FROM prompt_templates),
       (SELECT count(*) FROM prompt_executions),
       (SELECT count(*) FROM prompt_guardrails),
       (SELECT count(*) FROM ab_test_experiments)
"""
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
FORGERY = """
CREATE TABLE mine
    (template_id uuid, status text, latency_ms int, created_at timestamptz);
CREATE TRIGGER forge AFTER INSERT ON mine REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION update_template_statistics()
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


def add_version(session, version, *, active=False, name=PROMPT):
    """Add a version of a prompt and return its id."""
    sql = """
        INSERT INTO prompt_templates
            (name, version, category, purpose, template_text, is_active)
        VALUES (%s, %s, 'nlu', 'topic_extraction', 'text', %s) RETURNING id"""
    return ask(session, sql, (name, version, active))[0][0]


def log(session, template, **columns):
    """Log an execution of a template."""
    row = {"template_id": template, "prompt_name": PROMPT, "status": "success"}
    row |= {"latency_ms": 12} | columns
    names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    sql = f"INSERT INTO prompt_executions ({names}) VALUES ({marks})"
    ask(session, f"{sql} ON CONFLICT DO NOTHING", row)


def active_versions(session, name=PROMPT):
    """Return the active versions of a prompt."""
    sql = "SELECT version FROM prompt_templates WHERE name = %s AND is_active"
    return [version for (version,) in ask(session, sql, (name,))]


@pytest.fixture
def migrated(blank_database):
    """Give a session on a database that holds the prompt system."""
    with session_on(blank_database) as session:
        apply(session)
        yield session


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


# --- one active version ---------------------------------------------------------------


def test_seed_section_run_again_leaves_a_newer_version_active(migrated):
    """Whoever has taken over a prompt keeps it."""
    add_version(migrated, 2, active=True)
    text = UP.read_text("utf-8")
    seeds = text[text.index("-- seeds: begin") : text.index("-- seeds: end")]

    ask(migrated, seeds)

    assert [2] == active_versions(migrated)
    assert [(4, 0, 3, 0)] == ask(migrated, ROWS)


def test_insert_that_conflicts_deactivates_nobody(migrated):
    """The trigger fires before the conflict is noticed, and must not act on it."""
    add_version(migrated, 2, active=True)

    ask(
        migrated,
        "INSERT INTO prompt_templates"
        " (name, version, category, purpose, template_text, is_active)"
        " VALUES (%s, 1, 'nlu', 'topic_extraction', 'text', true)"
        " ON CONFLICT DO NOTHING",
        (PROMPT,),
    )

    assert [2] == active_versions(migrated)


def test_two_active_rows_in_one_insert_leave_the_last(migrated):
    """Even one statement cannot make two versions active."""
    ask(
        migrated,
        "INSERT INTO prompt_templates"
        " (name, version, category, purpose, template_text, is_active)"
        " VALUES ('fresh', 1, 'a', 'b', 'c', true), ('fresh', 2, 'a', 'b', 'c', true)",
    )

    assert [2] == active_versions(migrated, "fresh")


def test_two_activations_at_once_leave_one_active(migrated, blank_database):
    """Both succeed, the second waits for the first, and the last one wins."""
    add_version(migrated, 2)
    add_version(migrated, 3)
    activate = (
        "UPDATE prompt_templates SET is_active = true WHERE name = %s AND version = %s"
    )
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    )

    with contextlib.closing(blank_database.connect()) as first:
        ask(first, activate, (PROMPT, 2))
        with session_on(blank_database) as second:
            thread = threading.Thread(target=ask, args=(second, activate, (PROMPT, 3)))
            thread.start()
            deadline = time.monotonic() + 20
            while ask(migrated, waiting) != [(1,)] and time.monotonic() < deadline:
                time.sleep(0.01)
            waited = ask(migrated, waiting)
            first.commit()
            thread.join()

    assert [(1,)] == waited
    assert [3] == active_versions(migrated)


def test_activation_is_logged_with_the_person_the_service_names(migrated):
    """A shared login does not hide who moved the pointer."""
    ask(migrated, "SET prompts.actor = 'ada'")
    add_version(migrated, 2, active=True)

    [(log, active_since)] = ask(
        migrated,
        "SELECT activation_log, activated_at FROM prompt_templates"
        " WHERE name = %s AND version = 2",
        (PROMPT,),
    )

    assert ["ada"] == [entry["by"] for entry in log]
    assert active_since is not None


# --- counters -------------------------------------------------------------------------


def test_batch_of_executions_costs_one_update_per_template(migrated):
    """Fifty rows in one statement move the counters by fifty in a single update."""
    template = add_version(migrated, 2)
    ask(migrated, "BEGIN")

    ask(
        migrated,
        "INSERT INTO prompt_executions"
        " (template_id, prompt_name, status, error_type, latency_ms)"
        " SELECT %s, %s, CASE WHEN n <= 40 THEN 'success' ELSE 'error' END, 'x', n"
        " FROM generate_series(1, 50) n",
        (template, PROMPT),
    )
    counters = ask(
        migrated,
        "SELECT total_executions, successful_executions, total_latency_ms"
        " FROM prompt_templates WHERE id = %s",
        (template,),
    )
    updates = ask(
        migrated,
        "SELECT n_tup_upd FROM pg_stat_xact_user_tables"
        " WHERE relname = 'prompt_templates'",
    )
    ask(migrated, "ROLLBACK")

    assert [(50, 40, 1275)] == counters
    assert [(1,)] == updates


def test_retried_execution_is_counted_once(migrated):
    """The same id again adds no row and moves no counter."""
    template = add_version(migrated, 2)

    for _ in range(3):
        log(migrated, template, id="00000000-0000-7000-8000-000000000001")

    assert [(1, 12)] == ask(
        migrated,
        "SELECT total_executions, total_latency_ms FROM prompt_templates WHERE id = %s",
        (template,),
    )


def test_experiment_counts_executions_and_its_view_counts_subjects(migrated):
    """One subject calling often weighs once; the split seen is held against the one
    configured.
    """
    treatment = add_version(migrated, 2)
    [(experiment,)] = ask(
        migrated,
        "INSERT INTO ab_test_experiments (name, template_name, control_version,"
        " treatment_version, treatment_percent, status, started_at)"
        " VALUES ('short', %s, 1, 2, 25, 'running', now()) RETURNING id",
        (PROMPT,),
    )

    for arm, subject in zip(["control"] * 3 + ["treatment"] * 2, "aabcd", strict=True):
        arms = {"experiment_id": experiment, "ab_test_group": arm}
        log(migrated, treatment, subject_hash=subject, **arms)

    # Expected of four subjects: three and one. (2-3)²/3 + (2-1)²/1 = 1.33
    assert [(3, 2, 2, 2, "1.33")] == ask(
        migrated,
        "SELECT control_executions, treatment_executions, control_subjects,"
        " treatment_subjects, srm_chi2::text FROM v_active_ab_tests",
    )


def test_guardrail_summary_survives_an_odd_finding(migrated):
    """A finding without a usable count counts as one; a quiet guardrail shows 0."""
    findings = [
        {"guardrail": "pii_detection_basic", "action": "block", "count": 3},
        {"guardrail": "pii_detection_basic", "action": "block", "count": "many"},
    ]

    log(
        migrated,
        add_version(migrated, 2),
        status="blocked",
        guardrail_violations=json.dumps(findings),
    )

    assert [("pii_detection_basic", 4, 1), ("toxic_content_filter", 0, 0)] == ask(
        migrated,
        "SELECT guardrail, violations::int, blocked_executions"
        " FROM v_guardrail_violations_summary"
        " WHERE guardrail <> 'prompt_injection_detection' ORDER BY guardrail",
    )


# --- roles ----------------------------------------------------------------------------


@pytest.fixture
def application(migrated, blank_database):
    """Give a session of a role that may log and activate, and nothing else."""
    role = f"application_of_{blank_database.name}"
    ask(
        migrated,
        f"CREATE ROLE {role};"
        f"GRANT SELECT, INSERT, UPDATE (is_active, ab_test_group)"
        f" ON prompt_templates TO {role};"
        f"GRANT SELECT, INSERT ON prompt_executions TO {role};"
        f"GRANT CREATE ON SCHEMA public TO {role}",
    )
    with session_on(blank_database) as session:
        ask(session, f"SET ROLE {role}")
        yield session
    ask(migrated, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_application_moves_the_pointer_and_the_counters_through_the_triggers(
    application,
):
    """The functions run with their owner's rights."""
    template = add_version(application, 2, active=True)
    log(application, template)

    assert [2] == active_versions(application)
    assert [(1,)] == ask(
        application,
        "SELECT total_executions FROM prompt_templates WHERE id = %s",
        (template,),
    )


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE prompt_templates SET template_text = 'other'",
        "UPDATE prompt_templates SET total_executions = 1000000",
        "UPDATE prompt_executions SET status = 'success'",
        FORGERY,
    ],
)
def test_application_can_forge_neither_text_nor_counter_nor_log(application, forgery):
    """Immutability is a grant: what was not granted is refused."""
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(application, forgery)
