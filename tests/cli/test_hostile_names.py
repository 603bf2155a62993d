"""Names made to break quoting: of the history, and of everything a migration creates."""

import pytest

#: Every character that means something to somebody between a file and a catalog.
SPITEFUL = """a"; DROP TABLE b; --'c'.d\\e{f}%s%(g)s$$ /*h*/\n:i 名"""
LONG = "名" * 21  # 63 bytes: as long as a name can be


def quoted(name):
    """Quote a name, as the server would."""
    return '"' + name.replace('"', '""') + '"'


def files(name):
    """Return files that create one thing of each kind, called alike, and remove some."""
    n = quoted(name)

    def other(letter):
        return quoted(letter + name[:-1])

    made = f"""
    CREATE SCHEMA {n};
    CREATE TABLE {n}.{n} ({n} int CONSTRAINT {n} CHECK ({n} > 0));
    CREATE INDEX {other("i")} ON {n}.{n} ({n});
    CREATE VIEW {n}.{other("v")} AS SELECT * FROM {n}.{n};
    CREATE MATERIALIZED VIEW {n}.{other("m")} AS SELECT * FROM {n}.{n};
    CREATE SEQUENCE {n}.{other("s")};
    CREATE TYPE {n}.{other("t")} AS ENUM ('a');
    CREATE FUNCTION {n}.{n}(x {n}.{other("t")}) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION {n}.{other("t")}() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER {n} BEFORE INSERT ON {n}.{n} EXECUTE FUNCTION {n}.{other("t")}();
    """
    return {
        "0001_made.sql": made,
        "0002_column.sql": f"ALTER TABLE {n}.{n} ADD COLUMN {other('k')} int;",
        "0003_index.sql": f"CREATE INDEX CONCURRENTLY {other('j')} ON {n}.{n} ({n});\n"
        f"CREATE INDEX CONCURRENTLY ON {n}.{n} ({other('k')});",
        "0004_moved.sql": f"DROP MATERIALIZED VIEW {n}.{other('m')};\n"
        f"ALTER TABLE {n}.{n} RENAME TO {other('z')};\nCREATE TABLE {n}.{n} ();",
    }


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
