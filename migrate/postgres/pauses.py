"""Pauses between two tries: longer each time, and never the same for two runners.

Called by whoever meets a lock timeout, a deadlock or a serialization failure.
"""

import random

from migrate.events import Retrying
from migrate.postgres.work import Work

_LONGEST_PAUSE_S = 10.0


def let_others_pass(work: Work, file: str, attempt: int, reason: str) -> None:
    """Pause before the next try, holding nothing: who waited behind us has to go on."""
    seconds = pause_s(attempt)
    work.tell(
        Retrying(
            file=file,
            attempt=attempt,
            tries=work.lock_tries,
            pause_ms=seconds * 1000,
            reason=reason,
            blockers=work.watch.blockers,
        )
    )
    work.stop.pause(seconds, file)


def pause_s(attempt: int) -> float:
    """Return how long to pause after a failed attempt: exponential, with jitter."""
    bound = min(0.25 * 2**attempt, _LONGEST_PAUSE_S)
    return random.uniform(bound / 2, bound)  # noqa: S311
