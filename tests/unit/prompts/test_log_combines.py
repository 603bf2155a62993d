"""The combining log: who writes for whom, who waits, and what a failure costs."""

import threading
from typing import Any

import pytest

from prompts import executions
from prompts.errors import ConnectionFailedError, StatementFailedError
from prompts.executions import ExecutionLog


class Table:
    """A place to write to that can be held up, and that refuses what is bad."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.entered, self.open = threading.Event(), threading.Event()
        self.open.set()

    def write(self, rows) -> None:
        """Keep the rows, or refuse all of them for one that is bad."""
        self.entered.set()
        self.open.wait()
        numbers = [row["n"] for row in rows]
        if "away" in numbers:
            raise ConnectionFailedError("gone")
        if "bad" in numbers:
            raise StatementFailedError("no", "22001")
        self.batches.append(numbers)


def held_up(log, table, *numbers):
    """Add 0, and while it is being written add the others; return who got what."""
    results = {}

    def add(number):
        results[number] = log.add({"n": number})

    table.open.clear()
    threads = [threading.Thread(target=add, args=(n,)) for n in (0, *numbers)]
    threads[0].start()
    table.entered.wait()
    for count, thread in enumerate(threads[1:], start=1):
        thread.start()
        while len(log._queue) < count and thread.is_alive():
            pass
    table.open.set()
    for thread in threads:
        thread.join()
    return results


def test_rows_that_wait_are_written_together():
    """While one statement runs, the others gather for the next."""
    table = Table()
    log = ExecutionLog(table.write)

    results = held_up(log, table, 1, 2, 3)

    assert [[0], [1, 2, 3]] == table.batches
    assert {0: True, 1: True, 2: True, 3: True} == results


def test_refused_row_takes_no_hostages():
    """The others are written; the bad one is dropped and counted."""
    table = Table()
    log = ExecutionLog(table.write)

    results = held_up(log, table, 1, "bad", 2, 3)

    assert {0: True, 1: True, "bad": False, 2: True, 3: True} == results
    assert {0, 1, 2, 3} == {n for batch in table.batches for n in batch}
    assert 1 == log.dropped


def test_failure_releases_everybody():
    """A database that went away: all of the batch are told, and the log goes on."""
    table = Table()
    log = ExecutionLog(table.write)

    results = held_up(log, table, 1, "away", 2)

    assert {0: True, 1: False, "away": False, 2: False} == results
    assert 3 == log.dropped
    assert log.add({"n": 9})


def test_full_queue_drops_and_counts():
    """Bounded: nobody waits for ever, and memory does not grow."""
    table = Table()
    log = ExecutionLog(table.write, most=2)

    results = held_up(log, table, 1, 2, 3)

    assert {0: True, 1: True, 2: True, 3: False} == results
    assert 1 == log.dropped


def test_patience_ends(monkeypatch):
    """Who waits too long behind others takes the row back, and it is counted."""
    monkeypatch.setattr(executions, "PATIENCE_S", 0.05)
    table = Table()
    log = ExecutionLog(table.write)
    table.open.clear()
    leader = threading.Thread(target=log.add, args=({"n": 0},))
    leader.start()
    table.entered.wait()

    written = log.add({"n": 1})

    table.open.set()
    leader.join()
    assert not written
    assert ([[0]], 1) == (table.batches, log.dropped)


def test_batch_has_a_limit(monkeypatch):
    """More than a batch is two statements."""
    monkeypatch.setattr(executions, "BATCH", 2)
    table = Table()

    held_up(ExecutionLog(table.write), table, 1, 2, 3)

    assert [[0], [1, 2], [3]] == table.batches


@pytest.mark.parametrize("rows", [200])
def test_many_threads_lose_nothing(rows):
    """Every row is written once, whoever leads."""
    table = Table()
    log = ExecutionLog(table.write)
    threads = [threading.Thread(target=log.add, args=({"n": n},)) for n in range(rows)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(rows)) == sorted(n for batch in table.batches for n in batch)
    assert 0 == log.dropped
