"""Lengths of time: a unit is required, and what is shown is read at a glance."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.duration import milliseconds, readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("1.5s", 1500),
        ("0.4ms", 0),
        ("2min", 120_000),
        ("2 min", 120_000),
        ("1h", 3_600_000),
        ("2147483647ms", 2**31 - 1),
    ],
)
def test_a_number_with_a_unit_is_read(text, expected):
    """The units are those of PostgreSQL."""
    found = milliseconds(text)

    assert expected == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "-1s",
        "5 sec",
        "5m",
        "1d",
        "s",
        "1.s",
        ".5s",
        "1s ",
        "1e3s",
        "٣s",
        "1s\n",
    ],
)
def test_anything_else_is_refused_with_the_form(text):
    """A bare number might mean seconds or milliseconds: it is not guessed."""
    with pytest.raises(ValueError, match="a number with a unit: ms, s, min or h"):
        milliseconds(text)


@pytest.mark.parametrize("text", ["2147483648ms", "597h", "9" * 400 + "h"])
def test_what_postgresql_cannot_count_is_refused(text):
    """A length beyond 31 bits of milliseconds is no setting of the server's."""
    with pytest.raises(ValueError, match="24 days"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "0 ms"),
        (12.4, "12 ms"),
        (999.4, "999 ms"),
        (999.7, "1.0 s"),
        (3400, "3.4 s"),
        (59_940, "59.9 s"),
        (59_990, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (119_700, "2 min 0 s"),
    ],
)
def test_a_length_is_shown_for_people(ms, expected):
    """It has two significant parts at most, and no 60 seconds."""
    shown = readable(ms)

    assert expected == shown


@given(st.floats(0, 1e9))
def test_no_length_shows_a_full_unit(ms):
    """Neither 1000 ms nor 60 s is ever shown: the next unit is."""
    shown = readable(ms)

    assert re.fullmatch(r"\d{1,3} ms|[1-5]?\d\.\d s|\d+ min [1-5]?\d s", shown)
