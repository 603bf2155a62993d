"""COPY … FROM STDIN: what is data, who reads it, and where the file goes on."""

import io
from typing import Any

import pytest

from migrate.statements import Splitter


def read(script, size=1 << 20):
    """Return statements, each with its data or None."""
    splitter = Splitter(io.BytesIO(script), "a.sql")
    found = []
    for one in splitter:
        data = None
        if one.copy:
            copy, data = splitter.copy_data(), b""
            while part := copy.read(size):
                assert len(part) <= size
                data += part
            assert len(data) == copy.bytes_read
        found.append((one.text, data))
    return found


@pytest.mark.parametrize(
    "statement",
    [
        b"COPY t FROM stdin;",
        b"copy only_words from STDIN with (FORMAT csv, HEADER);",
        b'COPY "s;"."T" (a, "from", c) FROM /* ; */ STDIN NULL \'\';',
        b"COPY BINARY t FROM STDOUT;",
        b"COPY public.t\n  (a)\nFROM -- why\n STDIN WHERE a IN (1);",
    ],
)
def test_data_follow_a_copy_from_stdin(statement):
    """Data begin on the next line and end before the line of a backslash and a dot."""
    script = b"SELECT 1;\n" + statement + b" -- b;\na\t';\n\\N\n\n\\.x\n\\.\nSELECT 2;"

    found = read(script)

    assert [
        (b"SELECT 1;", None),
        (statement, b"a\t';\n\\N\n\n\\.x\n"),
        (b"SELECT 2;", None),
    ] == found


@pytest.mark.parametrize(
    "statement",
    [
        b"COPY t TO STDOUT;",
        b"COPY t FROM '/tmp/stdin';",
        b"COPY t FROM PROGRAM 'cat';",
        b"COPY (SELECT * FROM stdin) TO STDOUT;",
        b'COPY t FROM "stdin";',
        b"SELECT copy FROM stdin;",
        b"COPY;",
        b"COPY t FROM",
    ],
)
def test_no_data_follow_other_statements(statement):
    """Nothing else reads the file."""
    script = statement + b"\n"

    found = read(script)

    assert [(statement, None)] == found


@pytest.mark.parametrize(
    ("after", "data"),
    [
        (b"\n\\.\n", b""),
        (b"\r\na\r\n\\.\r\n", b"a\r\n"),
        (b"\na\n\\.", b"a\n"),
        (b"\na\n\\.\r", b"a\n"),
        (b"\na\n", b"a\n"),
        (b"\na", b"a"),
        (b"\n", b""),
        (b"", b""),
        (b"\n\\.\\.\n \\.\n\\.", b"\\.\\.\n \\.\n"),
        (b"\n\xff\0\n\\.\n", b"\xff\0\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_data_end_with_their_line_or_the_file(after, data, size):
    """Both line ends count, a missing end is the file's, and bytes are not judged."""
    script = b"COPY t FROM stdin;" + after

    found = read(script, size)

    assert [(b"COPY t FROM stdin;", data)] == found


@pytest.mark.parametrize("taken", [0, 1, 5, 100])
def test_what_is_not_read_is_skipped(taken):
    """Whoever leaves data unread finds the next statement all the same."""
    script = b"COPY t FROM stdin;\nSELECT 'a';\n;;\n\\.\n  SELECT 2;\nSELECT 3;"
    splitter = Splitter(io.BytesIO(script), "a.sql")
    found = []

    for one in splitter:
        found.append((one.text, one.offset, one.line, one.column))
        if one.copy and taken:
            splitter.copy_data().read(taken)

    assert [
        (b"COPY t FROM stdin;", 0, 1, 1),
        (b"SELECT 2;", 39, 5, 3),
        (b"SELECT 3;", 49, 6, 1),
    ] == found


class Drip(io.RawIOBase):
    """A file that gives only so many bytes at a time."""

    def __init__(self, data, size):
        self._blocks = iter([data[i : i + size] for i in range(0, len(data), size)])

    def read(self, size=1 << 20):
        """Give the next few bytes."""
        return next(self._blocks, b"")[:size]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", range(1, 9))
def test_the_end_of_data_may_be_cut_by_a_block(end, size):
    """However the file arrives, the line that ends the data is seen, and only it."""
    data = (b"a" * 99 + end + b"\\.b" + end + b"\\" + end) * 3
    script = b"COPY t FROM stdin;\n" + data + b"\\." + end + b"SELECT 1;"
    stream: Any = Drip(script, size)
    splitter = Splitter(stream, "a.sql")
    found = []

    for one in splitter:
        while one.copy and (part := splitter.copy_data().read(7)):
            found.append(part)

    assert data == b"".join(found)
    assert b"SELECT 1;" == one.text


def test_the_rest_of_the_line_comes_after_the_data():
    """A COPY's line is read by psql to its end first; the data are below."""
    script = (
        b"COPY t FROM stdin; SELECT 'a'; COPY u FROM stdin; SELECT\n"
        b"1\n\\.\n2\n\\.\n'b'; SELECT 3;\n"
    )

    found = read(script)

    assert [
        (b"COPY t FROM stdin;", b"1\n"),
        (b"SELECT 'a';", None),
        (b"COPY u FROM stdin;", b"2\n"),
        (b"SELECT\n'b';", None),
        (b"SELECT 3;", None),
    ] == found


def test_places_are_right_on_the_line_of_a_copy_and_after_its_data():
    """A statement beside a COPY has that line; the one after the data has its own."""
    script = b"COPY t FROM stdin; SELECT 'a';\n1\n2\n\\.\nSELECT 3; SELECT 4"

    found = [one[1:4] for one in Splitter(io.BytesIO(script), "a.sql")]

    assert [(0, 1, 1), (19, 1, 20), (38, 5, 1), (48, 5, 11)] == found
