"""Nothing that a search_path puts in front of the server's own names reaches our statements."""

import pytest

from tests.faults.shadows import USED, shadow, words_of_the_engine

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
POOLED = [("apply",), ("rollback", "--to", "0", "--yes")]


@pytest.mark.parametrize(
    ("mode", "verbs"), [("", VERBS), ("transaction", POOLED)], ids=["direct", "pooled"]
)
def test_our_statements_see_no_shadow(project, pgbouncer, mode, verbs):
    """Functions, operators, types, catalogs and a history of the same names in a schema
    that stands first in the path: no verb uses any of them, with or without a pooler.
    """
    shadow(project.database, "evil", words_of_the_engine())
    project.write(FILES)
    address = pgbouncer(project.database, mode).url if mode else project.database.url

    runs = {verb: project(*verb, env={"DATABASE_URL": address}) for verb in verbs}

    said = {verb: run.err for verb, run in runs.items()}
    assert not [verb for verb, text in said.items() if USED in text], said
    assert dict.fromkeys(verbs, 0) == {verb: r.exit for verb, r in runs.items()}, said
