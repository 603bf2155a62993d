"""A short lock timeout with retries: traffic is never blocked for long, blockers are named."""

import re

import pytest

from migrate.postgres.pauses import pause_s
from tests.observing import finish, holding, until, until_running, until_said, versions

ALTER = {
    "0001_alter.sql": "CREATE TABLE made (n int);\nALTER TABLE busy ADD COLUMN m int;"
}
QUICK = ("--lock-timeout", "600ms")


@pytest.fixture
def busy(blank_database):
    """A database with a table that somebody will hold."""
    blank_database.psql("CREATE TABLE busy (n int); INSERT INTO busy VALUES (1), (2)")
    return blank_database


def test_run_names_the_blocker_and_succeeds_when_it_goes(
    busy, start_migrate, a_directory
):
    """The whole transaction is tried again; each failure says who was in the way: pid,
    application, user, age, query.
    """
    environment = {"DATABASE_URL": busy.url}
    with holding(busy, "SELECT n FROM busy", application_name="slow report") as blocker:
        pid = blocker.info.backend_pid
        run = start_migrate(
            *("apply", "--dir", a_directory(ALTER), *QUICK), env=environment
        )
        said = until_said(run, "blocked by.*slow report")
        said += until_said(run, "next in")
        said += until_said(run, "blocked by.*slow report")

    ended = finish(run)

    assert 0 == ended.exit, ended.err
    expected = (
        rf"blocked by pid {pid} \(slow report, user postgres, idle in transaction"
    )
    expected += r" for \d+ s\): SELECT n FROM busy"
    assert 2 <= len(re.findall(expected, said)), said
    assert re.search(
        r"lock timeout; try 1 of 10 rolled back, next in \d+(\.\d+)? m?s", said
    )
    assert ["0001"] == versions(busy)


def test_small_files_in_one_message_let_others_pass_as_well(
    busy, start_migrate, a_directory
):
    """Their first try is the first of all: a pause follows it, as every other."""
    files = {**ALTER, "0000_first.sql": "CREATE TABLE first (n int);"}
    with holding(busy, "SELECT n FROM busy"):
        run = start_migrate(
            *("apply", "--dir", a_directory(files), "--lock-timeout", "200ms"),
            env={"DATABASE_URL": busy.url},
        )
        said = until_said(run, "try 2 of 10 rolled back, next in")

    ended = finish(run)

    assert 0 == ended.exit, ended.err
    assert 1 == said.count("try 1 of 10 rolled back"), said
    assert ["0000", "0001"] == versions(busy)


def test_run_fails_with_the_blockers_name_when_its_tries_run_out(
    busy, run_migrate, a_directory
):
    """After the last try the exit code is 7, the blocker is named, nothing is left."""
    with holding(busy, "SELECT n FROM busy", application_name="slow report") as blocker:
        run = run_migrate(
            *("apply", "--dir", a_directory(ALTER)),
            *(*QUICK, "--lock-tries", "2"),
            env={"DATABASE_URL": busy.url},
        )
        pid = blocker.info.backend_pid

    assert 7 == run.exit, run.err
    assert "0001_alter.sql:2:1" in run.err
    assert "55P03" in run.err
    assert f"blocked by pid {pid} (slow report" in run.err
    assert 1 == run.out.count("rolled back, next in")
    assert [(None,)] == busy.rows("SELECT to_regclass('made')")


def test_blocker_is_named_however_short_the_timeout(busy, run_migrate, a_directory):
    """A timeout of 200 ms leaves time enough to see who is in the way."""
    with holding(busy, "SELECT n FROM busy", application_name="slow report") as blocker:
        run = run_migrate(
            *("apply", "--dir", a_directory(ALTER)),
            *("--lock-timeout", "200ms", "--lock-tries", "4"),
            env={"DATABASE_URL": busy.url},
        )
        pid = blocker.info.backend_pid

    assert 7 == run.exit, run.err
    assert f"blocked by pid {pid} (slow report" in run.err
    assert "apply again when those who blocked it are gone" in run.err


def test_pauses_between_tries_grow_and_have_jitter():
    """Each pause is drawn from a range that doubles, so that two runs do not keep meeting."""
    pauses = {attempt: [pause_s(attempt) for _ in range(50)] for attempt in range(1, 9)}

    for attempt, drawn in pauses.items():
        bound = min(0.25 * 2**attempt, 10.0)
        assert bound / 2 <= min(drawn)
        assert bound >= max(drawn)
        assert 1 < len(set(drawn))


def test_file_may_ask_for_another_timeout(busy, run_migrate, a_directory):
    """``-- migrate: lock_timeout`` stands above the option."""
    directory = a_directory(
        {"0001_own.sql": "-- migrate: lock_timeout=20ms\nALTER TABLE busy ADD m int;"}
    )
    with holding(busy, "SELECT n FROM busy"):
        run = run_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "1h", "--lock-tries", "1"),
            env={"DATABASE_URL": busy.url},
        )

    assert 7 == run.exit, run.err
    assert "55P03" in run.err


def test_index_build_has_no_lock_timeout(busy, start_migrate, a_directory):
    """CONCURRENTLY waits for older snapshots far longer than the lock timeout."""
    directory = a_directory(
        {"0001_index.sql": "CREATE INDEX CONCURRENTLY i ON busy (n);"}
    )
    waited = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' "
        "AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > '300 ms'"
    )
    with holding(busy, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM busy"):
        run = start_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "20ms"),
            *("--lock-tries", "1"),
            env={"DATABASE_URL": busy.url},
        )
        until_running(busy, "CREATE INDEX CONCURRENTLY")
        until(lambda: busy.rows(waited) or run.poll() is not None, "it never waits")

    ended = finish(run)

    assert 0 == ended.exit, ended.err
    assert ["0001"] == versions(busy)


def test_statement_beside_an_index_build_keeps_its_lock_timeout(
    busy, run_migrate, a_directory
):
    """Only CONCURRENTLY is exempt: what follows it in the file gives up in time."""
    directory = a_directory(
        {
            "0001_both.sql": "CREATE INDEX CONCURRENTLY i ON other (n);\n"
            "ALTER TABLE busy ADD COLUMN m int;"
        }
    )
    busy.psql("CREATE TABLE other (n int)")
    with holding(busy, "BEGIN", "LOCK TABLE busy IN ACCESS SHARE MODE"):
        run = run_migrate(
            *("apply", "--dir", directory, "--lock-timeout", "100ms"),
            *("--lock-tries", "2"),
            env={"DATABASE_URL": busy.url},
        )

    assert 8 == run.exit, run.err
    assert "0001_both.sql:2:1" in run.err
    assert 1 == run.out.count("rolled back, next in"), run.out


def test_deadlock_victim_tries_again(busy, start_migrate, a_directory):
    """A migration chosen as the victim of a deadlock is retried, and succeeds."""
    busy.psql(
        f"CREATE TABLE first (n int); ALTER DATABASE {busy.name} SET deadlock_timeout = '10ms'"
    )
    directory = a_directory(
        {
            "0001_two.sql": "ALTER TABLE first ADD COLUMN m int;\n"
            "SELECT pg_advisory_xact_lock(7);\nALTER TABLE busy ADD COLUMN m int;"
        }
    )
    # The blocker's own deadlock check is put off, so that the migration is the victim.
    with holding(
        busy, "SET deadlock_timeout = '1h'", "SELECT pg_advisory_lock(7)", "LOCK busy"
    ) as blocker:
        run = start_migrate("apply", "--dir", directory, env={"DATABASE_URL": busy.url})
        until_running(busy, "pg_advisory_xact_lock(7)")
        with blocker.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(7); LOCK first")
        said = until_said(run, "next in")

    ended = finish(run)

    assert "deadlock detected" in said
    assert 0 == ended.exit, ended.err
    assert ["0001"] == versions(busy)
