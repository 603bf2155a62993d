"""``make dry-run`` and ``make migrate ENV=docker``: real containers, and nothing left of them."""

import os
import shutil
import signal
import subprocess

import pytest

from jobs import source
from tests.fix_cli import CHECKOUT

pytestmark = pytest.mark.timeout(
    300
)  # an image is built, a dozen containers come and go
UP = "CREATE TABLE t (id int PRIMARY KEY);"
DOWN = "DROP TABLE t;"
MORE = (".dockerignore", "docker-compose.yaml", "environments/docker.yaml", "Makefile",
        "scripts/compose.sh", "scripts/dry_run.sh", "scripts/in_docker.sh")  # fmt: skip


class Checkout:
    """A copy of what the compose file needs, with migrations of the test's own."""

    def __init__(self, engine, directory, files):
        self.engine, self.directory = engine, directory
        for name in {*source.files(CHECKOUT), *MORE}:
            place = directory / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, place)
        for old in (directory / "migrations").iterdir():
            old.unlink()
        for name, text in files.items():
            (directory / "migrations" / name).write_text(text)

    def start(self, *command, **variables):
        """Start a command, in a process group of its own, as a shell would.

        Ctrl-C counts there, whatever this process was told about it.
        """
        return subprocess.Popen(
            ["/usr/bin/env", "--default-signal=INT", *command],
            cwd=self.directory,
            env={**self.engine.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command, **variables):
        """Run it to its end; give exit code, output, and what was left of a dry run."""
        process = self.start(*command, **variables)
        try:
            out, _ = process.communicate(timeout=280)
        finally:
            process.kill()
        return process.returncode, out, self.left(f"migrate-dry-{process.pid}-")

    def left(self, project):
        """What the engine still has of a project."""
        return [
            line
            for kind in ("container ls --all", "volume ls", "network ls")
            for line in self.engine.must(*kind.split()).splitlines()
            if project in line
        ]


@pytest.fixture
def checkout(engine, tmp_path):
    """Make a checkout: ``checkout({"0001_t.sql": "…"})``."""

    def make(files):
        return Checkout(engine, tmp_path, files)

    return make


def test_a_dry_run_goes_up_down_and_up_again(checkout):
    """Every step is in the report, and nothing is left."""
    here = checkout({"0001_t.sql": UP, "0001_t.down.sql": DOWN})

    code, out, left = here.run("scripts/dry_run.sh")

    assert 0 == code, out
    report = out[out.index("Dry run:") :].splitlines()
    assert 9 == sum(line.startswith("  ✓ ") for line in report)
    assert "the schema is the same as before" in report[-1]
    assert [] == left


def test_an_undo_that_forgets_something_fails_the_dry_run(checkout):
    """What is left is shown, the step is marked, and everything is taken down."""
    here = checkout({"0001_t.sql": UP, "0001_t.down.sql": "SELECT 1;"})

    code, out, left = here.run("scripts/dry_run.sh")

    assert code not in {0, 130}
    assert "> CREATE TABLE public.t (" in out
    assert "  ✗ nothing is left of it" == out.splitlines()[-1]
    assert [] == left


def test_ctrl_c_takes_everything_down(checkout):
    """Pressed in the middle of a migration."""
    here = checkout({"0001_t.sql": "SELECT pg_sleep(300);"})

    with here.start("scripts/dry_run.sh") as process:
        for line in process.stdout:
            if "Executing SQL migration" in line:
                break
        project = f"migrate-dry-{process.pid}-"
        running = here.left(project)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=120)

    assert 3 <= len(running)  # a container or two, the volume, the network

    assert 130 == process.returncode, out
    assert "  ✗ everything is applied" == out.splitlines()[-1]
    assert [] == here.left(project)


def test_a_checkout_keeps_its_own_database(checkout):
    """ENV=docker applies, knows it the next time, and reset throws it away."""
    here = checkout({"0001_t.sql": UP})

    applied, told, _ = here.run("scripts/in_docker.sh", "apply", "--env", "docker")
    status, listed, _ = here.run("scripts/in_docker.sh", "status", "--env", "docker")
    reset, _, _ = here.run("scripts/in_docker.sh", "reset")

    assert (0, 0, 0) == (applied, status, reset), told + listed
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in told
    assert "1 in the history, 0 pending" in listed
    digits = subprocess.run(
        ["cksum"],
        input=f"{here.directory}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [] == here.left(f"migrate-{digits.stdout.split()[0]}")


def test_what_is_missing_is_said(checkout, tmp_path):
    """No docker, no engine, no compose: each by name, with what to do instead."""
    here = checkout({})
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("bash", "env", "dirname", "pwd", "cksum", "cut"):
        (bare / name).symlink_to(shutil.which(name))

    nothing = here.run("scripts/dry_run.sh", PATH=str(bare))
    (bare / "docker").symlink_to(shutil.which("docker", path=os.environ["PATH"]))
    no_engine = here.run("scripts/dry_run.sh", DOCKER_HOST="unix:///nowhere")
    no_compose = here.run("scripts/dry_run.sh", PATH=str(bare))

    assert (3, 3, 3) == (nothing[0], no_engine[0], no_compose[0])
    assert "there is no docker here" in nothing[1]
    assert "no container engine answers" in no_engine[1]
    assert "Docker Compose is not" in no_compose[1]
    assert "make migrate" in nothing[1]
