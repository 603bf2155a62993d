"""The verbs around a launch: doctor, history, secret, trigger, approve.

Called by `cli` through the table in `verbs`. Brings target, cloud and the decisions
together, and prints the answer; a password is read here from the terminal or a pipe, and
goes nowhere but to `vault`.
"""

import getpass
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from jobs import engine, queries, tidy, triggers
from jobs import history as records
from jobs.access import grants, script
from jobs.address import Address, Change, Means
from jobs.commands import connected, say, targeted
from jobs.config import Target, load_trigger
from jobs.doctor import as_json, as_text, preflight
from jobs.errors import BadAddress, BadName, CloudError, LaunchError, NothingTyped
from jobs.facts import Unknown
from jobs.findings import fatal
from jobs.looking import asked
from jobs.names import BuildName, JobName, job_name
from jobs.polling import again
from jobs.ports import Cloud
from jobs.render import readable
from jobs.vault import Shown, Stored, Vault, changed, means_of, show
from jobs.verbs import Call
from migrate.errors import ExitCode

#: How far back the log is read: as long as Cloud Logging keeps it unless told otherwise.
_LOGGED_S = 30 * 24 * 3600
#: How long the database may take to answer: it may well not be reachable from here.
CONNECT_S = 5.0

# --- doctor ---------------------------------------------------------------------------


def doctor(call: Call) -> int:
    """Look at everything; 4 when a finding forbids the launch."""
    target = targeted(call)
    if call.options.print_grants:
        return _print_grants(call, target)
    findings = preflight(target, connected(call, target), call.environment)()
    told = as_json if call.options.output == "json" else as_text
    text = told(target.env, findings, quiet=call.options.quiet)
    sys.stdout.write(text + "\n")
    return int(ExitCode.BLOCKED) if fatal(findings) else int(ExitCode.OK)


def _print_grants(call: Call, target: Target) -> int:
    """Print the commands; numbers and names are looked up where that is possible."""
    number = person = ""
    try:
        cloud = connected(call, target)
        answers = (
            asked(lambda: cloud.projects.number(target.project)),
            asked(cloud.projects.caller),
        )
        number, person = ("" if isinstance(a, Unknown) else a or "" for a in answers)
    except LaunchError as error:
        sys.stderr.write(f"# not looked up: {error}\n")
    given = grants(target, person=person, number=number)
    sys.stdout.write(script(given))
    return int(ExitCode.OK)


# --- history --------------------------------------------------------------------------


def history(call: Call) -> int:
    """Show what ran."""
    target = targeted(call)
    cloud = connected(call, target)
    limit = call.options.limit
    with ThreadPoolExecutor(1) as aside:
        # Meanwhile: a database that is not to be reached takes its time to say so.
        table = aside.submit(_recorded, call, target, cloud)
        # Other environments of the project are among the newest builds too.
        builds = tidy.builds_of(cloud, target, limit=max(limit * 5, 50))
        jobs = tidy.jobs_of(cloud, target)
        runs = [(job, _executions(cloud, job.name)) for job in jobs]
        applied = _applied(target, cloud, [build.id for build in builds])
        recorded = table.result()
    found = records.rows(builds, runs, applied, recorded)[:limit]
    if call.options.output == "json":
        for run in found:
            sys.stdout.write(json.dumps(run._asdict(), ensure_ascii=False) + "\n")
        return 0
    lines = [_row(run) for run in found]
    sys.stdout.write("\n".join(lines or [f"{target.env}: nothing is recorded"]) + "\n")
    return 0


def _executions(cloud: Cloud, name: str) -> Any:
    return again(lambda: cloud.jobs.executions(JobName.parse(name)), cloud.clock)


def _applied(
    target: Target, cloud: Cloud, builds: Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return what each launch applied, from the end markers that are still in the log.

    The jobs are gone, their lines are not. Without the log the rest is told all the same.
    """
    of_job = {job_name(target.env, target.name, build): build for build in builds}
    query = queries.ends_of(f"{target.env}-{target.name}", target.region)
    since = cloud.clock.now() - _LOGGED_S
    found: dict[str, tuple[str, ...]] = {}
    try:
        for entry in cloud.logs.list(target.project, query, since):
            done = records.versions(entry.payload)
            job = of_job.get(entry.resource.get("job_name", ""))
            execution = entry.labels.get("run.googleapis.com/execution_name", "")
            found[job or execution] = done
    except CloudError as error:
        sys.stderr.write(f"what was applied is not known: {error}\n")
    return found


def _recorded(call: Call, target: Target, cloud: Cloud) -> Sequence[records.Recorded]:
    """Return what the history table holds, where it can be reached from here."""
    if call.options.no_database:
        return ()
    name, version = target.secret_name, target.database_secret_version
    try:
        url = cloud.secrets.access(name, version)
    except CloudError as error:
        sys.stderr.write(f"the history table was not asked: {error}\n")
        return ()
    arguments = ("status", "--env", target.env, "--output", "json", "--wait", "0")
    answer = engine.ask(
        arguments, Path(), call.environment, url, target.variables, CONNECT_S
    )
    if answer.exit_code:
        sys.stderr.write(f"the history table was not asked: {answer.said}\n")
    return records.recorded(answer.json())


def _row(run: records.Run) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(run.began))
    spent = readable(run.seconds) if run.seconds is not None else "-"
    code = "" if run.exit_code in {None, 0} else f" ({run.exit_code})"
    applied = f"\n    applied {', '.join(run.applied)}" if run.applied else ""
    facts = f"{when}Z  {run.verdict + code:<18}  {spent:>10}  {run.kind} {run.id}"
    by = f"  by {run.by}" if run.by else ""
    commit = f"  at {run.commit[:12]}" if run.commit else ""
    return facts + by + commit + applied + (f"\n    {run.reason}" if run.reason else "")


# --- secret ---------------------------------------------------------------------------


def secret(call: Call) -> int:
    """Show, rebuild or rotate the database's address."""
    target = targeted(call)
    cloud = connected(call, target)
    action = call.options.action
    if action == "show":
        _tell(call, _shown(target, show(target, cloud.secrets)))
        return 0
    connects = partial(_connects, call, target) if call.options.connect else None
    vault = Vault(target, cloud.secrets, cloud.clock, connects)
    disable = call.options.disable_previous
    if action == "rotate":
        password = _typed(call, target, "new password: ")
        stored = vault.change(
            lambda before: before.with_password(password), disable_previous=disable
        )
    elif call.options.new:
        text = _typed(call, target, "postgresql:// address: ")
        stored = vault.put(Address.parse(text), disable_previous=disable)
    else:
        change = _change(call, target)
        stored = vault.change(
            lambda before: changed(target, change, before), disable_previous=disable
        )
    _tell(call, _stored(target, stored))
    return 0


def _connects(call: Call, target: Target, url: str) -> str:
    """Let the engine look at a database; return what was wrong."""
    arguments = ("doctor", "--output", "json", "--wait", "0", "--dir", "migrations")
    answer = engine.ask(
        arguments, Path(), call.environment, url, target.variables, CONNECT_S
    )
    wrong = [f["what"] for f in answer.json() or () if not f["good"]]
    return str(wrong[0]) if wrong else answer.said


def _change(call: Call, target: Target) -> Change:
    given = call.options
    means = Means(given.connection) if given.connection else means_of(target)
    return Change(means, given.host, given.port, given.instance, given.database)


def _typed(call: Call, target: Target, prompt: str) -> str:
    """Read one line that is not shown: from the terminal, or from a pipe."""
    if sys.stdin.isatty() and call.options.output == "text":
        text = getpass.getpass(prompt)
    else:
        if isinstance(sys.stdin, io.TextIOWrapper):  # whatever the terminal's encoding
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise NothingTyped(env=target.env)
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise BadAddress(reason="what was typed is not UTF-8")
    return text


def _shown(target: Target, shown: Shown) -> Mapping[str, Any]:
    return {
        "secret": target.database_secret,
        "version": shown.version.version,
        "state": shown.version.state.lower(),
        "address": str(shown.address) if shown.address else "",
        "leads": shown.address.form.value if shown.address else "",
        "versions": ", ".join(
            f"{v.version} {v.state.lower()}" for v in shown.versions[:10]
        ),
    }


def _stored(target: Target, stored: Stored) -> Mapping[str, Any]:
    if not stored.added:
        return {
            "secret": target.database_secret,
            "version": stored.version,
            "result": "nothing to change: the address is so already",
            "address": str(stored.after),
        }
    left = "disabled" if stored.disabled else "still enabled"
    told = {
        "secret": target.database_secret,
        "version": stored.version,
        "result": "added, enabled and read back"
        + (", and it connects" if stored.connected else ""),
        "before": str(stored.before or ""),
        "address": str(stored.after),
        "previous": f"version {stored.previous}, {left}" if stored.previous else "",
    }
    pinned = target.database_secret_version
    if pinned not in {"latest", stored.version}:
        told["pinned"] = (
            f"{target.file} still says database_secret_version: {pinned}; "
            f"a launch takes {stored.version} when it says so"
        )
    return {name: value for name, value in told.items() if value}


def _tell(call: Call, told: Mapping[str, Any]) -> None:
    if call.options.output == "json":
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    for name, value in told.items():
        if value:
            sys.stdout.write(f"{name + ':':<10} {value}\n")


# --- trigger and approve --------------------------------------------------------------


def trigger(call: Call) -> int:
    """Show the trigger, or make it so."""
    target = targeted(call)
    wanted = triggers.body(target, load_trigger(target.env))
    if call.options.action == "show":
        sys.stdout.write(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n")
        return 0
    cloud = connected(call, target)
    parent = tidy.parent_of(target)
    existing = again(lambda: cloud.builds.triggers(parent), cloud.clock)
    same = [t for t in existing if t.get("name") == wanted["name"]]
    if same and not (fields := triggers.differences(wanted, same[0])):
        say(call, f"trigger {wanted['name']} is so already")
        return 0
    made = cloud.builds.save_trigger(parent, wanted)
    did = f"updated ({', '.join(fields)})" if same else "created"
    say(call, f"trigger {wanted['name']} {did}: {made}")
    return 0


def approve(call: Call) -> int:
    """Decide on a build that waits."""
    given = call.options
    if "/" in given.build:
        name = BuildName.parse(given.build)
        target = Target("", name.project, name.region, "", "")
        address = call.environment.get("GOOGLE_CLOUD_EMULATOR", "")
        target = target._replace(endpoint=address)
    elif given.env:
        target = targeted(call)
        name = BuildName(target.project, target.region, given.build)
    else:
        reason = "say whose with --env ENV, or give projects/P/locations/L/builds/B"
        raise BadName(what="build", value=given.build, reason=reason)
    cloud = connected(call, target)
    cloud.builds.approve(name, approved=not given.reject, comment=given.comment)
    decided = "rejected" if given.reject else "approved"
    say(call, f"build {name.build} is {decided}")
    return 0
