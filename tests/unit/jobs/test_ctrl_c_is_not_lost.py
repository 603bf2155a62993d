"""An interrupt that a library swallows comes again, until somebody has heard it."""

import contextlib
import signal
import time

import pytest

from jobs import interrupts


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Let an interrupt come again after a moment."""
    monkeypatch.setattr(interrupts, "AGAIN_S", 0.05)


def swallowed(number):
    """Interrupt this process where a library catches everything."""
    with contextlib.suppress(BaseException):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_is_swallowed_comes_again(number):
    """And ends what is waited for; once more when that is swallowed as well."""
    came = []

    with interrupts.listening():
        swallowed(number)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                time.sleep(5)
            came.append(number)
        interrupts.heard()
        time.sleep(0.2)

    assert [number] * 2 == came


def test_the_handlers_are_those_of_before_when_it_is_over():
    """Also where the work ended with an interrupt; and one that is ignored stays so."""
    own = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        signal.raise_signal(signal.SIGINT)
    after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.listening():
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, own[0])
    time.sleep(0.2)

    assert own == after
