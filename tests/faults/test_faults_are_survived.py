"""A short selection of the fault ring's cases; ``make faults`` runs them by the thousand."""

import pytest

from tests.faults.bench import Bench
from tests.faults.catalogue import fault

#: Fault and seed. Most are of one scenario, which is prepared once.
SELECTION = [
    (1, 24),
    (1, 120),  # an index that was built, and not yet recorded
    (2, 12),  # SIGTERM while the network answers nothing
    (2, 60),
    (3, 48),
    (5, 269),  # ADD COLUMN, and a lock timeout of 300 ms
    (6, 0),
    (7, 60),
    (8, 48),
    (9, 0),
    (10, 0),
    (10, 2),
    (10, 3),
    (11, 6),  # the role may not log in any more
]


@pytest.fixture(scope="module")
def bench(postgres_server, tmp_path_factory):
    """A template on the worker's server, and a scratch directory."""
    return Bench(postgres_server, tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize(("number", "seed"), SELECTION)
def test_fault_is_survived(bench, number, seed):
    """After the fault a run without faults finishes: all of it exactly once, and the
    exit code of the first told the truth.
    """
    assert fault(number).attempt(bench, seed).point
