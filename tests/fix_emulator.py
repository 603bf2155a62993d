"""The emulator as a process, and the official clients pointed at it.

``emulator`` is one process for the session; ``start_emulator`` starts others with options
of their own. Tests make names of their own, so that they can share a world. ``cloud`` is
our ports, with those clients behind them.
"""

import contextlib
import json
import select
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.fix_cli import CHECKOUT, process_environment
from tests.forked import python

PROJECT, REGION = "rehearsal", "europe-west1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
SECONDS = 30
GRACE = 5
#: gRPC rounds a deadline up to some three digits when it tells it the other side.
ROUNDED = 1.01


class Emulator:
    """A running emulator: where it is, and how a test talks to its own door."""

    def __init__(
        self, process: subprocess.Popen[str], told: dict[str, Any], seconds: float
    ) -> None:
        self.process = process
        self.told = told
        #: How long anything may take in it.
        self.seconds = seconds
        self.address: str = told["grpc"]
        self.rest: str = told["rest"]

    def environment(self) -> dict[str, str]:
        """Return the variables that lead a program here."""
        return dict(self.told["environment"])

    def faults(self, *script: dict[str, Any]) -> None:
        """Put a fault script in force; without one, all is well again."""
        self.post("/_emulator/faults", list(script))

    def policy(self, **policy: Any) -> None:
        """Put a policy in force; without one, everybody may do everything."""
        self.post("/_emulator/policy", policy)

    def data(self, **data: Any) -> None:
        """Add things to the world, as ``--data`` does."""
        self.post("/_emulator/data", data)

    def reset(self) -> None:
        """Forget builds, jobs, executions and logs; secrets, images and so on stay."""
        self.post("/_emulator/reset", {})

    def state(self) -> dict[str, Any]:
        """Return what the state page shows."""
        told: dict[str, Any] = self.get("/_emulator/state")
        return told

    def get(self, path: str) -> Any:
        """Ask the emulator's own door."""
        with urllib.request.urlopen(self.rest + path, timeout=self.seconds) as answer:
            return json.load(answer)

    def post(self, path: str, told: object) -> Any:
        """Tell the emulator's own door something."""
        request = urllib.request.Request(
            self.rest + path,
            json.dumps(told).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=self.seconds) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Stop it as a person would, and kill it when it does not."""
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def launch(
    home: Path,
    *options: object,
    environment: Mapping[str, str] = MappingProxyType({}),
    seconds: float = SECONDS,
) -> Emulator:
    """Start an emulator and wait for its line."""
    process = python(
        "-m",
        "emulator",
        *options,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        env=process_environment(home, environment),
    )
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline() if ready else ""
    if not line:
        with process:
            process.kill()
        pytest.fail("the emulator did not say that it is ready")
    return Emulator(process, json.loads(line), seconds)


@pytest.fixture(scope="session")
def shared_emulator(tmp_path_factory) -> Iterator[Emulator]:
    """Hold the emulator of the session, with the state page."""
    running = launch(tmp_path_factory.mktemp("emulator"), "--state-page")
    with _stopped(running):
        yield running


def all_in_time(running: Emulator) -> None:
    """Assert that every call that was made to an emulator had a deadline of ours."""
    from jobs.gcp.clients import SLOW_CALL_S
    from jobs.gcp.logs import TAIL_S

    waited = running.state()["deadlines"]
    most = {"LoggingServiceV2.TailLogEntries": TAIL_S}
    endless = {
        method: seconds
        for method, seconds in waited.items()
        if seconds is None or seconds > most.get(method, SLOW_CALL_S) * ROUNDED
    }
    assert {} == endless, "calls without an explicit deadline"


@contextlib.contextmanager
def _stopped(running: Emulator) -> Iterator[Emulator]:
    try:
        yield running
    finally:
        running.stop()
        if running.process.stdout is not None:
            running.process.stdout.close()


@pytest.fixture
def start_emulator(tmp_path) -> Iterator[Callable[..., Emulator]]:
    """Start emulators with options: ``start_emulator("--project", "p", policy={…})``."""
    with contextlib.ExitStack() as stack:

        def start(*options: object, **files: object) -> Emulator:
            written: list[object] = list(options)
            for name, content in files.items():
                file = tmp_path / f"{name}.yaml"
                file.write_text(yaml.safe_dump(content), encoding="utf-8")
                written += [f"--{name}", file]
            return stack.enter_context(_stopped(launch(tmp_path, *written)))

        yield start


@pytest.fixture
def emulator(shared_emulator) -> Iterator[Emulator]:
    """Give the session's emulator; faults and policy of a test end with it."""
    yield shared_emulator
    shared_emulator.faults()
    shared_emulator.policy()


@pytest.fixture
def google(emulator) -> Iterator[Any]:
    """Give Google's clients, pointed at the emulator (tests/google_clients.py)."""
    from tests.google_clients import Google  # half a second, for those who ask

    clients = Google(emulator)
    yield clients
    clients.close()


@pytest.fixture
def google_as(emulator) -> Iterator[Callable[[str], Any]]:
    """Give Google's clients for a caller: ``google_as("user:somebody@…")``."""
    from tests.google_clients import Google

    made: list[Any] = []

    def known(principal: str) -> Any:
        made.append(Google(emulator, principal))
        return made[-1]

    yield known
    for clients in made:
        clients.close()


@pytest.fixture
def cloud(emulator) -> Iterator[Any]:
    """Give the ports, behind them Google's clients, behind those the emulator."""
    from jobs.gcp.cloud import connect

    yield connect(PROJECT, REGION, "", emulator.environment())
    all_in_time(emulator)
