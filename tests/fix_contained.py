"""An emulated cloud whose steps and tasks are real containers, for the container ring.

``contained`` is one for the whole ring, with a registry that is kept beside the engine:
the base image is pushed once and no more. ``contained_google`` gives Google's clients
pointed at it. Both need the ring's ``engine`` (tests/containers/conftest.py).
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fix_emulator import PROJECT, REGION, Emulator, _stopped, launch

#: Containers beside eight other test runs on two processors.
SECONDS = 600
BUILDER = "cloudrun-migrate/docker-builder"
REPOSITORY = f"{REGION}-docker.pkg.dev/{PROJECT}/contained"


def options(registry: str) -> list[str]:
    """What makes an emulator run containers, with this ring's stand-ins."""
    base = os.environ.get("BASE_IMAGE")
    stand_ins = ["--stand-in", f"python={base}"] if base else []
    stand_ins += ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    return ["--mode", "container", "--registry-data", registry, *stand_ins]


def variables() -> dict[str, str]:
    """What leads a program to the ring's engine."""
    names = ("DOCKER_HOST", "DOCKER_CONFIG", "BASE_IMAGE")
    return {name: os.environ[name] for name in names if name in os.environ}


@pytest.fixture(scope="session")
def registry_data(tmp_path_factory) -> str:
    """Where the ring's registry keeps its images."""
    kept = os.environ.get("REGISTRY_DATA")
    return kept or str(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def contained(engine, registry_data, tmp_path_factory) -> Iterator[Emulator]:
    """Hold the ring's emulator."""
    home = tmp_path_factory.mktemp("contained")
    # Made anew each time, or nobody would see that it can be made.
    engine.docker("rmi", *engine.docker("images", "-q", BUILDER).stdout.split())
    running = launch(
        home, *options(registry_data), environment=variables(), seconds=SECONDS
    )
    with _stopped(running):
        running.data(repositories=["contained"])
        yield running


@pytest.fixture
def contained_google(contained) -> Iterator[Any]:
    """Give Google's clients; faults and policy of a test end with it."""
    from tests.google_clients import Google

    clients = Google(contained)
    yield clients
    clients.close()
    contained.faults()
    contained.policy()


@pytest.fixture(scope="session")
def python_image(contained) -> str:
    """An image in the registry that runs the Python that is its argument."""
    name = f"{REPOSITORY}/python:1"
    contained.data(images={name: {"entrypoint": ["python", "-u", "-c"]}})
    return name
