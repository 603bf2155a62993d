"""``make rehearse``: a Google Cloud and a Postgres on this machine, and a launch in them.

Starts the embedded Postgres and the emulator as processes, gives the emulator what a
project would have (accounts, a repository, the secret with the database's address, the
database as a Cloud SQL instance), and runs the same command as anybody: ``python -m jobs
launch rehearsal``. With ``--containers`` steps and tasks are containers of the engine that
DOCKER_HOST names. Stops both at the end and keeps the database, so that a second rehearsal
finds nothing pending. Never imports what it starts.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jobs import interrupts
from jobs.access import grants
from jobs.config import Target, load
from jobs.errors import Usage

ENV = "rehearsal"
DIRECTORY = ".rehearsal"
_STOP_S = 10.0
#: Who the emulator takes a caller without a token for, and its project's number.
_PERSON, _NUMBER = "user:developer@example.com", "123456789012"
_SAYS_SO = "rehearsal: an emulator stands in for Google Cloud; {how}\n"
_PROCESSES = "no container engine is used, every container is a process on this machine"
_CONTAINERS = "steps and tasks are real containers of the engine at {engine}"
#: What the build file builds on, for whoever cannot pull it: BASE_IMAGE stands in for it.
_PUBLIC_BASE = "python"


class CannotRehearse(Usage):
    """The emulator or the embedded Postgres did not start."""

    code = "cannot-rehearse"
    hint = "pip install 'cloudrun-migrate[cloud,embedded]', or make setup"

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} did not start: {self.reason}"


class CannotContain(CannotRehearse):
    """The emulator found no container engine that it could use."""

    code = "cannot-contain"
    hint = (
        "start docker and name it in DOCKER_HOST, or have one started here: "
        'eval "$(scripts/container_engine.sh start)"; without containers: make rehearse'
    )


class How(NamedTuple):
    """How containers are run: the emulator's options, and what is said about it."""

    options: tuple[str, ...]
    sentence: str
    wrong: type[CannotRehearse]


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
def emulator(
    target: Target, *options: str, wrong: type[CannotRehearse] = CannotRehearse
) -> Iterator[Mapping[str, str]]:
    """Hold an emulated project; yield the variables that lead clients to it."""
    command = [
        *(sys.executable, "-m", "emulator"),
        *("--project", target.project, "--region", target.region),
        *("--data", "/dev/stdin"),
        *("--policy", str(_policy(target))),
        *options,
    ]
    # A session of its own: Ctrl-C is for the launch, which still needs its cloud.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        data = json.dumps(_belongings(target))
        if (found := _announced(process, data)) is None:
            raise wrong(what="the emulator", reason=_last_word(process))
        threading.Thread(target=_pass_on, args=(process,), daemon=True).start()
        yield found
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _last_word(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None  # noqa: S101 - asked for above
    with process.stderr:
        said = process.stderr.read().strip().splitlines()
    return said[-1].removeprefix("emulator: ") if said else "it ended without a word"


def _pass_on(process: "subprocess.Popen[str]") -> None:
    """Show what the emulator has to say on its error channel."""
    assert process.stderr is not None  # noqa: S101 - asked for above
    with process.stderr:
        for line in process.stderr:
            sys.stderr.write(line)


def _announced(process: "subprocess.Popen[str]", data: str) -> Mapping[str, str] | None:
    """Hand the data over; return what the emulator announces, or None when it ends."""
    assert process.stdin is not None  # noqa: S101 - asked for above
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(data)
    line = process.stdout.readline()
    if not line:
        return None
    found: Mapping[str, str] = json.loads(line)["environment"]
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
    parser.add_argument(
        "--containers", action="store_true", help="run steps and tasks as containers"
    )
    options, rest = parser.parse_known_args(arguments)
    made = _containers() if options.containers else _processes()
    return explained(lambda: _rehearse(made, rest, fresh=options.fresh))


def _processes() -> How:
    return How((), _PROCESSES, CannotRehearse)


def _containers() -> How:
    options = ["--mode", "container", "--registry-data", f"{DIRECTORY}/registry"]
    if base := os.environ.get("BASE_IMAGE"):
        options += ["--stand-in", f"{_PUBLIC_BASE}={base}"]
        options += ["--build-arg", f"BASE_IMAGE={base}"]
    engine = os.environ.get("DOCKER_HOST") or "its usual place"
    return How(tuple(options), _CONTAINERS.format(engine=engine), CannotContain)


def _rehearse(how: How, rest: Sequence[str], *, fresh: bool) -> int:
    target = load(ENV)
    directory = Path(DIRECTORY).absolute() / "postgres"
    if fresh:
        command = [sys.executable, "-m", "migrate.embedded", "reset", str(directory)]
        subprocess.run(command, check=True)
    instance = f"{target.cloudsql_instance}={directory}"
    options = ("--cloudsql", instance, *how.options)
    with (
        emulator(target, *options, wrong=how.wrong) as variables,
        postgres(directory) as address,
    ):
        environment = {**os.environ, **variables}
        where = f"/cloudsql/{target.cloudsql_instance}"
        # The embedded Postgres trusts its socket; a Cloud SQL instance wants a password.
        mounted = f"{address.replace(str(directory), where)} password=unused"
        put_secret(target, mounted, environment)
        sys.stderr.write(_SAYS_SO.format(how=how.sentence))
        command = [sys.executable, "-m", "jobs", "launch", ENV, *rest]
        launch = subprocess.Popen(command, env=environment)
        while True:
            try:
                return launch.wait()
            except KeyboardInterrupt:
                # The terminal has told the launch as well; it cleans up, we wait for it.
                interrupts.heard()
                continue


if __name__ == "__main__":
    sys.exit(main())
