"""``make rehearse``: a Google Cloud and a Postgres on this machine, and a launch in them.

Starts the embedded Postgres and the emulator as processes, gives the emulator what a
project would have (accounts, a repository, the secret with the database's address), and
runs the same command as anybody: ``python -m jobs launch rehearsal``. Stops both at the
end and keeps the database, so that a second rehearsal finds nothing pending. Never
imports what it starts.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.access import grants
from jobs.config import Target, load
from jobs.errors import Usage

ENV = "rehearsal"
DIRECTORY = ".rehearsal"
_STOP_S = 10.0
#: Who the emulator takes a caller without a token for, and its project's number.
_PERSON, _NUMBER = "user:developer@example.com", "123456789012"
_SAYS_SO = (
    "rehearsal: an emulator stands in for Google Cloud; no container engine is used, "
    "every container is a process on this machine\n"
)


class CannotRehearse(Usage):
    """The emulator or the embedded Postgres did not start."""

    code = "cannot-rehearse"
    hint = "pip install 'cloudrun-migrate[cloud,embedded]', or make setup"

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} did not start: {self.reason}"


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[str]:
    """Hold the embedded Postgres; yield its address."""
    command = [sys.executable, "-m", "migrate.embedded"]
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Its output goes to a file: the server inherits it, and a pipe would stay open.
    with (directory.parent / "postgres.out").open("w+", encoding="utf-8") as told:
        started = subprocess.run(
            [*command, "start", str(directory)],
            stdout=told,
            stderr=subprocess.STDOUT,
            check=False,
        )
        told.seek(0)
        lines = told.read().strip().splitlines()
    if started.returncode != 0 or not lines:
        reason = lines[-1] if lines else f"exit code {started.returncode}"
        raise CannotRehearse(what="the embedded Postgres", reason=reason)
    try:
        yield lines[-1]
    finally:
        subprocess.run(
            [*command, "stop", str(directory)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


@contextlib.contextmanager
def emulator(target: Target) -> Iterator[Mapping[str, str]]:
    """Hold an emulated project; yield the variables that lead clients to it."""
    command = [
        *(sys.executable, "-m", "emulator"),
        *("--project", target.project, "--region", target.region),
        *("--data", "/dev/stdin"),
        *("--policy", str(_policy(target))),
    ]
    # A session of its own: Ctrl-C is for the launch, which still needs its cloud.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield _announced(process, json.dumps(_belongings(target)))
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _announced(process: "subprocess.Popen[str]", data: str) -> Mapping[str, str]:
    assert process.stdin is not None  # noqa: S101 - asked for above
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(data)
    line = process.stdout.readline()
    try:
        found: Mapping[str, str] = json.loads(line)["environment"]
    except (ValueError, KeyError, TypeError):
        reason = line.strip() or "it ended without a word"
        raise CannotRehearse(what="the emulator", reason=reason) from None
    return found


def _belongings(target: Target) -> Mapping[str, Any]:
    """Return what the project has before the first launch; JSON is YAML."""
    accounts = (target.build_service_account, target.job_service_account)
    repository = target.image.split("/")[2]
    return {
        "service_accounts": [a for a in accounts if a],
        "repositories": [repository],
        "buckets": [target.bucket],
        "secrets": {target.database_secret: []},
    }


def _policy(target: Target) -> Path:
    """Write who may do what: the least roles of the table, so that they are rehearsed."""
    bindings = [
        {
            "principal": grant.member,
            "role": grant.need.role,
            "on": _scope(grant.resource),
        }
        for grant in grants(target, person=_PERSON, number=_NUMBER)
    ]
    # Whoever rehearses also puts the address into the secret.
    rotator = {"role": "roles/secretmanager.secretVersionManager"}
    on = f"secrets/{target.database_secret}"
    bindings.append({"principal": _PERSON, "on": on, **rotator})
    file = Path(DIRECTORY) / "policy.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"bindings": bindings}, indent=1), encoding="utf-8")
    return file


def _scope(resource: str) -> str:
    """Return what a policy file calls a resource: its last two parts, or the project."""
    kind, name = resource.split("/")[-2:]
    if kind == "projects":
        return "project"
    return f"{'buckets' if kind == 'b' else kind}/{name}"


def put_secret(target: Target, address: str, environment: Mapping[str, str]) -> None:
    """Add the database's address as the secret's newest version."""
    from jobs.gcp.cloud import connect  # noqa: PLC0415 - half a second of Google

    cloud = connect(target.project, target.region, "", environment)
    cloud.secrets.add(target.secret_name, address)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse; return the exit code of the launch."""
    from jobs.cli import explained  # noqa: PLC0415 - it loads this module's verbs

    parser = argparse.ArgumentParser(
        prog="python -m jobs.rehearsal", description=__doc__
    )
    parser.add_argument(
        "--fresh", action="store_true", help="begin with an empty database"
    )
    options, rest = parser.parse_known_args(arguments)
    return explained(lambda: _rehearse(rest, fresh=options.fresh))


def _rehearse(rest: Sequence[str], *, fresh: bool) -> int:
    target = load(ENV)
    directory = Path(DIRECTORY).absolute() / "postgres"
    if fresh:
        command = [sys.executable, "-m", "migrate.embedded", "reset", str(directory)]
        subprocess.run(command, check=True)
    with postgres(directory) as address, emulator(target) as variables:
        environment = {**os.environ, **variables}
        put_secret(target, address, environment)
        sys.stderr.write(_SAYS_SO)
        command = [sys.executable, "-m", "jobs", "launch", ENV, *rest]
        launch = subprocess.Popen(command, env=environment)
        while True:
            try:
                return launch.wait()
            except KeyboardInterrupt:
                # The terminal has told the launch as well; it cleans up, we wait for it.
                continue


if __name__ == "__main__":
    sys.exit(main())
