"""Places: offset, line and column of a statement, and of a character in it."""

import io

import pytest

from migrate.places import position
from migrate.statements import Splitter


def split(script):
    return list(Splitter(io.BytesIO(script.encode()), "a.sql"))


def test_a_statement_says_where_it_begins():
    """Offset counts bytes; line and column count what a person sees."""
    script = "\ufeffSELECT 'é€𝄞'; é;\r\n/* €\n */ SELECT\n 2 ;; SELECT 3"

    found = split(script)

    assert [
        ("SELECT 'é€𝄞';", 3, 1, 1),
        ("é;", 23, 1, 15),
        ("SELECT\n 2 ;", 39, 3, 5),
        ("SELECT 3", 52, 4, 7),
    ] == [(one.text.decode(), one.offset, one.line, one.column) for one in found]


def test_lines_are_counted_past_a_block_of_the_file():
    """Forgetting what was read forgets no line and no column."""
    script = "".join(f"/* {'é' * 50_000} */ SELECT {n};\n" for n in range(20))

    found = split(script)

    assert [(n + 1, 50_008) for n in range(20)] == [(o.line, o.column) for o in found]


PLACES = {
    "the first character": (1, (7, 5, "    SELECT é,")),
    "a character after others of several bytes": (9, (7, 13, "    SELECT é,")),
    "the end of a line": (10, (7, 14, "    SELECT é,")),
    "the next line's first": (12, (8, 1, "  €𝄞 oops")),
    "after wide characters": (17, (8, 6, "  €𝄞 oops")),
    "the last line": (22, (9, 1, "FROM t;")),
    "the end of the text": (29, (9, 8, "FROM t;")),
    "beyond the end": (99, (9, 8, "FROM t;")),
    "before the beginning": (0, (7, 5, "    SELECT é,")),
}


@pytest.mark.parametrize(("characters", "place"), PLACES.values(), ids=PLACES)
def test_a_servers_position_is_found_in_the_file(characters, place):
    """Characters become line and column, and the line has room for a caret."""
    text = "SELECT é,\r\n  €𝄞 oops\nFROM t;".encode()

    found = position(text, 7, 5, characters)

    assert place == found


def test_the_caret_stands_below_the_character():
    """The column returned indexes the line returned, wherever the statement begins."""
    script = "SELECT 1; SELECT nix FROM t;"
    statement = split(script)[1]
    at = statement.text.decode().index("nix") + 1

    _, column, line = position(statement.text, statement.line, statement.column, at)

    assert "nix" == line[column - 1 : column + 2]
    assert script.index("nix") == column - 1
