"""Ask again: with pauses, a deadline, and a clock that is given.

The one place that knows which errors are worth another try. `again` is for calls that are
safe to repeat; whoever calls it says so by calling it. What is not safe to repeat is
called once, and its effect looked for.
"""

from collections.abc import Callable
from typing import TypeVar

from jobs.errors import CloudError, NoAnswer, QuotaExceeded, Unavailable, WaitedTooLong
from jobs.events import Listener, Retrying
from jobs.ports import Clock

T = TypeVar("T")

#: Errors that pass by themselves.
TRANSIENT = (Unavailable, QuotaExceeded, NoAnswer)
#: Pauses between tries of a call that is safe to repeat: half a minute in all.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


def again(
    call: Callable[[], T],
    clock: Clock,
    tell: Listener | None = None,
    pauses: tuple[float, ...] = PAUSES,
) -> T:
    """Make a call that is safe to repeat, until it is answered or patience ends."""
    for pause in pauses:
        try:
            return call()
        except TRANSIENT as error:
            if tell is not None:
                tell(Retrying(error.call, error.reason))
            clock.sleep(pause)
    return call()


def until(
    look: Callable[[], T | None],
    clock: Clock,
    *,
    what: str,
    seconds: float,
    pause: float = 0.5,
    most: float = 5.0,
) -> T:
    """Look until there is something. Raises `WaitedTooLong` at the deadline."""
    began = clock.now()
    while True:
        try:
            if (found := look()) is not None:
                return found
        except TRANSIENT:
            pass
        left = began + seconds - clock.now()
        if left <= 0:
            raise WaitedTooLong(what=what, seconds=seconds)
        clock.sleep(min(pause, left))
        pause = min(pause * 1.5, most)


def took_effect(act: Callable[[], T], look: Callable[[], T | None], clock: Clock) -> T:
    """Do once what is not safe to repeat; if the answer is lost, look for the effect.

    Only when the effect is certainly not there is it tried a second time.
    """
    try:
        return act()
    except (Unavailable, NoAnswer, QuotaExceeded) as error:
        for pause in (0.5, 2.0, 5.0):
            clock.sleep(pause)
            if (found := again(look, clock)) is not None:
                return found
        if isinstance(error, NoAnswer):
            raise
    return act()


def is_transient(error: CloudError) -> bool:
    """Tell whether an error may pass by itself."""
    return isinstance(error, TRANSIENT)
