"""Properties that hold for any text: nothing lost, nothing twice, in order."""

import io
import re

from hypothesis import example, given
from hypothesis import strategies as st

from migrate.errors import SourceError
from migrate.statements import Splitter

FRAGMENTS = (  # noqa: SIM905
    "select create function or replace procedure begin atomic case end a$b$ é 𝄞 1 $1 1a"
    " '' ' 'a' 'a;' E' E'\\'' U&' u&\"a\" \" \"a\" N'a' $$ $a$ $$;$$ $é$;$é$ $ -- --a; - /"
    " /* */ /**/ /*a;*/ * + ( ) (;) [ ] ; ; ; : :: := :a :'a' , . \\' \\restrict \\."
).split()
BLANKS = ["", " ", "\n", "\r\n", "\t", "\r", "\n;\n", "--\n"]
SETTINGS = [
    "SET standard_conforming_strings = off;\n",
    "RESET standard_conforming_strings;\n",
    "COPY t FROM stdin;\na'\n\\.\n",
]
pieces = st.sampled_from([*FRAGMENTS, *SETTINGS])
scripts = st.lists(st.tuples(pieces, st.sampled_from(BLANKS)), max_size=40).map(
    lambda pairs: "".join(map("".join, pairs)).encode()
)
NO_STATEMENT = re.compile(
    rb"(?:\s|;|--[^\n\r]*|\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t\r]*(?:\n|\Z))*\Z"
)


class Drip(io.RawIOBase):
    """A file that gives only so many bytes at a time."""

    def __init__(self, data, size):
        self._data, self._size, self._place = data, size, 0

    def read(self, size=-1):
        """Give the next few bytes."""
        start = self._place
        self._place += min(size, self._size)
        return self._data[start : self._place]


def split(stream):
    """Return the statements, their data, and the error that ended them."""
    splitter = Splitter(stream, "a.sql")
    found = []
    try:
        for one in splitter:
            data = []
            while one.copy and (part := splitter.copy_data().read(1 << 20)):
                data.append(part)
            found.append((one, b"".join(data)))
    except SourceError as error:
        return found, str(error)
    return found, ""


def without_comments(gap):
    """Blank the block comments of a gap."""
    depth, last, kept = 0, 0, b""
    for edge in re.finditer(rb"/\*|\*/|--[^\n\r]*", gap):
        if edge.group().startswith(b"--") and depth == 0:
            kept += gap[last : edge.end()]
        elif edge.group() == b"/*":
            kept += b"" if depth else gap[last : edge.start()]
            depth += 1
        elif depth:
            depth -= 1
        last = edge.end()
    return kept + gap[last:]


@given(scripts)
def test_statements_are_slices_of_the_file_in_order(script):
    """Each text is in the file at its offset, line and column, after the one before."""
    found, _ = split(io.BytesIO(script))

    end = 0
    for one, data in found:
        before = script[: one.offset].decode()
        assert one.text
        assert one.text == one.text.strip()
        if not data and end <= one.offset:  # beside a COPY, the file is read otherwise
            assert one.text == script[one.offset : one.offset + len(one.text)]
        assert one.line == before.count("\n") + 1
        assert one.column == len(before) - before.rfind("\n")
        end = one.offset + len(one.text)


@given(scripts.filter(lambda script: b"COPY" not in script))
@example(b"/* a /* ; */ */ select 1; -- b\n; select 2 /* c */")
def test_between_statements_there_is_nothing(script):
    """What no statement holds is blank, comment, semicolon or an accepted line."""
    found, error = split(io.BytesIO(script))

    end = 0
    for one, _ in found:
        assert NO_STATEMENT.match(without_comments(script[end : one.offset]))
        end = one.offset + len(one.text)
    assert error or NO_STATEMENT.match(without_comments(script[end:]))


@given(scripts, st.integers(1, 9))
@example(b"select 1 " + b" " * 60 + b"-- a; 'b\n; select E'\\'\n'", 1)
def test_it_makes_no_difference_how_a_file_is_read(script, size):
    """Blocks may end anywhere: in a comment's opening, a word, an escape, a letter."""
    whole = split(io.BytesIO(script))

    dripping = split(Drip(script, size))

    assert whole == dripping


@given(st.binary(max_size=200))
@example(b"$\x80$")
@example(b"create begin \xff;")
@example(b"create or \xff/**/begin end;")
def test_no_bytes_are_a_bug(script):
    """Any file is either split or refused with an explained error."""
    found, error = split(io.BytesIO(script))

    assert isinstance(error, str)
    assert all(one.text for one, _ in found)
