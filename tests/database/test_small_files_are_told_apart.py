"""Small migrations share a message, and what is told of each is its own all the same."""

import json

import pytest

from tests.observing import finish, holding, until_said

SPEAKER = (
    "CREATE FUNCTION speak(what text) RETURNS void LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE WARNING 'said %', what; END $$"
)
SLEEP = "SELECT pg_sleep({});"


def told(finished, *kinds):
    """Return (event, fields) of the JSON lines of these kinds."""
    lines = [json.loads(line) for line in finished.out.splitlines()]
    return [(one["event"], one["fields"]) for one in lines if one["event"] in kinds]


def fields(finished, kind, *names):
    """Return those fields of every event of the kind."""
    return [tuple(one[n] for n in names) for _, one in told(finished, kind)]


def kept(project):
    """Return (version, duration) as the history has them."""
    return project.database.rows(
        "SELECT version, duration_ms::float8 FROM schema_migrations ORDER BY version"
    )


def test_each_has_the_duration_that_the_history_has(project):
    """No average: the one that slept is the slow one, in both forms and in the end."""
    times = {"0001_a.sql": 0, "0002_b.sql": 0.4, "0003_c.sql": 0}
    project.write({file: SLEEP.format(time) for file, time in times.items()})

    finished = project("apply", "--output", "json")

    applied = fields(finished, "Applied", "version", "duration_ms")
    assert kept(project) == applied
    assert 400 <= applied[1][1] > 4 * applied[2][1]
    ((_, end),) = told(finished, "End")
    assert applied == [(one["version"], one["duration_ms"]) for one in end["done"]]


def test_those_before_a_failure_have_theirs_as_well(project):
    """The message failed, and the history was asked how far it came."""
    project.write(
        {
            "0001_a.sql": SLEEP.format(0),
            "0002_b.sql": SLEEP.format(0.3),
            "0003_c.sql": "SELECT 1/0;",
        }
    )

    failed = project("apply", "--output", "json")

    assert 7 == failed.exit
    assert kept(project) == fields(failed, "Applied", "version", "duration_ms")


def test_in_one_transaction_no_duration_is_made_up(project):
    """Nobody measured each: neither lines nor the end name one."""
    project.write({f"000{n}_t.sql": f"CREATE TABLE t{n} ();" for n in (1, 2)})

    finished = project("apply", "--single-transaction", "--output", "json")
    project.write({"0003_t.sql": "SELECT 1;", "0004_t.sql": "SELECT 1;"})
    text = project("apply", "--single-transaction")

    assert [(None,)] * 2 == fields(finished, "Applied", "duration_ms")
    assert "✓ 0003_t.sql\n" in text.out


def test_only_those_that_were_reached_have_begun(project):
    """A failure in the message: nobody reads that those after it were executed."""
    project.write(
        {f"000{n}_t.sql": f"CREATE TABLE t{n} ();" for n in (1, 2, 4, 5)}
        | {"0003_t.sql": "SELECT 1/0;"}
    )

    failed = project("apply", "--output", "json")

    found = [(kind, one["number"] if kind == "Executing" else one["version"])
             for kind, one in told(failed, "Executing", "Applied")]  # fmt: skip
    assert [
        *(("Executing", 1), ("Applied", "0001")),
        *(("Executing", 2), ("Applied", "0002"), ("Executing", 3)),
    ] == found
    ((_, end),) = told(failed, "End")
    assert ["0004", "0005"] == end["not_tried"]


def test_in_one_transaction_only_those_reached_have_begun(project):
    """All is rolled back; the last that is told of is the one that failed."""
    project.write(
        {f"000{n}_t.sql": f"CREATE TABLE t{n} ();" for n in (1, 2, 4)}
        | {"0003_t.sql": "SELECT 1/0;"}
    )

    failed = project("apply", "--single-transaction", "--output", "json")

    assert [(1,), (2,), (3,)] == fields(failed, "Executing", "number")


def test_notices_that_cannot_be_told_apart_come_under_the_range(project):
    """A message's notices name no place in it."""
    project.database.psql(SPEAKER)
    project.write({f"000{n}_t.sql": f"SELECT speak('{n}');" for n in (1, 2, 3)})

    finished = project("apply", "--output", "json")

    files = "0001_t.sql to 0003_t.sql"
    expected = [(files, f"WARNING:  said {n}") for n in (1, 2, 3)]
    assert expected == fields(finished, "Notice", "file", "text")


def test_warnings_of_those_that_were_committed_survive_a_failure(project):
    """The message failed at the third; what the first two said is told."""
    project.database.psql(SPEAKER)
    project.write(
        {f"000{n}_t.sql": f"SELECT speak('{n}');" for n in (1, 2, 4)}
        | {"0003_t.sql": "SELECT 1/0;"}
    )

    failed = project("apply")

    said = [line for line in failed.out.splitlines() if "said" in line]
    where = "  0001_t.sql to 0003_t.sql: WARNING:  said "
    assert [where + "1", where + "2"] == said


def test_warnings_of_the_one_that_fails_are_told(project):
    """Once, under its own name: they may say why it failed."""
    project.database.psql(SPEAKER)
    bad = "SELECT speak('bad');\nSELECT 1/0;"
    project.write({"0001_t.sql": bad, "0002_t.sql": "SELECT 1;"})

    failed = project("apply", "--output", "json")

    assert 7 == failed.exit
    found = fields(failed, "Notice", "file", "text")
    assert [("0001_t.sql", "WARNING:  said bad")] == found


def test_files_that_will_make_the_server_speak_go_alone(project):
    """Their notices come under their own names."""
    project.write(
        {f"000{n}_t.sql": f"DROP TABLE IF EXISTS t{n};" for n in (1, 2)}
        | {"0003_t.sql": "DO $$ BEGIN RAISE NOTICE 'three'; END $$;"}
        | {"0004_t.sql": "SELECT 4;"}
    )

    finished = project("apply", "--output", "json")

    found = [file for (file,) in fields(finished, "Notice", "file")]
    assert ["0001_t.sql", "0002_t.sql", "0003_t.sql"] == found


@pytest.mark.parametrize(
    ("how", "named"),
    [((), "0002_t.sql"), (("--single-transaction",), "0001_t.sql to 0003_t.sql")],
    ids=["each commits", "one transaction"],
)
def test_the_file_that_waits_for_a_lock_is_named(project, start_migrate, how, named):
    """The one that waits, where the history tells; else the range, never a wrong one."""
    project.database.psql("CREATE TABLE busy (n int)")
    project.write(
        {
            "0001_t.sql": "CREATE TABLE t1 ();",
            "0002_t.sql": "ALTER TABLE busy ADD COLUMN m int;",
            "0003_t.sql": "CREATE TABLE t3 ();",
        }
    )
    with holding(project.database, "SELECT n FROM busy"):
        run = start_migrate(
            *("apply", "--dir", project.directory, *how, "--lock-timeout", "20s"),
            env={"DATABASE_URL": project.database.url},
        )
        said = until_said(run, "waits for a lock")

    ended = finish(run)

    assert 0 == ended.exit, ended.err
    assert f"[Migration] {named} waits for a lock" in said
