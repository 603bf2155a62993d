"""``baseline`` and ``repair`` change what is recorded, never the schema."""

import pytest

TWO = {"0001_a.sql": "CREATE TABLE a ();", "0002_b.sql": "CREATE TABLE b ();"}


def checksums(project):
    """Return the checksums of the history."""
    return [
        c
        for (c,) in project.database.rows(
            "SELECT checksum FROM schema_migrations ORDER BY version"
        )
    ]


def test_a_baseline_makes_older_versions_count_as_there(project):
    """Nothing at or below it is applied; what is newer is."""
    project.write({**TWO, "0003_c.sql": "CREATE TABLE c ();"})
    project.database.psql("CREATE TABLE a (); CREATE TABLE b ()")

    declared = project("baseline", "2", "--yes")
    applied = project("apply")

    assert 0 == declared.exit, declared.err
    assert "record 0002 b as the baseline" in declared.err
    assert 0 == applied.exit, applied.err
    assert [("0002", "baseline"), ("0003", "applied")] == project.history()
    assert ["a", "b", "c", "schema_migrations"] == project.tables()
    assert 0 == project("verify").exit


def test_a_baseline_below_what_is_applied_is_refused(project):
    """The history already knows better."""
    project.write(TWO)
    assert 0 == project("apply").exit

    refused = project("baseline", "1", "--yes")

    assert 4 == refused.exit
    assert "the history already holds version" in refused.err
    assert [("0001", "applied"), ("0002", "applied")] == project.history()


def test_a_baseline_of_no_file_is_refused(project):
    """A version that is not in the directory cannot be declared; the newest is named."""
    project.write({**TWO, "R__v.sql": "SELECT 1;"})

    refused = project("baseline", "7", "--yes")

    assert 2 == refused.exit
    assert "the newest is 0002" in refused.err
    assert [] == project.tables()


def test_a_baseline_cannot_be_rolled_back(project):
    """What we did not apply we do not undo."""
    project.write({**TWO, "0002_b.down.sql": "DROP TABLE b;"})
    assert 0 == project("baseline", "2", "--yes").exit

    refused = project("rollback", "--yes")

    assert 4 == refused.exit
    assert "it is the baseline" in refused.err
    assert [("0002", "baseline")] == project.history()


def test_an_accepted_edit_is_the_applied_text_from_now_on(project):
    """Both checksums are shown; the drift is over; the schema is untouched."""
    project.write(TWO)
    assert 0 == project("apply").exit
    before, tables = checksums(project), project.tables()
    project.write({"0001_a.sql": "CREATE TABLE a (); -- a comment"})
    blocked = project("apply")

    repaired = project("repair", "0001", "--accept-edit", "--yes")
    after = checksums(project)

    assert 4 == blocked.exit
    assert 0 == repaired.exit, repaired.err
    assert f"before: {before[0]}" in repaired.err
    assert f"after:  {after[0]}" in repaired.err
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert tables == project.tables()
    assert 0 == project("apply").exit


def test_a_forgotten_entry_is_gone_and_its_tables_are_not(project):
    """The row goes, the schema stays, and it is said."""
    project.write(TWO)
    assert 0 == project("apply").exit
    (project.directory / "0002_b.sql").unlink()
    blocked = project("apply")

    repaired = project("repair", "2", "--forget", "--yes")

    assert 4 == blocked.exit
    assert 0 == repaired.exit, repaired.err
    assert "the schema was not touched" in repaired.out
    assert [("0001", "applied")] == project.history()
    assert ["a", "b", "schema_migrations"] == project.tables()
    assert 0 == project("apply").exit


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["9", "--forget"], "the history has no version 9"),
        (["1", "--accept-edit"], "0001_a.sql is the text that was applied"),
        (["1", "--statement-done"], "no statement of 0001 is in doubt"),
        (["1", "--statement-again"], "no statement of 0001 is in doubt"),
    ],
)
def test_a_repair_of_what_is_whole_is_refused(project, arguments, reason):
    """There is nothing to repair, and the reason is given."""
    project.write(TWO)
    assert 0 == project("apply").exit

    refused = project("repair", *arguments, "--yes")

    assert 4 == refused.exit
    assert reason in refused.err
    assert 2 == len(project.history())


@pytest.mark.parametrize(
    "arguments",
    [["baseline", "1"], ["repair", "1", "--forget"], ["unlock"], ["rollback"]],
)
def test_fenced_verbs_ask_first(project, arguments):
    """Where nobody can be asked and --yes is not given, nothing is done."""
    project.write({"0001_a.sql": "SELECT 1;", "0001_a.down.sql": "SELECT 1;"})
    if arguments[0] != "baseline":
        assert 0 == project("apply").exit
    before = project.history()

    refused = project(*arguments)

    assert refused.exit in {2, 4}
    assert before == project.history()
