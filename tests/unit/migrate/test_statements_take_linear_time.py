"""Time grows with the size of a file, memory with its largest statement only."""

import contextlib
import io
import sys
import time
import tracemalloc

import pytest

from migrate import patterns
from migrate.statements import Splitter

# Where atomic groups stand in for possessive ones, each turn costs memory: there the larger
# text still fits the processor's cache, or the cache would be measured.
SMALL = 1 << (18 if patterns._POSSESSIVE else 15)
LARGE = SMALL << 2

SHAPES = {
    "nested comments": lambda n: b"/*" * (n // 4) + b"*/" * (n // 4) + b"SELECT 1;",
    "comments": lambda n: b"/* a /* b */ */" * (n // 15) + b"SELECT 1;",
    "line comments": lambda n: b"-- a\n" * (n // 5) + b"SELECT 1;",
    "one line comment": lambda n: b"--" + b"a" * n + b"\nSELECT 1;",
    "a dollar quote": lambda n: b"SELECT $a$" + b"$b;" * (n // 3) + b"$a$;",
    "a dollar tag": lambda n: b"SELECT $" + b"a" * n + b";",
    "dollar signs": lambda n: b"SELECT " + b"$1," * (n // 3) + b"$2;",
    "semicolons": lambda n: b";" * n,
    "statements on a line": lambda n: b"a;" * (n // 8),
    "strings": lambda n: b"SELECT " + b"'a'," * (n // 4) + b"'';",
    "strings with escapes": lambda n: b"SELECT " + b"E'\\''," * (n // 24) + b"'';",
    "doubled quotes": lambda n: b"SELECT '" + b"''" * (n // 2) + b"';",
    "a string of backslashes": lambda n: b"SELECT E'" + b"\\'" * (n // 2) + b"';",
    "a name": lambda n: b"a" * n + b";",
    "a name with dollars": lambda n: b"a$" * (n // 2) + b";",
    "a quoted name": lambda n: b'SELECT "' + b'a""' * (n // 3) + b'";',
    "parentheses": lambda n: b"(" * (n // 8) + b")" * (n // 8) + b";",
    "parentheses around text": lambda n: b"(a" * (n // 12) + b")" * (n // 12) + b";",
    "parentheses never closed": lambda n: b"(a'b'$1" * (n // 7),
    "rows": lambda n: b"VALUES " + b"(1, 'a', (2))," * (n // 14) + b"(1);",
    "operators": lambda n: b"a-/" * (n // 3) + b"1;",
    "a body": lambda n: (
        b"CREATE FUNCTION f() BEGIN ATOMIC "
        + b"SELECT CASE WHEN a THEN 1 END; " * (n // 31)
        + b"END;"
    ),
    "letters of several bytes": lambda n: "SELECT 'é€'; ".encode() * (n // 16),
    "no line ends": lambda n: b"SELECT 1; /* */ " * (n // 16),
}


@contextlib.contextmanager
def uncounted():
    """Without coverage's eye on every line: it takes longer than the lines."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def seconds(script):
    """Return the processor's time for one pass."""
    with uncounted():
        start = time.process_time()
        for _ in Splitter(io.BytesIO(script), "a.sql"):
            pass
        return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_time_grows_with_size_and_not_with_its_square(shape):
    """Four times the text takes some four times as long, never sixteen.

    The bound leaves room for what is read again as a large construct grows in memory; a
    busy machine gets another try. Slow: megabytes of the worst text are read.
    """
    small, large = shape(SMALL), shape(LARGE)

    ratio, tries = 99.0, 0
    while ratio >= 13 and tries < 3:
        tries += 1
        ratio = seconds(large) / max(seconds(small), 1e-3)

    assert ratio < 13


class Endless(io.RawIOBase):
    """A file of so many equal blocks between a head and a tail, never whole anywhere."""

    def __init__(self, head, block, times, tail):
        self._parts = iter([head, *[block] * times, tail])
        self._left = b""

    def read(self, size=-1):
        """Give at most ``size`` bytes."""
        self._left = self._left or next(self._parts, b"")
        part, self._left = self._left[:size], self._left[size:]
        return part


BLOCK = b"1\tabc\t\\N\tsome text that a table holds\n" * 6554


def peak(stream, take):
    """Return the statements and the greatest memory while they were found."""
    tracemalloc.start()
    try:
        splitter = Splitter(stream, "a.sql")
        found = []
        with uncounted():
            for one in splitter:
                found.append(one.words)
                while take and one.copy and splitter.copy_data().read(take):
                    pass
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("take", [0, 8192], ids=["skipped", "read"])
def test_copy_data_pass_through_constant_memory(take):
    """A quarter of a gigabyte of data needs no more memory than a few blocks."""
    stream = Endless(b"COPY t FROM stdin;\n", BLOCK, 1000, b"\\.\nSELECT 1;")

    found, memory = peak(stream, take)

    assert [("COPY", "T", "FROM", "STDIN"), ("SELECT",)] == found
    assert memory < 3 << 20


def test_many_statements_pass_through_constant_memory():
    """What was found is forgotten: six megabytes of it leave less than half of that."""
    row = b"INSERT INTO t VALUES (1, '" + b"a" * 280 + b"');\n"
    stream = Endless(b"\n", row * 1000, 20, b"")

    found, memory = peak(stream, 0)

    assert 20_000 == len(found)
    assert memory < 5 << 19


def test_a_statement_is_held_little_more_than_once():
    """Blocks read ahead are small beside a large statement."""
    size = 20 << 20
    stream = Endless(b"SELECT '", b"a" * (1 << 20), size >> 20, b"';")

    found, memory = peak(stream, 0)

    assert [("SELECT",)] == found
    assert memory < 3 * size
