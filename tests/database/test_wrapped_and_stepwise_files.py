"""A file's own BEGIN and COMMIT: one pair is absorbed, any other makes it stepwise."""

import json

import pytest


def steps(project):
    """Return the plan's steps by version."""
    told = json.loads(project("plan", "--output", "json").out)
    return {step["version"]: step for step in told["steps"]}


@pytest.mark.parametrize(
    "begin",
    [
        "BEGIN",
        "begin transaction",
        "START TRANSACTION",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
    ],
)
@pytest.mark.parametrize("end", ["COMMIT", "END"])
def test_one_pair_around_the_file_is_absorbed(project, begin, end):
    """The file stays transactional: its row is inside, with the level it asked for."""
    body = "CREATE TABLE t AS SELECT current_setting('transaction_isolation') AS level;"
    project.write({"0001_a.sql": f"{begin};\n{body}\n{end};\n"})

    step = steps(project)["0001"]
    finished = project("apply")
    level = "serializable" if "LEVEL" in begin else "read committed"

    assert ("transactional", []) == (step["mode"], step["reasons"])
    assert 0 == finished.exit, finished.err
    assert [(level,)] == project.database.rows("SELECT level FROM t")
    assert [(True,)] == project.database.rows(
        "SELECT t.xmin::text = h.xmin::text FROM schema_migrations h, t"
    )


def test_a_failure_in_a_wrapped_file_leaves_nothing(project):
    """The absorbed pair protects the file as its own would."""
    project.write({"0001_a.sql": "BEGIN;\nCREATE TABLE t ();\nSELECT 1/0;\nCOMMIT;"})

    failed = project("apply")

    assert 7 == failed.exit
    assert "0001_a.sql:3:1:" in failed.err
    assert [] == project.history()
    assert "t" not in project.tables()


def test_several_wrapped_files_in_a_single_transaction_are_one(project):
    """No COMMIT of theirs ends the transaction that holds them all."""
    project.write(
        {
            "0001_a.sql": "BEGIN; CREATE TABLE a (); COMMIT;",
            "0002_b.sql": "BEGIN; CREATE TABLE b (); COMMIT;",
            "0003_c.sql": "SELECT 1/0;",
        }
    )

    failed = project("apply", "--single-transaction")

    assert 7 == failed.exit
    assert "0003_c.sql:1:1:" in failed.err
    assert [] == project.history()
    assert not {"a", "b"} & set(project.tables())


PAIRS = """BEGIN;
CREATE TABLE a (id int);
COMMIT;
BEGIN;
CREATE TABLE b (id int);
{third}
COMMIT;
CREATE TABLE c (id int);
"""


def test_several_pairs_go_step_by_step(project):
    """``plan`` says so, and why; what each pair holds is committed when it ends."""
    project.write({"0001_pairs.sql": PAIRS.format(third="SELECT 1/0;")})

    step = steps(project)["0001"]
    failed = project("apply")

    assert ("non-transactional", ["line 1: its own BEGIN"]) == (
        step["mode"],
        step["reasons"],
    )
    assert 8 == failed.exit
    assert "0001_pairs.sql:6:1:" in failed.err
    assert "statements 1 to 3 of 8 stay applied" in failed.err
    assert ["a", "schema_migrations"] == project.tables()
    assert [("0001", "failed")] == project.history()


def test_a_mended_stepwise_file_resumes_at_the_failed_pair(project):
    """What was committed is not run again; the file ends as applied."""
    project.write({"0001_pairs.sql": PAIRS.format(third="SELECT 1/0;")})
    assert 8 == project("apply").exit
    project.write({"0001_pairs.sql": PAIRS.format(third="SELECT 1;")})

    mended = project("apply")

    assert 0 == mended.exit, mended.err
    assert ["a", "b", "c", "schema_migrations"] == project.tables()
    assert [("0001", "applied")] == project.history()


def test_a_rollback_in_a_file_undoes_what_it_undoes_in_psql(project):
    """BEGIN … ROLLBACK leaves nothing of what is between, and the file goes on."""
    project.write(
        {
            "0001_a.sql": "BEGIN; CREATE TABLE gone (); ROLLBACK;"
            " CREATE TABLE stays (id int);"
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert ["schema_migrations", "stays"] == project.tables()


@pytest.mark.parametrize("before", ["", "BEGIN; SELECT 1; COMMIT;\n"])
def test_a_transaction_that_is_never_ended_is_refused(project, before):
    """Psql would undo its statements at the end without a word; here it is an error."""
    project.write({"0001_a.sql": f"{before}CREATE TABLE a ();\nBEGIN; DROP TABLE a;"})

    refused = project("apply")

    line = 2 + before.count("\n")
    assert 3 == refused.exit
    assert f"0001_a.sql:{line}:1: transaction begins here and is never" in refused.err
    assert [] == project.tables()


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM t;",
        "CREATE INDEX CONCURRENTLY t_id ON t (id);",
        "REINDEX TABLE CONCURRENTLY t;",
        "ALTER SYSTEM RESET work_mem;",
    ],
)
def test_what_cannot_be_in_a_transaction_needs_no_directive(project, statement):
    """The statement is recognised, named by ``plan``, and applied with its row."""
    project.write({"0001_a.sql": f"CREATE TABLE t (id int);\n{statement}\n"})

    step = steps(project)["0001"]
    finished = project("apply")

    assert "non-transactional" == step["mode"]
    assert step["reasons"][0].startswith("line 2: ")
    assert 0 == finished.exit, finished.err
    assert [("0001", "applied")] == project.history()


def test_transaction_false_applies_each_statement_on_its_own(project):
    """With the directive, what precedes the failed statement stays."""
    project.write(
        {
            "0001_a.sql": "-- migrate: transaction=false\n"
            "CREATE TABLE a (id int);\nCREATE TABLE a (id int);\n"
        }
    )

    failed = project("apply")

    assert 8 == failed.exit
    assert "statements 1 to 1 of 2 stay applied" in failed.err
    assert ["a", "schema_migrations"] == project.tables()
    assert [("0001", "failed")] == project.history()


def test_transaction_true_on_a_file_that_cannot_be_is_refused(project):
    """A wish that cannot be met is an error before anything runs."""
    project.write({"0001_a.sql": "-- migrate: transaction=true\nVACUUM;"})

    refused = project("apply")

    assert 3 == refused.exit
    assert "0001_a.sql asks for one transaction, but line 2: VACUUM" in refused.err
    assert [] == project.tables()


def test_a_procedure_that_commits_is_run_outside_a_transaction(project):
    """Only the server can tell that a CALL ends transactions; then it is run alone."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE t (id int);\n"
            "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\n"
            "BEGIN INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); END $$;",
            "0002_b.sql": "-- migrate: transaction=false\nCALL p();",
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert [(1,), (2,)] == project.database.rows("SELECT id FROM t ORDER BY id")
