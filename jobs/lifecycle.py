"""What the cloud said: builds, jobs, executions, tasks, as values. Pure.

Made by the adapters behind `ports`; what we conclude of them is in `verdict`.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple


class BuildStatus(enum.Enum):
    """Cloud Build's words for the state of a build."""

    STATUS_UNKNOWN = "STATUS_UNKNOWN"
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    WORKING = "WORKING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


#: PENDING waits for an approval: a build that is still to come, not one that has ended.
ACTIVE = frozenset(
    {
        BuildStatus.STATUS_UNKNOWN,
        BuildStatus.PENDING,
        BuildStatus.QUEUED,
        BuildStatus.WORKING,
    }
)


class Step(NamedTuple):
    """One step of a build. Filled by Cloud Build only when the build is over."""

    id: str
    status: BuildStatus
    exit_code: int
    seconds: float | None = None


class Build(NamedTuple):
    """A build as Cloud Build describes it. Times are seconds of the epoch."""

    id: str
    status: BuildStatus
    detail: str = ""
    failure: str = ""
    log_url: str = ""
    approval: str = ""
    tags: tuple[str, ...] = ()
    substitutions: Mapping[str, str] = {}
    steps: tuple[Step, ...] = ()
    image_digest: str = ""
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    trigger_id: str = ""

    @property
    def active(self) -> bool:
        """Whether it may still do something."""
        return self.status in ACTIVE


class Condition(NamedTuple):
    """One condition of a job or an execution."""

    kind: str
    state: str
    reason: str = ""
    message: str = ""


class Job(NamedTuple):
    """A Cloud Run job as Cloud Run describes it."""

    name: str
    labels: Mapping[str, str]
    created: float
    image: str = ""
    latest_execution: str = ""
    ready: bool = True
    conditions: tuple[Condition, ...] = ()
    etag: str = ""
    annotations: Mapping[str, str] = {}


class Execution(NamedTuple):
    """One run of a job as Cloud Run describes it. Times are seconds of the epoch."""

    name: str
    created: float
    task_count: int = 1
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    started: float | None = None
    completed: float | None = None
    conditions: tuple[Condition, ...] = ()
    labels: Mapping[str, str] = {}
    log_url: str = ""

    @property
    def done(self) -> bool:
        """Whether it has ended, whichever way."""
        return self.completed is not None

    @property
    def short(self) -> str:
        """The name that its log lines carry."""
        return self.name.rpartition("/")[2]


class Task(NamedTuple):
    """How a task's last attempt ended: the only place with the exit code."""

    number: int
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""


class Ending(enum.Enum):
    """What we conclude of a launch."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNCERTAIN = "uncertain"


class Verdict(NamedTuple):
    """The conclusion, the exit code that carries it, and what it rests on."""

    ending: Ending
    exit_code: int
    reason: str
    advice: str = ""
