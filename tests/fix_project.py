"""A directory of migrations and a database that belong together.

Asked for by the tests of what the verbs do: ``project.write({...})`` then
``project("apply")``. Holds no expectation of its own.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fix_cli import Finished
from tests.fix_postgres import Database

SNAPSHOT = """
SELECT format('%s %s %s', k.nspname, c.relkind, c.relname)
  FROM pg_class c JOIN pg_namespace k ON k.oid = c.relnamespace
 WHERE k.nspname NOT IN ('pg_catalog', 'information_schema') AND k.nspname !~ '^pg_'
UNION ALL
SELECT format('%s function %s', n.nspname, p.oid::regprocedure)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT format('%s type %s', n.nspname, t.typname)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
UNION ALL
SELECT format('schema %s', nspname) FROM pg_namespace
 WHERE nspname !~ '^pg_(temp|toast_temp)'
 ORDER BY 1
"""


class Project(NamedTuple):
    """Migrations, the database they are for, and the program."""

    directory: Path
    database: Database
    run: Callable[..., Finished]
    build: Callable[..., Path]

    def __call__(
        self, *args: object, env: Mapping[str, str] | None = None, **more: Any
    ) -> Finished:
        """Run ``python -m migrate …`` on this directory and database."""
        own = {
            "DATABASE_URL": self.database.url,
            "MIGRATE_DIR": str(self.directory),
            "MIGRATE_WAIT": "0",
        }
        return self.run(*args, env={**own, **(env or {})}, **more)

    def write(self, files: Mapping[str, str | bytes]) -> "Project":
        """Add or replace files."""
        self.build(files)
        return self

    def tables(self) -> list[str]:
        """Return the tables and views outside the system schemas, sorted."""
        rows = self.database.rows(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'p',"
            " 'v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_)'"
            " ORDER BY 1"
        )
        return [str(name) for (name,) in rows]

    def snapshot(self) -> list[str]:
        """Return the names of everything a migration can create."""
        return [str(name) for (name,) in self.database.rows(SNAPSHOT)]

    def history(self) -> list[tuple[object, ...]]:
        """Return (version, state) in order; nothing where there is no table."""
        if "schema_migrations" not in self.tables():
            return []
        return self.database.rows(
            "SELECT version, state FROM schema_migrations ORDER BY version"
        )


@pytest.fixture
def project(blank_database, run_migrate, a_directory) -> Project:
    """Give an empty directory and an empty database."""
    return Project(a_directory({}), blank_database, run_migrate, a_directory)


def outcome(finished: Finished) -> dict[str, Any]:
    """Return the fields of the end marker of a run with ``--output json``."""
    last = json.loads(finished.out.splitlines()[-1])
    assert "End" == last["event"]
    fields: dict[str, Any] = last["fields"]
    return fields
