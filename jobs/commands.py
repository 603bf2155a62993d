"""One function for each verb: bring target, cloud and story together.

Called by `cli` through the table in `verbs`. The one place where ports meet their
adapters. Prints through `render`; decides nothing.
"""

import getpass
import json
import subprocess
import sys
import uuid
from pathlib import Path

from jobs import buildfile, orchestrator, queries, source, tidy, verdictfile
from jobs.config import Target, load
from jobs.errors import CloudError, LaunchCode
from jobs.events import Listener, LogLine
from jobs.findings import Preflight, no_preflight
from jobs.lifecycle import Ending, Verdict
from jobs.links import job_page, log_page
from jobs.names import BuildName, JobName
from jobs.ports import Cloud
from jobs.render import readable, teller
from jobs.spec import Image, Launch, name_of_job
from jobs.verbs import Call
from jobs.watch import LogWatch, Place


def connected(call: Call, target: Target) -> Cloud:
    """Return the cloud of a target. Raises `NoCredentials` at once."""
    from jobs.gcp.cloud import connect  # noqa: PLC0415 - half a second of Google

    return connect(target.project, target.region, target.endpoint, call.environment)


def targeted(call: Call) -> Target:
    """Return the target of a command; an emulator of the environment is shown by name."""
    target = load(call.options.env)
    address = call.environment.get("GOOGLE_CLOUD_EMULATOR")
    return target._replace(endpoint=address) if address else target


def told(call: Call) -> Listener:
    """Return the listener of a command."""
    options = call.options
    return teller(
        options.output,
        quiet=options.quiet,
        verbose=options.verbose,
        environment=call.environment,
    )


def _preflight(call: Call, target: Target, cloud: Cloud) -> Preflight:
    """Return what looks ahead: the checks of ``doctor``."""
    from jobs.doctor import preflight  # noqa: PLC0415 - for a launch alone

    return preflight(target, cloud, call.environment)


def _means(call: Call, target: Target, *, look_ahead: bool) -> orchestrator.Means:
    cloud = connected(call, target)
    ahead = _preflight(call, target, cloud) if look_ahead else no_preflight
    live = not call.options.no_tail
    return orchestrator.Means(cloud, told(call), ahead, live)


def launch(call: Call) -> int:
    """Launch through Cloud Build."""
    target = targeted(call)
    document = buildfile.load(target.build_file)
    who = Launch(
        id=uuid.uuid4().hex[:12],
        commit=call.options.commit or _head(),
        submitter=call.environment.get("JOBS_SUBMITTER") or _user(),
        dry_run=call.options.dry_run,
    )
    means = _means(call, target, look_ahead=True)
    ended = orchestrator.launch(
        means, target, document, lambda: source.pack(Path()), who
    )
    return ended.exit_code


def _head() -> str:
    """Return git's HEAD, or nothing where there is no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def run(call: Call) -> int:
    """Run the job alone."""
    options = call.options
    target = targeted(call)
    text = options.image or Path(options.image_file).read_text(encoding="utf-8")
    image = Image.parse(text)
    if options.secret_version:
        target = target._replace(database_secret_version=options.secret_version)
    who = Launch(
        id=options.launch_id or uuid.uuid4().hex[:12],
        build_id=options.build_id,
        commit=options.commit,
        submitter=options.submitter or _user(),
        dry_run=options.dry_run == "true",
    )
    file = Path(options.verdict) if options.verdict else None

    def note(state: str, job: JobName, verdict: Verdict | None, execution: str) -> None:
        if file is not None:
            code = int(verdict.exit_code) if verdict else 0
            reason = verdict.reason if verdict else ""
            verdictfile.write(
                file, verdictfile.Note(state, job.job, code, execution, reason)
            )

    means = _means(call, target, look_ahead=False)
    ended = orchestrator.run(
        means, target, image, who, note=note, keep_job=options.keep_job
    )
    return ended.exit_code


def cleanup(call: Call) -> int:
    """Delete a launch's job; the build's last word."""
    target = targeted(call)
    cloud = connected(call, target)
    tell = told(call)
    kept = None
    job = call.options.job
    if call.options.verdict:
        kept = verdictfile.read(Path(call.options.verdict))
        job = kept.job
    stable = job == name_of_job(target, Launch(id="x")).job
    name = JobName(target.project, target.region, job)
    left = None if stable else tidy.make_sure_gone(cloud, target, name, tell)
    if kept is not None and call.options.fail_unless_succeeded:
        say(call, f"verdict: {kept.told}")
        if kept.state != Ending.SUCCEEDED.value:
            # `created` is all that a run step wrote that was killed.
            return kept.exit_code or int(LaunchCode.UNCERTAIN)
    if left is not None:
        raise left
    return 0


def sweep(call: Call) -> int:
    """Remove what launches left that died."""
    target = targeted(call)
    removed = tidy.sweep(connected(call, target), target, told(call))
    say(call, f"{target.env}: {len(removed)} stale jobs removed")
    return 0


def cancel(call: Call) -> int:
    """End what is going on."""
    target = targeted(call)
    cloud = connected(call, target)
    tell = told(call)
    began = cloud.clock.now()
    ended: list[str] = []
    for build in tidy.active_builds(cloud, target):
        name = BuildName(target.project, target.region, build.id)
        tidy.cancel_build(cloud, name, tell, "python -m jobs cancel")
        # Its step may be making the job just now, which has to go as well.
        tidy.wait_for_end(cloud, name)
        ended.append(f"build {build.id}")
    for job in tidy.jobs_of(cloud, target):
        left = tidy.make_sure_gone(cloud, target, JobName.parse(job.name), tell)
        if left is not None:
            raise left
        ended.append(f"job {JobName.parse(job.name).job}")
    spent = readable(cloud.clock.now() - began)
    say(call, f"{target.env}: ended {', '.join(ended) or 'nothing'} in {spent}")
    return 0


def status(call: Call) -> int:
    """Show what is going on."""
    target = targeted(call)
    cloud = connected(call, target)
    lines: list[str] = []
    for build in tidy.active_builds(cloud, target):
        by = build.substitutions.get("_SUBMITTER", "")
        lines.append(
            f"build {build.id} {build.status.value}" + (f" by {by}" if by else "")
        )
    for job in tidy.jobs_of(cloud, target):
        name = JobName.parse(job.name)
        found = tidy.latest_execution(cloud, name)
        state = "no execution" if found is None else "running"
        if found is not None and found.done:
            state = "ended"
        lines.append(f"job {name.job}: {state}\n  {job_page(name)}")
    say(call, "\n".join(lines) or f"{target.env}: nothing is going on")
    return 0


def logs(call: Call) -> int:
    """Show the newest job's log; follow it while it runs."""
    target = targeted(call)
    cloud = connected(call, target)
    tell = told(call)
    jobs = tidy.jobs_of(cloud, target)
    if not call.options.follow or not jobs:
        return _past(call, target, cloud)
    name = JobName.parse(jobs[0].name)
    query = queries.of_job(name.job, target.region)
    page = log_page(target.project, query)
    live = not call.options.no_tail
    place = Place(target.project, query, jobs[0].created - 60, page, live)
    watch = LogWatch(cloud.logs, cloud.clock, tell, place)
    try:
        watch.read()
        while not watch.merger.complete:
            watch.step(1.0)
            found = tidy.latest_execution(cloud, name)
            if found is None or found.done:
                watch.finish(10.0)
                break
    finally:
        watch.close()
    return 0


def _past(call: Call, target: Target, cloud: Cloud) -> int:
    """Print the lines of the launches of the last hours; their jobs are gone."""
    tell = told(call)
    pattern = f'resource.labels.job_name=~"^{target.env}-{target.name}"'
    query = f'resource.type="cloud_run_job" AND {pattern}'
    since = cloud.clock.now() - call.options.hours * 3600
    try:
        for entry in cloud.logs.list(target.project, query, since):
            tell(LogLine(entry.severity, entry.text, timestamp=entry.timestamp))
    except CloudError as error:
        error.add_note(log_page(target.project, query))
        raise
    return 0


def say(call: Call, text: str) -> None:
    """Print a verb's answer."""
    if call.options.output == "json":
        text = json.dumps({"answer": text}, ensure_ascii=False)
    sys.stdout.write(text + "\n")
