"""What ran for an environment: the cloud's own records, and the history table. Pure.

Called by `upkeep`. A launch is a build; a job that ``run`` made alone, or that is kept, is
known by its executions. What each applied is told by the history table, where it could be
asked, else by the engine's last line; what only the table knows has rows of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobs.judging import judge, judge_build
from jobs.lifecycle import Build, BuildStatus, Execution, Job
from jobs.names import LABEL_BUILD, LABEL_COMMIT


class Run(NamedTuple):
    """One row. Times are seconds of the epoch; ``verdict`` is a word for people."""

    began: float
    seconds: float | None
    kind: str
    id: str
    by: str
    commit: str
    verdict: str
    exit_code: int | None
    reason: str = ""
    applied: tuple[str, ...] = ()


class Recorded(NamedTuple):
    """One row of the history table. ``at`` is in seconds of the epoch."""

    version: str
    state: str
    at: float
    seconds: float | None
    by: str
    build: str = ""
    execution: str = ""
    commit: str = ""


_OPEN = {
    BuildStatus.PENDING: "waits for approval",
    BuildStatus.QUEUED: "queued",
    BuildStatus.WORKING: "running",
    BuildStatus.STATUS_UNKNOWN: "unknown",
}
_BY = "cloudrun-migrate/by"


def rows(
    builds: Sequence[Build],
    executions: Sequence[tuple[Job, Sequence[Execution]]],
    applied: Mapping[str, tuple[str, ...]],
    table: Sequence[Recorded] = (),
) -> list[Run]:
    """Return what ran, newest first; an execution of a listed build is not told twice.

    ``applied`` are the versions that the engine's last line named, by build or execution.
    """
    known = {build.id for build in builds}
    found = [_of_build(build) for build in builds]
    for job, own in executions:
        if job.labels.get(LABEL_BUILD) not in known:
            found += [_of_execution(job, execution) for execution in own]
    ids = {run.id for run in found}
    held: dict[str, tuple[str, ...]] = {}
    others = []
    for row in table:
        whose = next((i for i in (row.build, row.execution) if i in ids), "")
        if whose:
            held[whose] = (*held.get(whose, ()), row.version)
        else:
            others.append(_of_row(row))
    told = [
        run._replace(applied=held.get(run.id) or applied.get(run.id, ()))
        for run in found
    ]
    return sorted([*told, *others], key=lambda run: (-run.began, run.id))


def _of_row(row: Recorded) -> Run:
    """Return the row of what the cloud does not know, or no more."""
    return Run(
        row.at,
        row.seconds,
        "database",
        row.execution or row.build or row.version,
        row.by,
        row.commit,
        row.state,
        None,
        applied=(row.version,),
    )


def recorded(status: object) -> tuple[Recorded, ...]:
    """Return the rows of the history table, from what ``migrate status`` printed."""
    listed = status.get("migrations") if isinstance(status, Mapping) else None
    found = []
    for one in listed or ():
        kept = one.get("recorded") or {}
        if not kept.get("executed_at"):
            continue
        spent = kept.get("duration_ms")
        found.append(
            Recorded(
                str(one["version"]),
                str(one["state"]),
                float(kept["executed_at"]),
                None if spent is None else float(spent) / 1000,
                str(kept.get("executed_by") or ""),
                str(kept.get("build_id") or ""),
                str(kept.get("execution") or ""),
                str(kept.get("commit_sha") or ""),
            )
        )
    return tuple(found)


def versions(payload: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the versions that an end marker names; of any other line, none."""
    if not payload or payload.get("event") != "End":
        return ()
    fields = payload.get("fields")
    done = fields.get("done") if isinstance(fields, Mapping) else None
    named = tuple(
        str(one["version"])
        for one in (done or ())
        if isinstance(one, Mapping) and "version" in one
    )
    cut = fields.get("cut") if isinstance(fields, Mapping) else None
    more = cut.get("done") if isinstance(cut, Mapping) else None
    return (*named, f"and {more} more") if more else named


def _of_build(build: Build) -> Run:
    given = build.substitutions
    by = given.get("_SUBMITTER") or (
        f"trigger {build.trigger_id}" if build.trigger_id else ""
    )
    began = build.created or 0.0
    ended = build.finished
    seconds = ended - (build.started or began) if ended is not None else None
    verdict, code, reason = _OPEN.get(build.status, ""), None, ""
    if not build.active:
        judged = judge_build(build, None)
        verdict, code = judged.ending.value, int(judged.exit_code)
        reason = "" if code == 0 else judged.reason
        if "REJECT" in build.approval:
            verdict, reason = "rejected", "its approval was refused"
    return Run(
        began, seconds, "build", build.id, by, _commit(given), verdict, code, reason
    )


def _commit(given: Mapping[str, str]) -> str:
    return given.get("_COMMIT") or given.get("COMMIT_SHA") or ""


def _of_execution(job: Job, execution: Execution) -> Run:
    seconds = None
    if execution.completed is not None:
        seconds = execution.completed - (execution.started or execution.created)
    verdict, code, reason = "running", None, ""
    if execution.done:
        judged = judge(execution, None, None)
        verdict, code = judged.ending.value, int(judged.exit_code)
        reason = "" if code == 0 else judged.reason
    return Run(
        execution.created,
        seconds,
        "job",
        execution.short,
        job.annotations.get(_BY, ""),
        execution.labels.get(LABEL_COMMIT) or job.labels.get(LABEL_COMMIT, ""),
        verdict,
        code,
        reason,
    )
