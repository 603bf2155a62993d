"""What the table of least roles means for one target, and whether it is granted. Pure.

Called by `preflight`, which compares grants with the policies it read, and by ``doctor
--print-grants``, which prints them as gcloud commands. Never grants anything.
"""

import enum
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobs.config import Target
from jobs.ports import Binding
from jobs.roles import ANYTHING, COVERED_BY, LEAST, Case, Need, Scope, Who


class Grant(NamedTuple):
    """A row made concrete: a member, a role, a full resource name."""

    need: Need
    member: str
    resource: str


class Standing(enum.Enum):
    """Whether a grant is in force, as far as the policies show."""

    HELD = "held"
    MISSING = "missing"
    UNCLEAR = "unclear"


def grants(
    target: Target, *, person: str = "", number: str = "", build_account: str = ""
) -> tuple[Grant, ...]:
    """Return what a target needs, row by row.

    ``person`` is the member who launches; ``number`` the project's number, for accounts
    that are named after it; ``build_account`` whom builds run as when the file names none.
    """
    numbered = number or "PROJECT_NUMBER"
    standard = f"{numbered}-compute@developer.gserviceaccount.com"
    accounts = {
        Who.BUILD: target.build_service_account or build_account or standard,
        Who.RUNTIME: target.job_service_account or standard,
        Who.AGENT: f"service-{numbered}@serverless-robot-prod.iam.gserviceaccount.com",
    }
    places = _places(target, accounts)
    cases = _cases(target)
    return tuple(
        Grant(
            need,
            f"serviceAccount:{accounts[need.who]}"
            if need.who in accounts
            else _placeholder(need.who, person),
            places[need.scope],
        )
        for need in LEAST
        if need.case in cases
    )


def _placeholder(who: Who, person: str) -> str:
    """Whoever launches also cleans up and looks; approving and rotating are others' work."""
    if who in {Who.SUBMITTER, Who.CLEANUP, Who.LOOKOUT}:
        return person or "user:YOU@EXAMPLE.COM"
    return f"user:{who.value.split()[-1].upper()}@EXAMPLE.COM"


def _cases(target: Target) -> frozenset[Case]:
    found = {Case.ALWAYS}
    if target.cloudsql_instance:
        found.add(Case.CLOUD_SQL)
    if target.variables.get("MIGRATE_IAM_AUTH", "").lower() in {
        "1",
        "true",
        "yes",
        "on",
    }:
        found.add(Case.IAM_LOGIN)
    if _project_of(target.subnet, target.project) != target.project:
        found.add(Case.SHARED_SUBNET)
    if _project_of(target.connector_name, target.project) != target.project:
        found.add(Case.SHARED_CONNECTOR)
    image = repository_of(target.image)
    if image is not None and image.project != target.project:
        found.add(Case.OTHER_IMAGE)
    return frozenset(found)


class ImagePlace(NamedTuple):
    """The Artifact Registry repository of an image."""

    project: str
    region: str
    repository: str

    def __str__(self) -> str:
        return (
            f"projects/{self.project}/locations/{self.region}"
            f"/repositories/{self.repository}"
        )


def repository_of(image: str) -> ImagePlace | None:
    """Return where an image belongs, or None where that is not Artifact Registry."""
    host, _, path = image.partition("/")
    parts = path.split("/")
    if not host.endswith("-docker.pkg.dev") or len(parts) < 3:  # noqa: PLR2004 - P/R/I
        return None
    return ImagePlace(parts[0], host.removesuffix("-docker.pkg.dev"), parts[1])


def _project_of(name: str, default: str) -> str:
    parts = name.split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "projects" else default


def project_resource(project: str) -> str:
    """Return a project's full resource name."""
    return f"//cloudresourcemanager.googleapis.com/projects/{project}"


def account_resource(email: str) -> str:
    """Return a service account's full resource name."""
    return f"//iam.googleapis.com/projects/-/serviceAccounts/{email}"


def _places(target: Target, accounts: Mapping[Who, str]) -> Mapping[Scope, str]:
    project = project_resource(target.project)
    image = repository_of(target.image)
    registry = "//artifactregistry.googleapis.com"
    where = _project_of(target.subnet, target.project)
    subnet = target.subnet.rpartition("/")[2]
    hosts = _project_of(target.connector_name, target.project)
    return {
        Scope.PROJECT: project,
        Scope.BUILD_ACCOUNT: account_resource(accounts[Who.BUILD]),
        Scope.JOB_ACCOUNT: account_resource(accounts[Who.RUNTIME]),
        Scope.BUCKET: f"//storage.googleapis.com/b/{target.bucket}",
        Scope.REPOSITORY: f"{registry}/{image}" if image else project,
        Scope.IMAGE_PROJECT: f"{registry}/{image}" if image else project,
        Scope.SECRET: f"//secretmanager.googleapis.com/{target.secret_name}",
        Scope.SUBNET: (
            f"//compute.googleapis.com/projects/{where}/regions/{target.region}"
            f"/subnetworks/{subnet}"
        ),
        Scope.HOST_PROJECT: project_resource(hosts),
    }


# --- compared with what is granted ----------------------------------------------------


def standing(
    grant: Grant, policies: Mapping[str, Sequence[Binding] | None], project: str
) -> Standing:
    """Return whether a grant is in force, on its resource or on the project.

    A policy that could not be read is None. A custom role, a group or a condition may
    hold what is looked for: then it is unclear, and never called missing.
    """
    fitting = {grant.need.role, *COVERED_BY.get(grant.need.role, ANYTHING)}
    resources = dict.fromkeys((grant.resource, project_resource(project)))
    unclear = False
    for resource in resources:
        policy = policies.get(resource)
        if policy is None:
            unclear = True
            continue
        for binding in policy:
            if grant.member not in binding.members:
                continue
            if binding.role in fitting:
                return Standing.HELD
            unclear |= not binding.role.startswith("roles/")
    return Standing.UNCLEAR if unclear else Standing.MISSING


class Holders(NamedTuple):
    """Who holds a role; ``unclear``: a custom role may give it to more."""

    members: tuple[str, ...]
    unclear: bool = False


def holders(
    grant: Grant, policies: Mapping[str, Sequence[Binding] | None], project: str
) -> Holders | None:
    """Return whoever may do what a grant is for; None where a policy is hidden."""
    fitting = {grant.need.role, *COVERED_BY.get(grant.need.role, ANYTHING)}
    found: dict[str, None] = {}
    unclear = False
    for resource in dict.fromkeys((grant.resource, project_resource(project))):
        policy = policies.get(resource)
        if policy is None:
            return None
        for binding in policy:
            if binding.role in fitting:
                found |= dict.fromkeys(binding.members)
            unclear |= not binding.role.startswith("roles/")
    return Holders(tuple(found), unclear)


# --- as commands ----------------------------------------------------------------------


def words(grant: Grant) -> tuple[str, ...]:
    """Return the words after ``gcloud`` that make a grant; they may be repeated."""
    service, _, path = grant.resource.removeprefix("//").partition("/")
    parts = path.split("/")
    last, place = parts[-1], parts[3] if len(parts) > 3 else ""  # noqa: PLR2004 - P/R/K/N
    bind = "add-iam-policy-binding"
    group: Mapping[str, tuple[str, ...]] = {
        "cloudresourcemanager": ("projects", bind, last),
        "iam": ("iam", "service-accounts", bind, last, *_home_of(last)),
        "storage": ("storage", "buckets", bind, f"gs://{last}"),
        "secretmanager": ("secrets", bind, last, f"--project={parts[1]}"),
        "artifactregistry": (
            *("artifacts", "repositories", bind, last),
            *(f"--project={parts[1]}", f"--location={place}"),
        ),
        "compute": (
            *("compute", "networks", "subnets", bind, last),
            *(f"--project={parts[1]}", f"--region={place}"),
        ),
    }
    # A project whose policy has a condition makes gcloud ask; the answer is given here.
    none = ("--condition=None",) if service.startswith("cloudresource") else ()
    return (
        *group[service.removesuffix(".googleapis.com")],
        *(f"--member={grant.member}", f"--role={grant.need.role}", *none),
    )


def _home_of(email: str) -> tuple[str, ...]:
    """Return the project of an account, where its address says it: gcloud asks for it."""
    project, own, _ = email.partition("@")[2].partition(".iam.gserviceaccount.com")
    return (f"--project={project}",) if own else ()


def command(grant: Grant) -> str:
    """Return the gcloud command that makes a grant."""
    return shlex.join(["gcloud", *words(grant)])


def script(given: Sequence[Grant]) -> str:
    """Return all grants as a commented shell script; equal commands stand once."""
    lines: list[str] = []
    told: set[str] = set()
    for who in Who:
        own: list[str] = []
        for grant in given:
            if grant.need.who is who and command(grant) not in told:
                told.add(command(grant))
                own += [f"# {grant.need.why}", command(grant)]
        if own:
            lines += [f"# {who.value}", *own, ""]
    return "\n".join(lines)
