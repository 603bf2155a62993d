"""The shipped triggers keep one version active and every execution counted once."""

import contextlib
import json
import threading
import time

import psycopg2
import pytest

from tests.database import prompt_system
from tests.database.prompt_system import PROMPT, ROWS, UP, ask, session_on

migrated = prompt_system.migrated

FORGERY = """
CREATE TABLE mine
    (template_id uuid, status text, latency_ms int, created_at timestamptz);
CREATE TRIGGER forge AFTER INSERT ON mine REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION update_template_statistics()
"""


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
