"""Which statements cannot run in a transaction, by PostgreSQL's documentation up to 18.

Each look-alike that can is listed too: calling it non-transactional would cost its file
the promise that it lands whole or not at all.
"""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.classify import (
    Control,
    IndexBuild,
    Redo,
    alone,
    altered_table,
    changes_session,
    control,
)
from migrate.classify import index_build as build_of
from migrate.statements import Splitter


def statement(text: str):
    (found,) = Splitter(io.BytesIO(text.encode()), "a.sql")
    return found


ALONE = {
    "VACUUM": Redo.AGAIN,
    "vacuum (full, analyze) t": Redo.AGAIN,
    "CREATE DATABASE d": Redo.EXISTS,
    "DROP DATABASE IF EXISTS d": Redo.EXISTS,
    "CREATE TABLESPACE s LOCATION '/s'": Redo.EXISTS,
    "DROP TABLESPACE s": Redo.EXISTS,
    "ALTER SYSTEM SET work_mem = '1GB'": Redo.AGAIN,
    "ALTER SYSTEM RESET ALL": Redo.AGAIN,
    "ALTER DATABASE d SET TABLESPACE s": Redo.AGAIN,
    "DISCARD ALL": Redo.AGAIN,
    "CREATE INDEX CONCURRENTLY ON t (a)": Redo.INDEX,
    "create unique index /* soon */ concurrently i on t (a)": Redo.INDEX,
    "CREATE INDEX -- a\n CONCURRENTLY IF NOT EXISTS i ON t (a)": Redo.INDEX,
    "DROP INDEX CONCURRENTLY IF EXISTS i": Redo.EXISTS,
    "REINDEX INDEX CONCURRENTLY i": Redo.INDEX,
    "REINDEX (VERBOSE, CONCURRENTLY) TABLE t": Redo.INDEX,
    "REINDEX SCHEMA CONCURRENTLY s": Redo.INDEX,
    "REINDEX SCHEMA s": Redo.AGAIN,
    "REINDEX (VERBOSE) DATABASE d": Redo.AGAIN,
    "REINDEX SYSTEM": Redo.AGAIN,
    "CLUSTER": Redo.AGAIN,
    "CLUSTER;": Redo.AGAIN,
    "CLUSTER VERBOSE;": Redo.AGAIN,
    "CLUSTER (VERBOSE true)": Redo.AGAIN,
    "ALTER TABLE t DETACH PARTITION p CONCURRENTLY": Redo.HUMAN,
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p": Redo.EXISTS,
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot)": Redo.EXISTS,
    "DROP SUBSCRIPTION s": Redo.EXISTS,
    "ALTER SUBSCRIPTION s REFRESH PUBLICATION": Redo.AGAIN,
    "ALTER SUBSCRIPTION s SET PUBLICATION p": Redo.AGAIN,
    "ALTER SUBSCRIPTION s ADD PUBLICATION p": Redo.AGAIN,
    "ALTER SUBSCRIPTION s DROP PUBLICATION p": Redo.AGAIN,
    "ALTER SUBSCRIPTION s SET (failover = true)": Redo.AGAIN,
    "ALTER SUBSCRIPTION s SET (two_phase = false)": Redo.AGAIN,
}


@pytest.mark.parametrize("text", ALONE)
def test_what_cannot_run_in_a_transaction_is_recognised(text):
    """The reason names the command, and a rerun knows what it may do."""
    found = alone(statement(text))

    assert found
    assert ALONE[text] is found.redo
    assert set(text.upper().strip(";").split()) & set(found.reason.split())


TOGETHER = [
    "CREATE INDEX i ON t (a)",
    'CREATE INDEX "CONCURRENTLY" ON t (a)',
    "CREATE INDEX i ON t (a) /* CONCURRENTLY */",
    "CREATE TABLE concurrently_index (a int)",
    "CREATE TABLE t (a text DEFAULT 'CREATE INDEX CONCURRENTLY')",
    "CREATE TABLE database (a int)",
    "CREATE VIEW v AS SELECT 'concurrently' AS index",
    "DROP INDEX i",
    'DROP INDEX "CONCURRENTLY"',
    "DROP TABLE vacuum",
    "DROP TABLE concurrently_gone, index",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    "REINDEX TABLE t",
    "REINDEX INDEX i",
    "REINDEX TABLE schema.system",
    "REINDEX INDEX system",
    'REINDEX TABLE "concurrently"',
    "REINDEX (VERBOSE) TABLE t",
    "CLUSTER t",
    "CLUSTER t USING i",
    "CLUSTER (VERBOSE) t",
    "ALTER TABLE t DETACH PARTITION p",
    "ALTER TABLE t DETACH PARTITION p FINALIZE",
    'ALTER TABLE t DETACH PARTITION "concurrently"',
    "ALTER TABLE concurrently_x ADD a int",
    "ALTER TABLE t SET TABLESPACE s",
    "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
    "ALTER DATABASE d SET work_mem = '1GB'",
    "ALTER DATABASE d OWNER TO app",
    "ALTER TABLESPACE s OWNER TO app",
    "ALTER TYPE mood ADD VALUE 'meh'",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot = false)",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect=false)",
    "ALTER SUBSCRIPTION s ENABLE",
    "ALTER SUBSCRIPTION s CONNECTION 'host=h'",
    "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
    "DISCARD PLANS",
    "ANALYZE",
    "CHECKPOINT",
    "LOCK TABLE t",
    "TRUNCATE t",
    "SELECT 'VACUUM'",
    "(SELECT 1)",
    "CALL p()",
    "DO $$ BEGIN COMMIT; END $$",
    "CREATE PROCEDURE p() LANGUAGE sql AS 'VACUUM'",
    "SET LOCAL work_mem = '1GB'",
]


@pytest.mark.parametrize("text", TOGETHER)
def test_what_only_looks_like_it_may_share_a_transaction(text):
    """A quoted name, a comment or a cousin of a command is not the command."""
    found = alone(statement(text))

    assert found is None


CONTROLS = {
    "BEGIN": Control.BEGIN,
    "begin work": Control.BEGIN,
    "BEGIN TRANSACTION READ ONLY": Control.BEGIN,
    "START TRANSACTION": Control.BEGIN,
    "COMMIT": Control.COMMIT,
    "COMMIT AND CHAIN": Control.COMMIT,
    "END": Control.COMMIT,
    "end transaction": Control.COMMIT,
    "ROLLBACK": Control.ROLLBACK,
    "ABORT": Control.ROLLBACK,
    "ROLLBACK PREPARED 'x'": Control.OTHER,
    "COMMIT PREPARED 'x'": Control.OTHER,
    "PREPARE TRANSACTION 'x'": Control.OTHER,
    "ROLLBACK TO a": Control.NONE,
    "ROLLBACK WORK TO SAVEPOINT a": Control.NONE,
    "SAVEPOINT a": Control.NONE,
    "RELEASE a": Control.NONE,
    "PREPARE q AS SELECT 1": Control.NONE,
    "SET TRANSACTION READ ONLY": Control.NONE,
    "START": Control.NONE,
    "DO $$ BEGIN END $$": Control.NONE,
    "SELECT 1": Control.NONE,
    '"BEGIN"': Control.NONE,
}


@pytest.mark.parametrize("text", CONTROLS)
def test_what_a_statement_does_to_its_transaction(text):
    """Savepoints do nothing to it; two-phase commands are a thing of their own."""
    found = control(statement(text))

    assert CONTROLS[text] is found


BUILDS = {
    "CREATE INDEX CONCURRENTLY i ON t (a)": ("I", "T"),
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)": ("I", "T"),
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY t USING gin (a)": ("I", "T"),
    "CREATE INDEX CONCURRENTLY ON t (a)": (None, "T"),
    'CREATE INDEX CONCURRENTLY "My ON" ON "My"."T""x" (a)': ('"My ON"', '"My"."T""x"'),
    "CREATE INDEX CONCURRENTLY i ON s.t (a)": ("I", "S.T"),
    "CREATE INDEX CONCURRENTLY i ON d.s.t (a)": ("I", "D.S.T"),
    "CREATE INDEX CONCURRENTLY größe ON über (a)": ("GRößE", "üBER"),
    "CREATE /* ON x */ INDEX CONCURRENTLY i -- ON y\n ON t": ("I", "T"),
}


@pytest.mark.parametrize("text", BUILDS)
def test_an_index_build_names_index_and_table(text):
    """Quotes are kept; bare words are folded by case as the lexer folds them."""
    found = build_of(statement(text))

    assert IndexBuild(*BUILDS[text]) == found


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON t (a)",
        "REINDEX INDEX CONCURRENTLY i",
        "DROP INDEX CONCURRENTLY i",
        "CREATE TABLE t (concurrently int, index int)",
        "CREATE INDEX CONCURRENTLY i",
        "CREATE INDEX CONCURRENTLY",
        "CREATE INDEX CONCURRENTLY i ON",
        "CREATE INDEX CONCURRENTLY i ON ONLY",
    ],
)
def test_what_builds_no_index_that_way_names_none(text):
    """That includes what is no statement at all: the server will say so."""
    found = build_of(statement(text))

    assert found is None


SESSION = {
    "SET search_path = a": True,
    "SET SESSION work_mem = '1GB'": True,
    "SET ROLE app": True,
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": True,
    "RESET ALL": True,
    "SELECT set_config('a.b', '1', false)": True,
    "CREATE TEMP TABLE t (a int)": True,
    "CREATE LOCAL TEMPORARY TABLE t (a int)": True,
    "CREATE GLOBAL TEMP TABLE t (a int)": True,
    "CREATE OR REPLACE TEMP VIEW v AS SELECT 1": True,
    "PREPARE q AS SELECT 1": True,
    "LISTEN c": True,
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": True,
    "LOAD 'plpgsql'": True,
    "SET LOCAL work_mem = '1GB'": False,
    "SET TRANSACTION READ ONLY": False,
    "SET CONSTRAINTS ALL DEFERRED": False,
    "SELECT 1": False,
    "CREATE TABLE temp (a int)": False,
    "CREATE OR REPLACE VIEW temp AS SELECT 1": False,
    "CREATE INDEX i ON t (a)": False,
    "UPDATE t SET a = 1": False,
    "(SELECT 1)": False,
}


@pytest.mark.parametrize("text", SESSION)
def test_what_the_statements_after_it_may_rely_on(text):
    """A transaction pooler would lose it between two statements."""
    found = changes_session(statement(text))

    assert SESSION[text] is found


WORDS = st.sampled_from([
    "CREATE", "DROP", "ALTER", "REINDEX", "CLUSTER", "VACUUM",
    "INDEX", "CONCURRENTLY", "ON", "ONLY", "DATABASE", "SUBSCRIPTION",
    "SET", "TEMP", "TABLESPACE", "DETACH", "i", ".",
    "(", ")", ",", "'x'",
])  # fmt: skip


@given(st.lists(WORDS, min_size=1, max_size=12))
def test_no_order_of_words_is_too_much(words):
    """What is no SQL is judged without an error: the server will refuse it."""
    found = list(Splitter(io.BytesIO(" ".join(words).encode()), "a.sql"))

    for one in found:
        reason, build = alone(one), build_of(one)
        assert control(one) in Control
        assert reason is None or reason.reason
        assert build is None or build.table
        assert changes_session(one) in {True, False}


def test_only_the_head_of_a_statement_is_read():
    """A statement of a megabyte is judged by its beginning."""
    long = "CREATE INDEX CONCURRENTLY i ON t (a) WHERE a IN (" + "1, " * 100_000 + "2)"

    found = alone(statement(long))

    assert found
    assert Redo.INDEX is found.redo


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ALTER TABLE t ADD COLUMN a int", "T"),
        ("ALTER TABLE IF EXISTS ONLY app.t ADD COLUMN a int", "APP.T"),
        ('ALTER TABLE "Odd one"."T" ADD a int', '"Odd one"."T"'),
        ("ALTER TABLE", ""),
    ],
)
def test_an_altered_table_is_named_as_written(text, name):
    """Bare words come in capitals, which the server folds again."""
    assert name == altered_table(statement(text))
