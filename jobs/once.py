"""What must happen at most once: the build, the job, the execution.

Called by `orchestrator`. None of these calls is safe to repeat; when an answer is lost its
effect is looked for, and only where it is certainly not there is the call made again.
"""

from collections.abc import Sequence

from jobs import tidy
from jobs.config import Target
from jobs.errors import NotFound
from jobs.lifecycle import Build, Execution, Job
from jobs.names import JobName
from jobs.polling import again, took_effect, until
from jobs.ports import Cloud
from jobs.settings import JobMode
from jobs.spec import BuildSpec, JobSpec, Launch

#: How long Cloud Run may take to make a job that it has taken.
READY_S = 120.0


def builds_of(cloud: Cloud, target: Target, who: Launch) -> Sequence[Build]:
    """Return the builds of a launch, by its tag: the answer with the id may be lost."""
    return cloud.builds.list(tidy.parent_of(target), (who.id,))


def submit(cloud: Cloud, target: Target, spec: BuildSpec, who: Launch) -> Build:
    """Submit the build; if the answer is lost, it is found by its launch id."""

    def submitted() -> Build | None:
        found = builds_of(cloud, target, who)
        return found[0] if found else None

    return took_effect(lambda: cloud.builds.create(spec), submitted, cloud.clock)


def create(cloud: Cloud, target: Target, spec: JobSpec) -> Job:
    """Make the job; it is ours when it carries our launch id."""
    if target.job_mode is JobMode.STABLE:
        return again(lambda: cloud.jobs.update(spec), cloud.clock)

    def made() -> Job | None:
        try:
            found = cloud.jobs.get(spec.name)
        except NotFound:
            return None
        ours = found.labels.get("launch-id") == spec.body["labels"]["launch-id"]
        return found if ours else None

    job = took_effect(lambda: cloud.jobs.create(spec), made, cloud.clock)
    return job if job.ready else _settled(cloud, spec.name)


def _settled(cloud: Cloud, name: JobName) -> Job:
    """Wait until a job is ready, or says why it is not: then starting it says it too."""

    def settled() -> Job | None:
        found = cloud.jobs.get(name)
        failed = any(c.state == "FAILED" for c in found.conditions)
        return found if found.ready or failed else None

    return until(settled, cloud.clock, what=f"job {name.job} is ready", seconds=READY_S)


def start(cloud: Cloud, job: Job, who: Launch) -> Execution:
    """Start the job: a lost answer must not become a second migration.

    Two witnesses are asked, for a new execution may not be listed yet: the executions, and
    the job itself, which names the latest.
    """
    name = JobName.parse(job.name)

    def started() -> Execution | None:
        ours = [
            e
            for e in cloud.jobs.executions(name)
            if e.labels.get("launch-id", who.id) == who.id
        ]
        if ours:
            return ours[0]
        latest = cloud.jobs.get(name).latest_execution.rpartition("/")[2]
        if not latest or latest == job.latest_execution.rpartition("/")[2]:
            return None
        return Execution(f"{name}/executions/{latest}", cloud.clock.now())

    return took_effect(lambda: cloud.jobs.run(name), started, cloud.clock)
