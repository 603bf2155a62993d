"""Any number of runners at once: each migration once, and the loser names the holder."""

import re
import signal

import pytest

from tests.observing import (
    finish,
    holding,
    until_running,
    until_said,
    versions,
)

ONE_ROW_EACH = {
    "0001_log.sql": "CREATE TABLE log (file text);\nINSERT INTO log VALUES ('0001');\n",
    "0002_index.sql": "CREATE INDEX CONCURRENTLY log_file ON log (file);\n"
    "INSERT INTO log VALUES ('0002');\n",
    "0003_more.sql": "INSERT INTO log VALUES ('0003');\n",
}
LONG = {"0001_long.sql": "CREATE TABLE long (n int);\nSELECT pg_sleep(60);\n"}


@pytest.mark.parametrize("crowd", [5, 20])
def test_runners_at_once_apply_each_migration_exactly_once(
    blank_database, start_migrate, a_directory, crowd
):
    """However many start together, each file runs once and none of the runs fails."""
    directory = a_directory(ONE_ROW_EACH)
    environment = {"DATABASE_URL": blank_database.url}

    started = [
        start_migrate("apply", "--dir", directory, env=environment)
        for _ in range(crowd)
    ]
    ended = [finish(process) for process in started]

    assert [0] * crowd == [run.exit for run in ended], [run.err for run in ended]
    assert ["0001", "0002", "0003"] == versions(blank_database)
    assert [("0001", 1), ("0002", 1), ("0003", 1)] == blank_database.rows(
        "SELECT file, count(*) FROM log GROUP BY file ORDER BY file"
    )


def test_loser_that_may_not_wait_names_the_holder(
    blank_database, start_migrate, run_migrate, a_directory
):
    """--lock-wait 0 exits with 5 and says pid, application_name, since when, execution."""
    directory = a_directory(LONG)
    environment = {"DATABASE_URL": blank_database.url}
    named = {**environment, "CLOUD_RUN_EXECUTION": "dev-migration-x7k2p"}
    start_migrate("apply", "--dir", directory, env=named)
    pid = until_running(blank_database, "pg_sleep(60)")

    loser = run_migrate(
        "apply", "--dir", directory, "--lock-wait", "0", env=environment
    )

    assert 5 == loser.exit, loser.err
    assert f"pid {pid} " in loser.err
    assert re.search(r"\(cloudrun-migrate [0-9a-f]{8} dev-migration-x7k2p\)", loser.err)
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", loser.err)
    assert "unlock" in loser.err


def test_holder_killed_between_statements_frees_the_way(
    blank_database, start_migrate, run_migrate, a_directory
):
    """A runner killed with SIGKILL while it pauses leaves no lock behind."""
    blank_database.psql("CREATE TABLE busy (n int)")
    directory = a_directory({"0001_alter.sql": "ALTER TABLE busy ADD COLUMN m int;"})
    environment = {"DATABASE_URL": blank_database.url}
    with holding(blank_database, "SELECT * FROM busy"):
        holder = start_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "50ms"), env=environment
        )
        until_said(holder, "next in")
        holder.kill()
        holder.wait()

    after = run_migrate("apply", "--dir", directory, env=environment)

    assert 0 == after.exit, after.err
    assert ["0001"] == versions(blank_database)


def test_killed_runners_statement_keeps_others_out_until_it_ends(
    blank_database, start_migrate, a_directory
):
    """The statement of a killed runner goes on in the server: the next run waits for it."""
    directory = a_directory(
        {"0001_slow.sql": "CREATE TABLE slow ();\nSELECT pg_advisory_lock_shared(7);"}
    )
    unwatched = "options=-c%20client_connection_check_interval%3D0"
    url = f"{blank_database.url}?{unwatched}"
    with holding(blank_database, "SELECT pg_advisory_lock(7)"):
        killed = start_migrate("apply", "--dir", directory, env={"DATABASE_URL": url})
        pid = until_running(blank_database, "pg_advisory_lock_shared(7)")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        after = start_migrate("apply", "--dir", directory, env={"DATABASE_URL": url})
        said = until_said(after, "Waiting for another runner")
    ended = finish(after)

    assert f"Waiting for another runner: pid {pid} " in said
    assert 0 == ended.exit, ended.err
    assert ["0001"] == versions(blank_database)


@pytest.mark.parametrize(
    "other", [("--schema", "other"), ("--table", "other_migrations")]
)
def test_histories_do_not_block_each_other(
    blank_database, start_migrate, run_migrate, a_directory, other
):
    """The lock is one history's: another schema, or table, is another lock."""
    environment = {"DATABASE_URL": blank_database.url}
    long = a_directory(LONG, "long")
    start_migrate("apply", "--dir", long, env=environment)
    until_running(blank_database, "pg_sleep(60)")
    short = a_directory({"0001_short.sql": "CREATE TABLE short (n int);"}, "short")

    run = run_migrate(
        *("apply", "--dir", short, "--lock-wait", "0", *other), env=environment
    )

    assert 0 == run.exit, run.err
    assert until_running(blank_database, "pg_sleep(60)")


def test_unlock_ends_the_holder(
    blank_database, start_migrate, run_migrate, a_directory
):
    """``unlock --yes`` ends the holder's session; what it did is rolled back."""
    directory = a_directory(LONG)
    environment = {"DATABASE_URL": blank_database.url}
    holder = start_migrate("apply", "--dir", directory, env=environment)
    pid = until_running(blank_database, "pg_sleep(60)")

    unlock = run_migrate("unlock", "--yes", env=environment)
    ended = finish(holder)

    assert 0 == unlock.exit, unlock.err
    assert f"pid {pid} " in unlock.out
    assert 7 == ended.exit, ended.err
    assert "session was lost" in ended.err
    assert [] == versions(blank_database)
    assert [(None,)] == blank_database.rows("SELECT to_regclass('long')")


def test_unlock_without_a_holder_says_so(blank_database, run_migrate):
    """``unlock`` of a free lock changes nothing and exits with 4."""
    run = run_migrate("unlock", "--yes", env={"DATABASE_URL": blank_database.url})

    assert 4 == run.exit
    assert "nobody holds the lock" in run.err


def test_index_build_is_not_deadlocked_by_a_waiting_runner(
    blank_database, start_migrate, a_directory
):
    """A runner that waits for the lock holds no snapshot that CONCURRENTLY waits for."""
    blank_database.psql("CREATE TABLE big (n int)")
    directory = a_directory(
        {"0001_index.sql": "CREATE INDEX CONCURRENTLY i ON big (n);"}
    )
    environment = {"DATABASE_URL": blank_database.url}
    with holding(
        blank_database, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM big"
    ):
        builder = start_migrate("apply", "--dir", directory, env=environment)
        until_running(blank_database, "CREATE INDEX CONCURRENTLY")
        waiter = start_migrate("apply", "--dir", directory, env=environment)
        until_said(waiter, "Waiting for another runner")

    ended = [finish(builder), finish(waiter)]

    assert [0, 0] == [run.exit for run in ended], [run.err for run in ended]
    assert ["0001"] == versions(blank_database)


LETTING_GO = {
    "a function": {
        "0001_a.sql": "CREATE FUNCTION let_go() RETURNS void LANGUAGE sql"
        " AS 'SELECT pg_advisory_unlock_all()';",
        "0002_b.sql": "CREATE TABLE b ();",
        "0003_c.sql": "SELECT let_go();",
        "0004_d.sql": "CREATE TABLE d ();",
    },
    "a text that is put together": {
        "0001_a.sql": "CREATE TABLE a ();",
        "0002_b.sql": "CREATE TABLE b ();",
        "0003_c.sql": "DO $$BEGIN EXECUTE 'SELECT pg_adv' || 'isory_unlock_all()'; END$$;",
        "0004_d.sql": "CREATE TABLE d ();",
    },
    "a check": {
        "0002_b.sql": "CREATE TABLE b ();",
        "0003_c.sql": "CREATE TABLE c ();",
        "0003_c.verify.sql": "SELECT true FROM pg_advisory_unlock_all();",
        "0004_d.sql": "CREATE TABLE d ();",
    },
}


@pytest.mark.parametrize("files", LETTING_GO.values(), ids=list(LETTING_GO))
@pytest.mark.parametrize("manner", [(), ("--single-transaction",)])
def test_who_lets_go_of_the_lock_out_of_sight_is_rolled_back(
    blank_database, migrate_inside, a_directory, files, manner
):
    """Nobody else could have begun: the file is named, and nothing after it is applied."""
    directory = a_directory(files)
    environment = {"DATABASE_URL": blank_database.url}

    ended = migrate_inside("apply", "--dir", directory, *manner, env=environment)
    tables = "SELECT to_regclass('b') IS NOT NULL, to_regclass('d') IS NOT NULL"

    assert 7 == ended.exit, ended.err
    assert "0003_c.sql released the lock of this run" in ended.err
    assert [(not manner, False)] == blank_database.rows(tables)


def test_a_statement_by_itself_lets_go_of_the_lock(
    blank_database, migrate_inside, a_directory
):
    """It cannot be rolled back: what follows it is not begun, and the history says where."""
    directory = a_directory(
        {
            "0001_a.sql": LETTING_GO["a function"]["0001_a.sql"],
            "0002_b.sql": "-- migrate: transaction=false\n"
            "SELECT let_go();\nCREATE TABLE b ();",
        }
    )
    environment = {"DATABASE_URL": blank_database.url}

    ended = migrate_inside("apply", "--dir", directory, env=environment)

    assert 8 == ended.exit, ended.err
    assert "released the lock of this run" in ended.err
    assert [(None,)] == blank_database.rows("SELECT to_regclass('b')")
