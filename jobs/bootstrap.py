"""Everything that an empty project needs before its first launch, step by step. Pure.

Called by scripts/bootstrap_gcp.py, which prints the steps as a script or lets `provision`
carry them out. What there is to make comes from `resources`, who may do what from `access`:
the table of least roles, made concrete for one environment.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobs import resources
from jobs.access import Grant, grants, repository_of, words
from jobs.config import Target
from jobs.errors import TargetFileWrong
from jobs.resources import Resource, Words, command
from jobs.roles import Who

#: What only the preflight and this module ask.
_LOOKING = ("cloudresourcemanager", "iam", "serviceusage")
_FEDERATION = ("iamcredentials", "sts")
#: The account that a workflow launches as, and the pool that knows GitHub's tokens.
LAUNCH_ACCOUNT, POOL, PROVIDER = "migration-launch", "github", "github"
ISSUER = "https://token.actions.githubusercontent.com"
MAPPING = "google.subject=assertion.sub"
IMPERSONATE = "roles/iam.workloadIdentityUser"
#: Stands for the project's number, which is looked up when it is needed.
NUMBER = "PROJECT_NUMBER"
_READS_SECRETS = "roles/secretmanager.secretAccessor"
_OWN = ".iam.gserviceaccount.com"


class Wishes(NamedTuple):
    """What the environment's file does not say. People are members, as in a policy."""

    launchers: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    rotators: tuple[str, ...] = ()
    github: str = ""  # OWNER/NAME
    subnet_range: str = resources.SUBNET_RANGE
    connector_range: str = resources.CONNECTOR_RANGE


class Step(NamedTuple):
    """One command. Without ``look`` it may be repeated. ``typed``: it reads a secret value."""

    what: str
    make: Words
    look: Words = ()
    typed: bool = False


def launch_account(target: Target) -> str:
    """Return the account that a workflow launches as."""
    return f"{LAUNCH_ACCOUNT}@{target.project}{_OWN}"


def subject(target: Target, github: str) -> str:
    """Return the one job of a repository that may launch: it names this environment."""
    pool = f"projects/{NUMBER}/locations/global/workloadIdentityPools/{POOL}"
    who = f"repo:{github}:environment:{target.env}"
    return f"principal://iam.googleapis.com/{pool}/subject/{who}"


def steps(target: Target, wishes: Wishes) -> tuple[Step, ...]:
    """Return the steps in an order in which each finds what it needs.

    Raises `TargetFileWrong` where accounts of one's own are not named.
    """
    for key in ("build_service_account", "job_service_account"):
        if not getattr(target, key).endswith(_OWN):
            reason = f"{key}: name an account of its own, NAME@PROJECT{_OWN}"
            line = target.lines.get(key, 1)
            raise TargetFileWrong(file=target.file, line=line, reason=reason)
    made = [*_apis(target, wishes), *_things(target, wishes), *_grants(target, wishes)]
    return tuple({step.make: step for step in made}.values())


def _apis(target: Target, wishes: Wishes) -> Iterator[Step]:
    more = [*_LOOKING, *(_FEDERATION if wishes.github else ())]
    more += ["compute"] if target.connector else []  # its network is looked at
    names = sorted({*resources.apis(target), *resources.api_names(more)})
    yield Step(f"{len(names)} APIs", resources.enable(names, target.project))


def _things(target: Target, wishes: Wishes) -> Iterator[Step]:
    found: list[Resource] = [
        resources.account(target.build_service_account),
        resources.account(target.job_service_account),
    ]
    if place := repository_of(target.image):
        found.append(resources.repository(place))
    found.append(resources.bucket(target))
    if target.connector:
        found += [
            resources.network(target),
            resources.connector(target, wishes.connector_range),
        ]
    elif target.network or target.subnet:
        found += [
            resources.network(target),
            resources.subnet(target, wishes.subnet_range),
        ]
    if wishes.github:
        found += _federation(target, wishes.github)
    found.append(resources.secret(target))
    yield from (Step(r.what, r.make, r.look) for r in found)
    value = resources.secret_value(target)
    yield Step(value.what, value.make, value.look, typed=True)


def _federation(target: Target, github: str) -> list[Resource]:
    where = (f"--project={target.project}", "--location=global")
    pools = ("iam", "workload-identity-pools")
    providers = (*pools, "providers")
    within = f"--workload-identity-pool={POOL}"
    name = "--format=value(name)"
    return [
        resources.account(launch_account(target)),
        Resource(
            f"workload identity pool {POOL}",
            (*pools, "describe", POOL, *where, name),
            (*pools, "create", POOL, *where),
        ),
        Resource(
            f"its provider for {github}",
            (*providers, "describe", PROVIDER, *where, within, name),
            (
                *(*providers, "create-oidc", PROVIDER, *where, within),
                *(f"--issuer-uri={ISSUER}", f"--attribute-mapping={MAPPING}"),
                f"--attribute-condition=assertion.repository=='{github}'",
            ),
        ),
    ]


def _grants(target: Target, wishes: Wishes) -> Iterator[Step]:
    accounts = [f"serviceAccount:{launch_account(target)}"] if wishes.github else []
    members = {
        Who.SUBMITTER: (*wishes.launchers, *accounts),
        Who.CLEANUP: (*wishes.launchers, *accounts),
        Who.LOOKOUT: (*wishes.launchers, *accounts),
        Who.APPROVER: wishes.approvers,
        Who.ROTATOR: wishes.rotators,
    }
    for grant in grants(target, number=NUMBER):
        for member in members.get(grant.need.who, (grant.member,)):
            # A workflow has no business with the address: its finding says `not checked`.
            if member not in accounts or grant.need.role != _READS_SECRETS:
                yield _granted(grant._replace(member=member))
    if wishes.github:
        yield Step(
            f"{wishes.github} launches as {LAUNCH_ACCOUNT}, from its environment "
            f"{target.env} alone",
            (
                *("iam", "service-accounts", "add-iam-policy-binding"),
                launch_account(target),
                *(f"--project={target.project}", f"--role={IMPERSONATE}"),
                f"--member={subject(target, wishes.github)}",
            ),
        )


def _granted(grant: Grant) -> Step:
    who = grant.need.who.value
    return Step(f"{who}: {grant.need.why} ({grant.need.role})", words(grant))


# --- as a script ----------------------------------------------------------------------


def number_is_needed(made: Sequence[Step]) -> bool:
    """Tell whether a step names the project by its number."""
    return any(NUMBER in word for step in made for word in step.make)


def number_words(target: Target) -> Words:
    """Return the command that prints the project's number."""
    return ("projects", "describe", target.project, "--format=value(projectNumber)")


def script(target: Target, made: Sequence[Step]) -> str:
    """Return the steps as a shell script that may be run again."""
    lines = [
        "#!/usr/bin/env bash",
        f"# {target.env}: everything a first launch needs in {target.project}.",
        "# What is there already is left as it is; a grant may be made twice.",
        "set -euo pipefail",
        "# An account that was just made is not known everywhere at once.",
        'again() { for s in 2 5 10; do "$@" >/dev/null && return; sleep $s; done; "$@"; }',
    ]
    if number_is_needed(made):
        lines.append(f"{NUMBER}=$({command(number_words(target))})")
    told = ""
    for step in made:
        lines += ["", f"# {step.what}"] if step.what != told else []
        lines.append(_line(step))
        told = step.what
    return "\n".join(lines) + "\n"


def _line(step: Step) -> str:
    make = command(step.make).replace(NUMBER, f"${NUMBER}")
    if not step.look:
        return f"again {make}"
    if step.typed:
        return (
            "# It is read from standard input: type it, then Ctrl-D. It stands nowhere else.\n"
            f'[ -n "$({command(step.look)})" ] ||\n  tr -d "\\r\\n" | {make}'
        )
    return f"{command(step.look)} >/dev/null 2>&1 ||\n  {make}"
