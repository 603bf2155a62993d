"""Every fault of the ring, in order.

Read by the campaign, the report and the tests. A fault is a module: ``NUMBER``, ``TITLE``
(what is done), ``TIMES`` (how many cases a campaign has), ``FOUND`` (what was found and
fixed, one paragraph each) and ``attempt(bench, seed)``, which returns what was survived
or raises `Broken`.
"""

from types import ModuleType

from tests.faults import (
    builds,
    crowd,
    cut,
    hostile,
    killed,
    overlapping,
    secrets,
    server_lost,
    splitting,
    suspended,
    traffic,
)

FAULTS: tuple[ModuleType, ...] = (
    killed,
    cut,
    server_lost,
    crowd,
    traffic,
    builds,
    overlapping,
    suspended,
    splitting,
    secrets,
    hostile,
)


def fault(number: int) -> ModuleType:
    """Return one fault by its number."""
    return next(module for module in FAULTS if module.NUMBER == number)
