"""``verify`` proves that what was applied is there and whole, or names what is not."""

import pytest

UP = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE TABLE app.up (id int PRIMARY KEY);
CREATE TABLE app.t (
    id int CONSTRAINT t_key PRIMARY KEY, up_id int, "odd. Name" text, mood app.mood);
ALTER TABLE app.t ADD CONSTRAINT t_up FOREIGN KEY (up_id) REFERENCES app.up;
ALTER TABLE app.t ADD CONSTRAINT t_few CHECK (id < 1000);
CREATE INDEX t_up_id ON app.t (up_id);
CREATE SEQUENCE app.s;
CREATE VIEW app.v AS SELECT id FROM app.t;
CREATE MATERIALIZED VIEW app.mv AS SELECT id FROM app.t;
CREATE FUNCTION app.f(a int, b text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t_touch BEFORE UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.tr();
CREATE FUNCTION app.g() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE VIEW app.calls AS SELECT app.g() AS g;
"""
DAMAGE = {
    "a table dropped": (
        "DROP TABLE app.up CASCADE",
        ["table app.up is gone", "constraint app.t.t_up is gone"],
    ),
    "a column dropped": (
        'ALTER TABLE app.t DROP COLUMN "odd. Name"',
        ['column app.t."odd. Name" is gone'],
    ),
    "a column renamed": (
        "ALTER TABLE app.t RENAME up_id TO parent",
        ["column app.t.up_id is gone"],
    ),
    "an index dropped": ("DROP INDEX app.t_up_id", ["index app.t_up_id is gone"]),
    "an invalid index": (
        (
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'app.t_up_id'::regclass"
        ),
        ["index app.t_up_id is INVALID"],
    ),
    "a constraint dropped": (
        "ALTER TABLE app.t DROP CONSTRAINT t_few",
        ["constraint app.t.t_few is gone"],
    ),
    "a constraint not validated": (
        (
            "ALTER TABLE app.t DROP CONSTRAINT t_few;"
            " ALTER TABLE app.t ADD CONSTRAINT t_few CHECK (id < 1000) NOT VALID"
        ),
        ["constraint app.t.t_few is not validated"],
    ),
    "a trigger disabled": (
        "ALTER TABLE app.t DISABLE TRIGGER t_touch",
        ["trigger app.t.t_touch is disabled"],
    ),
    "a trigger dropped": (
        "DROP TRIGGER t_touch ON app.t",
        ["trigger app.t.t_touch is gone"],
    ),
    "a view dropped": ("DROP VIEW app.v", ["view app.v is gone"]),
    "a materialized view dropped": (
        "DROP MATERIALIZED VIEW app.mv",
        ["materialized view app.mv is gone"],
    ),
    "a view that fails when run": (
        (
            "CREATE OR REPLACE FUNCTION app.g() RETURNS int LANGUAGE plpgsql"
            " AS 'BEGIN RETURN 1/0; END'"
        ),
        ["view app.calls cannot be run: division by zero"],
    ),
    "a function dropped": (
        "DROP FUNCTION app.f(int, text)",
        ["function app.f(integer,text) is gone"],
    ),
    "a function with other arguments": (
        (
            "DROP FUNCTION app.f(int, text); CREATE FUNCTION app.f(a int) RETURNS int"
            " LANGUAGE sql AS 'SELECT 1'"
        ),
        ["function app.f(integer,text) is gone"],
    ),
    "a sequence dropped": ("DROP SEQUENCE app.s", ["sequence app.s is gone"]),
    "a schema renamed": (
        "ALTER SCHEMA app RENAME TO other",
        ["schema app is gone", "table app.t is gone", "type app.mood is gone"],
    ),
}


def test_what_is_whole_is_verified(project):
    """Everything the migration created is counted, and nothing is wrong."""
    project.write({"0001_app.sql": UP, "0001_app.verify.sql": "SELECT true;"})
    assert 0 == project("apply").exit

    verified = project("verify")

    assert 0 == verified.exit, verified.err
    ((things,),) = project.database.rows(
        "SELECT cardinality(created) FROM schema_migrations"
    )
    assert f"✓ Verified: {things + 1} objects and checks hold" in verified.out


#: A view whose function names nothing with its schema, as most are written.
LOOSE = """
CREATE TABLE counted (n int);
CREATE FUNCTION counts() RETURNS bigint LANGUAGE plpgsql AS
    'BEGIN INSERT INTO counted VALUES (1); RETURN (SELECT count(*) FROM counted); END';
CREATE VIEW total AS SELECT counts();
"""


@pytest.mark.parametrize(
    "opening", ["", 'CREATE SCHEMA "Ap p"; SET search_path = "Ap p";']
)
def test_a_view_runs_by_its_users_path(project, opening):
    """What a view calls finds its names in the view's schema and in the path of the role,
    not in ours; and what it writes is not kept.
    """
    project.write({"0001_loose.sql": opening + LOOSE})
    assert 0 == project("apply").exit

    verified = project("verify")

    assert 0 == verified.exit, verified.err
    table = '"Ap p".counted' if opening else "counted"
    assert [(0,)] == project.database.rows(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_found_and_named(project, how):
    """Exit 10 names each object and what is wrong with it; nothing is changed."""
    damage, expected = DAMAGE[how]
    project.write({"0001_app.sql": UP})
    assert 0 == project("apply").exit
    project.database.psql(damage)
    before = project.snapshot()

    verified = project("verify")

    assert 10 == verified.exit
    assert [] == [line for line in expected if line not in verified.err]
    assert before == project.snapshot()
    assert [("0001", "applied")] == project.history()


def test_only_what_is_damaged_is_named(project):
    """One dropped index is one line."""
    project.write({"0001_app.sql": UP})
    assert 0 == project("apply").exit
    project.database.psql("DROP INDEX app.t_up_id")

    verified = project("verify")

    assert "error: index app.t_up_id is gone" == verified.err.splitlines()[0]
    assert "gone" not in "".join(verified.err.splitlines()[1:])


LATER = {
    "drops": "DROP TABLE app.up CASCADE; DROP VIEW app.v; DROP FUNCTION app.f(int, text);",
    "renames": "ALTER TABLE app.t RENAME TO thing; ALTER SCHEMA app RENAME TO shop;"
    " ALTER INDEX shop.t_up_id RENAME TO thing_up_id;",
    "replaces": "DROP VIEW app.v; CREATE VIEW app.v AS SELECT 1 AS one;",
    "moves": "CREATE SCHEMA attic; ALTER TABLE app.t SET SCHEMA attic;",
    "changes a signature": "DROP FUNCTION app.f(int, text);"
    " CREATE FUNCTION app.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 2';",
    "drops a column": 'ALTER TABLE app.t DROP COLUMN "odd. Name";',
    "drops all": "DROP SCHEMA app CASCADE;",
    "drops by a function": "DO $$ BEGIN EXECUTE 'DROP TABLE app.up CASCADE'; END $$;",
}


@pytest.mark.parametrize("how", LATER)
@pytest.mark.parametrize("mode", ["", "-- migrate: transaction=false\n"])
def test_what_a_later_migration_removed_is_not_damage(project, how, mode):
    """A drop or rename by a migration is what was wanted."""
    project.write({"0001_app.sql": UP, "0002_later.sql": mode + LATER[how]})
    applied = project("apply")

    verified = project("verify")

    assert 0 == applied.exit, applied.err
    assert 0 == verified.exit, verified.err


def test_what_a_stepwise_file_made_and_dropped_itself_is_not_missed(project):
    """Noted statement by statement, and gone on purpose by the end of the file."""
    own = "CREATE INDEX CONCURRENTLY i ON t (n); DROP INDEX CONCURRENTLY i;"
    kept = "CREATE INDEX CONCURRENTLY j ON t (n);"
    project.write(
        {"0001_t.sql": "CREATE TABLE t (n int);", "0002_i.sql": f"{own} {kept}"}
    )
    applied = project("apply")

    verified = project("verify")

    assert 0 == applied.exit, applied.err
    assert 0 == verified.exit, verified.err
    assert [(["index public.j"],)] == project.database.rows(
        "SELECT created FROM schema_migrations WHERE version = '0002'"
    )


@pytest.mark.parametrize("transaction", ["true", "false"])
def test_a_clock_that_was_set_back_changes_no_order(project, transaction):
    """An entry is never older than the one before it; nor did it take less than no time."""
    project.write({"0001_t.sql": "CREATE TABLE t (n int); CREATE TABLE u (n int);"})
    assert 0 == project("apply").exit
    project.database.psql(
        "UPDATE schema_migrations SET executed_at = executed_at + interval '1 day'"
    )
    head = f"-- migrate: transaction={transaction}\n"
    project.write(
        {"0002_t.sql": f"{head}DROP TABLE t;", "0003_u.sql": f"{head}DROP TABLE u;"}
    )

    applied = project("apply")
    verified = project("verify")

    assert 0 == applied.exit, applied.err
    assert 0 == verified.exit, verified.err
    assert [("0001",), ("0002",), ("0003",)] == project.database.rows(
        "SELECT version FROM schema_migrations WHERE duration_ms >= 0 ORDER BY executed_at"
    )


def test_what_was_dropped_and_made_again_must_be_there(project):
    """The last word counts: removed by one, created again by the next, dropped by hand."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE t ();",
            "0002_b.sql": "DROP TABLE t;",
            "0003_c.sql": "CREATE TABLE t (id int);",
        }
    )
    assert 0 == project("apply").exit
    whole = project("verify")
    project.database.psql("DROP TABLE t")

    verified = project("verify")

    assert 0 == whole.exit, whole.err
    assert 10 == verified.exit
    assert "table public.t is gone" in verified.err


def test_a_check_that_no_longer_holds_is_found(project):
    """``.verify.sql`` is asked again: seed rows that are gone are found."""
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t (id int); INSERT INTO t VALUES (1);",
            "0001_t.verify.sql": "-- the seed row\nSELECT count(*) = 1 FROM t;",
        }
    )
    assert 0 == project("apply").exit
    project.database.psql("DELETE FROM t")

    verified = project("verify")

    assert 10 == verified.exit
    assert "0001_t.verify.sql:2: check 'the seed row' failed" in verified.err


def test_what_a_check_writes_is_rolled_back(project):
    """``verify`` changes nothing, whatever the checks do."""
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t (id int);",
            "0001_t.verify.sql": "-- can be written\n"
            "INSERT INTO t VALUES (1) RETURNING true;",
        }
    )
    assert 0 == project("apply").exit
    before = project.database.rows("SELECT count(*) FROM t")

    verified = project("verify")

    assert 0 == verified.exit, verified.err
    assert before == project.database.rows("SELECT count(*) FROM t")


def test_an_edited_file_is_drift(project):
    """Exit 4 shows which file, and what to do."""
    project.write({"0001_t.sql": "CREATE TABLE t ();"})
    assert 0 == project("apply").exit
    project.write({"0001_t.sql": "CREATE TABLE t (id int);"})

    verified = project("verify")

    assert 4 == verified.exit
    assert "0001_t.sql is not the text that was applied (edited)" in verified.err
    assert "repair 0001 --accept-edit" in verified.err


def test_pending_files_are_no_damage(project):
    """What is not applied yet is not asked for."""
    project.write({"0001_t.sql": "CREATE TABLE t ();"})
    assert 0 == project("apply").exit
    project.write({"0002_u.sql": "CREATE TABLE u ();"})

    assert 0 == project("verify").exit


def test_a_constraint_added_not_valid_is_as_it_was_applied(project):
    """What a migration left unvalidated on purpose is not damage."""
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t (id int);",
            "0002_c.sql": "ALTER TABLE t ADD CONSTRAINT few CHECK (id < 9) NOT VALID;",
        }
    )

    applied = project("apply")
    verified = project("verify")

    assert 0 == applied.exit, applied.err
    assert 0 == verified.exit, verified.err
