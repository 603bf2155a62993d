"""What a case is: a number that chooses, and a sentence about what was chosen.

Called by every fault.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

One = TypeVar("One")
Other = TypeVar("Other")
#: A prime: its multiples visit every place before any is visited twice.
_STRIDE = 7919


class Found(NamedTuple):
    """What was survived: a point in words that tell two apart; ``times`` at one blow."""

    point: str
    times: int = 1


def spread(
    index: int, places: Sequence[One], ways: Sequence[Other]
) -> tuple[One, Other]:
    """Return a pair: every index below their product is another, and neighbours are far."""
    total = len(places) * len(ways)
    at = (index + 1) * _STRIDE % total
    return places[at // len(ways)], ways[at % len(ways)]
