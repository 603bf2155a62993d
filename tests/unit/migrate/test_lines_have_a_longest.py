"""Cloud Logging refuses an entry of more than 256 KiB: no line comes near it."""

import io
import json

import pytest

from migrate import events, faults
from migrate.errors import ExitCode
from migrate.outcome import Done, Outcome
from migrate.render import JsonListener, Printer

LONGEST = 128 << 10


def line_of(tell):
    """Return the one line that is told, and how many bytes it has."""
    stream = io.StringIO()
    tell(JsonListener(Printer(stream), "run-1", {}))
    (line,) = stream.getvalue().splitlines()
    return json.loads(line), len(line.encode())


@pytest.mark.parametrize("letter", ["x", "é", "\x01", "\n", "😀"])
def test_a_long_text_is_cut_and_its_length_told(letter):
    """Whatever a character takes in UTF-8 and in JSON."""
    text = letter * 600_000

    line, size = line_of(lambda tell: tell(events.Notice("a.sql", text)))

    assert LONGEST >= size
    cut = line["fields"]["text"]
    assert cut.startswith(letter * 1000)
    assert cut.endswith("… (600000 characters)")
    assert "a.sql" == line["fields"]["file"]


def test_a_long_list_is_cut_and_the_rest_counted():
    """Nine thousand files: the first, and how many more there are."""
    files = tuple(
        f"/migrations/{n:05}_some_migration_or_other.sql" for n in range(9000)
    )
    event = events.Connecting("h", "5432", "d", "u", files, 1, 1)

    line, size = line_of(lambda tell: tell(event))

    assert LONGEST >= size
    listed = line["fields"]["files"]
    assert list(files[: len(listed)]) == listed
    assert 9000 == len(listed) + line["fields"]["cut"]["files"]


def test_what_fits_is_left_alone():
    """A text of 60 kB, twice in its line."""
    text = "x" * 60_000

    line, _ = line_of(lambda tell: tell(events.Notice("a.sql", text)))

    assert text == line["fields"]["text"]
    assert "cut" not in line["fields"]


def test_the_end_marker_keeps_its_counts():
    """Who reads it counts what its line had no room for."""
    done = tuple(Done(f"{n:05}", f"some_migration_{n}", 12.5) for n in range(3000))
    rest = tuple(f"{n:05}" for n in range(3000, 9000))
    outcome = Outcome("apply", ExitCode.FAILED, done=done, not_tried=rest)

    line, size = line_of(lambda tell: tell.end(outcome))

    found = Outcome.from_json(json.dumps(line["fields"]))
    assert LONGEST >= size
    assert (3000, ExitCode.FAILED) == (found.applied, found.exit_code)
    assert 6000 == len(found.not_tried) + found.cut["not_tried"]
    assert done[: len(found.done)] == found.done
    assert found == Outcome.from_json(found.to_json())


def test_an_error_in_a_long_line_shows_what_people_are_shown():
    """The part around the place, not the INSERT of a megabyte."""
    source = "INSERT INTO t VALUES " + "(1), " * 400_000
    error = faults.StatementFailed(
        file="a.sql", line=1, column=1_000_000, source=source, sqlstate="22P02",
        message="no", detail="", server_hint="", context="", note="",
    )  # fmt: skip

    line, _ = line_of(lambda tell: tell.error(error))

    shown = line["fields"]["source"]
    assert 500 > len(shown)
    assert f"\n  {shown}\n" in line["message"]
