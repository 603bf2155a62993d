"""Tail and list together: each line once, in order, or the gap is announced."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.logmerge import HOLD_S, Gap, Line, Merger
from jobs.ports import Entry
from tests.scripted_cloud import a_line, an_end

OTHER = Entry(5.0, "x", "p/logs/run.googleapis.com%2Fstderr", "DEFAULT", "Traceback")


def numbers(items):
    """Return the numbers of the lines among items."""
    return [item.seq for item in items if isinstance(item, Line)]


@given(st.data())
def test_every_delivery_ends_in_the_same_order(data):
    """Late, repeated and shuffled entries: what is told is 1…n, once."""
    count = data.draw(st.integers(1, 30))
    entries = [*(a_line(n) for n in range(1, count)), an_end(count)]
    repeated = data.draw(st.lists(st.sampled_from(entries), max_size=20))
    shuffled = data.draw(st.permutations(entries + repeated))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=5)))
    merger, told = Merger(), []

    for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        merger.offer(shuffled[begin:end])
        told += merger.take(0.0)

    merger.offer(entries)

    assert list(range(1, count + 1)) == numbers(told)
    assert [] == merger.flush()
    assert merger.complete
    assert 0 == merger.missing


@given(st.sets(st.integers(1, 20), max_size=19), st.data())
def test_what_never_comes_is_announced(lost, data):
    """Lines and gaps together cover every number exactly once."""
    entries = [a_line(n) for n in range(1, 21) if n not in lost]
    merger = Merger()

    merger.offer(data.draw(st.permutations(entries)))
    told = merger.flush()

    covered: list[int | None] = []
    for item in told:
        covered += (
            range(item.first, item.last + 1) if isinstance(item, Gap) else [item.seq]
        )
    last = max((n for n in range(1, 21) if n not in lost), default=0)
    assert list(range(1, last + 1)) == covered
    assert not merger.complete


def test_a_line_is_held_back_for_the_one_before_it():
    """For a while: then the gap is told, and the late line is marked as late."""
    merger: Any = Merger()
    merger.offer([a_line(1), a_line(3)])

    at_once = merger.take(100.0)
    waiting = merger.take(100.0 + HOLD_S - 1)
    missing = merger.missing
    given_up = merger.take(100.0 + HOLD_S)
    merger.offer([a_line(2), a_line(2)])
    late = merger.take(200.0)

    assert [1] == numbers(at_once)
    assert [] == waiting
    assert 1 == missing
    assert [Gap(2, 2), 3] == [given_up[0], given_up[1].seq]
    assert [(2, True)] == [(item.seq, item.late) for item in late]
    assert 0 == merger.missing


def test_lines_without_a_number_are_told_once_where_their_time_is():
    """A traceback on stderr stands between the lines around it."""
    merger: Any = Merger()
    merger.offer([a_line(1, at=4.0), a_line(2, at=6.0), OTHER, OTHER])

    told = merger.take(0.0)
    merger.offer([OTHER])

    assert [1, None, 2] == numbers(told)
    assert ("ERROR", "Traceback") == (told[1].severity, told[1].text)
    assert [] == merger.take(0.0)
    assert [] == merger.flush()


def test_what_is_remembered_is_bounded(monkeypatch):
    """A job that floods its log with lines of its own does not fill our memory."""
    monkeypatch.setattr("jobs.logmerge._REMEMBERED", 2)
    merger = Merger()

    merger.offer(OTHER._replace(insert_id=str(n)) for n in range(5))

    assert 5 == len(merger.take(0.0))
    assert 2 == len(merger._seen)


def test_another_runs_numbers_are_not_mixed_up():
    """One run is followed; the lines of a second one are told as they come."""
    merger: Any = Merger()
    merger.offer([a_line(1), a_line(1, "other", run_id="r2", at=9e9)])

    told = merger.take(0.0)

    assert ["line", "other"] == [line.text for line in told]


def test_the_end_marker_gives_the_outcome():
    """Or none, when it cannot be read."""
    good: Any = Merger()
    bad = Merger()

    good.offer([an_end(1, exit_code=7, message="no")])
    bad.offer([a_line(1, event="End", fields={"schema": 9})])

    assert (7, "no") == (good.outcome.exit_code, good.outcome.message)
    assert bad.outcome is None


def test_a_number_that_is_none_is_no_number():
    """Text, zero and truth in the place of a number are left alone."""
    entries = [OTHER._replace(payload={"seq": s}, insert_id=str(s)) for s in ("1", 0)]
    merger: Any = Merger()

    merger.offer(entries)

    assert [None, None] == [line.seq and None for line in merger.take(0.0)]
