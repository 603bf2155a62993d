"""How many processes run the tests, and which tests share one.

Loaded by pytest. Tests that share something expensive (an emulated Google Cloud) go to one
worker, so that it is made once and not once in each; long ones begin first. Never changes
which tests run.
"""

import gc
import os

import pytest

# What is imported and collected stays until the end: to look through it for garbage again
# and again is a tenth of a worker's time.
gc.disable()

#: What is made once for many tests, and how far it is shared: a module, or everything.
SHARED = {
    "story": None,
    "rehearsal_cloud": None,
    "shared_emulator": "emulator",
    "bench": None,
    "infra": None,
}
#: What begins first; small tests then fill the time of whoever is done.
FIRST = ("slow", "xdist_group")


def pytest_xdist_auto_num_workers(config):
    """Twice as many as there are cores, as the tests wait for servers a good deal.

    Where coverage is counted they wait less.
    """
    halves = 3 if "COVERAGE_PROCESS_CONFIG" in os.environ else 4
    return min(6, max(2, (os.cpu_count() or 1) * halves // 2))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    """Look for garbage from here on, among what the tests make."""
    gc.enable()
    gc.freeze()


def _assert_kept_together(config, items):
    """Fail where xdist did not take the groups: nothing else would say so but the time."""
    if config.getoption("loadgroup", default=False):
        grouped = (i for i in items if i.get_closest_marker("xdist_group"))
        apart = [item.nodeid for item in grouped if "@" not in item.nodeid]
        if apart:
            raise pytest.UsageError(f"not kept together by pytest-xdist: {apart[0]}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Keep together what shares a fixture; begin with what takes long.

    Of tests that stand alone, one that takes half a minute and begins last is waited for
    by every other worker.
    """
    for item in items:
        for fixture in SHARED.keys() & set(getattr(item, "fixturenames", ())):
            group = SHARED[fixture] or item.module.__name__
            item.add_marker(pytest.mark.xdist_group(group))
    found = yield
    _assert_kept_together(config, items)
    items.sort(key=lambda item: not any(map(item.get_closest_marker, FIRST)))
    return found
