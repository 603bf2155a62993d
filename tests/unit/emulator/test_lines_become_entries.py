"""What a container's line becomes in Cloud Logging."""

import pytest

from emulator.entries import LONGEST, parse_line, split_long
from emulator.moments import parse_ns


def test_plain_line_is_text():
    """A line that is no JSON object is a text entry without a severity."""
    told = parse_line("Applied 0001")

    assert ("Applied 0001", 0) == (told.payload, told.severity)


@pytest.mark.parametrize("line", ["{not json", "[1, 2]", '"text"', "{}x", "42"])
def test_what_is_no_object_stays_text(line):
    """Only a whole JSON object is read."""
    assert line == parse_line(line).payload


def test_special_keys_are_lifted():
    """Severity, time, labels, trace and insert id leave the payload."""
    told = parse_line(
        '{"severity": "error", "time": "2026-03-01T10:00:00Z", "message": "no", "seq": 3,'
        ' "logging.googleapis.com/labels": {"a": 1},'
        ' "logging.googleapis.com/trace": "t", "logging.googleapis.com/insertId": "i"}'
    )

    assert {"message": "no", "seq": 3} == told.payload
    assert (500, {"a": "1"}, "t", "i") == (
        told.severity,
        told.labels,
        told.trace,
        told.insert_id,
    )
    assert parse_ns("2026-03-01T10:00:00Z") == told.timestamp


def test_object_with_nothing_but_a_message_is_text():
    """What is left of an object, when it is its message only, is text."""
    told = parse_line('{"severity": "INFO", "message": "hello"}')

    assert ("hello", 200) == (told.payload, told.severity)


def test_time_that_cannot_be_read_stays_where_it_is():
    """A broken time is left in the payload and decides nothing."""
    told = parse_line('{"time": "yesterday", "message": "x"}')

    assert ({"time": "yesterday", "message": "x"}, None) == (
        told.payload,
        told.timestamp,
    )


def test_long_line_becomes_several_entries():
    """An entry holds at most 256 KiB; nothing of a longer line is lost."""
    line = "ä" * LONGEST

    pieces = split_long(line)

    assert line == "".join(pieces)
    assert all(len(piece.encode()) <= LONGEST for piece in pieces)
    assert ["short"] == split_long("short")
