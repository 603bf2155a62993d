"""A session may be lost at any instant: the server is asked what came of it."""

import math
import signal

import pytest

from tests.machine import LOOPBACK
from tests.observing import finish, until_running, until_said, versions
from tests.proxy import REFUSED_LOGIN, Fault, Toward, proxying

CHECKED = {
    "0001_marked.sql": "CREATE TABLE marked (n int);\nINSERT INTO marked VALUES (1);\n",
    "0001_marked.verify.sql": "SELECT count(*) = 1 FROM marked;\n",
}
PLAIN = {"0001_marked.sql": CHECKED["0001_marked.sql"]}
STEPWISE = {"0001_marked.sql": CHECKED["0001_marked.sql"] + "VACUUM marked;\n"}


@pytest.fixture
def proxy(blank_database):
    """A proxy in front of the server, for the test to open."""
    server = blank_database.server
    with proxying(server.host, server.port) as made:
        yield made


def through(proxy, database):
    """Return the variables that lead to the database through the proxy."""
    return {
        "DATABASE_URL": f"postgresql://postgres@{LOOPBACK}:{proxy.port}/{database.name}"
    }


def commits_the_migration(message):
    """The message that commits the migration's row, whole or as the last of several."""
    query = message.body if message.kind == b"Q" else b""
    return b"COMMIT" in query and (
        b"EXECUTE migrate_record" in query or b"TABLE marked" in query
    )


def unreachable(proxy, *, refusal=b""):
    """Return what lets nobody in from now on."""

    def then():
        proxy.turn_away, proxy.refusal = math.inf, refusal

    return then


def test_terminated_session_leaves_nothing(
    blank_database, start_migrate, run_migrate, a_directory
):
    """A session ended by an administrator in mid-migration: exit 7, nothing left, and
    the next run works.
    """
    directory = a_directory(
        {"0001_t.sql": "CREATE TABLE t ();\nSELECT pg_sleep(0.3);\n"}
    )
    environment = {"DATABASE_URL": blank_database.url}
    process = start_migrate("apply", "--dir", directory, env=environment)
    pid = until_running(blank_database, "pg_sleep")

    blank_database.rows(f"SELECT pg_terminate_backend({pid})")
    lost = finish(process)
    left = blank_database.rows("SELECT to_regclass('t')")
    after = run_migrate("apply", "--dir", directory, env=environment)

    assert 7 == lost.exit, lost.err
    assert "the session was lost while applying 0001_t.sql" in lost.err
    assert "nothing of this migration is left" in lost.err
    assert [(None,)] == left
    assert 0 == after.exit, after.err
    assert ["0001"] == versions(blank_database)


@pytest.mark.parametrize(
    "files", [PLAIN, CHECKED, STEPWISE], ids=["one message", "several", "stepwise"]
)
def test_lost_answer_to_a_commit_is_asked_for(
    blank_database, proxy, run_migrate, a_directory, files
):
    """The COMMIT took effect and its answer was lost: the run finds out, goes on and
    succeeds; each migration is applied exactly once.
    """
    proxy.open().arm(commits_the_migration, Fault.AFTER)
    directory = a_directory({**files, "0002_next.sql": "CREATE TABLE next (n int);"})

    run = run_migrate("apply", "--dir", directory, env=through(proxy, blank_database))

    assert 1 == proxy.cuts
    if files is STEPWISE:  # it stopped in the middle, and says where
        assert 8 == run.exit, run.err
        run = run_migrate(
            "apply", "--dir", directory, env=through(proxy, blank_database)
        )
    else:
        assert "asking the server what was committed" in run.out
    assert 0 == run.exit, run.err
    assert ["0001", "0002"] == versions(blank_database)
    assert [(1,)] == blank_database.rows("SELECT n FROM marked")


@pytest.mark.parametrize("files", [PLAIN, CHECKED], ids=["one message", "several"])
def test_commit_that_never_arrived_is_told(
    blank_database, proxy, run_migrate, a_directory, files
):
    """The COMMIT never reached the server: exit 7, nothing is left, a rerun succeeds."""
    proxy.open().arm(commits_the_migration, Fault.BEFORE)
    directory = a_directory(files)

    lost = run_migrate("apply", "--dir", directory, env=through(proxy, blank_database))
    left = blank_database.rows("SELECT to_regclass('marked')")
    after = run_migrate("apply", "--dir", directory, env=through(proxy, blank_database))

    assert 1 == proxy.cuts
    assert 7 == lost.exit, lost.err
    assert "nothing of this migration is left" in lost.err
    assert [(None,)] == left
    assert 0 == after.exit, after.err
    assert [(1,)] == blank_database.rows("SELECT n FROM marked")


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_server_that_cannot_be_asked_leaves_the_outcome_unknown(
    blank_database, proxy, run_migrate, a_directory, fault
):
    """Nobody answers after the cut: exit 8, without a guess; the next run tells."""
    then = unreachable(proxy, refusal=REFUSED_LOGIN)
    proxy.open().arm(commits_the_migration, fault, then)
    directory = a_directory(PLAIN)

    unknown = run_migrate(
        "apply", "--dir", directory, env=through(proxy, blank_database)
    )
    after = run_migrate(
        "apply", "--dir", directory, env={"DATABASE_URL": blank_database.url}
    )

    assert 8 == unknown.exit, unknown.err
    assert "whether 0001_marked.sql was committed is not known yet" in unknown.err
    assert 0 == after.exit, after.err
    assert (fault is Fault.AFTER) == ("Nothing is pending" in after.out)
    assert [(1,)] == blank_database.rows("SELECT n FROM marked")


def test_signal_while_the_server_is_asked_leaves_the_outcome_unknown(
    blank_database, proxy, start_migrate, a_directory
):
    """Stopped before the answer is known, a run does not claim that nothing happened."""
    proxy.open().arm(commits_the_migration, Fault.AFTER, unreachable(proxy))
    process = start_migrate(
        *("apply", "--dir", a_directory(PLAIN)), env=through(proxy, blank_database)
    )
    until_said(process, "asking the server")

    process.send_signal(signal.SIGTERM)
    ended = finish(process)

    assert 8 == ended.exit, ended.err
    assert "not known yet: stopped by SIGTERM" in ended.err
    assert ["0001"] == versions(blank_database)


def the_next_session(message):
    """The first message of the session that is opened when one was lost."""
    return message.session == 1 and message.toward is Toward.SERVER


SECOND = {
    **CHECKED,
    "0002_again.sql": "INSERT INTO marked VALUES (2);\n",
    "0002_again.verify.sql": "SELECT count(*) = 2 FROM marked;\n",
}


def test_another_run_that_slips_in_is_seen(
    blank_database, proxy, start_migrate, run_migrate, a_directory
):
    """While a lost session is replaced another run may take the lock and finish: what it
    applied is not applied again.
    """
    proxy.open().arm(commits_the_migration, Fault.AFTER)
    asking = proxy.arm(the_next_session, Fault.HOLD)
    arguments = ("apply", "--dir", a_directory(SECOND))
    process = start_migrate(*arguments, env=through(proxy, blank_database))
    assert asking.reached.wait(20)

    other = run_migrate(*arguments, env={"DATABASE_URL": blank_database.url})
    asking.release()
    first = finish(process)

    assert 0 == other.exit, other.err
    assert 0 == first.exit, first.err
    assert ["0001", "0002"] == versions(blank_database)
    assert [(1,), (2,)] == blank_database.rows("SELECT n FROM marked ORDER BY n")


def test_server_without_what_it_acknowledged_is_noticed(
    blank_database, proxy, start_migrate, run_migrate, a_directory
):
    """The server that answers next lacks a migration whose COMMIT was answered: exit 8,
    and its version is named; a run after that applies it again.
    """
    second = lambda message: b"VALUES (2)" in message.body  # noqa: E731
    proxy.open().arm(second, Fault.BEFORE)
    asking = proxy.arm(the_next_session, Fault.HOLD)
    arguments = ("apply", "--dir", a_directory(SECOND))
    environment = through(proxy, blank_database)
    process = start_migrate(*arguments, env=environment)
    assert asking.reached.wait(20)

    blank_database.psql(
        "DROP TABLE marked; DELETE FROM schema_migrations WHERE version = '0001'"
    )
    asking.release()
    first = finish(process)
    after = run_migrate(*arguments, env=environment)

    assert 8 == first.exit, first.err
    assert "lacks what was committed before: 0001;" in first.err
    assert 0 == after.exit, after.err
    assert [(1,), (2,)] == blank_database.rows("SELECT n FROM marked ORDER BY n")
