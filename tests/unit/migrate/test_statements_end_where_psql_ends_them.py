"""Where a statement ends: every construct that may hide a semicolon."""

import io

import pytest

from migrate.errors import NotUtf8, UnterminatedText
from migrate.misfits import BackslashCommand, NulByte
from migrate.statements import Splitter


def texts(script):
    return [one.text.decode() for one in Splitter(io.BytesIO(script.encode()), "a.sql")]


HIDING = {
    "a string": "SELECT 'a;b'",
    "a doubled quote": "SELECT 'it''s; '';'",
    "a backslash in a plain string": r"SELECT 'c:\'",
    "an escaped quote": r"SELECT E'it\'s;', e'\\'",
    "a doubled quote in an escape string": r"SELECT E'\''';'';'",
    "an escape string and more": r"SELECT E'\'; \\' , (E';''\'', 'b;\')",
    "an escape string before a comment": "SELECT E'\\' -- '\n ';'",
    "an escape string before its remark": "SELECT E'\\\\' /* ' */ , ';'",
    "an escape string continued below": "SELECT (E'a'  \n 'b\\';')",
    "a word that ends in e": r"SELECT like'\'",
    "a string continued on the next line": "SELECT 'a;'\n  'b;'",
    "an escape string continued": "SELECT E'\\';'\n -- why; not\n '\\';'",
    "a Unicode string": r"SELECT U&'\0041;' UESCAPE '!'",
    "bit and national strings": "SELECT B'1;', x'f;', n';'",
    "a quoted name": 'SELECT 1 AS "a;""b;"',
    "a Unicode name": r'SELECT 1 AS U&"\0041;"',
    "a dollar quote": "SELECT $$a;b$$",
    "a tagged dollar quote": "SELECT $f_1$a; $$ ; $g$ ; $f$ $f_1$",
    "a tag of other letters": "SELECT $é$;$e$;$é$",
    "a dollar in a dollar quote": "SELECT $$ $1; $ ; $a $$",
    "a dollar quote after a number": "SELECT 1$$;$$",
    "a dollar quote after a parameter": "SELECT $1$$;$$",
    "a dollar quote after a dollar quote": "SELECT $$a$$$$;$$",
    "a line comment": "SELECT 1 -- one; two\n + 2",
    "a line comment that CR ends": "SELECT 1 -- one; two\r + 2",
    "a line comment after an operator": "SELECT 1 +-- ;\n 2",
    "a block comment": "SELECT 1 /* ; ' \" $$ */ + 2",
    "a nested comment": "SELECT 1 /* ; /* ; */ ; */ + 2",
    "a wall of comments": "SELECT /*/*/*;*/;*/;*/ /**/ /***/ /*/;*/ 2",
    "a comment after an operator": "SELECT 1 +/* ; */ 2",
    "parentheses": "CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT ';)')",
    "deep parentheses": "SELECT ((((1;))), (';'), $$;)$$)",
    "an SQL body": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
    "CASE in an SQL body": (
        "create or replace procedure p()\nbegin atomic\n"
        "  select case when true then 1 end; select 2; END"
    ),
    "comments in an SQL body's head": (
        "CREATE /* a; */ OR -- b;\n REPLACE FUNCTION f() BEGIN ATOMIC SELECT 1; END"
    ),
}


@pytest.mark.parametrize("statement", HIDING.values(), ids=HIDING)
def test_a_hidden_semicolon_ends_nothing(statement):
    """A semicolon inside another construct belongs to the statement."""
    script = f"{statement};\nSELECT 'next';"

    found = texts(script)

    assert [f"{statement};", "SELECT 'next';"] == found


SEPARATING = {
    "a name with dollars": ("SELECT a$b$;", "SELECT é$b$;"),
    "a parameter": ("SELECT $1;", "SELECT $1;"),
    "brackets": ("SELECT a[1;", "SELECT 2];"),
    "a closing parenthesis too many": ("SELECT 1);", "SELECT (2);"),
    "BEGIN that is no body": ("BEGIN;", "END;"),
    "a table with a column named end": ('CREATE TABLE t ("begin" int);', "END;"),
    "a word like BEGIN": ("CREATE FUNCTION beginning() AS $$ BEGIN $$;", "END;"),
    "BEGIN between parentheses": ("CREATE FUNCTION f(begin int) AS '';", "END;"),
    "END of nothing": ("CREATE FUNCTION f() END;", "SELECT 1;"),
    "a schema named begin": ("CREATE SCHEMA begin;", "END;"),
    "CASE outside a body": ("CREATE FUNCTION f() CASE 'begin' END;", "SELECT 1;"),
    "operators": ("SELECT a ?| b, c #- d, e->>'f', 1::int, x := 2;", "SELECT 5/2-1;"),
    "psql variables": ("SELECT :a, :'b;', :\"c;\";", "SELECT '12:30:00';"),
}


@pytest.mark.parametrize("pair", SEPARATING.values(), ids=SEPARATING)
def test_other_semicolons_end_their_statement(pair):
    """What only looks as if it hid a semicolon does not."""
    script = " ".join(pair)

    found = texts(script)

    assert list(pair) == found


@pytest.mark.parametrize(
    "script",
    [
        "",
        " \n\t\f\v\r\n",
        ";;\n;",
        "-- only this",
        "/* a; */ -- b\n/* /* */ */;",
        "\ufeff",
    ],
)
def test_a_file_without_statements_yields_none(script):
    """Comments, blanks and lone semicolons are no statements."""
    found = texts(script)

    assert [] == found


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1 -- DELETE\n  ", "SELECT 1"),
        ("SELECT '--' /* a */\n", "SELECT '--'"),
        ("SELECT (1;\nSELECT 2", "SELECT (1;\nSELECT 2"),
        ("CREATE FUNCTION f() BEGIN ATOMIC 1;\n", "CREATE FUNCTION f() BEGIN ATOMIC 1;"),
    ],
)  # fmt: skip
def test_the_last_statement_needs_no_semicolon(script, last):
    """What the file ends with is a statement, without the comment behind it."""
    found = texts(script)

    assert [last] == found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(end):
    """LF, CRLF and CR all end a line comment, and are kept in the text."""
    script = f"SELECT 1 -- a;{end}, 2;{end}-- b;{end}SELECT '{end}';"

    found = texts(script)

    assert [f"SELECT 1 -- a;{end}, 2;", f"SELECT '{end}';"] == found


@pytest.mark.parametrize(
    "change",
    [
        "SET standard_conforming_strings = off;",
        "set session Standard_Conforming_Strings to 'false';",
        'SET LOCAL "standard_conforming_strings" = 0;',
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
        "WITH a AS (SELECT set_config('standard_conforming_strings', 'no', false)) TABLE a;",
    ],
)  # fmt: skip
def test_backslashes_escape_once_strings_do_not_conform(change):
    """After standard_conforming_strings = off a plain string has escapes; E'' always."""
    after = [r"SELECT '\';', b'\', N'\';', U&'\', (E'\';');", "SELECT 2;"]

    found = texts("\n".join([change, *after]))

    assert [change, *after] == found


@pytest.mark.parametrize(
    "change",
    [
        "SET standard_conforming_strings = on;",
        "SET standard_conforming_strings TO DEFAULT;",
        "RESET standard_conforming_strings;",
        "RESET ALL;",
        "DISCARD ALL;",
        "SELECT set_config('standard_conforming_strings', 'on', false);",
    ],
)
def test_strings_conform_again(change):
    """The setting is followed both ways."""
    off = "SET standard_conforming_strings = off;"
    after = [r"SELECT '\';", "SELECT 2;"]

    found = texts("\n".join([off, change, *after]))

    assert [off, change, *after] == found


def test_a_local_setting_ends_with_its_transaction():
    """SET LOCAL holds until COMMIT, and a savepoint does not end it."""
    script = [
        "BEGIN;",
        "SET LOCAL standard_conforming_strings = off;",
        "ROLLBACK TO s;",
        r"SELECT '\';';",
        "COMMIT;",
        r"SELECT '\';",
        "SELECT 2;",
    ]

    found = texts(" ".join(script))

    assert script == found


@pytest.mark.parametrize(
    "statement",
    [
        "SET standard_conforming_strings = on;",
        "SET client_encoding TO 'LATIN1';",
        "SET NAMES 'UTF8';",
        "RESET backslash_quote;",
        "SELECT set_config('client_encoding', 'UTF8', false);",
    ],
)
def test_a_statement_after_which_lexing_differs_is_marked(statement):
    """``rescan`` says that the statement must be the last of its message."""
    found = list(Splitter(io.BytesIO(statement.encode()), "a.sql"))

    assert [True] == [one.rescan for one in found]


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path = a;",
        "SELECT 'set_config';",
        "COMMIT;",
        "RESET;",
        "SET",
        "SELECT set_config(",
    ],
)
def test_other_statements_are_not_marked(statement):
    """``rescan`` is rare, and broken statements do not break the splitter."""
    found = list(Splitter(io.BytesIO(statement.encode()), "a.sql"))

    assert [False] == [one.rescan for one in found]


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("'a;", "quoted string"),
        ("'a''", "quoted string"),
        (r"E'a\';", "quoted string"),
        ("E'a''", "quoted string"),
        ("'a''b''''c;", "quoted string"),
        ('"a""b;', "quoted name"),
        ("$$a;", "dollar quote $$"),
        ("$é$a;$e$", "dollar quote $é$"),
        ("/* a /* b */;", "comment"),
        ("(1, 'a;", "quoted string"),
    ],
)
def test_what_is_never_closed_is_refused_where_it_begins(script, what):
    """The error names the place of the opening, which may be far above the end."""
    offset = next(i for i, sign in enumerate(script) if sign in "'\"$/")

    with pytest.raises(UnterminatedText) as caught:
        texts(f"SELECT 1;\nSELECT 'é' {script}\n\nSELECT 3;\n")

    error = caught.value
    assert ("a.sql", 2, 12 + offset, what) == (
        error.file,
        error.line,
        error.column,
        error.what,
    )


@pytest.mark.parametrize(
    ("script", "command"),
    [
        (r"\connect other", r"\connect"),
        (r"é, \gset", r"\gset"),
        (r"\d+ a", r"\d+"),
        (r"\.", r"\."),
        (r"(\;", r"\;"),
        ("\\", "\\"),
        (r"\restrict", r"\restrict"),
        (r"x \restrict abc", r"\restrict"),
        (r"\unrestrict abc; DROP", r"\unrestrict"),
        (r"\restrict a\echo b", r"\restrict"),
    ],
)
def test_psql_commands_are_refused_by_name(script, command):
    """A backslash outside quotes is psql's, which nothing here runs."""
    column = script.index("\\") + 2

    with pytest.raises(BackslashCommand) as caught:
        texts(f"SELECT E'\\n', '\\', $$\\$$, \"\\\"; -- \\\n {script}")

    error = caught.value
    assert (2, column, command) == (error.line, error.column, error.command)


def test_the_lines_pg_dump_writes_for_psql_alone_are_passed_over():
    r"""``\restrict`` and ``\unrestrict`` guard psql, and mean nothing to a server."""
    script = "\\restrict aB3\n-- a\nSELECT 1; \\restrict b \r\n\n\\unrestrict aB3"

    found = texts(script)

    assert ["SELECT 1;"] == found


@pytest.mark.parametrize(
    ("script", "place"),
    [
        (b"SELECT 'a\xff';", (1, 10, 0xFF)),
        (b"SELECT 1;\n-- \xc3\xa9 \xe9t\xe9\nSELECT 2;", (2, 6, 0xE9)),
        (b"SELECT 1; -- \xf0\x9d\x84", (1, 14, 0xF0)),
        (b"SELECT 'a\xe9, never closed", (1, 10, 0xE9)),
        ("SELECT 1;\n".encode("utf-16"), (1, 1, 0xFF)),
    ],
)
def test_what_is_not_utf8_is_refused_where_it_is(script, place):
    """The first wrong byte is named."""
    with pytest.raises(NotUtf8) as caught:
        list(Splitter(io.BytesIO(script), "a.sql"))

    error = caught.value
    assert place == (error.line, error.column, error.byte)


def test_a_nul_byte_is_refused_where_it_is():
    """It is right UTF-8, and no server takes it in a text."""
    with pytest.raises(NulByte) as caught:
        list(Splitter(io.BytesIO(b"SELECT 1;\nSELECT 'a\0\xff';"), "a.sql"))

    assert (2, 10) == (caught.value.line, caught.value.column)
