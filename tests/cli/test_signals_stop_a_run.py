"""SIGTERM and SIGINT: the statement is cancelled on the server, and nothing is left."""

import contextlib
import signal
import socket
import time

import pytest

from tests.machine import LOOPBACK
from tests.observing import (
    finish,
    holding,
    ours_connected,
    until,
    until_running,
    until_said,
    versions,
)

PROMISED_S = 8.0
AT_ONCE_S = 4.0  # libpq gives one silent host five seconds
LONG = {"0001_long.sql": "CREATE TABLE long (n int);\nSELECT pg_sleep(60);\n"}
SIGNALS = [signal.SIGTERM, signal.SIGINT]


def stopped(process, number):
    """Send the signal; return how it ended, and how long that took."""
    began = time.monotonic()
    process.send_signal(number)
    ended = finish(process)
    return ended, time.monotonic() - began


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_long_statement_is_cancelled_on_the_server(
    blank_database, start_migrate, run_migrate, a_directory, number
):
    """Exit 7 in time, the signal is named, no session of ours is left, nothing was
    committed, and the lock is free.
    """
    directory = a_directory(LONG)
    environment = {"DATABASE_URL": blank_database.url}
    process = start_migrate("apply", "--dir", directory, env=environment)
    until_running(blank_database, "pg_sleep(60)")

    ended, seconds = stopped(process, number)
    left = ours_connected(blank_database)
    a_directory({"0001_long.sql": "CREATE TABLE long (n int);"})
    after = run_migrate(
        "apply", "--dir", directory, "--lock-wait", "0", env=environment
    )

    assert 7 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert f"stopped by {number.name} while applying 0001_long.sql" in ended.err
    assert 0 == left
    assert 0 == after.exit, after.err


def test_stepwise_statement_is_cancelled_and_resumed(
    blank_database, start_migrate, a_directory
):
    """In a non-transactional file the exit code is 8: statements before it stay."""
    directory = a_directory(
        {"0001_step.sql": "CREATE TABLE t ();\nVACUUM t;\nSELECT pg_sleep(60);\n"}
    )
    process = start_migrate(
        *("apply", "--dir", directory), env={"DATABASE_URL": blank_database.url}
    )
    until_running(blank_database, "pg_sleep(60)")

    ended, seconds = stopped(process, signal.SIGTERM)

    assert 8 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert "stopped by SIGTERM" in ended.err
    assert "statements 1 to 2 of 3 stay applied" in ended.err
    assert "apply again: it resumes there" in ended.err
    assert 0 == ours_connected(blank_database)
    assert [("failed", 2)] == blank_database.rows(
        "SELECT state, statements_done FROM schema_migrations"
    )


@pytest.mark.parametrize("rest", [{}, {"0002_next.sql": "CREATE TABLE late ();"}])
def test_what_is_committed_when_the_signal_comes_stays_applied(
    blank_database, start_migrate, a_directory, rest
):
    """What follows the COMMIT in its message is cancelled: no migration was rolled back."""
    locks = "SELECT count(pg_advisory_lock(1)) FROM generate_series(1, 1000000);\n"
    directory = a_directory(
        {"0001_locks.sql": f"CREATE TABLE early ();\n{locks}", **rest}
    )
    process = start_migrate(
        *("apply", "--dir", directory), env={"DATABASE_URL": blank_database.url}
    )
    until(
        lambda: blank_database.rows("SELECT to_regclass('early')") != [(None,)],
        "it was not committed",
    )

    ended, _ = stopped(process, signal.SIGTERM)

    assert ["0001"] == versions(blank_database)
    assert (7 if rest else 0) == ended.exit, ended.err
    assert "while applying 0001" not in ended.err
    assert [(None,)] == blank_database.rows("SELECT to_regclass('late')")
    assert [(0,)] == blank_database.rows(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


@pytest.mark.parametrize(
    ("down", "code", "advice"),
    [
        ("SELECT pg_sleep(60);", 7, "run the command again; what was in progress has"),
        (
            "VACUUM; SELECT pg_sleep(60);",
            8,
            "run rollback again: 0001_a.down.sql begins",
        ),
    ],
)
def test_who_undoes_is_not_told_to_apply(
    blank_database, start_migrate, run_migrate, a_directory, *, down, code, advice
):
    """What was stopped is done again by the verb that was stopped."""
    files = {"0001_a.sql": "CREATE TABLE a ();", "0001_a.down.sql": down}
    command = ("--dir", a_directory(files))
    environment = {"DATABASE_URL": blank_database.url}
    assert 0 == run_migrate("apply", *command, env=environment).exit
    process = start_migrate("rollback", "--yes", *command, env=environment)
    until_running(blank_database, "pg_sleep(60)")

    ended, _ = stopped(process, signal.SIGTERM)

    assert code == ended.exit, ended.err
    assert advice in ended.err
    assert "apply again" not in ended.err
    assert ["0001"] == versions(blank_database)


def test_index_build_is_cancelled(blank_database, start_migrate, a_directory):
    """A build that waits for others is cancelled like any statement."""
    blank_database.psql("CREATE TABLE big (n int)")
    directory = a_directory(
        {"0001_index.sql": "CREATE INDEX CONCURRENTLY i ON big (n);"}
    )
    with holding(blank_database, "LOCK TABLE big IN ROW EXCLUSIVE MODE"):
        process = start_migrate(
            *("apply", "--dir", directory), env={"DATABASE_URL": blank_database.url}
        )
        until_running(blank_database, "CREATE INDEX CONCURRENTLY")
        ended, seconds = stopped(process, signal.SIGTERM)

    assert 8 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert 0 == ours_connected(blank_database)


def test_wait_for_the_lock_is_ended(blank_database, start_migrate, a_directory):
    """A run that waits for another one stops at once; the other goes on."""
    directory = a_directory(LONG)
    environment = {"DATABASE_URL": blank_database.url}
    start_migrate("apply", "--dir", directory, env=environment)
    until_running(blank_database, "pg_sleep(60)")
    waiter = start_migrate("apply", "--dir", directory, env=environment)
    until_said(waiter, "Waiting for another runner")

    ended, seconds = stopped(waiter, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert "stopped by SIGTERM" in ended.err
    assert until_running(blank_database, "pg_sleep(60)")


def test_wait_for_the_first_connection_is_ended(
    blank_database, start_migrate, a_directory
):
    """A run that waits for a server that is not there stops at once."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
    process = start_migrate(
        *("apply", "--dir", a_directory(LONG)),
        env={"DATABASE_URL": f"postgresql://u@{LOOPBACK}:{port}/d"},
    )
    until_said(process, "Still connecting")

    ended, seconds = stopped(process, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert "stopped by SIGTERM" in ended.err


def test_servers_that_accept_and_never_answer_are_left(start_migrate, a_directory):
    """A connection attempt that hangs does not keep the run, however many hosts there are."""
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(4)
        ]
        hosts = ",".join(f"{LOOPBACK}:{each.getsockname()[1]}" for each in silent)
        process = start_migrate(
            *("apply", "--dir", a_directory(LONG)),
            env={"DATABASE_URL": f"postgresql://u@{hosts}/d"},
        )
        stack.enter_context(silent[0].accept()[0])
        ended, seconds = stopped(process, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert AT_ONCE_S > seconds
    assert "stopped by SIGTERM" in ended.err


def test_copy_is_ended(blank_database, start_migrate, a_directory):
    """A COPY that waits in the server for a trigger is cancelled."""
    blank_database.psql(
        "CREATE TABLE slow (n int); CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'; CREATE TRIGGER nap BEFORE INSERT "
        "ON slow FOR EACH ROW EXECUTE FUNCTION nap()"
    )
    rows = "".join(f"{n}\n" for n in range(200_000))
    directory = a_directory({"0001_copy.sql": f"COPY slow FROM stdin;\n{rows}\\.\n"})
    process = start_migrate(
        *("apply", "--dir", directory), env={"DATABASE_URL": blank_database.url}
    )
    until_running(blank_database, "COPY slow")

    ended, seconds = stopped(process, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert "stopped by SIGTERM" in ended.err
    assert 0 == ours_connected(blank_database)


def test_pause_between_tries_is_ended(blank_database, start_migrate, a_directory):
    """A run that pauses before it tries again stops at once."""
    blank_database.psql("CREATE TABLE busy (n int)")
    directory = a_directory({"0001_alter.sql": "ALTER TABLE busy ADD COLUMN m int;"})
    with holding(blank_database, "SELECT 1 FROM busy"):
        process = start_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "10ms"),
            env={"DATABASE_URL": blank_database.url},
        )
        for _ in range(3):
            until_said(process, "next in")
        ended, seconds = stopped(process, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert PROMISED_S > seconds
    assert "stopped by SIGTERM while applying 0001_alter.sql" in ended.err


def test_signal_between_two_migrations_keeps_the_first(
    blank_database, start_migrate, a_directory
):
    """What was committed before the signal stays; the rest is named as not tried."""
    directory = a_directory(
        {
            **LONG,
            "0000_first.sql": "CREATE TABLE first (n int);",
            "0002_last.sql": "SELECT 1",
        }
    )
    process = start_migrate(
        *("apply", "--dir", directory), env={"DATABASE_URL": blank_database.url}
    )
    until_running(blank_database, "pg_sleep(60)")

    ended, _ = stopped(process, signal.SIGTERM)

    assert 7 == ended.exit, ended.err
    assert "1 applied" in ended.out
    assert "not tried: 0002" in ended.out
    assert ["0000"] == versions(blank_database)


@pytest.mark.slow
def test_server_that_ignores_the_cancel_is_cut_off(
    blank_database, start_migrate, a_directory
):
    """A statement that swallows the cancel does not keep the process beyond its promise
    (this takes the four seconds that the server is given).
    """
    stubborn = (
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN "
        "NULL; END; END LOOP; END $$;"
    )
    process = start_migrate(
        *("apply", "--dir", a_directory({"0001_loop.sql": stubborn})),
        env={"DATABASE_URL": blank_database.url},
    )
    until_running(blank_database, "query_canceled")

    ended, seconds = stopped(process, signal.SIGTERM)

    assert ended.exit in {7, 8}, ended.err
    assert PROMISED_S > seconds
    assert "SIGTERM" in ended.err


@pytest.mark.parametrize("verb", ["status", "plan", "verify", "doctor"])
def test_who_only_reads_is_gone_at_once(start_migrate, a_directory, verb):
    """Ctrl-C does not wait for a server that says nothing: killed by it, nothing printed."""
    directory = a_directory({"0001_a.sql": "SELECT 1;"})
    with socket.create_server((LOOPBACK, 0)) as silent:
        silent.settimeout(20)
        address = f"postgresql://{LOOPBACK}:{silent.getsockname()[1]}/x"
        process = start_migrate(
            verb, "--dir", directory, "--wait", "1min", env={"DATABASE_URL": address}
        )
        session, _ = silent.accept()
        ended, seconds = stopped(process, signal.SIGINT)
        session.close()

    assert (-signal.SIGINT, "", "") == tuple(ended)
    assert AT_ONCE_S > seconds


def test_a_check_that_runs_long_does_not_hold_whoever_wants_to_leave(
    blank_database, start_migrate, migrate_inside, a_directory
):
    """`verify` ends at Ctrl-C in the middle of a check."""
    directory = a_directory({"0001_a.sql": "CREATE TABLE a (n int);"})
    environment = {"DATABASE_URL": blank_database.url}
    assert 0 == migrate_inside("apply", "--dir", directory, env=environment).exit
    a_directory({"0001_a.verify.sql": "SELECT pg_sleep(60) IS NOT NULL;"})
    process = start_migrate("verify", "--dir", directory, env=environment)
    until_running(blank_database, "pg_sleep(60)")

    ended, seconds = stopped(process, signal.SIGINT)

    assert (-signal.SIGINT, "") == (ended.exit, ended.err)
    assert AT_ONCE_S > seconds
