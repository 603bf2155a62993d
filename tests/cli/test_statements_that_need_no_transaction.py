"""Statements that no transaction may hold, or that end it, work without a directive."""

import pytest

from tests.observing import holding, until_running, until_said, versions

COMMITS = (
    "BEGIN INSERT INTO log VALUES (1); COMMIT; INSERT INTO log VALUES (2); COMMIT; END"
)
CASES = {
    "CALL of a procedure that commits": "CALL commits();",
    "DO that commits": f"DO $$ {COMMITS} $$;",
    "VACUUM": "VACUUM (ANALYZE) log;",
    "REINDEX CONCURRENTLY": "REINDEX TABLE CONCURRENTLY log;",
    "ALTER SYSTEM": "ALTER SYSTEM SET log_min_duration_statement = '1h';\n"
    "ALTER SYSTEM RESET log_min_duration_statement;",
    "CREATE DATABASE": "CREATE DATABASE {other};\nDROP DATABASE {other};",
    "DISCARD ALL": "SET work_mem = '7MB';\nDISCARD ALL;\n"
    "SELECT 1 / (current_setting('work_mem') <> '7MB')::int;",
    "ALTER TYPE ADD VALUE": "ALTER TYPE mood ADD VALUE 'calm';",
    "ADD VALUE and its use": "ALTER TYPE mood ADD VALUE 'calm';\nCOMMIT;\n"
    "SELECT 'calm'::mood;",
}


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.fixture
def logged(blank_database):
    """A database with a table, a type and a procedure that commits."""
    blank_database.psql(
        "CREATE TABLE log (n int PRIMARY KEY); CREATE TYPE mood AS ENUM ('merry');"
        f"CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ {COMMITS} $$"
    )
    return blank_database


@pytest.mark.parametrize("case", CASES)
def test_statement_is_applied_and_recorded(logged, run_migrate, a_directory, case):
    """The file is applied once, recorded, and the lock is ours to the end."""
    sql = CASES[case].replace("{other}", f"other_{logged.name}")
    directory = a_directory({"0001_it.sql": sql, "0002_next.sql": "CREATE TABLE t ();"})
    environment = {"DATABASE_URL": logged.url}

    run = run_migrate("apply", "--dir", directory, env=environment)
    again = run_migrate("apply", "--dir", directory, env=environment)

    assert [0, 0] == [run.exit, again.exit], run.err + again.err
    assert ["0001", "0002"] == versions(logged)
    assert "Nothing is pending" in again.out


def test_discard_all_keeps_other_runners_out(
    logged, start_migrate, run_migrate, a_directory
):
    """DISCARD ALL discards the session's state, but not the lock of the run."""
    directory = a_directory({"0001_all.sql": "DISCARD ALL;\nSELECT pg_sleep(60);\n"})
    environment = {"DATABASE_URL": logged.url}
    start_migrate("apply", "--dir", directory, env=environment)
    until_running(logged, "pg_sleep(60)")

    second = run_migrate(
        "apply", "--dir", directory, "--lock-wait", "0", env=environment
    )

    assert 5 == second.exit, second.err


@pytest.mark.parametrize(
    ("more", "code"), [("", 7), ("VACUUM log;", 8)], ids=["transactional", "stepwise"]
)
def test_file_that_releases_the_lock_of_the_run_fails(
    logged, run_migrate, a_directory, more, code
):
    """pg_advisory_unlock_all() would let other runners in: noticed before the commit."""
    directory = a_directory(
        {
            "0001_all.sql": f"CREATE TABLE t ();\n{more}\nSELECT pg_advisory_unlock_all();"
        }
    )

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": logged.url})

    assert code == run.exit, run.err
    assert "0001_all.sql released the lock of this run" in run.err
    assert [] == versions(logged)
    if not more:
        assert [(None,)] == logged.rows("SELECT to_regclass('t')")


@pytest.mark.parametrize("more", ["", "VACUUM log;"], ids=["transactional", "stepwise"])
def test_advisory_locks_that_a_file_kept_are_given_back(
    logged, start_migrate, a_directory, more
):
    """What a file locked and forgot is free before the next file begins; ours is held."""
    kept = (
        "SELECT pg_advisory_lock(7), pg_advisory_lock(7), pg_advisory_lock(-1);\n"
        "SELECT pg_advisory_lock_shared(-1, 2), pg_advisory_lock_shared(3);\n"
    )
    directory = a_directory(
        {"0001_keep.sql": more + kept, "0002_next.sql": "SELECT pg_sleep(60);"}
    )
    start_migrate("apply", "--dir", directory, env={"DATABASE_URL": logged.url})

    until_running(logged, "pg_sleep(60)")

    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert [(1,)] == logged.rows(held)


def test_transaction_scoped_advisory_lock_is_the_files_own_business(
    logged, run_migrate, a_directory
):
    """A file that guards itself with an advisory lock is applied."""
    directory = a_directory(
        {"0001_guard.sql": "SELECT pg_advisory_xact_lock(7);\nCREATE TABLE t ();"}
    )

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": logged.url})

    assert 0 == run.exit, run.err
    assert "WARNING" not in run.out


def test_routine_that_commits_is_announced(logged, run_migrate, a_directory):
    """Where only the server can tell, the run says that the file goes by statement."""
    directory = a_directory({"0001_call.sql": "SELECT 1;\nCALL commits();"})

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": logged.url})

    assert 0 == run.exit, run.err
    assert "0001_call.sql:2 ends its transaction" in run.out


def test_transaction_directive_forbids_the_fall_back(logged, run_migrate, a_directory):
    """``transaction=true`` is a promise: a routine that commits fails, nothing is left."""
    sql = "-- migrate: transaction=true\nCREATE TABLE t ();\nCALL commits();"

    run = run_migrate(
        *("apply", "--dir", a_directory({"0001_call.sql": sql})),
        env={"DATABASE_URL": logged.url},
    )

    assert 7 == run.exit, run.err
    assert "2D000" in run.err
    assert [(None,)] == logged.rows("SELECT to_regclass('t')")


def test_deadlock_of_two_waits_is_not_made_by_the_lock(
    logged, start_migrate, a_directory
):
    """VACUUM and CONCURRENTLY of one run wait for a blocker, and the next run for them."""
    directory = a_directory({"0001_v.sql": "VACUUM FULL log;"})
    environment = {"DATABASE_URL": logged.url}
    with holding(logged, "SELECT 1 FROM log"):
        first = start_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "0"), env=environment
        )
        until_running(logged, "VACUUM FULL")
        second = start_migrate("apply", "--dir", directory, env=environment)
        until_said(second, "Waiting for another runner")

    assert [0, 0] == [first.wait(30), second.wait(30)]
