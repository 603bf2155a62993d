"""A schema that shadows the server's own: functions, operators, types and relations.

Used by the tests of hostile servers. Whoever resolves a name through such a schema is told
so by an error. A shadow that PL/pgSQL cannot make (of ``"any"``, of ``internal``) is left
out.
"""

import contextlib
import re
from collections.abc import Collection
from pathlib import Path

from tests.fix_cli import CHECKOUT
from tests.fix_postgres import Database

#: What the error of a shadow says.
USED = "a shadow of"
#: Every kind of statement of ours: captures, progress, debris, sweeps, checks, undo.
FILES = {
    "0001_table.sql": "CREATE TABLE public.a (n integer);\nINSERT INTO public.a VALUES (1);",
    "0001_table.down.sql": "DROP TABLE public.a;",
    "0001_table.verify.sql": "-- it is there\nSELECT true FROM public.a;",
    "0002_index.sql": "CREATE INDEX CONCURRENTLY i ON public.a (n);\n"
    "REINDEX INDEX CONCURRENTLY public.i;\nCREATE TABLE public.b (n integer);",
    "0002_index.down.sql": "DROP INDEX CONCURRENTLY public.i;\nDROP TABLE public.b;",
    "0003_state.sql": "SELECT pg_catalog.pg_advisory_lock(5);\nPREPARE p AS SELECT 1;\n"
    "ALTER TABLE public.a ADD COLUMN m integer;\nCREATE VIEW public.v AS SELECT 1;\n"
    "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql RETURN 1;",
    "0003_state.down.sql": "DROP VIEW public.v;\nDROP FUNCTION public.f();",
    "R__view.sql": "CREATE OR REPLACE VIEW public.w AS SELECT 2;",
}
VERBS = [
    ("apply", "--to", "0001", "--dry-run"),
    ("apply",),
    ("status",),
    ("verify",),
    ("doctor",),
    ("rollback", "--to", "0", "--yes"),
    ("baseline", "0002", "--yes"),
    ("repair", "0002", "--forget", "--yes"),
]
_MAKE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE FUNCTION {schema}.shadow(what pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'a shadow of % was used', what USING ERRCODE = 'XX999'; END $$;
DO $the_shadows_are_made$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT format('CREATE FUNCTION {schema}.%I(%s) RETURNS %s LANGUAGE plpgsql AS '
                  '$f$ BEGIN PERFORM {schema}.shadow(%L); END $f$',
                  proname, pg_get_function_identity_arguments(oid),
                  pg_get_function_result(oid), proname) AS sql
      FROM pg_proc
     WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a')
       AND ({all} OR proname = ANY ({names}))
    UNION ALL
    SELECT format('CREATE FUNCTION {schema}."of %s"(%s) RETURNS %s LANGUAGE plpgsql AS '
                  '$f$ BEGIN PERFORM {schema}.shadow(%L); END $f$; '
                  'CREATE OPERATOR {schema}.%s (%s FUNCTION = {schema}."of %s")',
                  oid, concat_ws(', ', nullif(oprleft, 0)::regtype, oprright::regtype),
                  oprresult::regtype, oprname, oprname,
                  concat('LEFTARG = ' || nullif(oprleft, 0)::regtype || ', ',
                         'RIGHTARG = ', oprright::regtype, ','), oid)
      FROM pg_operator
     WHERE oprnamespace = 'pg_catalog'::regnamespace AND ({all} OR oprname = ANY ({names}))
    UNION ALL
    SELECT format('CREATE DOMAIN {schema}.%I AS pg_catalog.%I CHECK ({schema}.shadow(%L))',
                  typname, typname, typname)
      FROM pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0
       AND ({all} OR typname = ANY ({names}))
    UNION ALL
    SELECT format('CREATE VIEW {schema}.%I AS SELECT * FROM pg_catalog.%I '
                  'WHERE {schema}.shadow(%L)', relname, relname, relname)
      FROM pg_class
     WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
       AND ({all} OR relname = ANY ({names}))
  LOOP
    BEGIN
      EXECUTE one.sql;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END $the_shadows_are_made$;
"""
_HISTORY = """
CREATE TABLE {schema}.schema_migrations (version pg_catalog.text, state pg_catalog.text);
CREATE TABLE {schema}.schema_migrations_lease (run_id pg_catalog.text);
"""


def words_of_the_engine() -> set[str]:
    """Return every word and operator that stands in what sends our statements."""
    found: set[str] = set()
    for path in Path(CHECKOUT, "migrate").rglob("*"):
        if path.suffix in {".py", ".sql"}:
            text = path.read_text()
            found |= set(re.findall(r"[a-z_0-9]+|[-+*/<>=~!@#%^&|?]+", text))
    return found


def shadow(database: Database, schema: str, only: Collection[str] = ()) -> None:
    """Make the shadows, of ``only`` these names if any are given; put them in front.

    ``public`` is behind them in the path, so that a file's own tables are found.
    """
    listed = ", ".join(f"$q${name}$q$" for name in sorted(only))
    given = {
        "{schema}": schema,
        "{names}": f"ARRAY[{listed}]::text[]",
        "{all}": "false" if only else "true",
    }
    sql = _MAKE + _HISTORY
    for place, text in given.items():
        sql = sql.replace(place, text)
    with contextlib.closing(database.connect()) as session, session.cursor() as cursor:
        cursor.execute(sql)
        path = f"{schema}, pg_catalog, public"
        cursor.execute(f'ALTER DATABASE "{database.name}" SET search_path = {path}')
        session.commit()
