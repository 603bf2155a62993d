"""Rows that follow one another are found as one, and each is found again in it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import SourceError
from migrate.places import apart, within
from migrate.statements import Splitter, Statement

ROWS = [
    b"INSERT INTO t VALUES (1, 'a;b');",
    b"update t set a = 'x''y';",
    b"DELETE FROM t WHERE a = $$;$$;",
    b"INSERT INTO \"a;\" VALUES (E'a\\';');",
    "INSERT INTO t VALUES ('é€');".encode(),
    b"UPDATE t SET a = (((((1)))));",
    b"INSERT INTO t (/* ; */ a)\n  VALUES (1);",
    b"INSERT INTO t VALUES ('a\\');",
]
OTHERS = [
    b"SELECT 1;",
    b"SET standard_conforming_strings = off;",
    b"SET standard_conforming_strings = on;",
    b"COPY t FROM stdin;\n1\n\\.\n",
    b"BEGIN;",
    b"INSERTS;",
    b"insert;",
    b"DELETE FROM t",
    b"INSERT INTO t VALUES ('",
    b"UPDATE t SET a = '\xff';",
]
GAPS = [
    b"\n",
    b" ",
    b"",
    b"\n\n\t",
    b" -- c\n",
    b"/* a */",
    b";",
    b"\n-- migrate: a=b\n",
]
SCRIPTS = st.lists(
    st.sampled_from([*ROWS * 3, *OTHERS]).flatmap(
        lambda text: st.sampled_from(GAPS).map(lambda gap: text + gap)
    ),
    max_size=14,
).map(b"".join)


def found(script, **how):
    """Return the statements and the error that ended the search, if one did."""
    statements: list[Statement] = []
    try:
        statements += apart(Splitter(io.BytesIO(script), "a.sql", **how))
    except SourceError as error:
        return str(error)
    return statements


def run(text):
    """Return the one run that a text is."""
    (only,) = Splitter(io.BytesIO(text), "a.sql", runs=True)
    return only


@given(SCRIPTS)
def test_what_is_taken_out_of_runs_is_what_is_found_without_them(script):
    """Texts, offsets, lines, columns and words; and what is refused."""
    assert found(script) == found(script, runs=True)


def test_rows_are_one_run_and_know_how_many_they_are():
    """Whatever they are, with nothing but white space between them."""
    only = run(b"INSERT INTO t VALUES (1);\n\nupdate t SET a = 1; DELETE FROM t;")

    assert 3 == only.many
    assert ("INSERT", "INTO", "T", "VALUES") == only.words


@pytest.mark.parametrize(
    "between",
    [
        b"SELECT 1;",
        b"-- a comment\n",
        b"/* one */",
        b";",
        b"SET a = 1;",
        b"\\restrict a\n",
    ],
)
def test_anything_else_ends_a_run(between):
    """A directive behind a comment would not be seen in it."""
    script = b"INSERT INTO t VALUES (1);\n" + between + b"INSERT INTO t VALUES (2);"

    assert {1} == {one.many for one in Splitter(io.BytesIO(script), "a", runs=True)}


def test_rows_know_how_strings_end_in_their_file():
    """As it was set above them; what has a string there is in no run."""
    rows = [b"INSERT INTO t VALUES (1);", b"INSERT INTO t VALUES (2);"]
    quoted = [rb"INSERT INTO t VALUES ('a\'); b');", rb"INSERT INTO t VALUES ('\'');"]
    script = b"SET standard_conforming_strings = off;\n" + b"\n".join(rows + quoted)

    setting, run, *others = Splitter(io.BytesIO(script), "a.sql", runs=True)
    found = [setting, *apart([run])]

    assert rows == [one.text for one in found[1:]]
    assert quoted == [one.text for one in others]
    assert {False} == {one.standard for one in [*found, *others]}


def test_a_run_has_an_end():
    """A message holds several, and memory one: however many rows there are."""
    script = b"INSERT INTO t VALUES (1);\n" * 20_000

    runs = list(Splitter(io.BytesIO(script), "a.sql", runs=True))

    assert 20_000 == sum(one.many for one in runs)
    assert max(len(one.text) for one in runs) < 1 << 17


def test_a_character_of_a_run_is_one_of_a_statements():
    """Every character, counted as the server counts them; gaps belong to what is before."""
    text = "  INSERT INTO é VALUES (1);\n UPDATE t SET a = '€';DELETE FROM t;"
    whole = run(text.encode())
    shown = text.strip()
    starts = {shown.index(word) for word in ("INSERT", "UPDATE", "DELETE")}

    for at in range(len(shown)):
        one, character = within(whole, at + 1)
        begins = max(start for start in starts if start <= at)
        assert at - begins + 1 == character
        assert one.text.decode().startswith(shown[begins : begins + 6])


def test_a_statement_alone_is_its_own_run():
    """Nothing is looked for in it."""
    (one,) = Splitter(io.BytesIO(b"SELECT 1;"), "a.sql", runs=True)

    assert (one, 3) == within(one, 3)
    assert [one] == list(apart([one]))
