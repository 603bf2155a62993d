"""Names made to break quoting, and files that create one thing of each kind called so.

Used by the tests of the command line and by the fault of hostile servers.
"""

import random

#: Every character that means something to somebody between a file and a catalog.
SPITEFUL = """a"; DROP TABLE b; --'c'.d\\e{f}%s%(g)s$$ /*h*/\n:i 名"""
_MOST_BYTES = 63
LONG = "名" * 21  # as long as a name can be


def quoted(name: str) -> str:
    """Quote a name, as the server would."""
    return '"' + name.replace('"', '""') + '"'


def files(name: str) -> dict[str, str]:
    """Return files that create one thing of each kind, called alike, and remove some."""
    n = quoted(name)

    def other(letter: str) -> str:
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


def a_name(chance: random.Random) -> str:
    """Return a name of spiteful characters, as long as the server allows, or shorter."""
    letters = f"{SPITEFUL}ä€𝄞\t\r\x01;$&|<>*?[]()!~`^=+,"
    name = "".join(chance.choice(letters) for _ in range(chance.randint(1, 63)))
    while len(name.encode()) > _MOST_BYTES:
        name = name[:-1]
    return name if chance.randrange(4) else "x" * (_MOST_BYTES - 2) + "ä"
