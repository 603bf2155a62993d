"""What is in a database, as text that two runs can be compared by.

Called by `bench` and `check`. Names instead of object ids, nothing of the time. Reads.
"""

import contextlib
import difflib
from collections.abc import Iterator
from typing import NamedTuple

from psycopg2.extensions import cursor

from tests.fix_postgres import Database

HISTORY = "schema_migrations"

_OBJECTS = """
SELECT line FROM (
SELECT format('relation %s %s %s', c.oid::regclass, c.relkind, c.relpersistence) AS line
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('column %s.%s %s %s %s', c.oid::regclass, a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND c.relkind <> 'i'
UNION ALL
SELECT format('index %s valid %s ready %s', pg_get_indexdef(i.indexrelid), i.indisvalid,
              i.indisready)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('constraint %s %s %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid))
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
UNION ALL
SELECT format('routine %s %s', oid::regprocedure, md5(prosrc))
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL
SELECT format('type %s %s', oid::regtype, typtype)
  FROM pg_type WHERE typnamespace = 'public'::regnamespace
) AS lines WHERE line !~ 'schema_migrations_lease' ORDER BY line COLLATE "C"
"""
_HISTORY = f"""
SELECT version, name, description, checksum, state,
       replace(executed_by, 'guest_' || current_database(), 'postgres'), statements_done,
       at_work, ARRAY(SELECT unnest(created) ORDER BY 1),
       ARRAY(SELECT unnest(removed) ORDER BY 1)
  FROM {HISTORY} ORDER BY version
"""
_COUNTED = """
SELECT format('SELECT %L, count(*) FROM %s', oid::regclass, oid::regclass) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
   AND oid::regclass::text <> 'schema_migrations_lease'
"""
_EFFECTS = "SELECT version, part, count(*) FROM effects GROUP BY 1, 2 ORDER BY 1, 2"


class State(NamedTuple):
    """What a run left: every object, every row's count, the history, the effects."""

    objects: tuple[str, ...]
    rows: tuple[str, ...]
    history: tuple[str, ...]
    effects: tuple[str, ...]

    def difference(self, other: "State") -> str:
        """Return what the other has that this has not, and the other way round."""
        return "\n".join(
            difflib.unified_diff(
                [line for part in self for line in part],
                [line for part in other for line in part],
                *("undisturbed", "after the fault"),
                lineterm="",
                n=0,
            )
        )


def _lines(cursor: cursor, sql: str) -> tuple[str, ...]:
    cursor.execute(sql)
    return tuple(" | ".join(map(str, row)) for row in cursor.fetchall())


@contextlib.contextmanager
def _reading(database: Database) -> Iterator[cursor]:
    with contextlib.closing(database.connect()) as session, session.cursor() as reader:
        yield reader


def _has_history(reader: cursor) -> bool:
    return _lines(reader, f"SELECT to_regclass('{HISTORY}')") != ("None",)


def state_of(database: Database) -> State:
    """Read everything; a database without a history has an empty one."""
    with _reading(database) as reader:
        counted = " UNION ALL ".join(_lines(reader, _COUNTED))
        return State(
            objects=_lines(reader, _OBJECTS),
            rows=tuple(sorted(_lines(reader, counted))),
            history=_lines(reader, _HISTORY) if _has_history(reader) else (),
            effects=_lines(reader, _EFFECTS),
        )


class Entry(NamedTuple):
    """What the history says of one version."""

    state: str
    done: int


class Standing(NamedTuple):
    """What an exit code makes claims about: the history, and each part's effects."""

    entries: dict[str, Entry]
    effects: dict[tuple[str, int], int]

    @property
    def applied(self) -> set[str]:
        """The versions that the history calls applied."""
        return {v for v, entry in self.entries.items() if entry.state == "applied"}

    def of(self, version: str) -> int:
        """How many effects there are of a version."""
        return sum(n for (v, _), n in self.effects.items() if v == version)


def standing(database: Database) -> Standing:
    """Read what a run may have left half-way."""
    with _reading(database) as reader:
        found: dict[str, Entry] = {}
        if _has_history(reader):
            reader.execute(f"SELECT version, state, statements_done FROM {HISTORY}")
            found = {v: Entry(state, done) for v, state, done in reader.fetchall()}
        reader.execute(_EFFECTS)
        return Standing(found, {(v, part): n for v, part, n in reader.fetchall()})
