"""A user's checkout that can be launched: an emulated project, a database behind its secret.

``checkout.jobs("launch", "rehearsal")`` types a command, ``checkout.inside(…)`` does the same
in this process; ``checkout.migration(name, text)``
writes a file; ``checkout.left()`` tells which jobs are left in the cloud.
"""

import contextlib
import io
import subprocess

import pytest

from tests.fix_cli import CHECKOUT, process_environment
from tests.fix_emulator import _stopped, all_in_time, launch
from tests.forked import python

PROJECT, REGION = "rehearsal-project", "us-central1"


class Checkout:
    """A user's directory, a project in an emulator, and a database behind its secret."""

    def __init__(self, directory, emulator, database):
        self.directory, self.emulator, self.database = directory, emulator, database
        self.started = []

    def migration(self, name, text):
        """Write a migration."""
        (self.directory / "migrations" / name).write_text(text, encoding="utf-8")

    def start(self, *arguments):
        """Start ``python -m jobs …``."""
        environment = process_environment(self.directory, self.emulator.environment())
        process = python(
            "-m",
            "jobs",
            *arguments,
            cwd=self.directory,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.started.append(process)
        return process

    def end(self):
        """Leave no process of a test that failed."""
        for process in self.started:
            with process:
                process.kill()

    def jobs(self, *arguments):
        """Run ``python -m jobs …`` to its end; return exit code and output."""
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def inside(self, *arguments, **more):
        """Do the same in this process, where Google's libraries are loaded once."""
        from jobs.cli import main

        said = io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            patch.chdir(self.directory)
            for name, value in {**self.emulator.environment(), **more}.items():
                patch.setenv(name, value)
            return main(arguments), said.getvalue()

    def next_launch(self):
        """Launch once more, in this process, up to an upload that is refused: exit 21."""
        refused = {"at": "rpc", "do": "error", "code": "PERMISSION_DENIED"}
        self.emulator.faults({**refused, "method": "Storage.objects.insert"})
        return self.inside("launch", "rehearsal")

    def left(self):
        """Return the jobs that are left in the cloud."""
        return self.emulator.state()["jobs"]


@pytest.fixture(scope="module")
def rehearsal_cloud(tmp_path_factory):
    """Hold an emulated project for a module: to start one costs seconds."""
    options = ("--project", PROJECT, "--region", REGION, "--state-page")
    with _stopped(launch(tmp_path_factory.mktemp("cloud"), *options)) as emulator:
        emulator.data(
            service_accounts=["migration-build", "migration-job"],
            repositories=["migrations"],
        )
        yield emulator
        all_in_time(emulator)


@pytest.fixture
def checkout(tmp_path, rehearsal_cloud, blank_database):
    """Give a checkout that can be launched; nothing has run in its project yet."""
    directory = tmp_path / "checkout"
    (directory / "migrations").mkdir(parents=True)
    (directory / "environments").mkdir()
    for name in ("jobs", "migrate", "requirements"):
        (directory / name).symlink_to(CHECKOUT / name)
    for name in (
        "Dockerfile.migrate",
        "cloudbuild.migrate.yaml",
        "pyproject.toml",
        "environments/rehearsal.yaml",
    ):
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        (directory / name).write_text(text, encoding="utf-8")
    rehearsal_cloud.data(secrets={"database-url-rehearsal": [blank_database.url]})
    made = Checkout(directory, rehearsal_cloud, blank_database)
    yield made
    made.end()
    rehearsal_cloud.faults()
    rehearsal_cloud.reset()
