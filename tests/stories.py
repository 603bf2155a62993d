"""A story told to a script: what it needs, and how it is run. No Google, no process.

Used by the tests of the orchestrator's story, with `tests.scripted_cloud`.
"""

from typing import Any

from jobs import orchestrator
from jobs.errors import (
    NoAnswer,
    Unavailable,
)
from jobs.findings import no_preflight
from jobs.orchestrator import Means
from jobs.source import Archive
from jobs.spec import Launch
from tests.unit.jobs.test_requests_on_the_wire import IMAGE, TARGET

SUBSTITUTIONS = (
    "_ENV",
    "_IMAGE",
    "_BUILD_SA",
    "_BASE_IMAGE",
    "_DOCKER_BUILDER",
    "_LAUNCH_ID",
    "_COMMIT",
    "_SUBMITTER",
    "_SECRET_VERSION",
    "_DRY_RUN",
)
DOCUMENT = {
    "steps": [],
    "tags": ["migration"],
    "substitutions": dict.fromkeys(SUBSTITUTIONS, ""),
}
WHO = Launch("aaaaaaaaaaaa", submitter="ann")
LOST = NoAnswer(call="x", reason="deadline")
DOWN = Unavailable(call="x", reason="503")


class Told(list[Any]):
    """The events of a story."""

    def of(self, kind):
        """Return the events of a kind."""
        return [event for event in self if isinstance(event, kind)]


def means(script, preflight=no_preflight):
    """Return what a story needs, and the list of what it tells."""
    told = Told()
    return Means(script.cloud(), told.append, preflight), told


def run(script, target=TARGET, **more):
    """Run the job alone."""
    noted = []
    given, told = means(script)
    ended = orchestrator.run(
        given,
        target,
        IMAGE,
        WHO,
        note=lambda *values: noted.append(values[0]),
        **more,
    )
    return ended, told, noted


def launch(script, target=TARGET, preflight=no_preflight):
    """Launch through a build."""
    given, told = means(script, preflight)
    archive = Archive(b"x", "d" * 64, ("a",))
    ended = orchestrator.launch(given, target, DOCUMENT, lambda: archive, WHO)
    return ended, told
