"""From what the cloud said to a verdict. Pure.

Called by `following` and `orchestrator` with what they read from the ports, and by
`history`. The long-running operation is never asked: a cancelled execution completes its
operation without an error. Asked are the execution's counts, the task's exit code, and the
engine's own end marker, in this order. Where they contradict each other, or the end was
not seen, only the database knows: that is a verdict of its own, with an exit code of its
own, and never called a failure.
"""

import re
from collections.abc import Mapping

from jobs.errors import LaunchCode
from jobs.lifecycle import (
    Build,
    BuildStatus,
    Ending,
    Execution,
    Step,
    Task,
    Verdict,
)
from migrate.errors import ExitCode
from migrate.outcome import Outcome

#: The engine's codes that travel through every layer unchanged.
ENGINE_CODES = range(2, 11)
_KILLED, _TERMINATED = 137, 143
_TIMEOUT = re.compile(r"time(d)?[ -]?out", re.IGNORECASE)

SUCCEEDED = Verdict(Ending.SUCCEEDED, 0, "every task succeeded")

_ASK = (
    "ask the database before anything is run again: "
    "python -m migrate status; do not launch again by reflex"
)
_SPLIT = "raise task_timeout in the environment file, or split the migration"


def uncertain(reason: str) -> Verdict:
    """Return the verdict of what platform and engine tell differently."""
    return Verdict(Ending.UNCERTAIN, LaunchCode.UNCERTAIN, reason, _ASK)


def lost(reason: str) -> Verdict:
    """Return the verdict of what nobody saw the end of."""
    return Verdict(Ending.LOST, LaunchCode.UNCERTAIN, reason, _ASK)


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
        said = _platform(execution, task)
        return uncertain(
            f"the platform says {said}, the engine said that all went well"
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
    return uncertain(f"the execution counts as succeeded, but {said}")


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
        reason = f"the task ran out of its time: {message}"
        return Verdict(Ending.TIMED_OUT, LaunchCode.TIMED_OUT, reason, _SPLIT)
    if code == 0:
        return uncertain(
            "the execution counts as failed, but its task's exit code is 0"
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
        return uncertain("the execution is gone; its last line said that all went well")
    return lost("the execution is gone before its end was seen")


def _unfinished(end: Outcome | None, *, waited_out: bool) -> Verdict:
    if not waited_out:
        return lost("nobody waited for the execution's end")
    reason = "the execution did not end before the deadline, and was cancelled"
    if end is not None and end.exit_code is ExitCode.OK:
        return uncertain(f"{reason}; the engine had said that all went well")
    said = "" if end is None else f"; the engine had ended with {int(end.exit_code)}"
    return Verdict(Ending.TIMED_OUT, LaunchCode.TIMED_OUT, reason + said, _SPLIT)


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

RUN_STEP = "run-migration"
_CUT_SHORT: Mapping[BuildStatus, Verdict] = {
    BuildStatus.CANCELLED: Verdict(
        Ending.CANCELLED, LaunchCode.CANCELLED, "the build was cancelled"
    ),
    BuildStatus.TIMEOUT: Verdict(
        Ending.TIMED_OUT, LaunchCode.TIMED_OUT, "the build ran out of its time", _ASK
    ),
}
#: States of a step that has not begun; Cloud Build writes them when the build is over.
_NOT_BEGUN = frozenset({BuildStatus.QUEUED, BuildStatus.STATUS_UNKNOWN})


def judge_build(
    build: Build, end: Outcome | None, *, seen: bool = False, word: str = ""
) -> Verdict:
    """Return the verdict of a whole build of ``cloudbuild.migrate.yaml``.

    Its run-migration step has judged the execution already; its exit code is passed on.
    ``end`` is the end marker, if it was seen; ``seen``: the job, or a line of it, was;
    ``word``: what the clean-up step said of the verdict (`verdictfile.Note.told`).
    """
    step = next((s for s in build.steps if s.id == RUN_STEP), None)
    if build.status is BuildStatus.SUCCESS:
        found = SUCCEEDED if step is None or not step.exit_code else _step(step, end)
    elif build.status in _CUT_SHORT:
        found = _CUT_SHORT[build.status]
        if end is not None and end.exit_code is ExitCode.OK:
            said = "the engine had said that all went well"
            found = uncertain(f"{found.reason}; {said}")
    elif build.status is BuildStatus.EXPIRED:
        found = Verdict(
            Ending.TIMED_OUT,
            LaunchCode.TIMED_OUT,
            "the build waited in the queue longer than it may; nothing ran",
            "launch again; queue_timeout says how long it may wait",
        )
    elif step is not None and step.exit_code:
        found = _step(step, end)
    else:
        found = _broken(build, step, seen=seen)
    return _worded(found, word)


def _step(step: Step, end: Outcome | None) -> Verdict:
    code = step.exit_code
    if code in ENGINE_CODES:
        said = _first_line(end) or f"the step {step.id} ended with {code}"
        return Verdict(Ending.FAILED, code, said, _ENGINE_ADVICE.get(code, ""))
    if code not in set(LaunchCode):
        return lost(f"the step {step.id} did not come to its end (exit code {code})")
    if code == LaunchCode.UNCERTAIN or (end and end.exit_code is ExitCode.OK):
        return uncertain(f"the step {step.id} ended with {code}")
    ending, reason = {
        LaunchCode.TIMED_OUT: (Ending.TIMED_OUT, "the execution ran out of its time"),
        LaunchCode.CANCELLED: (Ending.CANCELLED, "the execution was cancelled"),
    }.get(LaunchCode(code), (Ending.FAILED, f"the step {step.id} ended with {code}"))
    return Verdict(ending, code, reason, "the lines of that step tell why")


def _broken(build: Build, step: Step | None, *, seen: bool) -> Verdict:
    """Judge a build that failed in another step than the one that migrates."""
    failed = [s for s in build.steps if s.status is BuildStatus.FAILURE]
    where = f"the step {failed[0].id}" if failed else "the build"
    why = build.failure or build.detail
    told = f"{where} failed" + (f": {why}" if why else "")
    if step is not None and step.status is BuildStatus.SUCCESS:
        reason = f"the migration succeeded; after it {told}"
        return Verdict(Ending.SUCCEEDED, LaunchCode.LEFT_BEHIND, reason)
    if seen or (step is not None and step.status not in _NOT_BEGUN):
        return lost(f"{told}, while the migration was at work")
    advice = "the build's last lines above tell why; no migration was run"
    return Verdict(Ending.FAILED, LaunchCode.BUILD_FAILED, told, advice)


def _worded(verdict: Verdict, word: str) -> Verdict:
    """Take the run step's own word, where its exit code says less than that."""
    state, _, reason = word.partition(": ")
    if verdict.exit_code not in set(LaunchCode) or not reason:
        return verdict
    named = [e for e in Ending if e.value == state and e is not Ending.SUCCEEDED]
    if not named:
        return verdict
    return verdict._replace(ending=named[0], reason=reason)
