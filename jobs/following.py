"""Wait for a build, or for an execution, and tell what changes meanwhile.

Called by the orchestrator. Waiting is done by looking, every second or two, never by
waiting for Google's operation: that one gives up after 900 seconds, and calls a cancelled
execution a success. Each look may fail for a while; only the deadline ends the wait.
"""

from jobs import events, links, tidy
from jobs.config import LOG_S, Target
from jobs.errors import CloudError, NotFound, WaitedTooLong
from jobs.events import Listener
from jobs.judging import ENGINE_CODES, judge
from jobs.lifecycle import Build, BuildStatus, Execution, Task, Verdict
from jobs.names import LABEL_LAUNCH, BuildName, ExecutionName, JobName
from jobs.polling import TRANSIENT, again
from jobs.ports import Cloud
from jobs.timeline import Timeline
from jobs.watch import LogWatch

#: Seconds between looks, and between two lines that say what is waited for.
LOOK_S, SAY_S, STEP_S = 1.0, 15.0, 0.4
#: What a build may take beyond its own limits before we stop believing in it.
MARGIN_S = 300
#: Approvals are given by people.
APPROVAL_S = 24 * 3600
#: How long the end marker is waited for when nothing says that there will be one.
NO_MARKER_S = 8.0
#: How long a new execution, or a new build, may not be found yet.
YOUNG_S = 30.0


class _Waiting:
    """Says what is being waited for when nothing else has been said for a while."""

    def __init__(self, cloud: Cloud, tell: Listener, what: str) -> None:
        self._cloud, self._tell = cloud, tell
        self._began = self._said = cloud.clock.now()
        self.what = what

    def news(self, what: str = "") -> None:
        self._said = self._cloud.clock.now()
        if what and what != self.what:
            self.what, self._began = what, self._said

    def look(self) -> None:
        now = self._cloud.clock.now()
        if now - self._said >= SAY_S:
            self._said = now
            self._tell(events.Waiting(self.what, now - self._began))


def follow_build(
    cloud: Cloud,
    tell: Listener,
    target: Target,
    *,
    name: BuildName,
    job: JobName,
    watch: LogWatch,
    time: Timeline,
) -> Build:
    """Return the build when it is over. Raises `WaitedTooLong`."""
    waiting = _Waiting(cloud, tell, "the build to start")
    build: Build | None = None
    seen = _JobSeen(cloud, tell, job)
    began = next_look = cloud.clock.now()
    with time.phase("build") as phase:
        while True:
            if watch.step(STEP_S):
                waiting.news()
            now = cloud.clock.now()
            if now < next_look:
                continue
            next_look = now + LOOK_S
            found = _glance(cloud, name, young=now - began < YOUNG_S)
            if found is not None and (build is None or found.status != build.status):
                tell(events.BuildState(name.build, found.status.value, found.detail))
                waiting.news(_WAITING_FOR.get(found.status, ""))
            build = found or build
            if build is not None and not build.active:
                phase.good = build.status is BuildStatus.SUCCESS
                return build
            if build is not None and build.status is BuildStatus.WORKING:
                seen.look()
                if seen.execution is not None:
                    watch.only(seen.execution.short)
            waiting.look()
            _check_deadline(target, build, now, began)


_WAITING_FOR = {
    BuildStatus.PENDING: "somebody's approval (python -m jobs approve)",
    BuildStatus.QUEUED: "the build to start",
    BuildStatus.WORKING: "the build's steps",
}


def _glance(cloud: Cloud, name: BuildName, *, young: bool) -> Build | None:
    try:
        return cloud.builds.get(name)
    except NotFound:
        if not young:
            raise
        return None
    except TRANSIENT:
        return None


def _check_deadline(
    target: Target, build: Build | None, now: float, began: float
) -> None:
    if build is not None and build.status is BuildStatus.PENDING:
        limit, what = APPROVAL_S, "approval of the build"
    elif build is None or build.started is None:
        limit, what = target.queue_timeout_s + 60, "start of the build"
    else:
        began = build.started
        limit, what = target.build_timeout_s + MARGIN_S, "end of the build"
    if now - began > limit:
        raise WaitedTooLong(what=what, seconds=limit)


class _JobSeen:
    """The job that the build's third step makes, as it is seen from here."""

    def __init__(self, cloud: Cloud, tell: Listener, job: JobName) -> None:
        self._cloud, self._tell, self._job = cloud, tell, job
        self._launch = ""
        self._known = False
        self.execution: Execution | None = None

    def look(self) -> None:
        """Tell the job and its execution once each. Whatever fails is tried next time."""
        if self.execution is not None:
            return
        try:
            if not self._known:
                found = self._cloud.jobs.get(self._job)
                self._known = True
                self._launch = found.labels.get(LABEL_LAUNCH, "")
                page = links.job_page(self._job)
                self._tell(events.JobCreated(self._job.job, found.image, page))
            executions = self._cloud.jobs.executions(self._job)
        except CloudError:
            return
        ours = [e for e in executions if e.labels.get(LABEL_LAUNCH) == self._launch]
        if ours:
            self.execution = ours[0]
            name = ExecutionName.parse(self.execution.name)
            page = links.execution_page(name)
            self._tell(events.ExecutionStarted(name.execution, page))


# --- an execution ---------------------------------------------------------------------


def follow_execution(
    cloud: Cloud, tell: Listener, target: Target, execution: Execution, watch: LogWatch
) -> Verdict:
    """Return the verdict of an execution when it is over, or our deadline is."""
    name = ExecutionName.parse(execution.name)
    tell(events.ExecutionStarted(name.execution, links.execution_page(name)))
    watch.only(name.execution)
    waiting = _Waiting(cloud, tell, "the task to start")
    sight = _Sight(cloud, execution)
    began = cloud.clock.now()
    next_look = began
    state = ""
    current: Execution | None = execution
    waited_out = False
    while current is not None and not current.done:
        if watch.step(STEP_S):
            waiting.news("the migration")
        now = cloud.clock.now()
        if now - began > target.deadline_s:
            waited_out = True
            tidy.cancel_execution(cloud, current, tell, "its time is over")
            break
        waiting.look()
        if now < next_look:
            continue
        next_look = now + LOOK_S
        current = sight.look()
        if current is not None and (told := _state(current)) != state:
            state = told
            tell(events.ExecutionState(name.execution, state, _why(current)))
            waiting.news("the migration" if current.running else "")
    if waited_out:
        current = sight.look()
    task = _task(cloud, name) if current is not None and current.done else None
    watch.finish(_patience(current, task))
    return judge(current, task, watch.merger.outcome, waited_out=waited_out)


class _Sight:
    """An execution as it was last seen. A young one may not be found yet: it is not gone."""

    def __init__(self, cloud: Cloud, execution: Execution) -> None:
        self._cloud, self._name = cloud, ExecutionName.parse(execution.name)
        self._last: Execution | None = execution
        self._found = False
        self._young_until = cloud.clock.now() + YOUNG_S

    def look(self) -> Execution | None:
        """Return it; None when it is gone."""
        try:
            self._last = self._cloud.jobs.execution(self._name)
            self._found = True
        except NotFound:
            if self._found or self._cloud.clock.now() >= self._young_until:
                self._last = None
        except TRANSIENT:
            pass
        return self._last


def _state(execution: Execution) -> str:
    if execution.done:
        return "ended"
    return "running" if execution.running else "pending"


def _why(execution: Execution) -> str:
    said = [
        c.message for c in execution.conditions if c.message and c.state != "SUCCEEDED"
    ]
    return said[0] if said else ""


def _task(cloud: Cloud, name: ExecutionName) -> Task | None:
    try:
        found = again(lambda: cloud.jobs.tasks(name), cloud.clock)
    except CloudError:
        return None
    return found[0] if found else None


def _patience(execution: Execution | None, task: Task | None) -> float:
    """How long to wait for the last lines: long when the engine must have written them."""
    if execution is None or task is None:
        return NO_MARKER_S
    wrote = task.exit_code == 0 or task.exit_code in ENGINE_CODES
    return float(LOG_S) if wrote else NO_MARKER_S
