"""The container ring's fixtures: a real engine, and the images built from this checkout.

`engine` runs docker commands; `runner_image` and `orchestrator_image` are built once for
a session, exactly as cloudbuild.migrate.yaml builds them. `make test-containers` starts the
engine; without one every test here fails and says so.
"""

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs import source

CHECKOUT = Path(__file__).resolve().parents[2]


class Engine:
    """A container engine: the one that DOCKER_HOST names."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def docker(
        self, *words: str | Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a docker command to its end, whatever that is."""
        options.setdefault("env", self.environment)
        options.setdefault("cwd", CHECKOUT)
        ran: subprocess.CompletedProcess[str] = subprocess.run(
            ["docker", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        return ran

    def must(self, *words: str | Path, **options: Any) -> str:
        """Run a docker command that has to succeed; give what it wrote."""
        ran = self.docker(*words, **options)
        assert ran.returncode == 0, f"docker {words}\n{ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def build(
        self, target: str, context: Path = CHECKOUT, *words: str
    ) -> subprocess.CompletedProcess[str]:
        """Build a target of a directory's Dockerfile.migrate."""
        base = self.environment.get("BASE_IMAGE")
        given = ("--build-arg", f"BASE_IMAGE={base}") if base else ()
        return self.docker(
            *("build", "--progress=plain", "--target", target, *given, *words),
            *("--file", str(context / "Dockerfile.migrate"), str(context)),
            env={**self.environment, "DOCKER_BUILDKIT": "1"},
        )

    def image(self, target: str) -> str:
        """Build a target of this checkout; give its id."""
        built = self.build(target, CHECKOUT, "--tag", f"checkout/{target}")
        assert built.returncode == 0, built.stdout + built.stderr
        return self.must("image", "inspect", "--format={{.Id}}", f"checkout/{target}")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this run."""
    if not os.environ.get("DOCKER_HOST"):
        pytest.fail(
            "no DOCKER_HOST: type `make test-containers`, or first "
            '`eval "$(scripts/container_engine.sh start)"`',
            pytrace=False,
        )
    return Engine(dict(os.environ))


@pytest.fixture(scope="session")
def runner_image(engine: Engine) -> str:
    """The image whose task applies migrations."""
    return engine.image("runner")


@pytest.fixture(scope="session")
def orchestrator_image(engine: Engine) -> str:
    """The image in which the build's last two steps run."""
    return engine.image("orchestrator")


class Server(NamedTuple):
    """A PostgreSQL in a container, on a network of its own."""

    network: str
    name: str
    password: str

    def url(self, database: str = "postgres") -> str:
        """Its address, for another container on its network."""
        return f"postgresql://postgres:{self.password}@{self.name}:5432/{database}"


@pytest.fixture(scope="session")
def postgres(engine):
    """A PostgreSQL in a container, for the session."""
    name = f"pg-{uuid.uuid4().hex[:8]}"
    server = Server(name, name, "s3cr3t-of-the-ring")
    image = engine.environment.get("POSTGRES_IMAGE", "postgres:17")
    engine.must("network", "create", server.network)
    try:
        engine.must(
            *("run", "--detach", "--rm", "--name", name, "--network", name),
            *("--env", f"POSTGRES_PASSWORD={server.password}", image),
        )
        deadline = time.monotonic() + 60
        ready = ("exec", name, "pg_isready", "--quiet", "--host=127.0.0.1")
        while engine.docker(*ready).returncode:
            assert time.monotonic() < deadline, engine.docker("logs", name).stderr
            time.sleep(0.2)
        yield server
    finally:
        engine.docker("rm", "--force", "--volumes", name)
        engine.docker("network", "rm", name)


@pytest.fixture
def database(engine, postgres) -> str:
    """The name of an empty database on that server."""
    name = f"d{uuid.uuid4().hex[:8]}"
    engine.must(
        *("exec", postgres.name, "createdb", "--username=postgres", name),
    )
    return name


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """What a build would upload of this checkout, in a directory of its own."""
    for name in (*source.files(CHECKOUT), ".dockerignore"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, place)
    return tmp_path
