"""Directory and history disagree: exit 4, each case named, each with its cure."""

import pytest

FILES = {
    "0001_a.sql": "CREATE TABLE a ();",
    "0002_b.sql": "CREATE TABLE b ();",
}
BLOCKED = 4


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.fixture
def applied(project):
    """Give two migrations, applied."""
    project.write(FILES)
    assert 0 == project("apply").exit
    return project


def test_an_edited_applied_file(applied):
    """The file is named, and both ways out; what is pending is not applied."""
    applied.write({"0001_a.sql": "CREATE TABLE a (id int);", "0003_c.sql": "SELECT 1;"})
    before = applied.snapshot(), applied.history()

    refused = applied("apply")

    assert BLOCKED == refused.exit
    assert "0001_a.sql is not the text that was applied (edited)" in refused.err
    assert "restore the file" in refused.err
    assert "python -m migrate repair 0001 --accept-edit" in refused.err
    assert before == (applied.snapshot(), applied.history())


def test_line_ends_and_a_byte_order_mark_are_no_edit(applied):
    """A checkout on Windows does not change what was applied."""
    applied.write({"0001_a.sql": "\ufeffCREATE TABLE a ();".replace("\n", "\r\n")})

    assert 0 == applied("apply").exit


def test_a_late_older_version(applied):
    """The file and the version it comes too late for are named, and the option."""
    (applied.directory / "0002_b.sql").rename(applied.directory / "0004_b.sql")
    applied.database.psql(
        "UPDATE schema_migrations SET version = '0004' WHERE name = 'b'"
    )
    applied.write({"0003_late.sql": "CREATE TABLE late ();"})

    refused = applied("apply")

    assert BLOCKED == refused.exit
    assert "0003_late.sql is older than version 4" in refused.err
    assert "--out-of-order" in refused.err
    assert "late" not in applied.tables()


def test_an_applied_version_whose_file_is_gone(applied):
    """The version is named, and both ways out."""
    (applied.directory / "0002_b.sql").unlink()
    applied.write({"0003_c.sql": "CREATE TABLE c ();"})

    refused = applied("apply")

    assert BLOCKED == refused.exit
    assert "0002" in refused.err
    assert "its file is gone" in refused.err
    assert "python -m migrate repair 0002 --forget" in refused.err
    assert "c" not in applied.tables()


def test_everything_that_disagrees_is_named_at_once(applied):
    """One run shows all there is to mend."""
    (applied.directory / "0002_b.sql").unlink()
    applied.write({"0001_a.sql": "SELECT 2;"})

    refused = applied("apply")

    assert BLOCKED == refused.exit
    assert "(edited)" in refused.err
    assert "(missing)" in refused.err


FOREIGN = {
    "golang-migrate": (
        (
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean);"
            "INSERT INTO schema_migrations VALUES (12, false)"
        ),
        ["golang-migrate", "1 rows, newest version 12"],
    ),
    "dbmate": (
        (
            "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);"
            "INSERT INTO schema_migrations VALUES ('20240101000000'), ('20240202000000')"
        ),
        ["dbmate", "2 rows, newest version 20240202000000"],
    ),
    "Rails": (
        (
            "CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY);"
            "CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY)"
        ),
        ["Rails"],
    ),
    "the seeds": (
        (
            "CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY,"
            " description text, executed_at timestamptz DEFAULT now());"
            "INSERT INTO schema_migrations VALUES ('prompt_system_phase1', 'Phase 1')"
        ),
        ["the seeds' table", "newest version prompt_system_phase1"],
    ),
    "somebody": (
        "CREATE TABLE schema_migrations (id int, at date)",
        ["another tool"],
    ),
}


@pytest.mark.parametrize("whose", FOREIGN)
@pytest.mark.parametrize("verb", ["apply", "status"])
def test_a_foreign_history_table(project, whose, verb):
    """Its tool is named, with what it holds and what to do; not a byte of it changes."""
    sql, expected = FOREIGN[whose]
    project.write(FILES)
    project.database.psql(sql)
    before = (
        project.snapshot(),
        project.database.rows("SELECT * FROM schema_migrations"),
    )

    refused = project(verb)

    assert BLOCKED == refused.exit
    assert [] == [text for text in expected if text not in refused.err]
    assert "python -m migrate" in refused.err
    assert before == (
        project.snapshot(),
        project.database.rows("SELECT * FROM schema_migrations"),
    )


def test_the_way_out_of_a_foreign_history_works(project):
    """The command that the refusal names adopts the database, beside the other table."""
    sql, _ = FOREIGN["dbmate"]
    project.database.psql(sql + "; CREATE TABLE a ()")
    project.write(FILES)

    adopted = project("baseline", "0001", "--schema", "migrations", "--yes")
    applied = project("apply", "--schema", "migrations")

    assert 0 == adopted.exit, adopted.err
    assert 0 == applied.exit, applied.err
    assert ["a", "b", "migrations.schema_migrations", "schema_migrations"] == (
        project.tables()
    )
