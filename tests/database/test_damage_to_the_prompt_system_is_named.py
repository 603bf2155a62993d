"""Every kind of damage to the prompt system is found by its verification, and named.

The damage is done to a real database by plain SQL.
"""

import re

import pytest

from tests.database import verifying
from tests.database.verifying import STEM, change
from tests.fix_cli import CHECKOUT
from verification.report import as_text, verify

migrated = verifying.migrated
run = verifying.run

FAILED = """\
======================================================================
✗ 2 VERIFICATION CHECKS FAILED
  Enterprise Prompt System Migration: FAILURE
======================================================================
"""
DAMAGE = {
    name: (
        sql,
        [line.removeprefix("-- ") for line in sql.splitlines() if "-- ✗" in line],
    )
    for name, sql in re.findall(
        r"^-- name: (.+)\n((?:.+\n)+)",
        (CHECKOUT / "tests" / "database" / "prompt_system_damage.sql").read_text(
            "utf-8"
        ),
        re.MULTILINE,
    )
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_damage_is_found_and_named(migrated, damage):
    """Every line that fails names what is wrong, and no other line does.

    In this process: what the script makes of a section that fails is told below.
    """
    sql, lines = DAMAGE[damage]
    change(migrated, sql)

    sections = verify(migrated.dsn)

    said = as_text(sections).splitlines()
    assert lines == [line for line in said if line.startswith("✗ ")][:-1]
    assert not all(section.passed for section in sections)


def test_failing_report_says_so_in_summary_and_banner(migrated, run):
    """The summary marks the section, the banner counts the checks."""
    change(migrated, "DROP TABLE schema_migrations")

    finished = run(migrated.dsn)

    assert "Tables:           ✗ FAIL\nIndexes:          ✓ PASS\n" in finished.out
    assert "Migration Record: ✗ FAIL\n" in finished.out
    assert finished.out.endswith(FAILED)


def test_empty_database_fails_every_check(blank_database, run):
    """Nothing there is a long report, not a traceback."""
    finished = run(blank_database.dsn)

    assert "✓ " not in finished.out
    assert (1, "") == (finished.exit, finished.err)


def test_read_only_session_cannot_prove_the_triggers(migrated):
    """On a replica the report says what it could not do."""
    change(
        migrated,
        f"ALTER DATABASE {migrated.name} SET default_transaction_read_only = on",
    )

    sections = verify(migrated.dsn)

    assert ["Triggers"] == [s.label for s in sections if not s.passed]
    assert "cannot be exercised: the session is read-only" in str(sections[4].checks[0])


def test_each_exercise_of_the_migration_is_named_for_a_trigger():
    """The script tries the triggers out by the migration's own checks, and by each."""
    shipped = re.findall(
        r"^-- (.+)\nDO \$\$$",
        STEM.with_suffix(".verify.sql").read_text("utf-8"),
        re.MULTILINE,
    )

    asked = (CHECKOUT / "verification" / "checks.sql").read_text("utf-8")

    assert len(shipped) == 3
    assert all("'" + name.replace("'", "''") + "'" in asked for name in shipped)
