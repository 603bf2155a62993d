"""What the world holds at the start: the data file, and the image option.

`load_data` reads a mapping (the YAML of ``--data``) into a world; it may be called again
later and adds to what is there. Unknown keys are refused.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.cloud.artifactregistry_v1.types import Repository
from google.cloud.secretmanager_v1.types import Replication, Secret, SecretVersion
from google.cloud.vpcaccess_v1.types import Connector

from emulator.services.lookups import account_of
from emulator.world import World

_STATE: Any = SecretVersion.State


def load_data(world: World, given: Mapping[str, Any]) -> None:
    """Put what a data file names into the world."""
    readers: dict[str, Callable[[World, Any], None]] = {
        "projects": _projects,
        "services": _services,
        "disabled_services": _disabled_services,
        "service_accounts": _service_accounts,
        "repositories": _repositories,
        "buckets": _buckets,
        "connectors": _connectors,
        "networks": _networks,
        "subnetworks": _subnetworks,
        "secrets": _secrets,
        "images": _images,
        "checkouts": _checkouts,
        "cloudsql": _cloudsql,
        "policy": _policy,
    }
    for key, value in given.items():
        if key not in readers:
            known = ", ".join(readers)
            raise ValueError(f"unknown key `{key}`; known are {known}")
        readers[key](world, value)


def whole(world: World, kind: str, name: str) -> str:
    """The full name of something that a data file names by its last part."""
    if name.startswith("projects/"):
        return name
    setting = world.setting
    return f"projects/{setting.project}/locations/{setting.region}/{kind}/{name}"


def _projects(world: World, names: list[str]) -> None:
    world.projects.update(names)


def _services(world: World, names: list[str]) -> None:
    world.services = {
        name if "." in name else f"{name}.googleapis.com" for name in names
    }


def _disabled_services(world: World, names: list[str]) -> None:
    for name in names:
        world.services.discard(name if "." in name else f"{name}.googleapis.com")


def _service_accounts(world: World, names: list[str]) -> None:
    project = world.setting.project
    for name in names:
        email = name if "@" in name else f"{name}@{project}.iam.gserviceaccount.com"
        world.service_accounts[email] = account_of(project, email)


def _repositories(world: World, names: list[str]) -> None:
    for name in names:
        full = whole(world, "repositories", name)
        kind = Repository.Format.DOCKER
        world.repositories[full] = Repository(name=full, format_=kind)


def _buckets(world: World, names: list[str]) -> None:
    for name in names:
        world.buckets.create(name, world.setting.project, world.setting.region)


def _connectors(world: World, names: list[str]) -> None:
    for name in names:
        full = whole(world, "connectors", name)
        world.connectors[full] = Connector(
            name=full,
            network="default",
            ip_cidr_range="10.8.0.0/28",
            state=Connector.State.READY,
        )


def _networks(world: World, names: list[str]) -> None:
    world.networks.update(names)


def _subnetworks(world: World, rows: list[Any]) -> None:
    setting = world.setting
    for row in rows:
        told = {"name": row} if isinstance(row, str) else dict(row)
        project = told.get("project", setting.project)
        region = told.get("region", setting.region)
        name = f"projects/{project}/regions/{region}/subnetworks/{told['name']}"
        network = told.get("network", "default")
        world.networks.add(network)
        world.subnetworks[name] = {
            "ipCidrRange": told.get("range", "10.0.0.0/24"),
            "network": f"projects/{project}/global/networks/{network}",
            "region": region,
            "privateIpGoogleAccess": bool(told.get("private_google_access", False)),
        }


def _secrets(world: World, given: Mapping[str, Any]) -> None:
    """A name and its versions, oldest first; a mapping may set a version's state."""
    replication = Replication(automatic=Replication.Automatic())
    for name, versions in given.items():
        full = f"projects/{world.setting.project}/secrets/{name}"
        if full not in world.secrets.names():
            world.secrets.create(full, Secret(replication=replication))
        for version in versions if isinstance(versions, list) else [versions]:
            told = version if isinstance(version, dict) else {"value": version}
            made = world.secrets.add(full, str(told["value"]).encode())
            state = _STATE[str(told.get("state", "ENABLED")).upper()]
            if state != _STATE.ENABLED:
                world.secrets.turn(made.name, state)


def _images(world: World, given: Mapping[str, Any]) -> None:
    for name, told in given.items():
        world.mode.add_image(
            name, {"directory": told} if isinstance(told, str) else told
        )


def _policy(world: World, given: Mapping[str, Any]) -> None:
    """The same as a policy file."""
    world.policy.load(given)


def _cloudsql(world: World, given: Mapping[str, str]) -> None:
    """An instance, and the directory with the socket of the server that stands for it."""
    world.instances |= {name: Path(path).absolute() for name, path in given.items()}


def _checkouts(world: World, given: Mapping[str, str]) -> None:
    world.checkouts |= {pattern: Path(path) for pattern, path in given.items()}
