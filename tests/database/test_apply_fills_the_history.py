"""What the history keeps of each migration."""

from datetime import UTC, datetime, timedelta

from migrate.postgres.version import tool_version

PLATFORM = {
    "BUILD_ID": "8f1c2d3e-build",
    "COMMIT_SHA": "0123456789abcdef0123456789abcdef01234567",
    "IMAGE_DIGEST": "sha256:" + "ab" * 32,
    "CLOUD_RUN_EXECUTION": "dev-prompt-migration-x7k2p",
}


def test_every_column_of_an_applied_migration_is_filled(project):
    """Who applied what, when, how long, by which build: all of it is in the row."""
    project.write(
        {"0001_new_users.sql": "-- migrate: description=The users\nCREATE TABLE u ();"}
    )

    assert 0 == project("apply", env=PLATFORM).exit
    (row,) = project.database.rows(
        "SELECT version, name, description, checksum, executed_at, duration_ms,"
        " executed_by, state, tool_version, build_id, commit_sha, image_digest,"
        " execution, run_id, statements_done, created, removed FROM schema_migrations"
    )

    assert ("0001", "new_users", "The users") == row[:3]
    assert row[3].startswith("sha256:")
    assert datetime.now(UTC) - row[4] < timedelta(minutes=1)
    assert 0 <= row[5] < 60_000
    assert ("postgres", "applied") == row[6:8]
    assert tool_version() == row[8]
    assert tuple(PLATFORM.values()) == row[9:13]
    assert 32 == len(row[13])
    assert (1, ["table public.u"], []) == row[14:]


def test_the_duration_is_the_migrations_own(project):
    """A migration that sleeps is recorded as having taken that long."""
    project.write({"0001_slow.sql": "SELECT pg_sleep(0.2);", "0002_b.sql": "SELECT 1;"})

    assert 0 == project("apply").exit
    ((slow,), (quick,)) = project.database.rows(
        "SELECT duration_ms FROM schema_migrations ORDER BY version"
    )

    assert 200 <= slow < 5000
    assert quick < slow


def test_migrations_of_one_run_share_its_id_and_those_of_another_do_not(project):
    """A run can be found again by its id."""
    project.write({"0001_a.sql": "SELECT 1;", "0002_b.sql": "SELECT 1;"})
    assert 0 == project("apply").exit
    project.write({"0003_c.sql": "SELECT 1;"})
    assert 0 == project("apply").exit

    ids = [
        r
        for (r,) in project.database.rows(
            "SELECT run_id FROM schema_migrations ORDER BY version"
        )
    ]

    assert ids[0] == ids[1]
    assert ids[1] != ids[2]


def test_the_seeds_own_query_works(project):
    """The newest migration is the first row of the seeds' query."""
    project.write({"0001_a.sql": "SELECT 1;", "0002_b.sql": "SELECT 1;"})
    assert 0 == project("apply").exit

    rows = project.database.rows(
        "SELECT version, executed_at FROM schema_migrations "
        "ORDER BY executed_at DESC LIMIT 1"
    )

    assert "0002" == rows[0][0]


def test_the_role_that_applied_is_recorded_even_when_the_file_changes_role(project):
    """SET ROLE in a file does not change who answers for it."""
    role = f"team_{project.database.name}"
    project.write(
        {"0001_a.sql": f"CREATE ROLE {role}; SET ROLE {role}; SELECT current_user;"}
    )

    assert 0 == project("apply").exit

    rows = project.database.rows("SELECT executed_by FROM schema_migrations")
    project.database.psql(f"DROP ROLE {role}")
    assert [("postgres",)] == rows


def test_created_lists_every_kind_of_thing(project):
    """Everything a file creates is noted, so that verify can ask for it later."""
    project.write(
        {
            "0001_kinds.sql": """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TABLE app.t (id int CONSTRAINT t_key PRIMARY KEY, m app.mood);
CREATE INDEX t_m ON app.t (m);
CREATE VIEW app.v AS SELECT * FROM app.t;
CREATE MATERIALIZED VIEW app.mv AS SELECT * FROM app.t;
CREATE SEQUENCE app.s;
CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.f();
""",
            "0002_more.sql": "ALTER TABLE app.t ADD COLUMN extra text;"
            " ALTER TABLE app.t ADD CONSTRAINT few CHECK (id < 100);",
        }
    )

    assert 0 == project("apply").exit
    first, second = (
        set(created)
        for (created,) in project.database.rows(
            "SELECT created FROM schema_migrations ORDER BY version"
        )
    )

    assert {
        "schema app",
        "type app.mood",
        "type app.positive",
        "table app.t",
        "column app.t.id",
        "column app.t.m",
        "constraint app.t.t_key",
        "index app.t_key",
        "index app.t_m",
        "view app.v",
        "materialized view app.mv",
        "sequence app.s",
        "function app.f()",
        "trigger app.t.tr",
    } <= first
    assert {"column app.t.extra", "constraint app.t.few"} == second - {"table app.t"}


def test_an_entry_is_written_without_compiling_it(project):
    """A server that compiles dear plans took seconds for each; migrations keep theirs."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE seen (by text, jit text);"
            " CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
            " INSERT INTO public.seen VALUES ('entry', current_setting('jit')); RETURN NEW; END$$;"
            " CREATE TRIGGER look BEFORE INSERT ON schema_migrations"
            " FOR EACH ROW EXECUTE FUNCTION look();",
            "0002_b.sql": "INSERT INTO seen VALUES ('file', current_setting('jit'));",
            "0003_c.sql": "INSERT INTO seen VALUES ('file', current_setting('jit'));",
        }
    )

    assert 0 == project("apply", env={"PGOPTIONS": "-c jit=on"}).exit
    seen = project.database.rows(
        "SELECT by, jit FROM seen GROUP BY by, jit ORDER BY by"
    )

    assert [("entry", "off"), ("file", "on")] == seen
