"""A project in the cloud and a checkout of its own: what a story is told with.

``story`` is one emulated project for a module, with the least roles granted and nothing
more; ``story.checkout(env, …)`` makes a directory to launch from. Also used by the tests of
the verbs around a launch. Never touches the checkout that is under test.
"""

import contextlib
import io
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from jobs import access
from jobs.config import Target, target_from
from tests.fix_cli import CHECKOUT, SECONDS, Finished, process_environment
from tests.fix_emulator import PROJECT, REGION, Emulator, _stopped, all_in_time, launch
from tests.forked import python

NUMBER = "123456789012"
PERSON = "user:developer@example.com"
BUILD = f"migration-build@{PROJECT}.iam.gserviceaccount.com"
JOB = f"dev-cloud-run-sa@{PROJECT}.iam.gserviceaccount.com"
BUCKET = f"{PROJECT}_{REGION}_cloudbuild"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/vividly/backend-api"
LINKED = ("jobs", "migrate", "requirements", "pyproject.toml")
COPIED = ("Dockerfile.migrate", "cloudbuild.migrate.yaml")


class Checkout(NamedTuple):
    """A directory to launch from, with one environment."""

    root: Path
    env: str
    target: Target
    environment: Mapping[str, str]

    def start(self, *args: str, **more: str) -> "subprocess.Popen[str]":
        """Start ``python -m jobs …`` here."""
        return python(
            "-m",
            "jobs",
            *args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,
            env=process_environment(self.root, {**self.environment, **more}),
        )

    def jobs(self, *args: str, typed: str | None = None, **more: str) -> Finished:
        """Run ``python -m jobs …`` to its end."""
        return finished(self.start(*args, **more), typed)

    def inside(self, *args: str) -> Finished:
        """Run ``python -m jobs …`` in this process: Google's libraries are loaded once."""
        from jobs.cli import main

        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.chdir(self.root)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = main(args)
        return Finished(code, out.getvalue(), err.getvalue())

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that must be there."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def finished(process: "subprocess.Popen[str]", typed: str | None = None) -> Finished:
    """Wait for a process; several launches at once need longer than one."""
    with process:
        out, err = process.communicate(typed, timeout=3 * SECONDS)
    return Finished(process.returncode, out, err)


class Story:
    """An emulated project, and where checkouts go."""

    def __init__(self, emulator: Emulator, home: Path) -> None:
        self.emulator = emulator
        self.home = home
        self._targets: list[Target] = []

    def checkout(
        self, env: str, address: str, trigger: str = "", **settings: Any
    ) -> Checkout:
        """Make a checkout for an environment whose secret holds an address."""
        root = self.home / env
        (root / "environments").mkdir(parents=True)
        (root / "migrations").mkdir()
        (root / "migrations/0001_users.sql").write_text(
            "CREATE TABLE users (id int);\n"
        )
        for name in LINKED:
            (root / name).symlink_to(CHECKOUT / name)
        for name in COPIED:
            (root / name).write_bytes((CHECKOUT / name).read_bytes())
        secret = f"database-url-{env}"
        launching = {
            "project": PROJECT,
            "region": REGION,
            "image": IMAGE,
            "build_service_account": BUILD,
            "job_service_account": JOB,
            "database_secret": secret,
            **settings,
        }
        text = yaml.safe_dump({"launch": launching, "engine": {"wait": "100ms"}})
        (root / f"environments/{env}.yaml").write_text(text, encoding="utf-8")
        if trigger:
            (root / "triggers").mkdir()
            (root / f"triggers/{env}.yaml").write_text(trigger, encoding="utf-8")
        target = target_from(text.encode(), env, f"environments/{env}.yaml")
        self.emulator.data(secrets={secret: [address]})
        self._targets.append(target)
        self.grant()
        return Checkout(root, env, target, self.emulator.environment())

    def grant(self, *without: tuple[str, str], **also: Any) -> None:
        """Put exactly the least roles in force, ``without`` some (member, role)."""
        bindings = [
            b
            for target in self._targets
            for b in bindings_of(target)
            if (b["principal"], b["role"]) not in without
        ]
        self.emulator.policy(bindings=[*bindings, *also.values()])


def bindings_of(target: Target) -> list[dict[str, str]]:
    """Return the table of least roles as the emulator's policy."""
    found = []
    for grant in access.grants(target, person=PERSON, number=NUMBER):
        kind, name = grant.resource.split("/")[-2:]
        on = f"{'buckets' if kind == 'b' else kind}/{name}"
        member = PERSON if grant.member.endswith("@EXAMPLE.COM") else grant.member
        found.append(
            {
                "principal": member,
                "role": grant.need.role,
                "on": "project" if kind == "projects" else on,
            }
        )
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Iterator[Story]:
    """Hold a project with everything but what a story leaves out."""
    home = tmp_path_factory.mktemp("story")
    with _stopped(launch(home)) as emulator:
        emulator.data(
            service_accounts=[BUILD, JOB],
            repositories=["vividly"],
            buckets=[BUCKET],
            connectors=["ready-connector"],
        )
        yield Story(emulator, home)
        all_in_time(emulator)
