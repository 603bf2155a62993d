"""The shipped migration through ``python -m migrate``, on every supported version."""

import pytest

from tests.fix_cli import CHECKOUT
from tests.fix_project import Project

TABLES = [
    "ab_test_experiments",
    "prompt_executions",
    "prompt_guardrails",
    "prompt_templates",
    "schema_migrations",
]
VIEWS = [
    "v_active_ab_tests",
    "v_guardrail_violations_summary",
    "v_recent_execution_errors",
    "v_template_performance",
]


@pytest.fixture
def shipped(any_version_database, run_migrate, a_directory):
    """Give the shipped directory and a database of each version in turn."""
    return Project(
        CHECKOUT / "migrations", any_version_database, run_migrate, a_directory
    )


def test_apply_verify_rollback_and_apply_again(shipped):
    """It lands with its checks, is whole, can be undone without a trace, and redone."""
    empty = shipped.snapshot()

    applied = shipped("apply")
    first, history = shipped.tables(), shipped.history()
    verified = shipped("verify")
    undone = shipped("rollback", "--yes")
    left = shipped.snapshot()
    again = shipped("apply")

    assert 0 == applied.exit, applied.out + applied.err
    assert sorted(TABLES + VIEWS) == first
    assert [("0001", "applied")] == history
    assert 0 == verified.exit, verified.err
    assert 0 == undone.exit, undone.err
    assert "left behind" not in undone.out
    assert [] == [
        thing
        for thing in left
        if thing not in empty and "schema_migrations" not in thing
    ]
    assert 0 == again.exit, again.err


def test_its_row_is_the_one_that_was_agreed(shipped):
    """Name and description are those of the design; the seeds' query finds it."""
    assert 0 == shipped("apply").exit

    assert [
        (
            "0001",
            "enterprise_prompt_system_phase1",
            "Enterprise Prompt Template Management System - Phase 1",
        )
    ] == shipped.database.rows(
        "SELECT version, name, description FROM schema_migrations"
    )


def test_a_dry_run_leaves_nothing(shipped):
    """On every version a dry run runs it all, checks included, and leaves nothing."""
    before = shipped.snapshot()

    dry = shipped("apply", "--dry-run")

    assert 0 == dry.exit, dry.err
    assert "1 would apply" in dry.out
    assert "[Verification] ✓ " in dry.out
    assert before == shipped.snapshot()
