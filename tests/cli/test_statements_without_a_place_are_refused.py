"""Good SQL that would commit, undo or lose what a migration does is refused beforehand."""

import pytest

CREATES = "CREATE TABLE users (id integer);"
ENDINGS = [
    "ROLLBACK;",
    "COMMIT; SELECT false;",
    "BEGIN; SELECT true; ROLLBACK;",
    "ABORT;",
    "PREPARE TRANSACTION 'x';",
]


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.mark.parametrize("check", ENDINGS)
@pytest.mark.parametrize("option", [(), ("--dry-run",), ("--single-transaction",)])
def test_a_check_cannot_end_the_transaction(project, check, option):
    """Neither may it undo the migration unseen, nor commit it unverified."""
    project.write({"0001_users.sql": CREATES, "0001_users.verify.sql": check})

    finished = project("apply", *option)

    assert 3 == finished.exit
    assert "0001_users.verify.sql:1: a check cannot hold" in finished.err
    assert [] == project.tables()


def test_a_check_may_use_savepoints(project):
    """What it does behind one is its own affair."""
    check = "SAVEPOINT a; INSERT INTO users VALUES (1); ROLLBACK TO a; SELECT true;"
    project.write({"0001_users.sql": CREATES, "0001_users.verify.sql": check})

    assert 0 == project("apply").exit


@pytest.mark.parametrize(
    "statement",
    ["COPY users TO STDOUT;", "COPY (SELECT 1) TO stdin WITH (FORMAT csv);"],
)
@pytest.mark.parametrize("role", ["", ".down", ".verify"])
def test_rows_cannot_be_copied_to_whoever_applies(project, statement, role):
    """The file is refused with its line, and nothing is done or undone."""
    project.write({"0001_users.sql": CREATES, "0002_a.sql": "SELECT 1;"})
    project("apply", "--to", "1")
    project.write({f"0002_a{role}.sql": f"SELECT 1;\n{statement}"})

    verbs = {".down": ("apply", "rollback")}.get(role, ("apply",))
    finished = [project(v, *(["--yes"] if v == "rollback" else [])) for v in verbs][-1]

    assert 3 == finished.exit
    assert f"0002_a{role}.sql:2: COPY" in finished.err


@pytest.mark.parametrize(
    "thing",
    [
        "CREATE VIEW schema_migrations AS SELECT 1 AS version",
        "CREATE SEQUENCE schema_migrations",
        "CREATE TYPE schema_migrations AS (version text)",
    ],
)
def test_something_else_of_the_histories_name_is_foreign(project, thing):
    """What is no table is not taken for one, nor made one."""
    project.write({"0001_users.sql": CREATES})
    with project.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(thing)

    finished = project("apply")

    assert 4 == finished.exit
    assert "it is no table" in finished.err


def test_a_version_below_the_baseline_is_not_pending(project):
    """`status` counts what `apply` would do."""
    project.write({f"000{n}_t{n}.sql": f"CREATE TABLE t{n} ();" for n in (1, 2)})
    project("baseline", "2", "--yes")

    finished = project("status")

    assert "2 in the history, 0 pending" in finished.out
