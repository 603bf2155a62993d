"""``.verify.sql`` runs inside the migration's transaction: what fails never lands."""

import pytest

UP = "CREATE TABLE t (id int);\nINSERT INTO t VALUES (1);\n"
FAILING = {
    "false": ("SELECT count(*) = 2 FROM t;", "it returned false"),
    "NULL": ("SELECT max(id) > 0 FROM t WHERE id > 5;", "it returned NULL"),
    "no row": ("SELECT true FROM t WHERE id = 9;", "it returned no row"),
    "a row that is false": (
        "SELECT id < 2 FROM (VALUES (1), (2)) AS v (id);",
        "it returned false",
    ),
    "an error": ("SELECT 1/0;", "division by zero (SQLSTATE 22012)"),
    "an exception": (
        "DO $$ BEGIN RAISE EXCEPTION 'not yet'; END $$;",
        "not yet (SQLSTATE P0001)",
    ),
}


@pytest.mark.parametrize("how", FAILING)
@pytest.mark.parametrize("options", [[], ["--single-transaction"], ["--dry-run"]])
def test_a_failing_check_rolls_the_migration_back(project, how, options):
    """Exit 10 names the check by its comment, with file, line and reason."""
    check, reason = FAILING[how]
    project.write(
        {
            "0001_t.sql": UP,
            "0001_t.verify.sql": "-- t can be read\nSELECT count(*) >= 0 FROM t;\n\n"
            f"-- what matters\n{check}\n",
        }
    )

    failed = project("apply", *options)

    assert 10 == failed.exit
    assert "0001_t.verify.sql:5: check 'what matters' failed: " + reason in failed.err
    assert "0001_t.sql was rolled back" in failed.err
    assert "[Verification] ✓ t can be read" in failed.out
    assert [] == project.history()
    assert "t" not in project.tables()


def test_passing_checks_are_told_and_the_migration_lands(project):
    """Every check is named with a tick; a statement without result passes."""
    project.write(
        {
            "0001_t.sql": UP,
            "0001_t.verify.sql": "-- one row\nSELECT count(*) = 1 FROM t;\n"
            "SELECT true;\n-- nothing raised\nDO $$ BEGIN PERFORM 1; END $$;\n",
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert "[Verification] ✓ one row" in finished.out
    assert "[Verification] ✓ SELECT true;" in finished.out
    assert "[Verification] ✓ nothing raised" in finished.out
    assert [("0001", "applied")] == project.history()


def test_deferred_constraints_have_spoken_before_the_checks(project):
    """A check sees the final state: what would fail at COMMIT has failed by then."""
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t (id int PRIMARY KEY,"
            " up int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\n"
            "INSERT INTO t VALUES (1, 7);\n",
            "0001_t.verify.sql": "SELECT true;",
        }
    )

    failed = project("apply")

    assert 7 == failed.exit
    assert "SQLSTATE 23503" in failed.err
    assert "✓" not in failed.out


def test_a_check_is_not_under_the_files_settings(project):
    """The checks look from outside: search_path and role are the run's own."""
    project.write(
        {
            "0001_t.sql": "CREATE SCHEMA app; SET search_path TO app;\n"
            "CREATE TABLE t (id int);",
            "0001_t.verify.sql": "-- qualified\nSELECT to_regclass('app.t') IS NOT NULL;"
            "\n-- not by path\nSELECT to_regclass('t') IS NULL;",
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err


def test_a_wrong_file_of_checks_stops_the_run_before_it_begins(project):
    """An unterminated quote in the checks is found before anything is applied."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a ();",
            "0002_t.sql": UP,
            "0002_t.verify.sql": "SELECT 1;\nSELECT 'open;\n",
        }
    )

    refused = project("apply")

    assert 3 == refused.exit
    assert "0002_t.verify.sql:2:8: quoted string begins here" in refused.err
    assert [] == project.tables()


def test_checks_of_a_file_without_transaction_run_after_it(project):
    """What cannot be rolled back is not entered as applied; a rerun checks again."""
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t (id int);\n"
            "CREATE INDEX CONCURRENTLY t_id ON t (id);",
            "0001_t.verify.sql": "-- rows\nSELECT count(*) > 0 FROM t;",
        }
    )

    failed = project("apply")

    state = project.history()
    project.database.psql("INSERT INTO t VALUES (1)")
    mended = project("apply")

    assert 8 == failed.exit
    assert "check 'rows' failed: it returned false" in failed.err
    assert "statements 1 to 2 of 2 stay applied" in failed.err
    assert [("0001", "failed")] == state
    assert 0 == mended.exit, mended.err
    assert "[Verification] ✓ rows" in mended.out
    assert [("0001", "applied")] == project.history()


def test_a_check_that_fails_where_nothing_can_be_undone_is_what_is_to_be_mended(
    project,
):
    """No statement is to be corrected, and none is repeated: the advice says so."""
    project.write({"0001_v.sql": "VACUUM;", "0001_v.verify.sql": "SELECT false;"})
    failed = project("apply")
    project.write({"0001_v.verify.sql": "SELECT true;"})

    again = project("apply")

    assert 8 == failed.exit
    assert "statements 1 to 1 of 1 stay applied" in failed.err
    assert "→ mend the data, or 0001_v.verify.sql, and apply again: only" in failed.err
    assert "correct the statement" not in failed.err
    assert 0 == again.exit, again.err
