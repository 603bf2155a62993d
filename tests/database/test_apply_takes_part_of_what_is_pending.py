"""--to, --only, --out-of-order, repeatables and ``requires``: which files are applied."""

import json

import pytest

FOUR = {f"000{n}_t{n}.sql": f"CREATE TABLE t{n} ();" for n in range(1, 5)}
VIEW = "CREATE OR REPLACE VIEW v AS SELECT {} AS n;"


def versions(project):
    """Return the versions in the history."""
    return [version for version, _ in project.history()]


@pytest.mark.parametrize("to", ["0002", "2"])
def test_to_stops_after_a_version(project, to):
    """What is newer stays pending; the number may be written short."""
    project.write(FOUR)

    finished = project("apply", "--to", to)

    assert 0 == finished.exit, finished.err
    assert ["0001", "0002"] == versions(project)
    assert 0 == project("apply").exit
    assert ["0001", "0002", "0003", "0004"] == versions(project)


def test_to_a_version_that_does_not_exist_is_refused(project):
    """A slip of the keyboard applies nothing."""
    project.write(FOUR)

    refused = project("apply", "--to", "99")

    assert 2 == refused.exit
    assert "there is no version '99' (the newest is 0004)" in refused.err
    assert [] == project.tables()


@pytest.mark.parametrize("only", ["0001_t1.sql", "migrations/0001_t1.sql", "1"])
def test_only_applies_one_file(project, only):
    """A version, a file's name or a path names it."""
    project.write(FOUR)

    finished = project("apply", "--only", only)

    assert 0 == finished.exit, finished.err
    assert ["0001"] == versions(project)


def test_only_one_that_is_applied_does_nothing(project):
    """There is nothing to do, and that is no error."""
    project.write(FOUR)
    assert 0 == project("apply", "--to", "2").exit

    finished = project("apply", "--only", "0001_t1.sql")

    assert 0 == finished.exit
    assert "Nothing is pending" in finished.out
    assert ["0001", "0002"] == versions(project)


def test_a_late_older_version_is_refused_until_it_is_allowed(project):
    """Exit 4 names it and the cure; ``--out-of-order`` applies it."""
    project.write({"0002_b.sql": "CREATE TABLE b ();"})
    assert 0 == project("apply").exit
    project.write({"0001_a.sql": "CREATE TABLE a ();", "0003_c.sql": "SELECT 1;"})

    refused = project("apply")
    tables = project.tables()
    allowed = project("apply", "--out-of-order")

    assert 4 == refused.exit
    assert "0001_a.sql is older than version 2, which is applied" in refused.err
    assert "--out-of-order" in refused.err
    assert ["b", "schema_migrations"] == tables
    assert 0 == allowed.exit, allowed.err
    assert ["0001", "0002", "0003"] == versions(project)


def test_a_late_version_that_is_not_wanted_blocks_nothing(project):
    """With ``--only`` another file is applied all the same."""
    project.write({"0002_b.sql": "SELECT 1;"})
    assert 0 == project("apply").exit
    project.write({"0001_a.sql": "SELECT 1;", "0003_c.sql": "SELECT 1;"})

    finished = project("apply", "--only", "3")

    assert 0 == finished.exit, finished.err
    assert ["0002", "0003"] == versions(project)


def test_a_repeatable_is_applied_again_when_it_changed(project):
    """After the numbered ones, once; again when its text is another; else not."""
    project.write({"R__view.sql": VIEW.format(1), "0001_t.sql": "CREATE TABLE t ();"})
    assert 0 == project("apply").exit
    first = project.database.rows("SELECT n FROM v")

    same = project("apply")
    project.write({"R__view.sql": VIEW.format(2)})
    pending = project("status", "--check")
    changed = project("apply")

    assert [(1,)] == first
    assert "Nothing is pending" in same.out
    assert 9 == pending.exit
    assert "pending   R__view" in pending.out
    assert 0 == changed.exit, changed.err
    assert [(2,)] == project.database.rows("SELECT n FROM v")
    assert ["0001", "R__view"] == versions(project)


def test_a_repeatable_that_fails_keeps_its_old_text(project):
    """The object and the checksum are those of the text that last worked."""
    project.write({"R__view.sql": VIEW.format(1)})
    assert 0 == project("apply").exit
    before = project.database.rows("SELECT * FROM schema_migrations")
    project.write({"R__view.sql": VIEW.format("nothing")})

    failed = project("apply")

    assert 7 == failed.exit
    assert [(1,)] == project.database.rows("SELECT n FROM v")
    assert before == project.database.rows("SELECT * FROM schema_migrations")


def test_a_requirement_is_met_by_what_is_applied_or_planned_before(project):
    """``requires`` holds for the history and for earlier files of the same run."""
    project.write(
        {
            "0001_a.sql": "SELECT 1;",
            "0002_b.sql": "-- migrate: requires=0001\nSELECT 1;",
        }
    )
    assert 0 == project("apply").exit
    project.write({"0003_c.sql": "-- migrate: requires=1, 0002\nSELECT 1;"})

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert ["0001", "0002", "0003"] == versions(project)


def test_an_unmet_requirement_is_refused_before_anything_runs(project):
    """Exit 3 names the file and the version it wants; the first file is not applied."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a ();",
            "0002_b.sql": "-- migrate: requires=0003\nSELECT 1;",
            "0003_c.sql": "SELECT 1;",
        }
    )

    refused = project("apply")

    assert 3 == refused.exit
    assert "0002_b.sql requires version 0003" in refused.err
    assert [] == project.tables()


def test_versions_are_ordered_as_numbers(project):
    """9 comes before 10, and both before a time stamp."""
    names = ["10_b", "20240102030405_d", "9_a", "00011_c"]
    project.write({f"{name}.sql": "SELECT 1;" for name in names})

    told = json.loads(project("plan", "--output", "json").out)

    assert ["9", "10", "00011", "20240102030405"] == [
        step["version"] for step in told["steps"]
    ]
