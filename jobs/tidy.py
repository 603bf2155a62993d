"""Who else is at work, what the dead left behind, and how ours is removed.

Called by the orchestrator at the beginning and at the end of a launch, and by the verbs
``sweep``, ``cancel`` and ``cleanup``. Only jobs that carry our labels are ever touched.
"""

import contextlib
from collections.abc import Sequence

from jobs.config import Target
from jobs.errors import (
    AnotherLaunch,
    CloudError,
    LeftBehind,
    NotFound,
    WaitedTooLong,
)
from jobs.events import Cancelling, JobDeleted, Listener, Swept
from jobs.lifecycle import Build, Execution, Job
from jobs.names import (
    LABEL_BUILD,
    LABEL_EXPIRES,
    BuildName,
    ExecutionName,
    JobName,
    stable_job_name,
)
from jobs.polling import again, until
from jobs.ports import Cloud
from jobs.settings import JobMode
from jobs.spec import TAG, belongs_to, env_tag

#: How long a cancelled execution may take before its job is deleted all the same.
CANCELLED_S = 20.0


def parent_of(target: Target) -> str:
    """Return the location everything of this target lives in."""
    return JobName(target.project, target.region, "").parent


def builds_of(
    cloud: Cloud, target: Target, *, limit: int = 50, tell: Listener | None = None
) -> list[Build]:
    """Return this environment's builds, newest first, whoever submitted them.

    What a trigger or gcloud submits has the file's tags alone: its substitution tells.
    """
    found = again(
        lambda: cloud.builds.list(parent_of(target), (TAG,), limit=limit),
        cloud.clock,
        tell,
    )
    env = target.env
    return [
        b for b in found if env_tag(env) in b.tags or b.substitutions.get("_ENV") == env
    ]


def active_builds(
    cloud: Cloud, target: Target, tell: Listener | None = None
) -> list[Build]:
    """Return this environment's builds that have not ended, oldest first."""
    active = [b for b in builds_of(cloud, target, tell=tell) if b.active]
    return sorted(active, key=lambda b: (b.created or 0.0, b.id))


def jobs_of(cloud: Cloud, target: Target, tell: Listener | None = None) -> list[Job]:
    """Return this environment's jobs of ours."""
    found = again(lambda: cloud.jobs.list(parent_of(target)), cloud.clock, tell)
    return [job for job in found if belongs_to(job.labels, target.env)]


def latest_execution(
    cloud: Cloud, name: JobName, tell: Listener | None = None
) -> Execution | None:
    """Return the newest execution of a job; None when there is none, or no job."""
    try:
        found = again(lambda: cloud.jobs.executions(name), cloud.clock, tell)
    except NotFound:
        return None
    return found[0] if found else None


def refuse_another_build(
    cloud: Cloud, target: Target, own: str = "", tell: Listener | None = None
) -> None:
    """Raise `AnotherLaunch` if a build of this environment is older than ours and alive."""
    for build in active_builds(cloud, target, tell):
        if build.id == own:
            return
        who = build.substitutions.get("_SUBMITTER", "")
        since = f", since {_ago(cloud, build.created)}" if build.created else ""
        by = f" by {who}" if who else ""
        holder = f"build {build.id} ({build.status.value.lower()}{since}{by})"
        raise AnotherLaunch(env=target.env, holder=holder)


def _ago(cloud: Cloud, moment: float) -> str:
    return f"{max(0.0, cloud.clock.now() - moment):.0f} s"


def sweep(
    cloud: Cloud, target: Target, tell: Listener, *, own_build: str = ""
) -> Sequence[str]:
    """Remove this environment's stale jobs; raise `AnotherLaunch` for one in use.

    A job is stale when its build is over, when its execution is over, or when it has
    stood longer than a launch can last. Returns what was removed.
    """
    alive = {b.id for b in active_builds(cloud, target, tell)}
    removed: list[str] = []
    kept = stable_job_name(target.env, target.name)
    for job in jobs_of(cloud, target, tell):
        if own_build and job.labels.get(LABEL_BUILD) == own_build:
            continue
        name = JobName.parse(job.name)
        execution = latest_execution(cloud, name)
        reason = _stale(cloud, target, job, execution, alive)
        if not reason:
            raise AnotherLaunch(env=target.env, holder=_holder(name, execution))
        if target.job_mode is JobMode.STABLE and name.job == kept:
            continue
        remove(cloud, name, tell)
        removed.append(name.job)
        tell(Swept(f"job {name.job}", reason))
    return removed


def _holder(name: JobName, execution: Execution | None) -> str:
    if execution is None:
        return f"job {name.job}, which is about to start"
    return f"execution {execution.short}"


def _stale(
    cloud: Cloud, target: Target, job: Job, execution: Execution | None, alive: set[str]
) -> str:
    """Say why a job is stale, or nothing when somebody uses it."""
    now = cloud.clock.now()
    if execution is not None and execution.done:
        return "its execution is over"
    expires = job.labels.get(LABEL_EXPIRES, "")
    if expires.isdecimal() and now > int(expires):
        return "it has outlived every launch"
    build = job.labels.get(LABEL_BUILD, "")
    if execution is None:
        if build and build not in alive:
            return "its build is over and nothing was started"
        if now - job.created > target.stale_after_s:
            return "nothing was ever started"
    return ""


def cancel_execution(
    cloud: Cloud, execution: Execution, tell: Listener, why: str
) -> None:
    """Cancel, and wait a little for the end: the engine rolls back in that time."""
    name = ExecutionName.parse(execution.name)
    tell(Cancelling(f"execution {execution.short}", why))
    again(lambda: cloud.jobs.cancel(name), cloud.clock, tell)

    def ended() -> bool | None:
        try:
            return cloud.jobs.execution(name).done or None
        except NotFound:
            return True

    with contextlib.suppress(WaitedTooLong):
        until(ended, cloud.clock, what="the end", seconds=CANCELLED_S, pause=0.25)


def cancel_build(cloud: Cloud, name: BuildName, tell: Listener, why: str) -> None:
    """Cancel a build."""
    tell(Cancelling(f"build {name.build}", why))
    again(lambda: cloud.builds.cancel(name), cloud.clock, tell)


def wait_for_end(cloud: Cloud, name: BuildName) -> None:
    """Wait a little for a cancelled build: its step may be making the job just now."""

    def over() -> bool | None:
        return not cloud.builds.get(name).active or None

    with contextlib.suppress(WaitedTooLong):
        until(over, cloud.clock, what="the end", seconds=CANCELLED_S, pause=0.25)


def remove(cloud: Cloud, name: JobName, tell: Listener | None = None) -> None:
    """Cancel what a job still runs, and delete it. Raises what the last try raised."""
    execution = latest_execution(cloud, name, tell)
    if execution is not None and not execution.done:
        cancel_execution(cloud, execution, tell or _silent, "its job is being deleted")
    again(lambda: cloud.jobs.delete(name), cloud.clock, tell)


def _silent(_: object) -> None:
    """Tell nobody."""


def make_sure_gone(
    cloud: Cloud, target: Target, name: JobName, tell: Listener
) -> LeftBehind | None:
    """Delete a launch's job whatever happened; return what could not be removed."""
    try:
        remove(cloud, name, tell)
    except CloudError as error:
        thing = f"job {name.job}"
        return LeftBehind(env=target.env, things=(thing,), reason=str(error))
    tell(JobDeleted(name.job))
    return None
