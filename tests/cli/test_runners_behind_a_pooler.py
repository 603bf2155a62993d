"""Through a real pgbouncer: a lease instead of the lock, and nothing left in the pool."""

import contextlib
import re
import signal

import psycopg2
import pytest

from tests.observing import finish, holding, until, until_running, versions

EVERYTHING = {
    "0001_people.sql": "CREATE TABLE people (name text PRIMARY KEY);\n"
    "INSERT INTO people VALUES ('Ada');\n",
    "0001_people.verify.sql": "-- Ada is there\nSELECT true FROM people WHERE name = 'Ada';\n",
    "0002_index.sql": "CREATE INDEX CONCURRENTLY people_upper ON people (upper(name));\n"
    "INSERT INTO people VALUES ('Grace');\n",
    "0003_settings.sql": "SET search_path = pg_catalog;\nSET lock_timeout = '7s';\n"
    "SET ROLE pg_monitor;\nRESET ROLE;\nCREATE TABLE public.last (n int);\n",
}
LONG = {"0001_long.sql": "CREATE TABLE long (n int);\nSELECT pg_sleep(60);\n"}
SETTINGS = ("search_path", "lock_timeout", "statement_timeout", "role")


def settings_of(dsn):
    """Return what a client finds in its session."""
    with (
        contextlib.closing(psycopg2.connect(dsn)) as session,
        session.cursor() as cursor,
    ):
        found = []
        for name in SETTINGS:
            cursor.execute(f"SHOW {name}")
            found += [value for (value,) in cursor.fetchall()]
        yield found
        session.rollback()


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_everything_is_applied_through_a_pooler(
    blank_database, pgbouncer, run_migrate, a_directory, mode
):
    """Transactional and non-transactional files, checks and ``verify`` work, the pooler
    is noticed, and no lease is left.
    """
    pooler = pgbouncer(blank_database, mode)
    directory = a_directory(EVERYTHING)
    environment = {"DATABASE_URL": pooler.url}

    run = run_migrate("apply", "--dir", directory, env=environment)
    verified = run_migrate("verify", "--dir", directory, env=environment)

    assert 0 == run.exit, run.err + run.out
    assert "Through a pooler" in run.out
    assert "NOTICE" not in run.out
    assert "[Verification] ✓ Ada is there" in run.out
    assert 0 == verified.exit, verified.err
    assert ["0001", "0002", "0003"] == versions(blank_database)
    assert [(2,)] == blank_database.rows("SELECT count(*) FROM people")
    assert [] == blank_database.rows("SELECT * FROM schema_migrations_lease")


def test_settings_do_not_leak_into_other_clients_of_the_pool(
    blank_database, pgbouncer, run_migrate, a_directory
):
    """After a run every session of the pool has the settings it had before."""
    pooler = pgbouncer(blank_database, "transaction", default_pool_size=2)
    expected = next(settings_of(blank_database.dsn))

    run = run_migrate(
        *("apply", "--dir", a_directory(EVERYTHING)), env={"DATABASE_URL": pooler.url}
    )

    assert 0 == run.exit, run.err
    # Two transactions open at once: each has one of the two sessions.
    with (
        contextlib.closing(settings_of(pooler.dsn)) as first,
        contextlib.closing(settings_of(pooler.dsn)) as second,
    ):
        assert [expected, expected] == [next(first), next(second)]


def test_pooled_runners_at_once_apply_each_migration_once(
    blank_database, pgbouncer, start_migrate, a_directory
):
    """Pooled runners, and a direct one among them, wait for each other."""
    pooler = pgbouncer(blank_database, "transaction", default_pool_size=20)
    directory = a_directory(EVERYTHING)
    urls = [pooler.url, pooler.url, blank_database.url, pooler.url]

    started = [
        start_migrate("apply", "--dir", directory, env={"DATABASE_URL": url})
        for url in urls
    ]
    ended = [finish(process) for process in started]

    assert [0] * len(urls) == [run.exit for run in ended], [run.err for run in ended]
    assert ["0001", "0002", "0003"] == versions(blank_database)
    assert [(2,)] == blank_database.rows("SELECT count(*) FROM people")


@pytest.mark.parametrize("pooled_first", [True, False])
def test_pooled_and_direct_runners_exclude_each_other(
    blank_database, pgbouncer, start_migrate, run_migrate, a_directory, *, pooled_first
):
    """Whoever comes second is kept out and reads who holds the history."""
    pooler = pgbouncer(blank_database, "transaction")
    urls = [pooler.url, blank_database.url]
    first, second = urls if pooled_first else reversed(urls)
    directory = a_directory(LONG)
    start_migrate(
        *("apply", "--dir", directory),
        env={"DATABASE_URL": first, "CLOUD_RUN_EXECUTION": "first-x7k2p"},
    )
    until_running(blank_database, "pg_sleep(60)")

    run = run_migrate(
        *("apply", "--dir", directory, "--lock-wait", "0"), env={"DATABASE_URL": second}
    )

    assert 5 == run.exit, run.err
    assert re.search(r"cloudrun-migrate [0-9a-f]{8} first-x7k2p.*since 2", run.err)


def test_statement_pooling_is_refused(
    blank_database, pgbouncer, run_migrate, a_directory
):
    """A pooler that forbids transactions is refused before anything is done."""
    pooler = pgbouncer(blank_database, "statement")

    run = run_migrate(
        *("apply", "--dir", a_directory(LONG)), env={"DATABASE_URL": pooler.url}
    )

    assert 6 == run.exit, run.err
    assert "session or transaction mode" in run.err
    assert [] == blank_database.rows(
        "SELECT 1 FROM pg_class WHERE relname ~ '^schema_m'"
    )


def test_lease_of_a_killed_runner_runs_out(
    blank_database, pgbouncer, start_migrate, run_migrate, a_directory
):
    """The lease of a killed runner keeps others out until it expires, and while the
    runner's statement is still at work in the server.
    """
    pooler = pgbouncer(blank_database, "transaction")
    environment = {"DATABASE_URL": pooler.url}
    directory = a_directory(
        {
            "0001_slow.sql": "CREATE TABLE slow (n int);\nSELECT pg_sleep(5);",
            "0002_next.sql": "CREATE TABLE next (n int);",
        }
    )
    killed = start_migrate("apply", "--dir", directory, env=environment)
    until_running(blank_database, "pg_sleep(5)")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    early = run_migrate(
        "apply", "--dir", directory, "--lock-wait", "0", env=environment
    )
    blank_database.psql(
        "UPDATE schema_migrations_lease SET expires_at = now() - interval '1 s'"
    )

    direct = run_migrate(
        *("apply", "--dir", directory, "--lock-wait", "0"),
        env={"DATABASE_URL": blank_database.url},
    )
    after = run_migrate("apply", "--dir", directory, env=environment)

    assert [5, 5] == [early.exit, direct.exit], early.err + direct.err
    assert "lease until" in early.err
    assert "lease until" in direct.err
    assert 0 == after.exit, after.err
    assert ["0001", "0002"] == versions(blank_database)
    assert [] == blank_database.rows("SELECT * FROM schema_migrations_lease")


def test_signal_is_heard_while_a_dead_runners_statement_bars_the_lease(
    blank_database, pgbouncer, start_migrate, a_directory
):
    """Waiting for a lease that an open transaction guards can be stopped."""
    pooler = pgbouncer(blank_database, "transaction")
    environment = {"DATABASE_URL": pooler.url}
    directory = a_directory(LONG)
    killed = start_migrate("apply", "--dir", directory, env=environment)
    until_running(blank_database, "pg_sleep(60)")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    blank_database.psql(
        "UPDATE schema_migrations_lease SET expires_at = now() - interval '1 s'"
    )
    waiter = start_migrate("apply", "--dir", directory, env=environment)
    until_running(blank_database, "ON CONFLICT (only_row)")

    waiter.send_signal(signal.SIGTERM)
    ended = finish(waiter)

    assert 7 == ended.exit, ended.err
    assert "stopped by SIGTERM" in ended.err


@pytest.mark.slow
def test_lease_is_kept_alive_by_a_heartbeat(
    blank_database, pgbouncer, start_migrate, a_directory
):
    """While a long statement runs, the lease is prolonged (every five seconds, so slow)."""
    pooler = pgbouncer(blank_database, "transaction")
    left = "SELECT extract(epoch FROM expires_at - now()) FROM schema_migrations_lease"
    start_migrate(
        *("apply", "--dir", a_directory(LONG)), env={"DATABASE_URL": pooler.url}
    )
    until_running(blank_database, "pg_sleep(60)")

    blank_database.psql(
        "UPDATE schema_migrations_lease SET expires_at = now() + interval '15 s'"
    )

    until(
        lambda: float(blank_database.rows(left)[0][0]) > 20, "nobody prolongs the lease"
    )


def test_lease_taken_over_by_another_fails_the_run(
    blank_database, pgbouncer, start_migrate, a_directory
):
    """A run whose lease another took is stopped before its next transaction commits."""
    blank_database.psql("CREATE TABLE big (n int)")
    pooler = pgbouncer(blank_database, "transaction")
    directory = a_directory(
        {
            "0001_index.sql": "CREATE INDEX CONCURRENTLY i ON big (n);",
            "0002_next.sql": "CREATE TABLE next (n int);",
        }
    )
    with holding(blank_database, "LOCK TABLE big IN ROW EXCLUSIVE MODE"):
        process = start_migrate(
            *("apply", "--dir", directory), env={"DATABASE_URL": pooler.url}
        )
        until_running(blank_database, "CREATE INDEX CONCURRENTLY")
        blank_database.psql("UPDATE schema_migrations_lease SET run_id = 'thief'")

    ended = finish(process)

    assert 7 == ended.exit, ended.err
    assert "lease" in ended.err
    assert [] == versions(blank_database)
    lease = blank_database.rows("SELECT run_id FROM schema_migrations_lease")
    assert [("thief",)] == lease


def test_session_state_of_a_stepwise_file_is_refused(
    blank_database, pgbouncer, run_migrate, a_directory
):
    """A setting for later statements means nothing where each has its own session."""
    pooler = pgbouncer(blank_database, "transaction")
    directory = a_directory(
        {
            "0001_state.sql": "SET maintenance_work_mem = '64MB';\n"
            "CREATE TABLE t (n int);\nCREATE INDEX CONCURRENTLY i ON t (n);\n"
        }
    )

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": pooler.url})

    assert 4 == run.exit, run.err
    assert "0001_state.sql:1" in run.err
    assert "pooler" in run.err
    assert [(None,)] == blank_database.rows("SELECT to_regclass('t')")


def test_signal_through_a_pooler_leaves_nothing(
    blank_database, pgbouncer, start_migrate, a_directory
):
    """SIGTERM cancels through the pooler, rolls back, and gives the lease back."""
    pooler = pgbouncer(blank_database, "transaction")
    process = start_migrate(
        *("apply", "--dir", a_directory(LONG)), env={"DATABASE_URL": pooler.url}
    )
    until_running(blank_database, "pg_sleep(60)")

    process.send_signal(signal.SIGTERM)
    ended = finish(process)

    assert 7 == ended.exit, ended.err
    assert "stopped by SIGTERM" in ended.err
    assert [] == blank_database.rows("SELECT * FROM schema_migrations_lease")
    at_work = "state <> 'idle' AND pid <> pg_backend_pid() AND query ~ 'pg_sleep'"
    assert [(0,)] == blank_database.rows(
        f"SELECT count(*) FROM pg_stat_activity WHERE {at_work}"
    )
