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


def test_what_is_made_aside_is_given_or_raises(stop):
    """Without a signal it is as if it had been called."""
    assert 5 == stop.unless_asked(lambda: 5)
    with pytest.raises(ZeroDivisionError):
        stop.unless_asked(lambda: 1 // 0)


def test_what_is_made_aside_is_left_with_the_signal(stop):
    """Nobody waits for a connection after SIGTERM, and a late one is dropped."""
    begun, hold = threading.Event(), threading.Event()

    def make() -> None:
        begun.set()
        os.kill(os.getpid(), signal.SIGTERM)
        hold.wait(60)

    try:
        with pytest.raises(Interrupted):
            stop.unless_asked(make)
        assert begun.is_set()
    finally:
        hold.set()


class Waiting:
    """What `Stop` asks of a session: it notes what is done to it."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.lost = False
        self.cancelled = threading.Event()
        self.was_cut = threading.Event()
        self._hangs = hangs

    def cancel(self) -> None:
        """Note it; hang."""
        self.cancelled.set()
        if self._hangs:  # as a request does in a network that is gone
            self.was_cut.wait()

    def cut(self) -> None:
        """Note it."""
        self.lost = True
        self.was_cut.set()


@pytest.fixture
def hasty():
    """Offer one that soon cuts what did not end."""
    with Stop(cut_after_s=0.1) as installed:
        yield installed


def test_a_signal_cancels_what_is_at_work(stop):
    """The statement is cancelled, also while the main thread waits for its end."""
    session = Waiting()

    with stop.over(session):
        send(signal.SIGTERM)
        came = session.cancelled.wait(20)

    assert came
    assert not session.lost


def test_what_does_not_end_is_cut(hasty):
    """A server, or a network, that does not answer the cancel is left; other sessions too."""
    session, other = Waiting(hangs=True), Waiting()
    hasty.knows(session)
    hasty.knows(other)

    with hasty.over(session):
        send(signal.SIGTERM)
        came = session.was_cut.wait(20)

    assert came
    assert other.was_cut.wait(20)


def test_nothing_follows_while_a_cancel_may_still_arrive(hasty):
    """A statement that ended beside a cancel that hangs: the session is not used again."""
    session = Waiting(hangs=True)

    with hasty.over(session):
        send(signal.SIGTERM)
        session.cancelled.wait(20)

    assert session.lost


def test_a_session_that_is_gone_is_neither_cancelled_nor_kept(stop):
    """There is nothing to end in it."""
    gone = Waiting()
    gone.lost = True
    stop.knows(gone)
    stop.knows(Waiting())

    with stop.over(gone):
        send(signal.SIGTERM)

    assert gone not in stop._sessions
    assert not gone.cancelled.wait(0.5)


def test_the_handlers_are_put_back():
    """After a run the process is as it was before."""
    before = handlers()

    with Stop() as stop:
        during = handlers()

    assert before == handlers()
    assert [stop._on_signal] * 2 == during
    assert not stop._listening.locked()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(stop._wake_read)
