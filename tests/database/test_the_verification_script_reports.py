"""The verification script: its report to the letter, and what it says where there is none.

The script runs as a person runs it, as a process of its own.
"""

import contextlib
import json
import os
import re
import signal
import time

import psycopg2
import pytest

from tests.database import verifying
from tests.database.verifying import HISTORY, STEM, change, start

migrated = verifying.migrated
run = verifying.run

REPORT = """\
======================================================================
Enterprise Prompt System Migration - Verification Script
======================================================================

1. Verifying Tables
✓ Table 'prompt_templates' exists
✓ Table 'prompt_executions' exists
✓ Table 'prompt_guardrails' exists
✓ Table 'ab_test_experiments' exists
✓ Table 'schema_migrations' exists

2. Verifying Indexes
✓ Index 'idx_prompt_templates_active' exists
✓ Index 'idx_prompt_templates_ab_test' exists
✓ Index 'idx_prompt_templates_version' exists
✓ Index 'idx_prompt_templates_category' exists
✓ Index 'idx_prompt_templates_purpose' exists
✓ Index 'idx_prompt_executions_template' exists
✓ Index 'idx_prompt_executions_created_at' exists
✓ Index 'idx_prompt_executions_latency' exists
✓ Index 'idx_prompt_executions_status' exists
✓ Index 'idx_prompt_guardrails_active' exists
✓ Index 'idx_prompt_guardrails_severity' exists
✓ Index 'idx_ab_test_experiments_active' exists
✓ Index 'idx_ab_test_experiments_template' exists
✓ Index 'idx_prompt_executions_experiment' exists
✓ Index 'idx_prompt_executions_violations' exists
✓ Index 'idx_prompt_executions_fallback' exists

3. Verifying Seed Data
✓ Seed prompt 'nlu_topic_extraction' found
✓ Seed prompt 'clarification_question_generation' found
✓ Seed prompt 'educational_script_generation' found
✓ Seed guardrail 'pii_detection_basic' found
✓ Seed guardrail 'toxic_content_filter' found
✓ Seed guardrail 'prompt_injection_detection' found

4. Verifying Analytics Views
✓ View 'v_template_performance' exists and is queryable
✓ View 'v_recent_execution_errors' exists and is queryable
✓ View 'v_guardrail_violations_summary' exists and is queryable
✓ View 'v_active_ab_tests' exists and is queryable

5. Verifying Triggers
✓ Trigger 'trigger_update_template_statistics' exists on table 'prompt_executions'
✓ Trigger 'trigger_update_ab_test_statistics' exists on table 'prompt_executions'
✓ Trigger 'trigger_enforce_single_active_template' exists on table 'prompt_templates'

6. Verifying Migration Record
✓ Migration record 'enterprise_prompt_system_phase1' found
   Description: Enterprise Prompt Template Management System - Phase 1
   Executed at: YYYY-MM-DD HH:MM:SS

7. Testing Database Functionality
✓ Query active templates: 3 templates found
   - nlu_topic_extraction (v1, nlu)
   - clarification_question_generation (v1, content)
   - educational_script_generation (v1, content)
✓ Query active guardrails: 3 guardrails found
   - pii_detection_basic (critical, block)
   - toxic_content_filter (high, warn)
   - prompt_injection_detection (high, warn)
✓ Query v_template_performance view: 0 rows

======================================================================
VERIFICATION SUMMARY
======================================================================
Tables:           ✓ PASS
Indexes:          ✓ PASS
Seed Data:        ✓ PASS
Views:            ✓ PASS
Triggers:         ✓ PASS
Migration Record: ✓ PASS
Functionality:    ✓ PASS

======================================================================
✓ ALL VERIFICATION CHECKS PASSED
  Enterprise Prompt System Migration: SUCCESS
======================================================================
"""


def migrate(database):
    """Apply the migration and record it, as the runner does."""
    change(database, STEM.with_suffix(".sql").read_text("utf-8"))
    change(database, HISTORY)
    return database


# --- the report -----------------------------------------------------------------------


def test_report_on_a_fresh_database_is_printed_to_the_letter(any_version_database, run):
    """The seven sections, their lines and the summary are those of the plan."""
    migrate(any_version_database)

    finished = run(any_version_database.dsn)

    time_shape = r"(?<=Executed at: )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?=\n)"
    printed = re.sub(time_shape, "YYYY-MM-DD HH:MM:SS", finished.out)
    assert REPORT == printed
    assert (0, "") == (finished.exit, finished.err)


def test_time_of_the_record_is_printed_in_utc(migrated, run):
    """The same record reads the same, whatever the server's time zone."""
    change(
        migrated,
        "UPDATE schema_migrations SET executed_at = '2025-11-06 23:30:00+01';"
        f"ALTER DATABASE {migrated.name} SET timezone = 'Asia/Tokyo'",
    )

    finished = run(migrated.dsn)

    assert "   Executed at: 2025-11-06 22:30:00\n" in finished.out


def test_live_data_is_shown_and_not_judged(migrated, run):
    """Who is active and how a guardrail reacts is the owner's to move."""
    change(
        migrated,
        "INSERT INTO prompt_templates"
        " (name, version, category, purpose, template_text, is_active)"
        " VALUES ('nlu_topic_extraction', 2, 'nlu', 'topic_extraction', 'x', true),"
        " ('a_summary', 1, 'content', 'summary', 'x', true);"
        "UPDATE prompt_guardrails SET action = 'block', is_active = priority > 10;"
        "INSERT INTO prompt_executions (template_id, prompt_name, status, latency_ms)"
        " SELECT id, name, 'success', 9 FROM prompt_templates WHERE version = 2",
    )

    finished = run(migrated.dsn)

    assert (
        "✓ Query active templates: 4 templates found\n"
        "   - nlu_topic_extraction (v2, nlu)\n"
        "   - clarification_question_generation (v1, content)\n"
        "   - educational_script_generation (v1, content)\n"
        "   - a_summary (v1, content)\n"
        "✓ Query active guardrails: 2 guardrails found\n"
        "   - toxic_content_filter (high, block)\n"
        "   - prompt_injection_detection (high, block)\n"
        "✓ Query v_template_performance view: 1 row\n"
    ) in finished.out
    assert finished.exit == 0


def test_restored_indexes_are_recognised(migrated, run):
    """A restore writes conditions otherwise; they are the same conditions."""
    definitions = migrated.rows(
        "SELECT indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' AND indexname ~ '^idx_' AND indexdef ~ ' WHERE '"
    )
    for name, definition in definitions:
        change(migrated, f"DROP INDEX {name}; {definition}")

    finished = run(migrated.dsn)

    assert len(definitions) == 9
    assert finished.exit == 0, finished.out


def test_verification_changes_nothing(migrated, run):
    """The triggers are exercised in a transaction that is rolled back."""
    rows = (
        "SELECT to_jsonb(t) FROM prompt_templates t"
        " UNION ALL SELECT to_jsonb(x) FROM prompt_executions x"
        " UNION ALL SELECT to_jsonb(e) FROM ab_test_experiments e"
    )
    before = migrated.rows(rows)

    run(migrated.dsn)

    assert before == migrated.rows(rows)


def test_json_holds_the_same_sections(migrated, run):
    """One object, for programs: the lines of the report and what is behind them."""
    change(migrated, "DROP INDEX idx_prompt_templates_purpose")

    finished = run(migrated.dsn, "--json")

    report = json.loads(finished.out)
    lines = [line for s in report["sections"] for line in s["checks"]]
    failed = [check for check in lines if not check["passed"]]
    assert (1, False, 1) == (finished.exit, report["passed"], report["failed_checks"])
    assert [False] == [s["passed"] for s in report["sections"] if s["number"] == 2]
    assert [7, 38] == [len(report["sections"]), len(lines)]
    assert ["✗ Index 'idx_prompt_templates_purpose' does not exist"] == [
        check["line"] for check in failed
    ]


# --- no report ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cret@127.0.0.1:1/x",
        "host=/nowhere password='s3 s3cret'",
        "postgres//ada:s3cret@127.0.0.1/x",
        "postgresql+psycopg2://ada:s3cret@127.0.0.1/x",
        "postgresql://ada:s3@s3cret@127.0.0.1:1/x",
        "postgresql://ada:s3cret/s3cret@127.0.0.1:1/x",
        "postgresql://ada:%s3cret@127.0.0.1:1/x",
        "host=127.0.0.1 port=1 password=s3 s3cret",
    ],
)
def test_unreachable_server_is_explained_without_the_password(run, url):
    """Exit 2, one paragraph, no traceback; not even a torn password is quoted."""
    finished = run(url)

    assert (2, "") == (finished.exit, finished.out)
    assert finished.err.startswith("Could not connect to the database")
    assert finished.err.count("\n") == 1
    assert "s3" not in finished.err


def test_missing_url_is_an_error_of_usage(run):
    """Without a database there is nothing to verify."""
    finished = run(None)

    assert finished.exit == 2
    assert "--database-url" in finished.err


def test_url_can_be_given_as_an_argument(migrated, run):
    """The argument wins over the environment."""
    finished = run("postgresql://127.0.0.1:1/", "--database-url", migrated.dsn)

    assert finished.exit == 0


def test_closed_output_ends_quietly_with_the_verdict(migrated, tmp_path):
    """A reader that left is no failure, and no traceback."""
    reading, writing = os.pipe()
    os.close(reading)

    with start(tmp_path, url=migrated.dsn, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)

    assert (0, b"") == (process.returncode, err)


def test_interrupt_ends_at_once_without_a_traceback(migrated, tmp_path):
    """Ctrl-C does not wait for a server that waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 30

    with (
        contextlib.closing(psycopg2.connect(migrated.dsn)) as blocker,
        blocker.cursor() as cursor,
    ):
        cursor.execute("LOCK TABLE prompt_templates IN ACCESS EXCLUSIVE MODE")
        with start(tmp_path, url=migrated.dsn) as process:
            while migrated.rows(waiting) == [(0,)] and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)

    assert (-signal.SIGINT, b"", b"") == (process.returncode, out, err)
