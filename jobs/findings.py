"""What the preflight found: values, made by ``doctor``, told by `render`.

A finding is a fact with its cure. The orchestrator asks only one thing of it: whether it
forbids the launch.
"""

import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Weight(enum.Enum):
    """What a finding means for a launch."""

    FINE = "fine"
    WARNING = "warning"
    FATAL = "fatal"


class Finding(NamedTuple):
    """One thing that was looked at.

    ``what`` is what was found; ``why`` is how the launch would have failed, in the
    service's own words where they are known; ``cure`` is a command that can be pasted.
    """

    check: str
    weight: Weight
    what: str
    why: str = ""
    cure: str = ""


#: What `orchestrator` runs before it submits anything.
Preflight = Callable[[], Sequence[Finding]]


def fatal(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that forbid the launch."""
    return tuple(f for f in findings if f.weight is Weight.FATAL)


def no_preflight() -> Sequence[Finding]:
    """Look at nothing: the preflight of a step inside the build."""
    return ()
