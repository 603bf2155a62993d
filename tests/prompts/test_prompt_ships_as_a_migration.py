"""A prompt is exported here, applied there by the engine, and served there."""

import contextlib
import shutil

import psycopg2
import pytest

from prompts import catalogue, export
from prompts.prompt import make
from prompts.store import Link
from tests.fix_cli import CHECKOUT
from tests.prompts.payload import NLU, VALUES, add_version, run

TEXT = "It's $5 \\ 100 % {{user_input}} $prompt$ {{grade_level}} 🙂 \"q\" 'q'"


@pytest.fixture
def pipeline(postgres_server, run_migrate, tmp_path):
    """Give the next environment: migrations, the address, and the engine to apply them."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    for file in (CHECKOUT / "migrations").glob("0001_*"):
        shutil.copy(file, directory)
    shutil.copy(CHECKOUT / "prompts/grants.sql", directory / "R__prompts_grants.sql")
    name = postgres_server.create_database()
    env = {"DATABASE_URL": postgres_server.url(name), "MIGRATE_DIR": str(directory)}
    yield directory, postgres_server.dsn(name), lambda: run_migrate("apply", env=env)
    postgres_server.drop_database(name)
    with postgres_server.admin().cursor() as admin:
        admin.execute("DROP ROLE IF EXISTS prompts_application")


def create(database, text=TEXT, **fields):
    """Write the next version, as the command line does."""
    source = Link(database.dsn, answer_ms=5_000, retries=0)
    with contextlib.closing(source):
        given = {"name": NLU, "template_text": text, "actor": "ada", **fields}
        return catalogue.create(source, given)["version"]


def test_exported_prompt_is_applied_by_the_engine_and_served(
    database, prompts, pipeline, a_service
):
    """Written in one environment, promoted to the next by the pipeline: the same text."""
    create(database, system_prompt="Be kind.", note="it's shorter")
    directory, next_database, apply = pipeline

    exported = prompts("export", NLU, 2, "--dir", directory, "--activate")
    applied = apply()
    here = a_service(database.dsn).resolve(NLU, version=2)
    there = a_service(next_database).render(NLU, VALUES)

    assert 0 == exported.exit, exported.err
    assert 0 == applied.exit, applied.out + applied.err
    assert f"0002_prompt_{NLU}_v2.sql" in exported.out
    assert ("database", 2) == (there.prompt.source, there.prompt.version)
    assert (here.content_hash, TEXT) == (
        there.prompt.content_hash,
        there.prompt.template_text,
    )
    assert "It's $5 \\ 100 % Why is the sky blue? $prompt$ 6 🙂 \"q\" 'q'" == there.text


def exported_sql(database, version, *, activate=False):
    """Return the migration of a version."""
    source = Link(database.dsn, answer_ms=5_000, retries=0)
    with contextlib.closing(source):
        prompt = make(catalogue.details(source, {"name": NLU, "version": version}))
        return export.migration(prompt, "", activate=activate)


def test_migration_applied_again_changes_nothing(database):
    """Idempotent; and a rollback since then stays what somebody decided."""
    version = create(database)
    sql = exported_sql(database, version, activate=True)
    run(database, sql)
    run(
        database,
        f"UPDATE prompt_templates SET is_active = true WHERE name = '{NLU}' AND version = 1",
    )
    rows = "SELECT to_jsonb(t) FROM prompt_templates t ORDER BY name, version"
    before = database.rows(rows)

    run(database, sql)

    assert before == database.rows(rows)


def test_version_that_is_there_with_another_text_stops_the_migration(database):
    """Two people wrote version 2: the second one hears of it before COMMIT."""
    sql = exported_sql(database, create(database))
    run(database, f"DELETE FROM prompt_templates WHERE name = '{NLU}' AND version = 2")
    add_version(database, 2)

    with pytest.raises(
        psycopg2.errors.RaiseException, match="is there with another text"
    ):
        run(database, sql)


def test_carriage_returns_survive(database):
    """Git may rewrite the ends of lines; an escaped one is no end of a line."""
    run(
        database,
        "INSERT INTO prompt_templates (name, version, category, purpose, template_text,"
        f" variables) VALUES ('{NLU}', 2, 'nlu', 'x', E'a\\r\\nb''\\\\ {{{{x}}}}', '[\"x\"]')",
    )

    sql = exported_sql(database, 2)

    assert "\r" not in sql
    run(database, f"DELETE FROM prompt_templates WHERE name = '{NLU}' AND version = 2")
    run(database, sql)  # the hash is checked in it
