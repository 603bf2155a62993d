"""A check of a ``.verify.sql`` is named by the comment above it."""

import pytest

from migrate.errors import UnreadableFile, UnterminatedText
from migrate.postgres.checks import read_checks

NAMED = {
    "a comment": ("-- all have one\nSELECT true;", ["all have one"]),
    "no comment": ("SELECT true;", ["SELECT true;"]),
    "an empty comment": ("--\nSELECT true;", ["SELECT true;"]),
    "only the first line": ("SELECT\n  true;", ["SELECT"]),
    "only so much of it": (f"SELECT {'1' * 90};", [f"SELECT {'1' * 53}"]),
    "the last of several": ("-- one\n-- two\nSELECT true;", ["two"]),
    "blank lines between": ("-- one\n\n \nSELECT true;", ["one"]),
    "indented": ("  --\tone  \n  SELECT true;", ["one"]),
    "with CRLF": ("-- one\r\nSELECT true;\r\n-- two\r\nSELECT true;", ["one", "two"]),
    "after a byte order mark": ("\ufeff-- one\nSELECT true;", ["one"]),
    "each its own": ("-- one\nSELECT 1;\n-- two\nSELECT 2;", ["one", "two"]),
    "not the one before": ("-- one\nSELECT 1;\nSELECT 2;", ["one", "SELECT 2;"]),
    "not the end of a line": (
        "SELECT 1; -- one\nSELECT 2;",
        ["SELECT 1;", "SELECT 2;"],
    ),
    "not a directive": ("-- migrate: lock_timeout=1s\nSELECT 1;", ["SELECT 1;"]),
    "not a tight directive": ("--migrate:lock_timeout=1s\nSELECT 1;", ["SELECT 1;"]),
    "not one inside": ("SELECT 1\n-- inside\n;", ["SELECT 1"]),
    "letters of any script": ("-- größer als 0\nSELECT 1;", ["größer als 0"]),
    "nothing to check": ("-- later\n", []),
}


@pytest.fixture
def a_file(tmp_path):
    """Write the checks of a migration; return the path."""

    def write(text: str) -> str:
        path = tmp_path / "0001_users.verify.sql"
        path.write_bytes(text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(("text", "names"), NAMED.values(), ids=NAMED)
def test_a_check_is_named_by_the_comment_above_it(a_file, text, names):
    """Without one its first line has to do."""
    found = [check.name for check in read_checks(a_file(text))]

    assert names == found


def test_a_check_knows_its_file_and_its_place(a_file):
    """Its failure points there."""
    path = a_file("-- one\nSELECT 1;\n\n-- two\n  SELECT 2;")

    first, second = read_checks(path)

    assert {"0001_users.verify.sql"} == {first.file, second.file}
    assert [(2, 1), (5, 3)] == [
        (c.statement.line, c.statement.column) for c in (first, second)
    ]


def test_a_wrong_file_of_checks_is_refused(a_file):
    """It is found before the migration is applied."""
    path = a_file("SELECT 'x;")

    with pytest.raises(UnterminatedText) as raised:
        list(read_checks(path))

    assert ("0001_users.verify.sql", 1, 8) == (
        raised.value.file,
        raised.value.line,
        raised.value.column,
    )


def test_a_file_of_checks_that_is_gone_is_refused(tmp_path):
    """The reason is the system's."""
    with pytest.raises(UnreadableFile):
        list(read_checks(str(tmp_path / "gone.verify.sql")))
