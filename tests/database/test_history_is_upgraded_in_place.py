"""An older layout of the history table becomes the present one, rows kept, and it is said."""

import hashlib
import json

import pytest

from migrate.postgres.history import LAYOUT
from migrate.postgres.sql import named_statements

FILES = {"0001_a.sql": "CREATE TABLE a (id int);", "0002_b.sql": "CREATE TABLE b ();"}


def layout_1(project):
    """Make the first release's table, with one migration applied by it."""
    create = named_statements("history.sql")["layout 1"]
    digest = hashlib.sha256(FILES["0001_a.sql"].encode()).hexdigest()
    project.database.psql(
        create.format(table="public.schema_migrations")
        + "COMMENT ON TABLE schema_migrations IS 'cloudrun-migrate history, layout 1';"
        + FILES["0001_a.sql"]
        + "INSERT INTO schema_migrations (version, name, description, checksum,"
        " executed_at, duration_ms, executed_by, tool_version, build_id) VALUES"
        f" ('0001', 'a', 'The first', 'sha256:{digest}', '2024-05-06 07:08:09+00', 42,"
        " 'someone', '0.0.1', 'build-1')"
    )


def row(project):
    """Return what the first release wrote."""
    return project.database.rows(
        "SELECT version, name, description, checksum, executed_at, duration_ms,"
        " executed_by, state, tool_version, build_id FROM schema_migrations"
        " WHERE version = '0001'"
    )


def test_apply_upgrades_it_and_says_so(project):
    """The old row is as it was; the new one has everything; the layout is written down."""
    layout_1(project)
    before = row(project)
    project.write(FILES)

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert f"History table upgraded from layout 1 to {LAYOUT}" in finished.out
    assert before == row(project)
    assert [("0001", "applied"), ("0002", "applied")] == project.history()
    assert [(f"cloudrun-migrate history, layout {LAYOUT}",)] == project.database.rows(
        "SELECT obj_description('schema_migrations'::regclass, 'pg_class')"
    )
    assert 0 == project("verify").exit


def test_an_upgraded_table_is_the_table_a_new_database_gets(project):
    """Columns, types, defaults and constraints are equal, in the same order."""
    shape = (
        "SELECT column_name, data_type, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_name = 'schema_migrations'"
        " ORDER BY ordinal_position"
    )
    project.write(FILES)
    assert 0 == project("apply").exit
    fresh = project.database.rows(shape)
    project.database.psql("DROP TABLE schema_migrations, a, b")
    layout_1(project)

    assert 0 == project("apply").exit

    assert fresh == project.database.rows(shape)


@pytest.mark.parametrize("verb", ["status", "plan", "doctor"])
def test_looking_upgrades_nothing(project, verb):
    """Only a run that writes changes the layout."""
    layout_1(project)
    project.write(FILES)
    before = (
        project.snapshot(),
        project.database.rows("SELECT * FROM schema_migrations"),
    )

    looked = project(verb)

    assert 0 == looked.exit, looked.err
    assert before == (
        project.snapshot(),
        project.database.rows("SELECT * FROM schema_migrations"),
    )


@pytest.mark.parametrize("verb", ["verify", "rollback"])
def test_other_verbs_work_on_an_older_layout(project, verb):
    """What the older table cannot tell is not asked of it; nothing crashes."""
    layout_1(project)
    project.write(
        {"0001_a.sql": FILES["0001_a.sql"], "0001_a.down.sql": "DROP TABLE a;"}
    )

    finished = project(verb, *(["--yes"] if verb == "rollback" else []))

    assert 0 == finished.exit, finished.err


def test_a_dry_run_on_an_older_layout_leaves_it_as_it_was(project):
    """The upgrade is tried with everything else, and rolled back with it."""
    layout_1(project)
    project.write(FILES)
    before = project.database.rows("SELECT * FROM schema_migrations")

    finished = project("apply", "--dry-run")

    assert 0 == finished.exit, finished.err
    assert before == project.database.rows("SELECT * FROM schema_migrations")
    assert "b" not in project.tables()


def test_the_upgrade_is_told_as_an_event(project):
    """A machine reads both numbers."""
    layout_1(project)
    project.write(FILES)

    finished = project("apply", "--output", "json")
    events = [json.loads(line) for line in finished.out.splitlines()]

    assert [{"before": 1, "after": LAYOUT}] == [
        e["fields"] for e in events if e["event"] == "HistoryUpgraded"
    ]


@pytest.mark.parametrize("verb", ["apply", "status", "rollback", "baseline", "doctor"])
def test_a_newer_layout_is_refused_by_every_verb(project, verb):
    """Exit 4 with both numbers; nothing is read into it, nothing is written."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.database.psql(
        f"COMMENT ON TABLE schema_migrations IS"
        f" 'cloudrun-migrate history, layout {LAYOUT + 1}'"
    )
    arguments = {"baseline": ["1", "--yes"], "rollback": ["--yes"]}.get(verb, [])

    refused = project(verb, *arguments)

    assert 4 == refused.exit
    assert (
        f"has layout {LAYOUT + 1}; this release knows up to {LAYOUT}"
        in refused.err + refused.out
    )
    assert 2 == len(project.history())
