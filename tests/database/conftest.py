"""The command line of this ring: called inside the test's own process.

What a verb does to a server is asked here some hundreds of times, and a process of its own
would cost each of them half a second for Python's start. What belongs to a process (its
streams, signals, exit) is the ring cli's.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fix_cli import Finished

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """End the process of a test that hangs: no signal wakes what waits in libpq."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(method="thread"))


@pytest.fixture
def run_migrate(migrate_inside) -> Callable[..., Finished]:
    """Run ``python -m migrate …`` as `fix_cli` does, without the process."""
    run: Callable[..., Finished] = migrate_inside
    return run
