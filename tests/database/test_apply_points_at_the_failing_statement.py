"""A failing statement is shown with file, line, column, caret and what the server said."""

import pytest

from tests.fix_project import outcome

PADDING = "INSERT INTO log VALUES ('%s');\n"


def shown(finished, file="0001_a.sql"):
    """Return the lines about the failure, from the one that names the file."""
    lines = finished.err.splitlines()
    start = next(i for i, line in enumerate(lines) if f"{file}:" in line)
    return lines[start:]


def fail(project, text):
    """Apply one file that fails and return its error lines."""
    finished = project.write({"0001_a.sql": text})("apply")

    assert 7 == finished.exit
    assert [] == project.history()
    return shown(finished)


def test_a_position_becomes_line_column_and_caret(project):
    """The caret stands under the word the server points at."""
    lines = fail(project, "SELECT 1;\n\n  SELECT wrong,\n    2;\n")

    assert 'column "wrong" does not exist (SQLSTATE 42703)' in lines[0]
    assert "0001_a.sql:3:10:" in lines[0]
    assert lines[1].index("wrong") == lines[2].index("^")


def test_text_that_is_not_ascii_moves_neither_line_nor_column(project):
    """Characters are counted, not bytes: before the statement, and inside it."""
    lines = fail(
        project, "-- Füße, 日本語, 🙂\nSELECT 'größer 🙂';\nSELECT '日本🙂', wrong;\n"
    )

    assert "0001_a.sql:3:15:" in lines[0]
    assert lines[1].index("wrong") == lines[2].index("^")


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ("INSERT INTO t VALUES (1,nix);", "52:25"),
        ("INSERT INTO t VALUES ('日本',nix);", "52:28"),
        ("COPY t FROM stdin (DELIMITER '日本', nix 1);\nx\n\\.", "52:36"),
    ],
)
def test_a_server_that_counts_bytes_is_understood(project, bad, place):
    """A database of SQL_ASCII knows no characters; the place is right all the same."""
    name = f"{project.database.name}_bytes"
    project.database.psql(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    )
    rows = [f"INSERT INTO t VALUES ('{n}','日本日本日本');\n" for n in range(50)]
    text = "".join(["CREATE TABLE t(a text,b text);\n", *rows, bad, "\n", *rows])
    url = project.database.url.replace(project.database.name, name)

    finished = project.write({"0001_a.sql": text})("apply", env={"DATABASE_URL": url})
    project.database.psql(f"DROP DATABASE {name}")

    assert 7 == finished.exit
    assert f"0001_a.sql:{place}:" in shown(finished)[0]


def test_a_byte_order_mark_and_crlf_move_nothing(project):
    """Files from Windows are counted as editors count them."""
    lines = fail(project, "\ufeffSELECT 1;\r\nSELECT\r\n  wrong;\r\n")

    assert "0001_a.sql:3:3:" in lines[0]


@pytest.mark.parametrize("number", [1, 150, 300])
def test_an_error_without_position_is_found_among_300_statements(project, number):
    """The server names no place for a violated constraint: the statement is found."""
    values = [f"INSERT INTO t VALUES ({n});" for n in range(1, 301)]
    values[number - 1] = "INSERT INTO t VALUES (-1);"
    text = "CREATE TABLE t (n int CHECK (n > 0));\n" + "\n".join(values)

    lines = fail(project, text)

    assert f"0001_a.sql:{number + 1}:1:" in lines[0]
    assert "SQLSTATE 23514" in lines[0]
    assert "INSERT INTO t VALUES (-1);" in lines[1]
    assert any("DETAIL: Failing row contains (-1)." in line for line in lines)


@pytest.mark.parametrize(
    ("bad", "code"),
    [("INSERT INTO log VALUES (NULL);", "23502"), ("SELECT wrong;", "42703")],
    ids=["without position", "with position"],
)
@pytest.mark.parametrize("before", [3000, 9000], ids=["second", "third"])
def test_an_error_beyond_the_first_message_is_found(project, bad, code, before):
    """A long file goes in several messages; each is searched in its own right."""
    # Each line is 100 bytes: a message holds about 2,600 of them.
    line = PADDING % ("x" * 70)
    text = "CREATE TABLE log (t text NOT NULL);\n" + line * before + bad + "\n"

    lines = fail(project, text + line * 20)

    assert f"0001_a.sql:{before + 2}:" in lines[0]
    assert f"SQLSTATE {code}" in lines[0]
    assert bad in lines[1]


def test_a_position_among_rows_is_their_own(project):
    """Rows travel together; the one that fails is shown by itself, as it stands."""
    rows = "INSERT INTO t VALUES ('é');\n" * 3
    text = f"CREATE TABLE t (a text);\n{rows}  UPDATE t\n    SET wrong = 1;\n{rows}"

    lines = fail(project, text)

    assert "0001_a.sql:6:9:" in lines[0]
    assert "    SET wrong = 1;" in lines[1]
    assert lines[1].index("wrong") == lines[2].index("^")


def test_a_row_that_is_not_allowed_names_its_own_privilege(project):
    """The one that is lacking for the statement that failed, not for the first row."""
    text = (
        "CREATE TABLE t (a int);\nCREATE ROLE rows_role;\n"
        "GRANT INSERT ON t TO rows_role;\nSET ROLE rows_role;\n"
        "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\nDELETE FROM t;\n"
    )

    lines = fail(project, text)

    assert "0001_a.sql:7:1:" in lines[0]
    assert any("GRANT DELETE ON" in line for line in lines), lines


def test_rows_of_a_file_in_steps_are_steps_each(project):
    """Those before the one that fails are kept, and counted one by one."""
    rows = "".join(f"INSERT INTO t VALUES ({n});\n" for n in (1, 2, -3, 4))
    text = f"CREATE TABLE t (n int CHECK (n > 0));\n{rows}VACUUM t;\n"

    finished = project.write({"0001_a.sql": text})("apply")

    assert 8 == finished.exit, finished.err
    assert "0001_a.sql:4:1:" in finished.err
    assert "statements 1 to 3 of 6 stay applied" in finished.err
    assert [(1,), (2,)] == project.database.rows("SELECT n FROM t ORDER BY n")


def test_rows_between_begin_and_commit_are_applied(project):
    """The pair is left out, and nothing else."""
    rows = "".join(f"INSERT INTO t VALUES ({n});\n" for n in range(5))
    text = f"BEGIN;\nCREATE TABLE t (n int);\n{rows}COMMIT;\n"

    finished = project.write({"0001_a.sql": text})("apply")

    assert 0 == finished.exit, finished.err
    assert [(5,)] == project.database.rows("SELECT count(*) FROM t")


def test_an_error_inside_a_function_shows_its_context(project):
    """The statement that called it is named, and the function's own line is shown."""
    lines = fail(
        project,
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n"
        "  RAISE EXCEPTION 'no luck' USING DETAIL = 'the moon', HINT = 'wait',\n"
        "    ERRCODE = 'P0042';\nEND $$;\nSELECT 1;\nSELECT f();\n",
    )

    assert "0001_a.sql:7:1: no luck (SQLSTATE P0042)" in lines[0]
    assert "  DETAIL: the moon" in lines
    assert "  HINT: wait" in lines
    assert "PL/pgSQL function f() line 3 at RAISE" in "\n".join(lines)


def test_an_error_in_a_query_inside_a_do_block_points_at_the_block(project):
    """A position that counts inside a function's body is not taken for the file's."""
    lines = fail(
        project,
        "SELECT 1;\nDO $$\nBEGIN\n  PERFORM wrong;\nEND $$;\nSELECT 2;\n",
    )

    assert "0001_a.sql:2:1:" in lines[0]
    assert "inline_code_block line 3" in "\n".join(lines)


def test_a_deferred_constraint_fails_as_the_files_own_error(project):
    """What only speaks at the end still names the file, the constraint and the row."""
    lines = fail(
        project,
        "CREATE TABLE t (id int PRIMARY KEY,\n"
        "  up int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO t VALUES (1, 7);\n",
    )

    assert "SQLSTATE 23503" in lines[0]
    assert "Key (up)=(7) is not present" in "\n".join(lines)


def test_an_error_in_the_file_after_others_names_that_file(project):
    """The third file's error is the third file's."""
    finished = project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id int);",
            "0002_b.sql": "CREATE TABLE b (id int);",
            "0003_c.sql": "CREATE TABLE c (id int);\nCREATE TABLE a (id int);",
        }
    )("apply")

    assert 7 == finished.exit
    assert "0003_c.sql:2:1:" in shown(finished, "0003_c.sql")[0]


def test_the_json_outcome_has_every_part_of_the_failure(project):
    """A machine reads file, line, column and SQLSTATE as fields."""
    import json

    project.write({"0001_a.sql": "SELECT 1;\nSELECT wrong;"})

    finished = project("apply", "--output", "json")
    events = [json.loads(line) for line in finished.out.splitlines()]
    error = next(e["fields"] for e in events if e["event"] == "Error")

    assert 7 == outcome(finished)["exit_code"]
    assert ("0001_a.sql", 2, 8, "42703") == (
        error["file"],
        error["line"],
        error["column"],
        error["sqlstate"],
    )


def test_a_very_long_line_is_shown_as_far_as_the_error(project):
    """A one-line dump does not flood the terminal, and the caret still stands right."""
    values = ", ".join(["'xxxxxxxxxx'"] * 400)

    lines = fail(project, f"SELECT {values}, wrong;")

    assert f"0001_a.sql:1:{len(f'SELECT {values}, ') + 1}:" in lines[0]
    assert len(lines[1]) < 300
    assert lines[1].index("wrong") == lines[2].index("^")
