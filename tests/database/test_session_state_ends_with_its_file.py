"""What one file does to its session is not there for the next: as in psql, one by one."""

import pytest

from tests.fix_project import outcome

#: what a file does to its session; a query that shows it
STATE = {
    "search_path": ("SET search_path TO app", "current_setting('search_path')"),
    "search_path by set_config": (
        "SELECT set_config('search_path', '', false)",
        "current_setting('search_path')",
    ),
    "a timeout": ("SET lock_timeout = '77s'", "current_setting('lock_timeout')"),
    "a setting of its own": (
        "SET app.tenant = 'x'",
        "coalesce(current_setting('app.tenant', true), '')",
    ),
    "role": ("SET ROLE pg_monitor", "current_user"),
    "session authorization": (
        "SET SESSION AUTHORIZATION pg_monitor",
        "session_user || current_user",
    ),
    "a temporary table": (
        "CREATE TEMP TABLE leaked (x int)",
        "to_regclass('pg_temp.leaked')::text",
    ),
    "a prepared statement": (
        "PREPARE leaked AS SELECT 1",
        "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'leaked')::text",
    ),
    "a channel": (
        "LISTEN leaked",
        "(SELECT count(*) FROM pg_listening_channels())::text",
    ),
    "a cursor": (
        "DECLARE leaked CURSOR WITH HOLD FOR SELECT 1",
        "(SELECT count(*) FROM pg_cursors WHERE name = 'leaked')::text",
    ),
    "an advisory lock": (
        "SELECT pg_advisory_lock(4242)",
        (
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4242"
            " AND pid = pg_backend_pid())::text"
        ),
    ),
    "a shared advisory lock of two keys, taken twice": (
        "SELECT pg_advisory_lock_shared(-7, 9), pg_advisory_lock_shared(-7, 9)",
        (
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
            " AND pid = pg_backend_pid())::text"
        ),
    ),
    "client_encoding": (
        "SET client_encoding = 'LATIN1'",
        "current_setting('client_encoding')",
    ),
    "standard_conforming_strings": (
        "SET standard_conforming_strings = off",
        "current_setting('standard_conforming_strings')",
    ),
    "plan_cache_mode": (
        "SET plan_cache_mode = force_custom_plan",
        "current_setting('plan_cache_mode') || current_setting('enable_seqscan')",
    ),
    "an isolation level": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "current_setting('transaction_isolation')",
    ),
}
#: how the files are applied: (options, head of a file that sets something)
MANNERS = {
    "one transaction each": ([], ""),
    "one transaction for all": (["--single-transaction"], ""),
    "statement by statement": ([], "-- migrate: transaction=false\n"),
}


def seen(project, manner, *, states):
    """Apply pairs of files, one that sets and one that looks; return what was seen."""
    options, head = MANNERS[manner]
    project.database.psql("CREATE TABLE public.seen (what text, value text)")
    for number, (what, (statement, query)) in enumerate(STATE.items()):
        look = f"INSERT INTO public.seen VALUES ('{what}', ({query})::text);"
        sets = f"{head}{statement if states else 'SELECT 1'};"
        project.write(
            {f"{number:02}1_set.sql": sets, f"{number:02}2_look.sql": look + "\n"}
        )
    finished = project("apply", *options)
    assert 0 == finished.exit, finished.out + finished.err
    values = dict(project.database.rows("SELECT what, value FROM public.seen"))
    project.database.psql("DROP TABLE public.seen, public.schema_migrations")
    return values


@pytest.mark.parametrize("manner", MANNERS)
def test_the_next_file_sees_a_session_as_new(project, manner):
    """Whatever a file does to its session, the one after it sees what it would see if
    that file had done nothing.
    """
    project.database.psql("CREATE SCHEMA app; GRANT ALL ON SCHEMA public TO PUBLIC")
    expected = seen(project, manner, states=False)

    values = seen(project, manner, states=True)

    assert len(STATE) == len(values)
    assert expected == values


def test_the_value_of_a_sequence_is_not_carried_over(project):
    """Currval of a sequence that an earlier file used fails, as in a new session."""
    project.write(
        {
            "0001_a.sql": "CREATE SEQUENCE s; SELECT nextval('s');",
            "0002_b.sql": "SELECT currval('s');",
        }
    )

    failed = project("apply")

    assert 7 == failed.exit
    assert "SQLSTATE 55000" in failed.err


RELIANCE = {
    "search_path": (
        "CREATE SCHEMA app; SET search_path TO app; CREATE TABLE t (id int);",
        "INSERT INTO t VALUES (1);",
        "0001_state.sql:1 set search_path (SET search_path TO app)",
    ),
    "search_path for a function": (
        (
            "CREATE SCHEMA app;\nSELECT set_config('search_path', 'app', false);\n"
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        ),
        "SELECT f();",
        "0001_state.sql:2 set search_path (SELECT set_config(",
    ),
    "a type": (
        "CREATE SCHEMA app; SET search_path TO app; CREATE TYPE e AS ENUM ('a');",
        "CREATE TABLE t (c e);",
        "0001_state.sql:1 set search_path",
    ),
    "a temporary table": (
        "CREATE TEMP TABLE work (id int);",
        "SELECT * FROM work;",
        "0001_state.sql:1 made a temporary object (CREATE TEMP TABLE work (id int))",
    ),
    "a prepared statement": (
        "PREPARE p AS SELECT 1;",
        "EXECUTE p;",
        "0001_state.sql:1 prepared a statement (PREPARE p AS SELECT 1)",
    ),
}


@pytest.mark.parametrize("what", RELIANCE)
def test_a_file_that_relies_on_a_leak_is_told_so(project, what):
    """The error names the file and line that set the state, and says it does not last."""
    first, second, told = RELIANCE[what]
    project.write({"0001_state.sql": first, "0002_user.sql": second})

    failed = project("apply")

    assert 7 == failed.exit
    assert "0002_user.sql:1:" in failed.err
    assert told in failed.err
    assert "sessions do not leak from file to file" in failed.err


def test_it_is_told_in_a_later_run_and_by_a_file_without_transaction_too(project):
    """The earlier file may have been applied long ago; the later may go stepwise."""
    project.write({"0001_state.sql": "CREATE SCHEMA app; SET search_path TO app;"})
    assert 0 == project("apply").exit
    project.write(
        {"0002_user.sql": "-- migrate: transaction=false\nSELECT * FROM t;\nVACUUM;"}
    )

    failed = project("apply", "--output", "json")

    assert 8 == outcome(failed)["exit_code"]
    assert "0001_state.sql:1 set search_path" in failed.out


def test_a_setting_of_an_earlier_run_is_told_too(project):
    """A parameter that another run's file set is unknown now, and the error says why."""
    project.write({"0001_state.sql": "SET app.tenant = 'x';"})
    assert 0 == project("apply").exit
    project.write({"0002_user.sql": "SELECT current_setting('app.tenant');"})

    failed = project("apply")

    assert 7 == failed.exit
    assert "0001_state.sql:1 set a parameter (SET app.tenant = 'x')" in failed.err


@pytest.mark.parametrize(
    "first",
    [
        "SELECT 1;",
        "BEGIN; SET LOCAL search_path TO app; COMMIT;",
        "SET statement_timeout = 0;",
    ],
    ids=["nothing", "a local setting", "another setting"],
)
def test_other_errors_blame_no_earlier_file(project, first):
    """A table that never existed is nobody's leak."""
    project.write({"0001_a.sql": first, "0002_b.sql": "SELECT * FROM nowhere;"})

    failed = project("apply")

    assert 7 == failed.exit
    assert "sessions do not leak" not in failed.err


def test_a_file_that_sets_its_own_path_blames_no_other(project):
    """Where the failing file says it again, the earlier one is not the reason."""
    path = "SET search_path TO public;"
    project.write({"0001_a.sql": path, "0002_b.sql": f"{path} SELECT * FROM nowhere;"})

    failed = project("apply")

    assert 7 == failed.exit
    assert "sessions do not leak" not in failed.err
