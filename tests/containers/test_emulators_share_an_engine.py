"""Several emulators on one engine, one after a crash, and what each of them needs."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from emulator.artifacts import Artifacts
from emulator.builder import Builder
from emulator.containers import Container, Recipe
from emulator.dockerd import Dockerd, NoEngine
from emulator.enginesocket import _copy
from emulator.processes import CannotStart
from tests.fix_contained import SECONDS, options, variables
from tests.fix_emulator import _stopped, launch
from tests.google_clients import Google, new_name, until

PLUGIN = """#!/bin/sh
[ "$1" = docker-cli-plugin-metadata ] || exec echo "called: $*"
echo '{"SchemaVersion": "0.1.0", "Vendor": "somebody", "Version": "1"}'
"""


class Proxy:
    """A socket before the engine's that can be cut, with all that goes through it."""

    def __init__(self, path, engine):
        self.path, self._engine = path, engine.removeprefix("unix://")
        self._open = []
        self._guard = threading.Lock()
        self._is_cut = False
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                with self._guard:
                    if self._is_cut:  # while this one was on its way
                        client.close()
                        engine.close()
                        return
                    self._open += [client, engine]
                for pair in ((client, engine), (engine, client)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()

    def cut(self):
        """End everything, and what is on its way."""
        with self._guard:
            self._is_cut = True
            for one in [self._server, *self._open]:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


def test_what_a_killed_emulator_left_the_next_one_removes(
    engine, contained, python_image, registry_data, tmp_path
):
    """Its containers are known by their label; those of a living emulator are left alone.

    The next one uses a registry that runs already, and its docker builder has the client's
    plug-in for builds, without which newer clients cannot build.
    """
    address = f"127.0.0.1:{Path(registry_data, 'port').read_text()}"
    given = [*options(registry_data), "--registry", address]
    first = launch(tmp_path, *given, environment=variables(), seconds=SECONDS)
    google = Google(first)
    sleeps = google.job(
        python_image, container={"args": ["import time; time.sleep(99)"]}
    )
    name = google.jobs.run_job(name=sleeps.name).metadata.name.rsplit("/", 1)[1]
    running = ("ps", "--all", "--quiet", f"--filter=name={name}")
    until(lambda: engine.must(*running), bool, SECONDS)
    google.close()
    with first.process:
        first.process.kill()
    orphan = engine.must(*running)
    plugin = tmp_path / ".docker/cli-plugins/docker-buildx"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)

    second = launch(tmp_path, *given, environment=variables(), seconds=SECONDS)
    with _stopped(second):
        left = engine.must(*running)
        google = Google(second)
        from google.cloud.devtools.cloudbuild_v1 import BuildStep

        step = BuildStep(
            name="gcr.io/cloud-builders/docker", args=["buildx", "version"]
        )
        log = google.build_log(google.build(step))
        google.close()

    assert orphan
    assert "" == left
    assert "Step #0: called: buildx version" in log
    assert contained.state()["images"]


def test_what_is_missing_is_named(engine, monkeypatch, tmp_path):
    """The base image, the docker client, the registry's program: each with its cure."""
    dockerd = Dockerd.of(os.environ)
    builder = Builder(dockerd, tmp_path, {"python": "localhost/no-such-image:1"})

    with pytest.raises(CannotStart, match=r"made on localhost/no-such-image:1: "):
        builder.image_for("gcr.io/cloud-builders/docker")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoEngine, match=r"no docker client on the PATH.*docker\.io"):
        Builder(dockerd, tmp_path, {})
    with pytest.raises(NoEngine, match=r"no registry to push to.*docker-registry"):
        Artifacts.start(tmp_path)


def test_a_registry_that_does_not_start_is_named(monkeypatch, tmp_path):
    """One that ends at once, on every port that is tried; and one that never answers."""
    program = tmp_path / "docker-registry"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(
        NoEngine, match=r"the registry did not start: .*docker-registry"
    ):
        Artifacts.start(tmp_path / "registry")

    assert not (tmp_path / "registry" / "port").exists()
    assert not Artifacts("127.0.0.1:9").answers(0.05)


def test_an_engine_that_cannot_be_used_is_named_with_the_reason():
    """One that does not answer, and one on another machine."""
    with pytest.raises(NoEngine) as away:
        Dockerd.of({"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    with pytest.raises(
        NoEngine, match=r"is tcp://127.0.0.1:2375, and containers share"
    ):
        Dockerd.of({"DOCKER_HOST": "tcp://127.0.0.1:2375"})

    assert str(away.value) == (
        "no container engine answers at unix:///nowhere/docker.sock (No such file or "
        "directory); DOCKER_HOST names another"
    )


def test_an_engine_that_goes_away_ends_what_it_ran(engine, tmp_path):
    """The line that says so, exit code 125 as of docker run itself, and no waiting."""
    proxy = Proxy(tmp_path / "engine.sock", os.environ["DOCKER_HOST"])
    base = os.environ.get("BASE_IMAGE", "python:3.12-slim")
    said = []
    recipe = Recipe(new_name("c"), base, {}, entrypoint=["sleep", "99"])
    running = Container(Dockerd(str(proxy.path)), recipe, lambda *x: said.append(x))

    proxy.cut()
    ended = running.wait(30)
    engine.must("rm", "--force", recipe.name)

    assert (125, False) == (ended.exit_code, ended.timed_out)
    assert any("the container engine is lost" in line for _, line in said)
