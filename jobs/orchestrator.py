"""The story of a launch, readable from top to bottom; the job is deleted on every path.

`launch` goes through Cloud Build; `run` makes the job itself, on a machine or inside the
build's third step. Both are written against `ports`; nothing here knows Google. Called by
`commands`, which brings the ports. Whatever ends a story, Ctrl-C included, what it made is
cancelled and removed; a second Ctrl-C is answered with what is left behind.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs import events, interrupts, links, once, queries, tidy
from jobs.config import LOG_S, Target
from jobs.errors import (
    REFUSALS,
    CloudError,
    Denied,
    LaunchCode,
    LaunchError,
    LeftBehind,
    NotFound,
    PreflightFailed,
)
from jobs.findings import Preflight, fatal
from jobs.following import follow_build, follow_execution
from jobs.judging import ENGINE_CODES, RUN_STEP, judge_build, lost
from jobs.lifecycle import Build, BuildStatus, Ending, Verdict
from jobs.names import BuildName, JobName
from jobs.polling import again
from jobs.ports import Cloud
from jobs.settings import JobMode
from jobs.source import Archive
from jobs.spec import Image, Launch, build_spec, job_spec, name_of_job
from jobs.timeline import Timeline
from jobs.verdictfile import CREATED
from jobs.watch import IN_BUILD_S, SKEW_S, WITHOUT_TAIL_S, LogWatch, Place


class Means(NamedTuple):
    """What a story needs besides its target: the cloud, who listens, how to look ahead."""

    cloud: Cloud
    tell: events.Listener
    preflight: Preflight
    live: bool = True


class Ended(NamedTuple):
    """How a story ended: the verdict, and what could not be removed."""

    verdict: Verdict
    left_behind: LeftBehind | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the command; a failed migration's code goes before clean-up's."""
        if self.left_behind is not None and self.verdict.exit_code in _OUTDONE:
            return LaunchCode.LEFT_BEHIND
        return int(self.verdict.exit_code)


#: What a failed clean-up outdoes: a success, and an end that was asked for.
_OUTDONE = (0, LaunchCode.CANCELLED)


# --- launch: through Cloud Build ------------------------------------------------------


def launch(
    means: Means,
    target: Target,
    document: Mapping[str, Any],
    pack: Callable[[], Archive],
    who: Launch,
) -> Ended:
    """Carry out ``launch``."""
    cloud = means.cloud
    time = Timeline(cloud.clock, means.tell)
    _introduce(means, target, who, "launch")

    with time.phase("preflight"):
        _make_way(means, target)
        _look_ahead(means, target)
        version = _pinned(means, target)

    with time.phase("source"):
        archive = pack()
        place = again(
            lambda: cloud.source.upload(
                target.bucket, archive.object_name, archive.content
            ),
            cloud.clock,
            means.tell,
        )
        where = f"gs://{place.bucket}/{place.object}"
        size, count = len(archive.content), len(archive.files)
        means.tell(events.SourceUploaded(where, size, count, time.spent))

    spec = build_spec(target, document, place, who, version)
    build: Build | None = None
    watch: LogWatch | None = None
    try:
        with time.phase("submit"):
            build = once.submit(cloud, target, spec, who)
            name = BuildName(target.project, target.region, build.id)
            means.tell(events.BuildSubmitted(build.id, links.build_page(name)))
        # Two launches may have looked at the same moment: the younger build gives way.
        tidy.refuse_another_build(cloud, target, own=build.id)
        job = name_of_job(target, who._replace(build_id=build.id))
        watch = _watch(means, target, job, build)
        build = follow_build(
            cloud, means.tell, target, name=name, job=job, watch=watch, time=time
        )
        watch.finish(LOG_S if _marker_expected(build) else 0.0)
        verdict = _verdict_of(build, watch, queries.of_build(target.project, build.id))
    except BaseException as error:
        left = _abandon(means, target, who, error, build)
        _note_what_is_left(error, left)
        began = watch is not None and watch.seen
        if (cut := _cut_short(error, watch, began=began)) is None:
            raise
        verdict = cut
    else:
        left = _leave_nothing(means, target, job, chances=1)
    finally:
        if watch is not None:
            watch.close()
    ended = Ended(verdict, left)
    return _end(means, target, who, time, ended, watch=watch, build=build)


def _cut_short(
    error: BaseException, watch: LogWatch | None, *, began: bool
) -> Verdict | None:
    """Return the verdict of what an error ended; None where nothing had begun."""
    outcome = watch.merger.outcome if watch is not None else None
    if isinstance(error, KeyboardInterrupt):
        reason = "stopped by Ctrl-C"
        if outcome is not None and int(outcome.exit_code) == 0:
            reason += "; the engine had said that all went well"
        return Verdict(Ending.CANCELLED, LaunchCode.CANCELLED, reason)
    if isinstance(error, CloudError) and began:
        return lost(f"{error}; how the migration ended was not seen")
    return None


def _verdict_of(build: Build, watch: LogWatch, query: str) -> Verdict:
    """Judge a build; where its exit code does not say why, its log may."""
    outcome, seen = watch.merger.outcome, watch.seen
    verdict = judge_build(build, outcome, seen=seen, word=watch.word)
    if verdict.exit_code not in {0, *ENGINE_CODES}:
        watch.read_build(query)
        verdict = judge_build(build, outcome, seen=seen, word=watch.word)
    return verdict


def _make_way(means: Means, target: Target, own_build: str = "") -> None:
    """Refuse to be the second, and sweep. Who may not look is told why by the preflight."""
    cloud, tell = means.cloud, means.tell
    try:
        if not own_build:
            tidy.refuse_another_build(cloud, target, tell=tell)
        tidy.sweep(cloud, target, tell, own_build=own_build)
    except (Denied, NotFound):
        _look_ahead(means, target)
        raise


def _introduce(means: Means, target: Target, who: Launch, verb: str) -> None:
    means.tell(
        events.LaunchStarted(
            target.env, target.project, target.region, who.id, target.endpoint, verb
        )
    )


def _look_ahead(means: Means, target: Target) -> None:
    began = means.cloud.clock.now()
    findings = tuple(means.preflight())
    means.tell(events.PreflightDone(findings, means.cloud.clock.now() - began))
    if wrong := fatal(findings):
        raise PreflightFailed(env=target.env, findings=tuple(f.what for f in wrong))


def _pinned(means: Means, target: Target) -> str:
    """Return the secret's version by number: what ``latest`` is now, and stays."""
    if target.database_secret_version != "latest":  # noqa: S105 - a version's name
        return target.database_secret_version
    cloud, name = means.cloud, target.secret_name
    return again(
        lambda: cloud.secrets.version(name, "latest"), cloud.clock, means.tell
    ).version


def _watch(
    means: Means,
    target: Target,
    job: JobName,
    build: Build | None,
    *,
    within: bool = False,
) -> LogWatch:
    """Watch a job's log; ``within`` a build, less often: the launch reads it too."""
    query = queries.of_job(job.job, target.region)
    more = query
    if build is not None:
        of_build = queries.of_build(target.project, build.id)
        more = queries.either(of_build, query)
    now = means.cloud.clock.now()
    page = links.log_page(target.project, query)
    stable = target.job_mode is JobMode.STABLE
    pause = IN_BUILD_S if within else WITHOUT_TAIL_S
    place = Place(target.project, query, now - SKEW_S, page, means.live, stable, pause)
    return LogWatch(means.cloud.logs, means.cloud.clock, means.tell, place, more)


def _marker_expected(build: Build) -> bool:
    """Whether the engine can have said its last line: its step ran and was not killed."""
    # A step that never began has exit code 0 as well: only its status tells.
    ran = [s for s in build.steps if s.id == RUN_STEP]
    good = BuildStatus.SUCCESS
    return any(s.status is good or s.exit_code in ENGINE_CODES for s in ran)


def _abandon(
    means: Means,
    target: Target,
    who: Launch,
    error: BaseException,
    submitted: Build | None,
) -> LeftBehind | None:
    """Cancel what was submitted, build first so that it starts nothing more."""
    cloud = means.cloud
    why = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else str(error)

    def job_of(build: str) -> JobName:
        return name_of_job(target, who._replace(build_id=build))

    def end_it() -> None:
        # Asked for by its tag: the answer to the submission may have been lost.
        for build in again(
            lambda: once.builds_of(cloud, target, who), cloud.clock, means.tell
        ):
            name = BuildName(target.project, target.region, build.id)
            tidy.cancel_build(cloud, name, means.tell, why)
            tidy.wait_for_end(cloud, name)
            _remove(means, target, job_of(build.id))

    things = [f"builds with the tag {who.id}"]
    if submitted is not None:
        job = job_of(submitted.id).job
        things = [
            f"build {submitted.id}, if it still runs",
            f"job {job}, if it was made",
        ]
    return _insist(means, target, end_it, things, chances=0)


def _leave_nothing(
    means: Means, target: Target, job: JobName, *, chances: int
) -> LeftBehind | None:
    """Delete the job. ``chances``: how many times Ctrl-C is answered by going on."""
    things = [f"job {job.job}"]
    return _insist(
        means, target, lambda: _remove(means, target, job), things, chances=chances
    )


def _remove(means: Means, target: Target, job: JobName) -> None:
    """Delete the job; one that is kept is only stopped."""
    if target.job_mode is JobMode.EPHEMERAL:
        tidy.remove(means.cloud, job, means.tell)
        means.tell(events.JobDeleted(job.job))
        return
    execution = tidy.latest_execution(means.cloud, job)
    if execution is not None and not execution.done:
        tidy.cancel_execution(means.cloud, execution, means.tell, "the launch is over")


def _note_what_is_left(error: BaseException, left: LeftBehind | None) -> None:
    """Add what clean-up could not do to the error that made it necessary."""
    if left is not None:
        error.add_note(str(left))


def _insist(
    means: Means,
    target: Target,
    act: Callable[[], None],
    things: Sequence[str],
    *,
    chances: int,
) -> LeftBehind | None:
    """Clean up; say what is left behind when that is not possible, or not wanted."""
    while True:
        interrupts.heard()
        try:
            act()
        except KeyboardInterrupt:
            interrupts.heard()
            if chances:
                chances -= 1
                continue
            reason = "interrupted again"
        except CloudError as error:
            reason = str(error)
        else:
            return None
        left = LeftBehind(env=target.env, things=tuple(things), reason=reason)
        means.tell(events.CleanupFailed(left.things, reason, left.advice()))
        return left


# --- run: the job alone ---------------------------------------------------------------


def run(
    means: Means,
    target: Target,
    image: Image,
    who: Launch,
    *,
    note: Callable[[str, JobName, Verdict | None, str], None],
    keep_job: bool = False,
) -> Ended:
    """Carry out ``run``. ``note`` keeps the verdict for whoever comes after a kill.

    ``keep_job``: the clean-up step deletes it.
    """
    cloud = means.cloud
    time = Timeline(cloud.clock, means.tell)
    _introduce(means, target, who, "run")
    with time.phase("preflight"):
        _make_way(means, target, who.build_id)
        _look_ahead(means, target)
        target = target._replace(database_secret_version=_pinned(means, target))

    spec = job_spec(target, image, who, cloud.clock.now())
    job, execution, asked = spec.name, None, False
    note(CREATED, job, None, "")
    watch = _watch(means, target, job, None, within=bool(who.build_id))
    try:
        with time.phase("job"):
            made = once.create(cloud, target, spec)
            means.tell(events.JobCreated(job.job, str(image), links.job_page(job)))
        with time.phase("migration") as phase:
            asked = True
            execution = once.start(cloud, made, who)
            verdict = follow_execution(cloud, means.tell, target, execution, watch)
            phase.good = verdict.ending is Ending.SUCCEEDED
    except BaseException as error:
        left = _leave_nothing(means, target, job, chances=0)
        _note_what_is_left(error, left)
        if isinstance(error, LaunchError):
            # For the clean-up step; what follows may say more.
            code = int(error.exit_code)
            note(Ending.FAILED.value, job, Verdict(Ending.FAILED, code, str(error)), "")
        # A start that was refused started nothing; any other error leaves that open.
        began = execution is not None or (asked and not isinstance(error, REFUSALS))
        if (cut := _cut_short(error, watch, began=began)) is None:
            raise
        verdict = cut
    else:
        kept = keep_job and verdict.ending is not Ending.CANCELLED
        left = None if kept else _leave_nothing(means, target, job, chances=1)
    finally:
        watch.close()
    short = execution.short if execution else ""
    note(verdict.ending.value, job, verdict, short)
    ended = Ended(verdict, left)
    return _end(means, target, who, time, ended, watch=watch, execution=short)


def _end(
    means: Means,
    target: Target,
    who: Launch,
    time: Timeline,
    ended: Ended,
    *,
    watch: LogWatch | None,
    build: Build | None = None,
    execution: str = "",
) -> Ended:
    outcome = watch.merger.outcome if watch is not None else None
    means.tell(
        events.LaunchEnded(
            env=target.env,
            launch_id=who.id,
            verdict=ended.verdict._replace(exit_code=ended.exit_code),
            seconds=time.elapsed,
            phases=tuple(time.phases),
            steps=build.steps if build else (),
            build_id=build.id if build else who.build_id,
            execution=execution,
            done=outcome.applied if outcome else None,
            message=outcome.message if outcome else "",
        )
    )
    return ended
