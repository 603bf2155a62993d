"""SIGTERM and SIGINT become a value that the work asks for; pauses end when they come."""

import os
import signal
import threading
import time

import pytest

from migrate.faults import Interrupted
from migrate.stop import Stop


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


@pytest.fixture
def stop():
    """Offer an installed `Stop`."""
    with Stop() as installed:
        yield installed


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    # The interpreter runs the handler between two instructions of this thread.
    signal.getsignal(number)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_interrupts_at_the_next_question(stop, name):
    """The error names the signal and what was at work."""
    send(signal.Signals[name])

    with pytest.raises(Interrupted) as raised:
        stop.check("0001_users.sql")

    assert (name, "0001_users.sql") == (raised.value.signal, raised.value.file)


def test_without_a_signal_nothing_happens(stop):
    """Asking costs nothing and changes nothing."""
    stop.check()
    stop.pause(0)

    assert "" == stop.signal


def test_a_pause_ends_with_the_signal(stop):
    """Nobody waits out a back-off after SIGTERM: eight seconds are all there are."""
    began = time.monotonic()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()

    with pytest.raises(Interrupted):
        stop.pause(60)

    timer.join()
    assert time.monotonic() - began < 30


def test_a_signal_wakes_whoever_waits_for_the_server(stop):
    """The descriptor becomes readable, so that a wait on a socket ends too."""
    send(signal.SIGTERM)

    woken = os.read(stop.wake_read, 1)

    assert bytes([signal.SIGTERM]) == woken


def test_the_handlers_are_put_back():
    """After a run the process is as it was before."""
    before = handlers()

    with Stop() as stop:
        during = handlers()

    assert before == handlers()
    assert [stop._on_signal] * 2 == during
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(stop.wake_read)
