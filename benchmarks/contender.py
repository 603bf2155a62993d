"""What a contender is: a name, a command for each action it takes part in, its history.

Used by `contenders`, `peers` and `measure`. Runs nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.workloads import Workload

CHECKOUT = Path(__file__).resolve().parent.parent
COUNT = "SELECT count(*) FROM {}"


class Command(NamedTuple):
    """A process to measure. ``{url}`` in it stands for the database's address."""

    arguments: tuple[str, ...]
    directory: Path = CHECKOUT


class Contender(NamedTuple):
    """One way to do the work.

    ``command`` returns None where it takes no part; it makes the files it needs from the
    workload's, before the clock starts. ``history`` counts what it has recorded.
    """

    name: str
    command: Callable[[Workload, Path], Command | None]
    history: str
