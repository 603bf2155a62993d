"""A non-transactional file that stops midway resumes there, and guesses nothing."""

import contextlib

import pytest

from tests.observing import finish, until, until_running, versions

TWO_INDEXES = (
    "SET maintenance_work_mem = '32MB';\n"
    "CREATE INDEX CONCURRENTLY people_name ON people (name);\n"
    "CREATE UNIQUE INDEX CONCURRENTLY people_email ON people (email);\n"
    "CREATE TABLE seen AS SELECT current_setting('maintenance_work_mem') AS memory;\n"
)
SLOW_CALL = "CALL slow();\nCREATE TABLE after_call (n int);\n"


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.fixture
def people(blank_database):
    """A database whose people share an e-mail address: no unique index can be built."""
    blank_database.psql(
        "CREATE TABLE people (name text, email text);"
        "INSERT INTO people VALUES ('Ada', 'a@b'), ('Eve', 'a@b');"
        "CREATE TABLE calls (n int)"
    )
    return blank_database


def invalid_indexes(database):
    """Return the names of INVALID indexes."""
    sql = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    return [name for (name,) in database.rows(sql)]


def progress(database):
    """Return state and number of statements done of the first entry."""
    sql = "SELECT state, statements_done FROM schema_migrations"
    return database.rows(sql)[0]


def test_several_concurrent_builds_need_no_directive(people, run_migrate, a_directory):
    """One file may hold several CONCURRENTLY; settings hold for what follows them."""
    people.psql("UPDATE people SET email = name")
    directory = a_directory({"0001_two.sql": TWO_INDEXES})

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": people.url})

    assert 0 == run.exit, run.err
    assert [] == invalid_indexes(people)
    assert [("32MB",)] == people.rows("SELECT memory FROM seen")
    assert ["0001"] == versions(people)


def test_failing_build_is_told_resumed_and_its_debris_removed(
    people, run_migrate, a_directory
):
    """Exit 8 names the statement; once the data are right, a rerun drops the INVALID
    index, repeats the settings before, and goes on where it stopped.
    """
    directory = a_directory({"0001_two.sql": TWO_INDEXES})
    environment = {"DATABASE_URL": people.url}
    failed = run_migrate("apply", "--dir", directory, env=environment)
    debris, halfway = invalid_indexes(people), progress(people)
    people.psql("UPDATE people SET email = name")

    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert 8 == failed.exit, failed.err
    assert "0001_two.sql:3:" in failed.err
    assert "23505" in failed.err
    assert "statements 1 to 2 of 4 stay applied" in failed.err
    assert ["people_email"] == debris
    assert ("failed", 2) == halfway
    assert 0 == resumed.exit, resumed.err
    assert "Dropped INVALID index people_email" in resumed.out
    assert [] == invalid_indexes(people)
    assert [("32MB",)] == people.rows("SELECT memory FROM seen")
    assert ["0001"] == versions(people)


@pytest.mark.parametrize("guard", ["", "IF NOT EXISTS "])
def test_invalid_index_of_somebody_else_is_never_dropped(
    people, run_migrate, a_directory, guard
):
    """An INVALID index that we did not leave is refused: neither dropped nor, under
    IF NOT EXISTS, taken for success.
    """
    with contextlib.suppress(RuntimeError):
        people.psql("CREATE UNIQUE INDEX CONCURRENTLY people_email ON people (email)")
    sql = f"CREATE INDEX CONCURRENTLY {guard}people_email ON people (email);"

    run = run_migrate(
        *("apply", "--dir", a_directory({"0001_index.sql": sql})),
        env={"DATABASE_URL": people.url},
    )

    assert 8 == run.exit, run.err
    assert "people_email is INVALID" in run.err
    assert "not ours to drop" in run.err
    assert "DROP INDEX CONCURRENTLY people_email" in run.err
    assert ["people_email"] == invalid_indexes(people)
    assert [] == versions(people)


SPOILER = """
CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass('people_name');
END $$;
CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
    EXECUTE FUNCTION spoil();
"""


def test_build_that_ends_well_with_an_invalid_index_is_no_success(
    people, run_migrate, a_directory
):
    """The server says CREATE INDEX, the catalog says INVALID: the catalog is believed."""
    people.psql(SPOILER)
    directory = a_directory(
        {"0001_index.sql": "CREATE INDEX CONCURRENTLY people_name ON people (name);"}
    )

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": people.url})

    assert 8 == run.exit, run.out
    assert "people_name" in run.err
    assert "the server called its build a success" in run.err
    assert [] == versions(people)


def test_rerun_with_if_not_exists_over_our_own_debris_builds_it(
    people, run_migrate, a_directory
):
    """IF NOT EXISTS over the INVALID index of our failed run rebuilds it."""
    directory = a_directory(
        {
            "0001_index.sql": "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS e "
            "ON people (email);"
        }
    )
    environment = {"DATABASE_URL": people.url}
    failed = run_migrate("apply", "--dir", directory, env=environment)
    people.psql("UPDATE people SET email = name")

    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert [8, 0] == [failed.exit, resumed.exit], resumed.err
    assert [] == invalid_indexes(people)
    assert [("e",)] == people.rows("SELECT relname FROM pg_class WHERE relname = 'e'")


def test_build_killed_midway_is_finished_by_the_next_run(
    people, start_migrate, run_migrate, a_directory
):
    """SIGKILL in the middle of a build: the next run removes what it left and builds."""
    directory = a_directory(
        {"0001_index.sql": "CREATE INDEX CONCURRENTLY people_name ON people (name);"}
    )
    environment = {"DATABASE_URL": people.url}
    blocker = people.connect()
    with blocker.cursor() as cursor:
        cursor.execute("SELECT 1 FROM people")
        cursor.execute("LOCK TABLE people IN ROW EXCLUSIVE MODE")
    killed = start_migrate("apply", "--dir", directory, env=environment)
    pid = until_running(people, "CREATE INDEX CONCURRENTLY")
    until(lambda: invalid_indexes(people), "the build has not begun")
    killed.kill()
    killed.wait()
    people.rows(f"SELECT pg_terminate_backend({pid}, 5000)")
    blocker.close()

    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert 0 == resumed.exit, resumed.err
    assert "Dropped INVALID index people_name" in resumed.out
    assert [] == invalid_indexes(people)
    assert ["0001"] == versions(people)


def test_editing_what_was_applied_is_refused(people, run_migrate, a_directory):
    """Between two runs only statements that were not applied may change."""
    environment = {"DATABASE_URL": people.url}
    directory = a_directory({"0001_two.sql": TWO_INDEXES})
    failed = run_migrate("apply", "--dir", directory, env=environment)
    a_directory({"0001_two.sql": TWO_INDEXES.replace("people_name", "people_names")})

    refused = run_migrate("apply", "--dir", directory, env=environment)
    a_directory({"0001_two.sql": TWO_INDEXES.replace("UNIQUE ", "")})
    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert [8, 8] == [failed.exit, refused.exit], refused.err
    assert "its first 2 statements are not those that were applied" in refused.err
    assert 0 == resumed.exit, resumed.err
    assert ["0001"] == versions(people)


@pytest.mark.parametrize(
    ("verdict", "calls"), [("--statement-done", [1]), ("--statement-again", [1, 2])]
)
def test_statement_nobody_can_judge_is_left_to_a_person(
    people, start_migrate, run_migrate, a_directory, *, verdict, calls
):
    """A CALL that was killed while it committed on its own is in doubt: the next run
    names it and stops; ``repair`` says what happened, and the run after goes on.
    """
    people.psql(
        "CREATE PROCEDURE slow() LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO calls SELECT count(*) + 1 FROM calls; COMMIT; "
        "IF (SELECT count(*) FROM calls) = 1 THEN PERFORM pg_sleep(60); END IF; END $$"
    )
    environment = {"DATABASE_URL": people.url}
    directory = a_directory({"0001_call.sql": SLOW_CALL})
    killed = start_migrate("apply", "--dir", directory, env=environment)
    pid = until_running(people, "CALL slow()")
    until(lambda: people.rows("SELECT 1 FROM calls"), "the procedure commits nothing")
    killed.kill()
    killed.wait()
    people.rows(f"SELECT pg_terminate_backend({pid}, 5000)")

    doubted = run_migrate("apply", "--dir", directory, env=environment)
    repaired = run_migrate(
        "repair", "0001", verdict, "--yes", "--dir", directory, env=environment
    )
    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert 8 == doubted.exit, doubted.err
    assert "0001_call.sql:1: a run died while statement 1 was at work" in doubted.err
    assert "CALL slow()" in doubted.err
    assert "repair 0001 --statement-done" in doubted.err
    assert 0 == repaired.exit, repaired.err
    assert 0 == resumed.exit, resumed.err
    assert calls == [n for (n,) in people.rows("SELECT n FROM calls ORDER BY n")]
    assert [(0,)] == people.rows("SELECT count(*) FROM after_call")
    assert ["0001"] == versions(people)


def test_failed_call_is_not_in_doubt(people, run_migrate, a_directory):
    """A CALL whose failure the server reported is known to have failed."""
    people.psql(
        "CREATE PROCEDURE fails() LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO calls VALUES (1); COMMIT; "
        "IF (SELECT count(*) FROM calls) = 1 THEN RAISE 'not yet'; END IF; END $$"
    )
    directory = a_directory({"0001_call.sql": "CALL fails();"})
    environment = {"DATABASE_URL": people.url}

    failed = run_migrate("apply", "--dir", directory, env=environment)
    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert 8 == failed.exit, failed.err
    assert "not yet" in failed.err
    assert 0 == resumed.exit, resumed.err


def test_interrupted_build_resumes(people, start_migrate, run_migrate, a_directory):
    """SIGTERM in a stepwise file exits with 8, and the next run finishes it."""
    directory = a_directory(
        {"0001_sleep.sql": "VACUUM people;\nSELECT pg_sleep(60) FROM calls;\n"}
    )
    people.psql("INSERT INTO calls VALUES (1)")
    environment = {"DATABASE_URL": people.url}
    process = start_migrate("apply", "--dir", directory, env=environment)
    until_running(people, "pg_sleep(60)")
    process.terminate()
    stopped = finish(process)
    people.psql("DELETE FROM calls")

    resumed = run_migrate("apply", "--dir", directory, env=environment)

    assert 8 == stopped.exit, stopped.err
    assert "stopped by SIGTERM" in stopped.err
    assert "statements 1 to 1 of 2 stay applied" in stopped.err
    assert 0 == resumed.exit, resumed.err
