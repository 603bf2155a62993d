"""``rollback`` undoes by .down.sql, newest first, one transaction for each step."""

import pytest

THREE = {
    "0001_a.sql": "CREATE TABLE a (id int);",
    "0001_a.down.sql": "DROP TABLE a;",
    "0002_b.sql": "CREATE TABLE b (id int); CREATE VIEW bv AS SELECT * FROM b;",
    "0002_b.down.sql": "DROP VIEW bv; DROP TABLE b;",
    "0003_c.sql": "CREATE TABLE c (id int); ALTER TABLE a ADD COLUMN c_id int;",
    "0003_c.down.sql": "DROP TABLE c; ALTER TABLE a DROP COLUMN c_id;",
}


@pytest.fixture
def three(project):
    """Give three migrations, applied."""
    project.write(THREE)
    assert 0 == project("apply").exit
    return project


def versions(project):
    """Return the versions in the history."""
    return [version for version, _ in project.history()]


def test_one_step_is_the_default(three):
    """The newest is undone, and its row goes with it."""
    undone = three("rollback", "--yes")

    assert 0 == undone.exit, undone.err
    assert "roll back 0003 c" in undone.err
    assert "✓ Rolled back 0003 c" in undone.out
    assert "left behind" not in undone.out
    assert ["0001", "0002"] == versions(three)
    assert ["a", "b", "bv", "schema_migrations"] == three.tables()


@pytest.mark.parametrize(
    ("to", "left"), [("0001", ["0001"]), ("2", ["0001", "0002"]), ("0", [])]
)
def test_to_undoes_everything_newer(three, to, left):
    """The version named stays; 0 undoes all."""
    undone = three("rollback", "--to", to, "--yes")

    assert 0 == undone.exit, undone.err
    assert left == versions(three)


def test_what_was_undone_can_be_applied_again(three):
    """Down and up again ends where it began."""
    before = three.snapshot()
    assert 0 == three("rollback", "--to", "0", "--yes").exit

    again = three("apply")

    assert 0 == again.exit, again.err
    assert before == three.snapshot()


def test_a_step_that_fails_stops_there(three):
    """What was undone stays undone; the failed step is whole; the rest is not tried."""
    three.write({"0002_b.down.sql": "DROP VIEW bv;\nDROP TABLE nowhere;"})

    failed = three("rollback", "--to", "0", "--yes")

    assert 7 == failed.exit
    assert "0002_b.down.sql:2:1: " in failed.err or "0002_b.sql" in failed.err
    assert 'table "nowhere" does not exist' in failed.err
    assert "→ correct 0002_b.down.sql and run rollback again" in failed.err
    assert ["0001", "0002"] == versions(three)
    assert ["a", "b", "bv", "schema_migrations"] == three.tables()


def test_a_step_without_down_file_stops_it_before_the_first(three):
    """All or none are begun: the missing file is found before anything is undone."""
    (three.directory / "0002_b.down.sql").unlink()

    refused = three("rollback", "--to", "0", "--yes")

    assert 4 == refused.exit
    assert "version 0002 cannot be rolled back: it has no .down.sql" in refused.err
    assert ["0001", "0002", "0003"] == versions(three)
    assert "c" in three.tables()


def test_what_a_down_file_forgot_is_told(three):
    """Objects that the migration created and are still there are named."""
    three.write({"0002_b.down.sql": "DROP VIEW bv;"})

    undone = three("rollback", "--to", "1", "--yes")

    assert 0 == undone.exit, undone.err
    assert "0002 left behind: table public.b, column public.b.id" in undone.out


def test_a_down_file_that_cannot_be_in_a_transaction(project):
    """It is run statement by statement, and the row goes at the end."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int); CREATE INDEX a_id ON a (id);",
            "0001_a.down.sql": "DROP INDEX CONCURRENTLY a_id;\nDROP TABLE a;",
        }
    )
    assert 0 == project("apply").exit

    undone = project("rollback", "--yes")

    assert 0 == undone.exit, undone.err
    assert ["schema_migrations"] == project.tables()
    assert [] == project.history()


def test_a_down_file_without_transaction_that_fails_says_how_far_it_came(project):
    """Exit 8: the first statement stays done, the row stays, and it is said."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int); CREATE INDEX a_id ON a (id);",
            "0001_a.down.sql": "DROP INDEX CONCURRENTLY a_id;\nDROP TABLE nowhere;",
        }
    )
    assert 0 == project("apply").exit

    failed = project("rollback", "--yes")

    assert 8 == failed.exit
    assert "statements 1 to 1 of 2 stay done; version 0001 stays in the" in failed.err
    assert "make those done repeatable (IF EXISTS)" in failed.err
    assert "run rollback again: 0001_a.down.sql begins anew at its first" in failed.err
    assert "apply" not in failed.err
    assert [("0001", "applied")] == project.history()


def test_what_a_transaction_of_the_down_file_took_back_is_not_counted(project):
    """Its own BEGIN was open when it failed: that part is as if it had never run."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int); CREATE INDEX a_id ON a (id);",
            "0001_a.down.sql": "DROP INDEX CONCURRENTLY IF EXISTS a_id;\n"
            "BEGIN; DROP TABLE a; DROP TABLE nowhere; COMMIT;",
        }
    )
    assert 0 == project("apply").exit
    failed = project("rollback", "--yes")
    left = project.tables()
    project.write({"0001_a.down.sql": "DROP INDEX IF EXISTS a_id; DROP TABLE a;"})

    again = project("rollback", "--yes")

    assert 8 == failed.exit
    assert "statements 1 to 1 of 5 stay done" in failed.err
    assert ["a", "schema_migrations"] == left
    assert 0 == again.exit, again.err


@pytest.mark.parametrize(
    ("before", "code", "advice"),
    [
        ("", 7, "status tells whether it is undone; if not, run rollback again"),
        ("VACUUM; ", 8, "make those done repeatable (IF EXISTS), or remove them; run"),
    ],
)
def test_a_session_lost_while_undoing(project, before, code, advice):
    """Without a transaction the statements before it stay done: that is no exit 7."""
    ends = "SELECT pg_terminate_backend(pg_backend_pid());"
    project.write(
        {"0001_a.sql": "CREATE TABLE a ();", "0001_a.down.sql": before + ends}
    )
    assert 0 == project("apply").exit

    lost = project("rollback", "--yes")

    assert code == lost.exit, lost.err
    assert advice in lost.err
    assert "apply again" not in lost.err
    assert [("0001", "applied")] == project.history()


def test_nothing_is_undone_where_nobody_can_be_asked(three):
    """Without --yes and without a terminal it shows what it would do, and stops."""
    refused = three("rollback")

    assert 2 == refused.exit
    assert "roll back 0003 c" in refused.err
    assert "--yes" in refused.err
    assert ["0001", "0002", "0003"] == versions(three)


def test_an_empty_database_has_nothing_to_undo(project):
    """There is nothing to roll back, and that is said."""
    project.write(THREE)

    refused = project("rollback", "--yes")

    assert 4 == refused.exit
    assert "nothing is applied that could be rolled back" in refused.err
    assert [] == project.tables()


def test_an_unknown_version_is_refused(three):
    """A slip of the keyboard undoes nothing."""
    refused = three("rollback", "--to", "99", "--yes")

    assert 2 == refused.exit
    assert ["0001", "0002", "0003"] == versions(three)


def test_settings_of_a_down_file_do_not_reach_the_next(project):
    """Each step has a session's state of its own."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0001_a.down.sql": "DROP TABLE a;",
            "0002_b.sql": "CREATE SCHEMA s;",
            "0002_b.down.sql": "SET search_path TO s; SET ROLE pg_monitor;"
            " RESET ROLE; DROP SCHEMA s; SET ROLE pg_monitor;",
        }
    )
    assert 0 == project("apply").exit

    undone = project("rollback", "--to", "0", "--yes")

    assert 0 == undone.exit, undone.err
    assert ["schema_migrations"] == project.tables()
