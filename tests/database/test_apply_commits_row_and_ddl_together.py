"""A migration and its row in the history land together, or neither does."""

import pytest

from tests.fix_project import outcome

GOOD = "CREATE TABLE first (id int);"
FAILURES = {
    "the last statement": "CREATE TABLE second (id int);\nSELECT 1/0;",
    "the first statement": "SELECT nothing;\nCREATE TABLE second (id int);",
    "a deferred constraint": (
        "CREATE TABLE second (id int PRIMARY KEY,"
        " above int REFERENCES second DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO second VALUES (1, 99);"
    ),
    "a check beside it": "CREATE TABLE second (id int);",
    "data of a COPY": (
        "CREATE TABLE second (id int);\nCOPY second FROM stdin;\nx\n\\.\n"
    ),
    "a type used too early": (
        "CREATE TYPE colour AS ENUM ('red');\nCREATE TABLE second (c colour);\n"
        "INSERT INTO second VALUES ('blue');"
    ),
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_failure_leaves_no_trace_of_the_migration(project, how):
    """Whatever fails, nothing of the file is left, its row included; earlier ones stay."""
    project.write({"0001_first.sql": GOOD})
    assert 0 == project("apply").exit
    before = project.snapshot()
    project.write({"0002_second.sql": FAILURES[how]})
    if how == "a check beside it":
        project.write({"0002_second.verify.sql": "-- never\nSELECT false;"})

    failed = project("apply")

    assert (10 if how == "a check beside it" else 7) == failed.exit
    assert before == project.snapshot()
    assert [("0001", "applied")] == project.history()


def test_earlier_migrations_of_the_run_stay_and_later_ones_are_not_tried(project):
    """The outcome lists what was applied, what failed, and what was not tried."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "CREATE TABLE b (id int);",
            "0003_c.sql": "CREATE TABLE c (id int); SELECT 1/0;",
            "0004_d.sql": "CREATE TABLE d (id int);",
            "0005_e.sql": "CREATE TABLE e (id int);",
        }
    )

    told = outcome(project("apply", "--output", "json"))

    assert ["0001", "0002"] == [done["version"] for done in told["done"]]
    assert "0003_c.sql" == told["failed"]
    assert ["0004", "0005"] == told["not_tried"]
    assert (7, "statement-failed") == (told["exit_code"], told["error"])
    assert ["a", "b", "schema_migrations"] == project.tables()
    assert [("0001", "applied"), ("0002", "applied")] == project.history()


def test_text_says_what_was_applied_what_failed_and_what_was_not_tried(project):
    """A person reads the same three facts in one line."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "SELECT 1/0;",
            "0003_c.sql": "CREATE TABLE c (id int);",
        }
    )

    failed = project("apply")

    assert "1 applied" in failed.out
    assert "failed: 0002_b.sql" in failed.out
    assert "not tried: 0003" in failed.out
    assert "✗ MIGRATION FAILED" in failed.out


def test_a_corrected_migration_is_applied_by_the_next_run(project):
    """After a failure the same directory, mended, goes on where it stopped."""
    project.write({"0001_a.sql": GOOD, "0002_b.sql": "SELECT 1/0;"})
    assert 7 == project("apply").exit
    project.write({"0002_b.sql": "CREATE TABLE b (id int);"})

    mended = project("apply")

    assert 0 == mended.exit
    assert ["b", "first", "schema_migrations"] == project.tables()
    assert [("0001", "applied"), ("0002", "applied")] == project.history()


def test_a_second_run_says_that_nothing_is_pending(project):
    """Applying twice changes nothing and says so."""
    project.write({"0001_a.sql": GOOD})
    assert 0 == project("apply").exit
    before = project.database.rows("SELECT * FROM schema_migrations")

    again = project("apply")

    assert 0 == again.exit
    assert "Nothing is pending" in again.out
    assert before == project.database.rows("SELECT * FROM schema_migrations")
