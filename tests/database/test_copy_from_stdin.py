"""COPY data in a file: streamed as they stand, and an error names the data line."""

import tracemalloc

import pytest

from tests.fix_postgres import Database

TABLE = "CREATE TABLE t (id int, a text, b text);\n"
ROWS = "SELECT id, a, b FROM t ORDER BY id"
DATA = {
    "text": (
        "COPY t FROM stdin;\n1\tx\t\\N\n2\t\\\\N\ttab\\there\n3\t\tünï;'$$\n\\.\n",
        [(1, "x", None), (2, "\\N", "tab\there"), (3, "", "ünï;'$$")],
    ),
    "csv": (
        (
            'COPY t FROM stdin WITH (FORMAT csv, HEADER);\nid,a,b\n1,"two\nlines",\n'
            '2,"a ""quote""","\\"\n\\.\n'
        ),
        [(1, "two\nlines", None), (2, 'a "quote"', "\\")],
    ),
    "columns, delimiter and null": (
        "COPY t (b, id) FROM stdin WITH DELIMITER '|' NULL 'none';\nx|1\nnone|2\n\\.\n",
        [(1, None, "x"), (2, None, None)],
    ),
    "no rows": ("COPY t FROM stdin;\n\\.\n", []),
    "the end of the file ends the data": (
        "COPY t FROM stdin;\n1\tx\ty\n",
        [(1, "x", "y")],
    ),
    "statements after the data": (
        (
            "COPY t FROM stdin;\n1\tx\ty\n\\.\nUPDATE t SET a = 'z';\nCOPY t FROM stdin;\n"
            "2\tp\tq\n\\.\nDELETE FROM t WHERE id = 1;\n"
        ),
        [(2, "p", "q")],
    ),
    "CRLF": ("COPY t FROM stdin;\r\n1\tx\ty\r\n\\.\r\n", [(1, "x", "y")]),
}


@pytest.mark.parametrize("how", DATA)
@pytest.mark.parametrize("directive", ["", "-- migrate: transaction=false\n"])
def test_data_arrive_as_psql_sends_them(project, how, directive):
    """Text and csv, NULLs and escapes, in both ways of applying a file, as in psql."""
    text, expected = DATA[how]
    server = project.database.server
    other = Database(server, server.create_database())
    project.write({"0001_a.sql": directive + TABLE + text})

    finished = project("apply")
    other.psql(TABLE + text)
    by_psql = other.rows(ROWS)
    server.drop_database(other.name)

    assert 0 == finished.exit, finished.err
    assert expected == project.database.rows(ROWS)
    assert expected == by_psql


def test_empty_lines_are_rows_of_a_table_with_one_column(project):
    """An empty line is a row, not the end of anything."""
    project.write(
        {"0001_a.sql": "CREATE TABLE one (v text);\nCOPY one FROM stdin;\n\n\nx\n\\.\n"}
    )

    assert 0 == project("apply").exit

    assert [("",), ("",), ("x",)] == project.database.rows(
        "SELECT v FROM one ORDER BY ctid"
    )


@pytest.mark.parametrize("number", [1, 3, 5000])
def test_an_error_names_the_line_of_the_file(project, number):
    """The data line at fault is shown by its number in the file, and nothing is left."""
    rows = [f"{n}\tx\ty" for n in range(1, 5001)]
    rows[number - 1] = "wrong\tx\ty"
    text = "-- head\n" + TABLE + "COPY t\n  FROM stdin;\n" + "\n".join(rows) + "\n\\.\n"
    project.write({"0001_a.sql": text})

    failed = project("apply")

    assert 7 == failed.exit
    assert f"0001_a.sql:{number + 4}:1: " in failed.err
    assert 'invalid input syntax for type integer: "wrong"' in failed.err
    assert f"COPY t, line {number}, column id" in failed.err
    assert [] == project.history()
    assert "t" not in project.tables()


def test_a_wrong_table_points_at_the_statement(project):
    """A COPY that cannot begin is an error of the statement, with its position."""
    project.write({"0001_a.sql": "SELECT 1;\nCOPY nowhere FROM stdin;\n1\n\\.\n"})

    failed = project("apply")

    assert 7 == failed.exit
    assert "0001_a.sql:2:1: " in failed.err
    assert "SQLSTATE 42P01" in failed.err


@pytest.mark.parametrize("directive", ["", "-- migrate: transaction=false\n"])
def test_data_pass_through_and_are_never_held(project, directive):
    """Sixteen megabytes need a few blocks of memory on their way to the server."""
    rows = "".join(f"{number}\t{'x' * (1 << 20)}\t\n" for number in range(16))
    text = f"{directive}{TABLE}COPY t FROM stdin;\n{rows}\\.\n"
    project.write({"0001_a.sql": text})
    del rows, text

    tracemalloc.start()
    try:
        finished = project("apply")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 0 == finished.exit, finished.err
    assert [(16, 16 << 20)] == project.database.rows(
        "SELECT count(*), sum(length(a)) FROM t"
    )
    assert most < 8 << 20
