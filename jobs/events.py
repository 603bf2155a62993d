"""What a launch tells while it goes on: facts, without words. `render` has the words.

Made by the orchestrator, given to a listener. Times are in seconds.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jobs.findings import Finding
from jobs.lifecycle import Step, Verdict


class LaunchStarted(NamedTuple):
    """A launch begins."""

    env: str
    project: str
    region: str
    launch_id: str
    endpoint: str
    verb: str


class Swept(NamedTuple):
    """Something that an earlier launch left was removed."""

    thing: str
    why: str


class PreflightDone(NamedTuple):
    """The preflight has looked at everything."""

    findings: tuple[Finding, ...]
    seconds: float


class SourceUploaded(NamedTuple):
    """The source is in its bucket."""

    place: str
    size: int
    files: int
    seconds: float


class BuildSubmitted(NamedTuple):
    """Cloud Build has taken the build."""

    build_id: str
    page: str


class BuildState(NamedTuple):
    """The build is in a new state."""

    build_id: str
    status: str
    detail: str = ""


class BuildLine(NamedTuple):
    """A line of the build's own log."""

    step: str
    text: str


class JobCreated(NamedTuple):
    """There is a job; made by us, or by the build's step."""

    job: str
    image: str
    page: str


class ExecutionStarted(NamedTuple):
    """The job runs."""

    execution: str
    page: str


class ExecutionState(NamedTuple):
    """The execution is in a new state."""

    execution: str
    state: str
    detail: str = ""


class LogLine(NamedTuple):
    """A line of the job, exactly once, in order."""

    severity: str
    text: str
    seq: int | None = None
    engine_event: str = ""
    fields: Mapping[str, Any] = {}
    timestamp: float = 0.0
    late: bool = False


class LogGap(NamedTuple):
    """Lines of the job did not arrive; ``first`` to ``last`` are their numbers."""

    first: int
    last: int
    page: str


class LogTrouble(NamedTuple):
    """The log cannot be read as it should be; the launch goes on without."""

    what: str
    page: str


class Waiting(NamedTuple):
    """Nothing new for a while: what is being waited for, and since when."""

    what: str
    seconds: float


class Retrying(NamedTuple):
    """A call did not succeed and is made again."""

    call: str
    reason: str


class Cancelling(NamedTuple):
    """Something of ours is being stopped."""

    what: str
    why: str


class JobDeleted(NamedTuple):
    """The job is gone."""

    job: str


class CleanupFailed(NamedTuple):
    """Something of ours is still there, and how it is removed."""

    things: tuple[str, ...]
    reason: str
    advice: str = ""


class PhaseDone(NamedTuple):
    """A phase of the launch is over: one row of the timeline."""

    name: str
    seconds: float
    good: bool = True


class LaunchEnded(NamedTuple):
    """The end: the verdict, and how the time was spent."""

    env: str
    launch_id: str
    verdict: Verdict
    seconds: float
    phases: tuple[PhaseDone, ...]
    steps: tuple[Step, ...] = ()
    build_id: str = ""
    execution: str = ""
    done: int | None = None
    message: str = ""


Event = (
    LaunchStarted
    | Swept
    | PreflightDone
    | SourceUploaded
    | BuildSubmitted
    | BuildState
    | BuildLine
    | JobCreated
    | ExecutionStarted
    | ExecutionState
    | LogLine
    | LogGap
    | LogTrouble
    | Waiting
    | Retrying
    | Cancelling
    | JobDeleted
    | CleanupFailed
    | PhaseDone
    | LaunchEnded
)

Listener = Callable[[Event], None]
