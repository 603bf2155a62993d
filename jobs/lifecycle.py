"""What the cloud said, and what we conclude of it. Pure.

Called by `orchestrator` with what it read from the ports. The long-running operation is
never asked for the verdict: a cancelled execution completes its operation without an
error. Asked are the execution's counts, the task's exit code, and the engine's own end
marker, in this order; where they contradict each other the verdict is `UNCERTAIN`, and
only the database knows.
"""

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple

from jobs.errors import LaunchCode
from migrate.errors import ExitCode
from migrate.outcome import Outcome

#: The engine's codes that travel through every layer unchanged.
ENGINE_CODES = range(2, 11)
_KILLED, _TERMINATED = 137, 143
_TIMEOUT = re.compile(r"time(d)?[ -]?out", re.IGNORECASE)


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


SUCCEEDED = Verdict(Ending.SUCCEEDED, 0, "every task succeeded")

_ASK = (
    "ask the database before anything is run again: "
    "python -m migrate status; do not launch again by reflex"
)


def judge(
    execution: Execution | None,
    task: Task | None,
    end: Outcome | None,
    *,
    waited_out: bool = False,
) -> Verdict:
    """Return the verdict of one execution.

    ``execution`` is None when it vanished; ``task`` and ``end`` are None when nobody
    could read them. ``waited_out``: our own deadline passed before it ended.
    """
    if execution is None:
        return _vanished(end)
    if not execution.done:
        return _unfinished(end, waited_out=waited_out)
    if _succeeded(execution):
        return _agreed(task, end)
    if end is not None and end.exit_code is ExitCode.OK:
        return Verdict(
            Ending.UNCERTAIN,
            LaunchCode.EXECUTION_FAILED,
            f"the platform says {_platform(execution, task)}, the engine said that all went well",
            _ASK,
        )
    if execution.cancelled and waited_out:
        return _unfinished(end, waited_out=True)
    if execution.cancelled:
        return Verdict(
            Ending.CANCELLED,
            LaunchCode.CANCELLED,
            "the execution was cancelled",
            "the engine rolled back what was in progress; python -m migrate status tells",
        )
    return _failed(execution, task, end)


def _succeeded(execution: Execution) -> bool:
    return (
        execution.succeeded == execution.task_count
        and execution.failed == 0
        and execution.cancelled == 0
    )


def _agreed(task: Task | None, end: Outcome | None) -> Verdict:
    """Ask the exit code and the end marker whether they too say so."""
    if task is not None and task.exit_code not in {None, 0}:
        said = f"its task's exit code is {task.exit_code}"
    elif end is not None and end.exit_code is not ExitCode.OK:
        said = f"the engine ended with {int(end.exit_code)}"
    else:
        return SUCCEEDED
    reason = f"the execution counts as succeeded, but {said}"
    return Verdict(Ending.UNCERTAIN, LaunchCode.EXECUTION_FAILED, reason, _ASK)


def _platform(execution: Execution, task: Task | None) -> str:
    if execution.cancelled:
        return "cancelled"
    if task is not None and task.exit_code is not None:
        return f"failed with exit code {task.exit_code}"
    return "failed"


def _failed(execution: Execution, task: Task | None, end: Outcome | None) -> Verdict:
    message = (task.message if task else "") or _completed_message(execution)
    code = task.exit_code if task else None
    signal = task.signal if task else None
    if code is None and signal is None and end is not None:
        code = int(end.exit_code)
    if code is not None and code in ENGINE_CODES:
        said = _first_line(end) or "the engine failed"
        return Verdict(Ending.FAILED, code, said, _ENGINE_ADVICE.get(code, ""))
    if _TIMEOUT.search(message):
        return Verdict(
            Ending.TIMED_OUT,
            LaunchCode.TIMED_OUT,
            f"the task ran out of its time: {message}",
            "raise task_timeout in the environment file, or split the migration",
        )
    if code == _KILLED or signal == 9:  # noqa: PLR2004 - SIGKILL
        return Verdict(
            Ending.FAILED,
            LaunchCode.EXECUTION_FAILED,
            "the task was killed (exit code 137): most often it ran out of memory",
            "raise memory in the environment file; the next launch continues or tells "
            "what is in doubt",
        )
    told = f"exit code {code}" if code is not None else message or "no reason given"
    if code == _TERMINATED or signal is not None:
        told = f"signal {signal or 15}"
    return Verdict(
        Ending.FAILED,
        LaunchCode.EXECUTION_FAILED,
        f"the task failed without a word of the engine: {told}",
        "the job's log above, and the console link, have its last lines",
    )


def _first_line(end: Outcome | None) -> str:
    """Return what the engine said, in a line; the log has all of it."""
    return end.message.partition("\n")[0] if end is not None else ""


def _completed_message(execution: Execution) -> str:
    found = [
        c.message or c.reason for c in execution.conditions if c.kind == "Completed"
    ]
    return found[0] if found else ""


def _vanished(end: Outcome | None) -> Verdict:
    if end is not None and int(end.exit_code) in ENGINE_CODES:
        advice = _ENGINE_ADVICE.get(int(end.exit_code), "")
        reason = _first_line(end) or "the engine failed"
        return Verdict(Ending.FAILED, int(end.exit_code), reason, advice)
    if end is not None and end.exit_code is ExitCode.OK:
        reason = "the execution is gone; its last line said that all went well"
        return Verdict(Ending.UNCERTAIN, LaunchCode.EXECUTION_FAILED, reason, _ASK)
    reason = "the execution is gone before its end was seen"
    return Verdict(Ending.LOST, LaunchCode.EXECUTION_FAILED, reason, _ASK)


def _unfinished(end: Outcome | None, *, waited_out: bool) -> Verdict:
    if not waited_out:
        reason = "nobody waited for the execution's end"
        return Verdict(Ending.LOST, LaunchCode.EXECUTION_FAILED, reason, _ASK)
    said = "" if end is None else f"; the engine had ended with {int(end.exit_code)}"
    return Verdict(
        Ending.TIMED_OUT,
        LaunchCode.TIMED_OUT,
        f"the execution did not end before the deadline, and was cancelled{said}",
        "raise task_timeout in the environment file, or split the migration",
    )


_ENGINE_ADVICE: Mapping[int, str] = {
    ExitCode.USAGE: "a setting of the engine is wrong: see the section `engine`",
    ExitCode.SOURCE: "correct the migration file named above; nothing was touched",
    ExitCode.BLOCKED: "python -m migrate status shows the drift; nothing was touched",
    ExitCode.LOCKED: "another runner holds the lock; launch again when it is done",
    ExitCode.UNREACHABLE: "python -m jobs doctor looks at the network and the address",
    ExitCode.FAILED: "correct the migration and launch again: it was rolled back",
    ExitCode.NEEDS_REPAIR: "the last line above names what is in doubt and the command",
    ExitCode.UNVERIFIED: "what was applied did not verify, and was rolled back",
}

# --- builds ---------------------------------------------------------------------------

_STEP_RUN = "run-migration"


def judge_build(build: Build, end: Outcome | None) -> Verdict:
    """Return the verdict of a whole build of ``cloudbuild.migrate.yaml``.

    Its run-migration step has judged the execution already; its exit code is passed on.
    ``end`` is the end marker, if it was seen.
    """
    step = next((s for s in build.steps if s.id == _STEP_RUN), None)
    if build.status is BuildStatus.SUCCESS:
        return SUCCEEDED if step is None or step.exit_code == 0 else _step(step, end)
    if build.status is BuildStatus.CANCELLED:
        return Verdict(
            Ending.CANCELLED, LaunchCode.CANCELLED, "the build was cancelled"
        )
    if build.status is BuildStatus.TIMEOUT:
        reason = "the build ran out of its time"
        return Verdict(Ending.TIMED_OUT, LaunchCode.TIMED_OUT, reason, _ASK)
    if build.status is BuildStatus.EXPIRED:
        return Verdict(
            Ending.TIMED_OUT,
            LaunchCode.TIMED_OUT,
            "the build waited in the queue longer than it may; nothing ran",
            "launch again; queue_timeout says how long it may wait",
        )
    if step is not None and step.exit_code:
        return _step(step, end)
    return _broken(build)


def _step(step: Step, end: Outcome | None) -> Verdict:
    code = step.exit_code
    if code in ENGINE_CODES:
        said = _first_line(end) or f"the engine ended with {code}"
        return Verdict(Ending.FAILED, code, said, _ENGINE_ADVICE.get(code, ""))
    endings = {
        LaunchCode.TIMED_OUT: (Ending.TIMED_OUT, "the execution ran out of its time"),
        LaunchCode.CANCELLED: (Ending.CANCELLED, "the execution was cancelled"),
    }
    known = code in set(LaunchCode)
    ending, reason = endings.get(
        LaunchCode(code) if known else LaunchCode.EXECUTION_FAILED,
        (Ending.FAILED, f"the step {step.id} ended with {code}"),
    )
    passed = code if known else LaunchCode.EXECUTION_FAILED
    return Verdict(ending, passed, reason, "the lines of that step tell why")


def _broken(build: Build) -> Verdict:
    failed = [s for s in build.steps if s.status is BuildStatus.FAILURE]
    if failed and failed[0].exit_code == LaunchCode.LEFT_BEHIND:
        reason = "the migration succeeded, the clean-up did not"
        return Verdict(Ending.SUCCEEDED, LaunchCode.LEFT_BEHIND, reason)
    where = f"step {failed[0].id}" if failed else "the build"
    why = build.failure or build.detail
    reason = f"{where} failed" + (f": {why}" if why else "")
    advice = "the build's last lines above tell why; no migration was run"
    return Verdict(Ending.FAILED, LaunchCode.BUILD_FAILED, reason, advice)
