"""Directives and statements: what a file asks of the runner."""

import contextlib
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate import parse
from migrate.errors import (
    BadDirective,
    EmptyFile,
    NotUtf8,
    UnknownDirective,
    UnterminatedText,
)
from migrate.migration import Directives, Mode
from migrate.misfits import CannotBeTransactional
from migrate.parse import parse_directives, parse_script
from tests.factories import a_migration

FILE = "0001_users.sql"

# --- directives -----------------------------------------------------------------------

HEADS = {
    "none": ("SELECT 1;", Directives()),
    "nothing": ("", Directives()),
    "an ordinary comment": ("-- about users\nSELECT 1;", Directives()),
    "all of them": (
        (
            "-- migrate: description=All = about users\n"
            "-- migrate: transaction=false\n"
            "-- migrate: lock_timeout=2s\n"
            "-- migrate: statement_timeout=0\n"
            "-- migrate: requires=0001, R__views\n"
        ),
        Directives("All = about users", False, 2000, 0, ("0001", "R__views")),  # noqa: FBT003
    ),
    "transaction=true": ("-- migrate: transaction=true", Directives(transaction=True)),
    "tight": ("--migrate:description=x\n", Directives(description="x")),
    "loose": ("  --\tmigrate:  description  =  x  \n", Directives(description="x")),
    "after a byte order mark": ("\ufeff-- migrate: description=x\n", Directives("x")),
    "with CRLF": ("-- a\r\n-- migrate: description=x\r\n", Directives("x")),
    "after blank lines": ("\n \n\n-- migrate: description=x\n", Directives("x")),
    "after a licence in a block": (
        "/* Licence;\n-- migrate: description=no\n/* nested */ */\n-- migrate: description=x\n",
        Directives("x"),
    ),
    "beside a block": ("/* a */ /* b */ -- migrate: description=x\n", Directives("x")),
    "an open block": ("/* -- migrate: description=x\n", Directives()),
    "below a statement": ("SELECT 1;\n-- migrate: wrong=x\n", Directives()),
    "behind a statement": ("SELECT 1; -- migrate: wrong=x\n", Directives()),
    "in the middle of a comment": ("-- see migrate: wrong=x\n", Directives()),
}


@pytest.mark.parametrize(("head", "expected"), HEADS.values(), ids=HEADS)
def test_directives_are_the_comments_before_the_first_statement(head, expected):
    """Other comments may stand between them; nothing below a statement counts."""
    found = parse_directives(head.encode(), FILE)

    assert expected == found


@pytest.mark.parametrize(
    ("text", "line", "directive"),
    [
        ("-- migrate: timeout=5s", 1, "timeout"),
        ("\n-- a\n-- migrate: Transaction=false", 3, "Transaction"),
        ("/* a\nb */\n-- migrate: =x", 3, ""),
        ("-- migrate:", 1, ""),
    ],
)
def test_an_unknown_directive_is_named_with_its_line(text, line, directive):
    """A slip in a directive must not be taken for a comment."""
    with pytest.raises(UnknownDirective) as raised:
        parse_directives(text.encode(), FILE)

    error = raised.value
    assert (FILE, line, directive) == (error.file, error.line, error.directive)
    assert "lock_timeout" in error.known


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("transaction", "no value"),
        ("transaction=", "true or false"),
        ("transaction=no", "true or false"),
        ("lock_timeout=5", "a number with a unit"),
        ("statement_timeout=soon", "a number with a unit"),
        ("requires=", "versions, with commas"),
        ("requires=users", "versions, with commas"),
        ("requires=0001 0002", "versions, with commas"),
        ("requires=²", "versions, with commas"),
        ("description=a\n-- migrate: description=b", "twice"),
        ("lock_timeout=1s\n-- migrate: lock_timeout=1s", "twice"),
    ],
)
def test_a_bad_value_of_a_directive_is_named(text, says):
    """The error says which directive, on which line, and what is wrong with it."""
    head = f"-- migrate: {text}\n"

    with pytest.raises(BadDirective) as raised:
        parse_directives(head.encode(), FILE)

    assert text.count("\n") + 1 == raised.value.line
    assert says in raised.value.reason
    assert text.startswith(raised.value.directive)


@given(st.binary() | st.text().map(lambda text: f"-- migrate: {text}".encode()))
def test_any_head_gives_directives_or_says_what_is_wrong(head):
    """No text at the head of a file makes the reader itself fail."""
    found = Directives()

    with contextlib.suppress(UnknownDirective, BadDirective):
        found = parse_directives(head, FILE)

    assert isinstance(found, Directives)


# --- statements -----------------------------------------------------------------------


def script(text: str | bytes, **changes):
    data = text.encode() if isinstance(text, str) else text
    migration = a_migration(**{"size": len(data), **changes})
    return parse_script(migration, io.BytesIO(data))


MODES = {
    "one statement": ("SELECT 1;", []),
    "several": ("SELECT 1; SELECT 2", []),
    "asked for": ("-- migrate: transaction=true\nSELECT 1;", []),
    "a savepoint": ("SAVEPOINT a; ROLLBACK TO a; RELEASE a;", []),
    "asked not to be": (
        "-- migrate: transaction=false\nSELECT 1;",
        ["directive transaction=false"],
    ),
    "one that stands alone": ("SELECT 1;\nVACUUM;", ["line 2: VACUUM"]),
    "two that stand alone": (
        "CREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM;",
        ["line 1: CREATE INDEX CONCURRENTLY", "line 2: VACUUM"],
    ),
    "a COMMIT in the middle": (
        "SELECT 1;\nCOMMIT;\nSELECT 2;",
        ["line 2: its own COMMIT"],
    ),
    "a ROLLBACK at the end": ("BEGIN; SELECT 1; ROLLBACK;", ["line 1: its own BEGIN"]),
    "two pairs": (
        "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;",
        ["line 1: its own BEGIN"],
    ),
    "something after the pair": (
        "BEGIN; SELECT 1; COMMIT;\nSELECT 2;",
        ["line 1: its own BEGIN"],
    ),
    "something before the pair": (
        "SELECT 1;\nBEGIN; COMMIT;",
        ["line 2: its own BEGIN"],
    ),
    "all reasons": (
        "-- migrate: transaction=false\nVACUUM;\nCOMMIT;",
        ["directive transaction=false", "line 2: VACUUM", "line 3: its own COMMIT"],
    ),
}


@pytest.mark.parametrize(("text", "reasons"), MODES.values(), ids=MODES)
def test_a_file_is_transactional_unless_there_is_a_reason(text, reasons):
    """Every reason is told, with its line."""
    found = script(text)

    assert reasons == list(found.reasons)
    assert (Mode.NON_TRANSACTIONAL if reasons else Mode.TRANSACTIONAL) is found.mode
    assert not found.wrapped


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("BEGIN;\nSELECT 1;", 1),
        ("SELECT 1;\nBEGIN;\nBEGIN;", 2),
        ("BEGIN; COMMIT;\nSTART TRANSACTION; SAVEPOINT a; ROLLBACK TO a;", 2),
        ("BEGIN;\nCOMMIT PREPARED 'x';", 1),
    ],
)
def test_a_transaction_that_is_never_ended_is_refused(text, line):
    """At the end of the file psql would undo it, and say nothing."""
    with pytest.raises(UnterminatedText) as raised:
        script(text)

    assert ("transaction", line) == (raised.value.what, raised.value.line)


@pytest.mark.parametrize(
    "end", ["COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION 'x'"]
)
def test_each_way_to_end_a_transaction_ends_it(end):
    """What was begun and ended is left to the file."""
    found = script(f"SELECT 1; BEGIN; SELECT 2; {end};")

    assert Mode.NON_TRANSACTIONAL is found.mode


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN; SELECT 1; COMMIT;",
        "-- a\nstart transaction; SELECT 1; end",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT a; ROLLBACK TO a; COMMIT WORK;",
        "BEGIN; COMMIT;",
    ],
)
def test_a_file_wrapped_in_one_transaction_is_transactional(text):
    """One BEGIN first and one COMMIT last are ours to absorb."""
    found = script(text)

    assert Mode.TRANSACTIONAL is found.mode
    assert found.wrapped


def test_a_wrapped_file_with_a_reason_is_not_absorbed():
    """The pair stays the file's own where it is not applied in one transaction."""
    found = script("-- migrate: transaction=false\nBEGIN; SELECT 1; COMMIT;")

    assert Mode.NON_TRANSACTIONAL is found.mode
    assert not found.wrapped


@pytest.mark.parametrize(
    ("text", "reason"),
    [("VACUUM;", "line 2: VACUUM"), ("SELECT 1; COMMIT;", "line 2: its own COMMIT")],
)
def test_one_transaction_is_not_promised_where_it_cannot_be(text, reason):
    """A directive does not overrule PostgreSQL."""
    with pytest.raises(CannotBeTransactional) as raised:
        script(f"-- migrate: transaction=true\n{text}")

    assert reason == raised.value.reason


@pytest.mark.parametrize(
    "text", ["", "\n", "-- migrate: description=x\n", "/* */;;", "\ufeff"]
)
def test_a_file_without_statements_is_refused(text):
    """An empty migration is a mistake, not a success."""
    with pytest.raises(EmptyFile) as raised:
        script(text)

    assert FILE == raised.value.file


def test_the_statements_of_a_small_file_are_held():
    """They were split for the plan and need not be split again."""
    found = script("SELECT 1;\nSELECT 2;")

    assert 2 == found.statements
    assert found.held
    assert [b"SELECT 1;", b"SELECT 2;"] == [one.text for one in found.held]


def test_the_statements_of_a_large_file_are_not_held():
    """Memory does not grow with the file."""
    small = script("SELECT 1;", size=parse._HELD_BYTES)

    large = script("SELECT 1;", size=parse._HELD_BYTES + 1)

    assert small.held is not None
    assert large.held is None
    assert 1 == large.statements


def test_copy_data_are_not_held():
    """They are streamed from the file, so the file is read again."""
    found = script("SELECT 1;\nCOPY t FROM stdin;\n1\n2\n\\.\nSELECT 2;")

    assert 3 == found.statements
    assert found.held is None


def test_a_directive_that_is_not_utf8_is_refused_with_its_place():
    """The byte is named, as anywhere else in a file."""
    with pytest.raises(NotUtf8) as raised:
        script(b"-- migrate: description=caf\xe9\nSELECT 1;")

    assert (1, 28, 0xE9) == (raised.value.line, raised.value.column, raised.value.byte)


def test_directives_far_down_a_long_head_are_found():
    """A licence of a thousand lines may stand before them."""
    licence = "-- all rights, some wrongs\n" * 1000

    found = script(f"{licence}-- migrate: description=x\nSELECT 1;")

    assert re.fullmatch("x", found.description)


def test_a_directive_below_a_statement_is_refused():
    """It would be a comment, and whoever wrote it would think otherwise."""
    text = "CREATE TABLE t ();\n\n  --migrate:lock_timeout = 10min\nDROP TABLE t;"

    with pytest.raises(BadDirective) as raised:
        script(text)

    error = raised.value
    assert (3, "lock_timeout", "10min") == (error.line, error.directive, error.value)


@pytest.mark.parametrize(
    "text",
    [
        "-- migrate: requires=0001\nDO $$\n-- migrate: requires=0009\n$$;",
        "SELECT 1;\n-- migrate: the rest by hand\nSELECT 2;",
        "COPY t FROM stdin;\n-- migrate: requires=0009\n\\.\n",
        "SELECT 1;\n-- we migrate: requires=all\n",
    ],
    ids=["in a body", "a sentence", "in data", "in a sentence"],
)
def test_what_only_looks_like_a_directive_is_none(text):
    """A body, a row and a sentence may hold the words."""
    script(text)
