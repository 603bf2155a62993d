"""What changes how the server reads a file, out of the splitter's sight.

psql sends each statement by itself; it is the truth here.
"""

import pytest

STRINGS = "standard_conforming_strings"
OFF = f"DO $$BEGIN SET {STRINGS} = off; END$$;"
FUNCTION = """CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config({}, {}, false); END$$;
"""
#: Names put together, as nobody would: they cannot be found in the text.
SPELT = "'standard_conforming_' || 'strings'", "'off'"
LATIN1 = "'client_' || 'encoding'", "'LATIN1'"
#: One row to psql, where strings have escapes; two statements to us.
ONE_ROW = r"INSERT INTO x VALUES ('a\'); DELETE FROM x; --');"


def by_psql(project, *texts):
    """Return the rows that psql leaves in x of another database."""
    database = project.database
    name = f"{database.name}_psql"
    database.psql(f"CREATE DATABASE {name}")
    for text in texts:
        database.server.psql(name, text)
    rows = database.server.psql(name, "SELECT a FROM x")
    database.psql(f"DROP DATABASE {name}")
    return rows


@pytest.mark.parametrize(
    ("hidden", "line"),
    [
        (OFF, 2),
        (f"INSERT INTO x SELECT set_config('{STRINGS}', 'off', false);", 2),
        (f"(SELECT set_config('{STRINGS}', 'off', false));", 2),
        (FUNCTION.format(*SPELT) + "SELECT f();", 4),
        (f"SAVEPOINT s;\nSET {STRINGS} = off;\nROLLBACK TO s;", 4),
    ],
    ids=["do", "insert", "parentheses", "function", "savepoint"],
)
@pytest.mark.parametrize("size", [1, 5500], ids=["one message", "several"])
def test_a_file_in_one_transaction_is_refused(project, hidden, line, size):
    """Where strings end elsewhere nothing more is sent, and nothing stays."""
    rows = r"INSERT INTO x VALUES ('C:\x and more than that');" + "\n"
    text = f"CREATE TABLE x (a text);\n{hidden}\n{ONE_ROW}\n{rows * size}"

    finished = project.write({"0001_a.sql": text})("apply")

    assert 7 == finished.exit, finished.err
    assert f"0001_a.sql:{line}: after this statement {STRINGS} is " in finished.err
    assert "set it by a SET statement of its own" in finished.err
    assert "x" not in project.tables()
    assert [] == project.history()


def test_a_function_of_an_earlier_migration_is_noticed(project):
    """Also among small files that share a message, and reset what they set."""
    project.write(
        {
            "0001_a.sql": f"CREATE TABLE x (a text); {FUNCTION.format(*SPELT)}",
            "0002_b.sql": f"SELECT f();\n{ONE_ROW}",
            "0003_c.sql": "CREATE TABLE c ();",
        }
    )

    finished = project("apply")

    assert 7 == finished.exit, finished.err
    assert f"0002_b.sql:1: after this statement {STRINGS} is off" in finished.err
    assert [("0001", "applied")] == project.history()


@pytest.mark.parametrize(
    ("hidden", "end"),
    [
        ("DO $$BEGIN SET client_encoding = 'LATIN1'; END$$;", ""),
        ("DO $$BEGIN SET NAMES 'LATIN1'; END$$;", "RESET client_encoding;"),
        (
            "DO $$BEGIN SET NAMES 'LATIN1'; END$$;",
            "DO $$BEGIN SET NAMES 'UTF8'; END$$;",
        ),
        (FUNCTION.format(*LATIN1) + "SELECT f();", ""),
    ],
    ids=["do", "reset", "both", "function"],
)
def test_an_encoding_is_followed(project, hidden, end):
    """What is sent after it is read in it, as it is by psql."""
    text = f"CREATE TABLE x (a text);\n{hidden}\nINSERT INTO x VALUES ('é');\n{end}"

    finished = project.write({"0001_a.sql": text})("apply")

    assert 0 == finished.exit, finished.err
    assert "Ã©\n" == by_psql(project, text) == project.database.psql("SELECT a FROM x")


def test_a_file_in_steps_stops_before_what_hides_a_setting(project):
    """The statement is undone where its text tells; the rest is not sent."""
    rest = f"{ONE_ROW}\nVACUUM x;\n"
    project.write({"0001_a.sql": f"CREATE TABLE x (a text);\n{OFF}\n{rest}"})

    finished = project("apply")

    assert 8 == finished.exit, finished.err
    assert f"0001_a.sql:2: after this statement {STRINGS} is off" in finished.err
    assert "statements 1 to 1 of" in finished.err
    project.write(
        {"0001_a.sql": f"CREATE TABLE x (a text);\nSET {STRINGS} = off;\n{rest}"}
    )
    again = project("apply")
    assert 0 == again.exit, again.err
    assert "a'); DELETE FROM x; --\n" == project.database.psql("SELECT a FROM x")


def test_a_file_in_steps_stops_after_a_function_that_sets(project):
    """What the text does not tell is seen before the next statement is sent."""
    text = f"CREATE TABLE x (a text);\n{FUNCTION.format(*SPELT)}SELECT f();\n"
    project.write({"0001_a.sql": f"{text}{ONE_ROW}\nVACUUM x;\n"})

    finished = project("apply")

    assert 8 == finished.exit, finished.err
    assert f"0001_a.sql:4: after this statement {STRINGS} is off" in finished.err
    assert "statements 1 to 3 of" in finished.err


def test_a_rollback_in_steps_is_stopped_too(project):
    """A ``.down.sql`` is read by the same rules."""
    project.write(
        {
            "0001_a.sql": "CREATE TABLE x (a text);",
            "0001_a.down.sql": f"{OFF}\n{ONE_ROW}\nVACUUM x;\nDROP TABLE x;",
        }
    )

    assert 0 == project("apply").exit
    finished = project("rollback", "--yes")

    assert 8 == finished.exit, finished.err
    assert f"0001_a.down.sql:1: after this statement {STRINGS} is" in finished.err


@pytest.mark.parametrize(
    "text",
    [
        f"SET {STRINGS} = off;\n{ONE_ROW}\nSET {STRINGS} = on;\n",
        f"SET {STRINGS} = off;\n" + r"INSERT INTO x VALUES ('a\'); b');" * 2,
        f"INSERT INTO x VALUES ('{STRINGS} \\ é');\nINSERT INTO x VALUES ('\\');",
        f"DO $$BEGIN SET LOCAL {STRINGS} = on; END$$;\nINSERT INTO x VALUES ('\\');",
        "SET NAMES 'LATIN1'; INSERT INTO x VALUES ('é'); RESET client_encoding;",
        "SET search_path = nowhere;\nINSERT INTO public.x VALUES ('\\ é');",
    ],
)
@pytest.mark.parametrize("end", ["", "\nVACUUM public.x;"], ids=["whole", "in steps"])
def test_what_is_seen_or_harmless_is_applied(project, text, end):
    """The rows are those that psql leaves."""
    create = "CREATE TABLE x (a text);\n"
    project.write({"0001_a.sql": f"{create}{text}{end}"})

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    rows = project.database.psql("SELECT a FROM x")
    assert rows == by_psql(project, create, text)


def test_what_nothing_stands_behind_harms_nothing(project):
    """The last statement of a file may set what it likes."""
    text = f"CREATE TABLE x (a text);\nINSERT INTO x VALUES ('\\ é');\n{OFF}"
    project.write({"0001_a.sql": text, "0002_b.sql": "INSERT INTO x VALUES ('\\');"})

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert "\\ é\n\\\n" == project.database.psql("SELECT a FROM x")


def test_a_savepoint_that_ends_in_another_message_takes_none_of_ours(project):
    """The message that rolls back to it has no savepoint of its own."""
    rows = "INSERT INTO x VALUES ('a row of some length, to fill a message');\n" * 4500
    end = "INSERT INTO x VALUES ('kept');"
    text = f"CREATE TABLE x (a text);\nSAVEPOINT s;\n{rows}ROLLBACK TO s;\nRELEASE s;\n{end}"

    finished = project.write({"0001_a.sql": text})("apply")

    assert 0 == finished.exit, finished.err
    assert "kept\n" == project.database.psql("SELECT a FROM x")
