"""What a launch expects to find: APIs, accounts, repository, bucket, network, secret. Pure.

Each is a question and a command in gcloud's words. Called by `preflight`, whose cures these
commands are, and by `bootstrap`, which puts them in order. Runs nothing.
"""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from jobs.access import ImagePlace
from jobs.config import Target

#: The APIs of every launch, and those that a setting asks for.
APIS = ("artifactregistry", "cloudbuild", "logging", "run", "secretmanager", "storage")
BY_SETTING = ("vpcaccess", "compute", "sqladmin")
#: The ranges of addresses that are taken unless somebody knows better.
CONNECTOR_RANGE, SUBNET_RANGE = "10.8.0.0/28", "10.9.0.0/26"

Words = tuple[str, ...]


class Resource(NamedTuple):
    """Something of the project: ``look`` prints a line when it is there, ``make`` makes it.

    Both are words after ``gcloud``.
    """

    what: str
    look: Words
    make: Words


def command(words: Sequence[str]) -> str:
    """Return words as a line for a shell."""
    return shlex.join(["gcloud", *words])


def api_names(short: Sequence[str]) -> list[str]:
    """Return APIs by their full names."""
    return [f"{name}.googleapis.com" for name in short]


def apis(target: Target) -> list[str]:
    """Return the APIs that a launch of this target uses."""
    asked = (
        bool(target.connector),
        bool(target.network or target.subnet),
        bool(target.cloudsql_instance),
    )
    return api_names([*APIS, *(n for n, a in zip(BY_SETTING, asked, strict=True) if a)])


def enable(names: Sequence[str], project: str) -> Words:
    """Return the command that enables APIs; it may be repeated."""
    return ("services", "enable", *names, f"--project={project}")


def _described(what: str, group: str, name: str, *where: str, make: Words) -> Resource:
    words = group.split()
    look = (*words, "describe", name, *where, "--format=value(name)")
    return Resource(what, look, (*words, "create", name, *where, *make))


def _home(name: str, target: Target) -> str:
    parts = name.split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "projects" else target.project


def account(email: str) -> Resource:
    """Return a service account, in the project that its address names."""
    name, _, domain = email.partition("@")
    project = f"--project={domain.removesuffix('.iam.gserviceaccount.com')}"
    words = ("iam", "service-accounts")
    return Resource(
        f"service account {email}",
        (*words, "describe", email, project, "--format=value(email)"),
        (*words, "create", name, project),
    )


def repository(place: ImagePlace) -> Resource:
    """Return the repository of the images."""
    return _described(
        f"repository {place.repository}",
        "artifacts repositories",
        place.repository,
        f"--project={place.project}",
        f"--location={place.region}",
        make=("--repository-format=docker",),
    )


def bucket(target: Target) -> Resource:
    """Return the bucket of the source."""
    name, words = f"gs://{target.bucket}", ("storage", "buckets")
    return Resource(
        f"bucket {name}",
        (*words, "describe", name, "--format=value(name)"),
        (
            *(*words, "create", name, f"--project={target.project}"),
            *(f"--location={target.region}", "--uniform-bucket-level-access"),
        ),
    )


def network_name(target: Target) -> str:
    """Return the network that a subnet or a connector is in."""
    return target.network.rpartition("/")[2] or "default"


def network(target: Target) -> Resource:
    """Return the network; one that has to be made has no subnets but ours."""
    name = network_name(target)
    return _described(
        f"network {name}",
        "compute networks",
        name,
        f"--project={_home(target.network or target.subnet, target)}",
        make=("--subnet-mode=custom",),
    )


def subnet(target: Target, addresses: str = SUBNET_RANGE) -> Resource:
    """Return the subnet of Direct VPC egress; a network alone means the one of its name."""
    name = target.subnet.rpartition("/")[2] or network_name(target)
    return _described(
        f"subnet {name}",
        "compute networks subnets",
        name,
        f"--project={_home(target.subnet or target.network, target)}",
        f"--region={target.region}",
        make=(
            *(f"--network={network_name(target)}", f"--range={addresses}"),
            "--enable-private-ip-google-access",
        ),
    )


def connector(target: Target, addresses: str = CONNECTOR_RANGE) -> Resource:
    """Return the VPC connector."""
    return _described(
        f"VPC connector {target.connector_name.rpartition('/')[2]}",
        "compute networks vpc-access connectors",
        target.connector_name.rpartition("/")[2],
        f"--project={_home(target.connector_name, target)}",
        f"--region={target.region}",
        make=(f"--network={network_name(target)}", f"--range={addresses}"),
    )


def secret(target: Target) -> Resource:
    """Return the secret of the database's address, without a version."""
    return _described(
        f"secret {target.database_secret}",
        "secrets",
        target.secret_name.rpartition("/")[2],
        f"--project={_home(target.secret_name, target)}",
        make=("--replication-policy=automatic",),
    )


def secret_value(target: Target) -> Resource:
    """Return a version of it; its value is read from standard input and nowhere else."""
    name = target.secret_name.rpartition("/")[2]
    project = f"--project={_home(target.secret_name, target)}"
    words = ("secrets", "versions")
    return Resource(
        f"an enabled version of secret {name}",
        (
            *(*words, "list", name, project, "--filter=state=ENABLED", "--limit=1"),
            "--format=value(name)",
        ),
        (*words, "add", name, project, "--data-file=-"),
    )
