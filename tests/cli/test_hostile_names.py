"""Names made to break quoting: of the history, and of everything a migration creates."""

import pytest

from tests.faults.names import LONG, SPITEFUL, files


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.mark.parametrize("name", [SPITEFUL, LONG], ids=["spiteful", "long"])
def test_whatever_a_thing_is_called_it_is_recorded(project, name):
    """Each is entered as created, ``verify`` finds it, and what is gone is known to be."""
    project.write(files(name))

    applied = project("apply")
    verified = project("verify")

    created = project.database.rows(
        "SELECT version, cardinality(created), cardinality(removed)"
        " FROM schema_migrations ORDER BY version"
    )
    assert [0, 0] == [applied.exit, verified.exit], applied.err + verified.err
    assert [("0001", 12, 0), ("0002", 1, 0), ("0003", 2, 0)] == created[:3]
    assert ("0004", 1) == created[3][:2]


UNDONE = [
    ("apply",),
    ("repair", "0002", "--forget", "--yes"),
    ("rollback", "--yes"),
    ("doctor",),
]


@pytest.mark.parametrize(
    ("name", "mode", "verbs"),
    [
        (SPITEFUL, "", UNDONE),
        (SPITEFUL, "transaction", UNDONE[:1]),
        (LONG, "transaction", UNDONE[:1]),
    ],
    ids=["spiteful, direct", "spiteful, pooled", "long, pooled"],
)
def test_whatever_the_history_is_called_it_is_kept(
    project, pgbouncer, name, mode, verbs
):
    """Schema and table may have any name: progress, lease, undo and repair find them."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (n int);",
            "0001_a.down.sql": "DROP TABLE a;",
            "0002_i.sql": "CREATE INDEX CONCURRENTLY i ON a (n);\nSELECT 1;",
        }
    )
    address = pgbouncer(project.database, mode).url if mode else project.database.url
    where = ("--schema", name, "--table", name)

    runs = [project(*verb, *where, env={"DATABASE_URL": address}) for verb in verbs]

    assert [0] * len(verbs) == [run.exit for run in runs], [run.err for run in runs]
