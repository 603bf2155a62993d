"""The outcome is the contract with what launched the run: JSON, without loss."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import ExitCode
from migrate.outcome import SCHEMA, Done, Outcome

NUMBER = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
OUTCOMES = st.builds(
    Outcome,
    verb=st.sampled_from(["apply", "verify"]),
    exit_code=st.sampled_from(ExitCode),
    done=st.lists(st.builds(Done, st.text(), st.text(), NUMBER)).map(tuple),
    failed=st.none() | st.text(),
    error=st.none() | st.text(),
    message=st.text(),
    not_tried=st.lists(st.text()).map(tuple),
    duration_ms=NUMBER,
    left_out=st.lists(st.text()).map(tuple),
)
WHOLE = Outcome(
    verb="apply",
    exit_code=ExitCode.FAILED,
    done=(Done("0001", "users", 12.5),),
    failed="0002_add_email.sql",
    error="statement-failed",
    message="no",
    not_tried=("0003",),
    duration_ms=20.0,
    left_out=("0004",),
)


@given(OUTCOMES)
def test_an_outcome_comes_back_whole(outcome):
    """Writing and reading changes nothing, and takes one line."""
    line = outcome.to_json()

    assert "\n" not in line
    assert outcome == Outcome.from_json(line)


def test_the_form_of_the_line_is_fixed():
    """Other programs read it by these names."""
    line = json.loads(WHOLE.to_json())

    assert {
        "verb": "apply",
        "exit_code": 7,
        "done": [{"version": "0001", "name": "users", "duration_ms": 12.5}],
        "failed": "0002_add_email.sql",
        "error": "statement-failed",
        "message": "no",
        "not_tried": ["0003"],
        "duration_ms": 20.0,
        "left_out": ["0004"],
        "schema": 1,
    } == line


def test_an_older_release_left_nothing_out():
    """Its line lacks the field, and is an outcome all the same."""
    line = json.loads(WHOLE.to_json())
    del line["left_out"]

    found = Outcome.from_json(json.dumps(line))

    assert WHOLE._replace(left_out=()) == found


def test_what_a_newer_release_added_is_left_out():
    """An added field does not raise the schema, so an older reader must bear it."""
    line = json.loads(WHOLE.to_json())
    line["mood"] = "good"
    line["done"][0]["statements"] = 3

    found = Outcome.from_json(json.dumps(line))

    assert WHOLE == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "{}",
        '{"schema": 2}',
        f'{{"schema": {SCHEMA}}}',
        WHOLE.to_json().replace('"exit_code": 7', '"exit_code": 99'),
        WHOLE.to_json().replace('"verb"', '"verv"'),
        WHOLE.to_json().replace('"name"', '"nome"'),
        WHOLE.to_json().replace('"not_tried": ["0003"]', '"not_tried": 3'),
        WHOLE.to_json().replace('[{"version"', '[3, {"version"'),
    ],
)
def test_anything_else_is_a_value_error(text):
    """A log line that is no outcome is refused in one way, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - json words some of them itself
        Outcome.from_json(text)
