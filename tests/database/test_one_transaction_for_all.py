"""``--single-transaction`` is all or nothing; ``--dry-run`` is all and then nothing."""

import json

import pytest

from tests.fix_project import outcome

ENUM = {
    "0002_value.sql": "ALTER TYPE mood ADD VALUE 'bad';",
    "0003_use.sql": "CREATE TABLE t (m mood);\nINSERT INTO t VALUES ('bad');",
}


def test_all_or_nothing(project):
    """One failure takes back everything, the first file and the history's rows too."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "CREATE TABLE b (id int);",
            "0003_c.sql": "SELECT 1;\nSELECT 1/0;",
            "0004_d.sql": "CREATE TABLE d (id int);",
        }
    )

    failed = project("apply", "--single-transaction", "--output", "json")
    told = outcome(failed)

    assert (7, "0003_c.sql", []) == (told["exit_code"], told["failed"], told["done"])
    assert "0003_c.sql:2:1:" in told["message"]
    assert [] == project.history()
    assert ["schema_migrations"] == project.tables()


def test_all_in_one_transaction(project):
    """Every row was written by one and the same transaction."""
    project.write({f"000{n}_t.sql": f"CREATE TABLE t{n} ();" for n in range(1, 5)})

    finished = project("apply", "--single-transaction")

    assert 0 == finished.exit, finished.err
    assert [(1, 4)] == project.database.rows(
        "SELECT count(DISTINCT xmin::text), count(*) FROM schema_migrations"
    )
    assert "4 applied" in finished.out


@pytest.mark.parametrize("how", ["--single-transaction", "--dry-run"])
def test_an_enum_value_used_before_its_commit_is_named(project, how):
    """The error says which rule of enums it is; one by one the files can be applied."""
    project.write({"0001_type.sql": "CREATE TYPE mood AS ENUM ('good');"})
    assert 0 == project("apply").exit
    project.write(ENUM)

    failed = project("apply", how)

    assert 7 == failed.exit
    assert "0003_use.sql:2:" in failed.err
    assert "SQLSTATE 55P04" in failed.err
    assert "an enum value cannot be used in the transaction that adds it" in failed.err
    assert [("0001", "applied")] == project.history()
    assert "t" not in project.tables()
    assert 0 == project("apply").exit


def test_a_failing_check_takes_everything_back(project):
    """A ``.verify.sql`` of the last file undoes the first one too."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "CREATE TABLE b (id int);",
            "0002_b.verify.sql": "-- b has rows\nSELECT count(*) > 0 FROM b;",
        }
    )

    failed = project("apply", "--single-transaction")

    assert 10 == failed.exit
    assert "check 'b has rows' failed: it returned false" in failed.err
    assert [] == project.history()
    assert ["schema_migrations"] == project.tables()


def test_a_file_that_cannot_be_in_the_transaction_is_refused(project):
    """All or nothing: where one must be apart, nothing is applied, and it is named."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "CREATE INDEX CONCURRENTLY a_id ON a (id);",
            "0003_c.sql": "CREATE TABLE c (id int);",
        }
    )

    refused = project("apply", "--single-transaction")

    assert 4 == refused.exit
    assert "0002_b.sql cannot share one transaction" in refused.err
    assert "line 1: CREATE INDEX CONCURRENTLY" in refused.err
    assert [] == project.tables()
    assert 0 == project("apply", "--single-transaction", "--to", "1").exit
    assert 0 == project("apply").exit


def test_a_full_lock_table_names_the_setting(project):
    """Too many locks for one transaction: the error says so, and what to raise."""
    ((slots,),) = project.database.rows(
        "SELECT current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int"
        " + current_setting('max_prepared_transactions')::int)"
    )
    # Each takes a place as a table would, in a hundredth of the time.
    take = "SELECT count(pg_advisory_xact_lock(n)) FROM generate_series({}, {}) AS n;"
    project.write(
        {
            "0001_many.sql": take.format(1, slots // 2),
            "0002_more.sql": take.format(slots // 2 + 1, 3 * slots),
        }
    )

    failed = project("apply", "--single-transaction")

    assert 7 == failed.exit
    assert "SQLSTATE 53200" in failed.err
    assert "max_locks_per_transaction" in failed.err
    assert "without --single-transaction" in failed.err
    assert ["schema_migrations"] == project.tables()


def test_a_dry_run_leaves_the_database_as_it_was(project):
    """No table, type, function or schema is left, nor the history; checks have run."""
    before = project.snapshot()
    project.write(
        {
            "0001_a.sql": "CREATE SCHEMA app; CREATE TABLE app.a (id int);"
            " CREATE TYPE app.e AS ENUM ('x');",
            "0001_a.verify.sql": "-- a is there\nSELECT to_regclass('app.a') IS NOT NULL;",
            "0002_b.sql": "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "0003_c.sql": "VACUUM;",
        }
    )

    finished = project("apply", "--dry-run")

    assert 0 == finished.exit, finished.err
    assert before == project.snapshot()
    assert "a is there" in finished.out
    assert "2 would apply; everything was rolled back; 1 left out" in finished.out
    assert "Left out of the transaction: 0003_c.sql (line 1: VACUUM)" in finished.out


def test_a_dry_run_finds_the_error_an_apply_would_find(project):
    """The exit code and the place are those of the real run."""
    project.write({"0001_a.sql": "CREATE TABLE a (id int);", "0002_b.sql": "\nOOPS;"})

    dry = project("apply", "--dry-run")
    before = project.snapshot()
    real = project("apply")

    assert (7, 7) == (dry.exit, real.exit)
    assert dry.err == real.err
    assert "schema public" in before
    assert not [thing for thing in before if "schema_migrations" in thing]


def test_a_dry_run_of_later_files_sees_what_is_applied(project):
    """With a history in place, only what is pending is tried, and rolled back."""
    project.write({"0001_a.sql": "CREATE TABLE a (id int);"})
    assert 0 == project("apply").exit
    before = (
        project.snapshot(),
        project.database.rows("SELECT * FROM schema_migrations"),
    )
    project.write({"0002_b.sql": "ALTER TABLE a ADD COLUMN x text; DROP TABLE a;"})

    finished = project("apply", "--dry-run")
    after = project.snapshot(), project.database.rows("SELECT * FROM schema_migrations")

    assert 0 == finished.exit, finished.err
    assert before == after
    assert "1 would apply" in finished.out


def test_small_files_share_a_message_in_one_transaction_too(project):
    """Sixteen, as in the default's way: the server's clock for statements is a message's."""
    first = {"0000_seen.sql": "CREATE TABLE seen (at timestamptz);"}
    row = "INSERT INTO seen VALUES (statement_timestamp());"
    project.write(first | {f"{n:04}_t.sql": row for n in range(1, 32)})

    finished = project("apply", "--single-transaction")

    assert 0 == finished.exit, finished.err
    assert [(31, 2)] == project.database.rows(
        "SELECT count(*), count(DISTINCT at) FROM seen"
    )


def test_a_dry_run_tells_each_files_notices_under_its_name(project):
    """However small the files: who looks wants to know whose they are."""
    said = "DO $$ BEGIN RAISE NOTICE 'from {}'; END $$;"
    project.write({f"000{n}_t.sql": said.format(n) for n in (1, 2, 3)})

    finished = project("apply", "--dry-run", "--output", "json")

    told = [json.loads(line) for line in finished.out.splitlines()]
    notices = [e["fields"] for e in told if e["event"] == "Notice"]
    assert [f"000{n}_t.sql" for n in (1, 2, 3)] == [one["file"] for one in notices]
    assert ["from 1", "from 2", "from 3"] == [one["text"][-6:] for one in notices]


def test_a_dry_run_that_can_try_nothing_says_so(project):
    """Two are pending, and neither can be in a transaction: that is not nothing."""
    project.write({"0001_a.sql": "VACUUM;", "0002_b.sql": "VACUUM;"})

    text = project("apply", "--dry-run")
    told = outcome(project("apply", "--dry-run", "--output", "json"))

    assert 0 == text.exit, text.err
    assert "[Migration] Dry run: nothing could be tried; 2 left out\n" in text.out
    assert "Nothing is pending" not in text.out
    assert ([], ["0001", "0002"]) == (told["done"], told["left_out"])
    assert [] == project.tables()


LEVEL = "CREATE TABLE {} AS SELECT current_setting('transaction_isolation') AS level;"
MODES = {
    "0001_a.sql": "CREATE TABLE a ();",
    "0002_b.sql": f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{LEVEL.format('b')}\nCOMMIT;",
    "0003_c.sql": "BEGIN; CREATE TABLE c (); COMMIT;",
}
ASKED = "line 1: its own BEGIN ISOLATION LEVEL SERIALIZABLE"


@pytest.mark.parametrize(
    ("begin", "asked"),
    [
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
        ("begin work read only", "BEGIN READ ONLY"),
        ("START /* x */ TRANSACTION DEFERRABLE", "BEGIN DEFERRABLE"),
    ],
)
def test_a_transaction_of_another_kind_cannot_be_shared(project, begin, asked):
    """Its level would be lost, or be everybody's; alone it has what it asks for."""
    project.write({**MODES, "0002_b.sql": f"{begin};\nSELECT 1;\nCOMMIT;"})

    refused = project("apply", "--single-transaction")

    assert 4 == refused.exit
    assert (
        "0002_b.sql cannot share one transaction with the others: line 1: its own "
        f"{asked}\n" in refused.err
    )
    assert [] == project.tables()


def test_a_transaction_of_its_own_kind_is_kept_where_it_is_alone(project):
    """With nobody to share with, ``--single-transaction`` and the dry run keep it."""
    project.write({"0002_b.sql": MODES["0002_b.sql"]})

    dry = project("apply", "--dry-run")
    finished = project("apply", "--single-transaction")

    assert "1 would apply; everything was rolled back\n" in dry.out
    assert 0 == finished.exit, finished.err
    assert [("serializable",)] == project.database.rows("SELECT level FROM b")


def test_a_dry_run_leaves_out_a_transaction_of_another_kind(project):
    """It is named; a plain BEGIN is shared as before."""
    project.write(MODES)

    dry = project("apply", "--dry-run")
    finished = project("apply")

    assert 0 == dry.exit, dry.err
    assert f"Left out of the transaction: 0002_b.sql ({ASKED})" in dry.out
    assert "2 would apply; everything was rolled back; 1 left out" in dry.out
    assert 0 == finished.exit, finished.err
    assert [("serializable",)] == project.database.rows("SELECT level FROM b")
