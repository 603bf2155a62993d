"""A server, clones of one database, and the command line as a process, for one case.

Called by every fault. `Bench` lives as long as the server; `Case` is one database with
its migrations. Decides nothing about what must hold: that is `check`.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import scenario
from tests.faults.catalogs import State, state_of
from tests.fix_cli import process_environment
from tests.fix_postgres import Database
from tests.machine import LOOPBACK
from tests.postgres_process import Server
from tests.proxy import Message, Proxy, Toward, proxying

SECONDS = 60
_TEMPLATE = "faults_template"
_WAIT = "10s"


class Ended(NamedTuple):
    """How a run ended: its exit code, what it wrote, and what it said of itself."""

    exit: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of its output."""
        found = []
        for line in self.out.splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    @property
    def outcome(self) -> dict[str, Any]:
        """The end marker's fields; a run that was killed has none."""
        ends = [line["fields"] for line in self.lines if line.get("event") == "End"]
        return ends[-1] if ends else {}

    @property
    def said(self) -> str:
        """All messages, for reading."""
        return "\n".join(str(line["message"]) for line in self.lines) + self.err


class Place(NamedTuple):
    """One message of an undisturbed run."""

    toward: Toward
    number: int
    kind: bytes
    commits: bool

    def __str__(self) -> str:
        return f"message {self.number} {self.toward.value}"

    def met(self, message: Message) -> bool:
        """Whether this is the message, in the first session that works."""
        theirs = (message.session, message.toward, message.number)
        return not message.watches and theirs == (0, self.toward, self.number)


class Undisturbed(NamedTuple):
    """What a run without faults leaves, and the messages it takes."""

    state: State
    places: tuple[Place, ...]
    versions: tuple[str, ...]


class Case:
    """One database, one directory, any number of runs."""

    def __init__(self, bench: "Bench", database: Database, variant: int) -> None:
        """Take a database that is fresh."""
        self.bench = bench
        self.database = database
        self.variant = variant
        self.directory = bench.directory(variant)
        self.login = "postgres"  # or ROLE:PASSWORD
        self._running: list[subprocess.Popen[str]] = []

    @contextlib.contextmanager
    def proxy(self) -> Iterator[Proxy]:
        """A proxy in front of the server, open."""
        server = self.bench.server
        with proxying(server.host, server.port) as made:
            yield made.open()

    def start(
        self,
        *args: object,
        through: Proxy | None = None,
        env: Mapping[str, str] | None = None,
        output: str = "json",
    ) -> "subprocess.Popen[str]":
        """Start ``python -m migrate``; without arguments it applies."""
        port = self.database.server.port if through is None else through.port
        url = f"postgresql://{self.login}@{LOOPBACK}:{port}/{self.database.name}"
        words = args or ("apply", "--wait", _WAIT)
        options = ("--dir", self.directory, "--output", output)
        process = subprocess.Popen(
            [sys.executable, "-m", "migrate", *map(str, (*words, *options))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            process_group=0,  # SIGTSTP does nothing in a group without a parent outside
            cwd=self.bench.scratch,
            env=process_environment(
                self.bench.scratch, {"DATABASE_URL": url, **(env or {})}
            ),
        )
        self._running.append(process)
        return process

    def run(
        self, *args: object, through: Proxy | None = None, output: str = "json"
    ) -> Ended:
        """Run it to its end."""
        return finish(self.start(*args, through=through, output=output))

    def state(self) -> State:
        """Return what is in the database now."""
        return state_of(self.database)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._running:
            process.kill()
            process.communicate()


def finish(process: "subprocess.Popen[str]", seconds: float = SECONDS) -> Ended:
    """Wait for a run and return how it ended."""
    out, err = process.communicate(timeout=seconds)
    return Ended(process.returncode, out, err)


class Bench:
    """A server and a scratch directory; ``close`` ends what was started beside it."""

    def __init__(self, server: Server, scratch: Path) -> None:
        """Make the template that every case's database is a clone of."""
        self.server = server
        self.scratch = scratch
        self._undisturbed: dict[int, Undisturbed] = {}
        self._template = server.create_database()
        self._others: dict[type[Server], Bench] = {}
        self._beside: dict[str, Any] = {}
        server.psql(self._template, scenario.TEMPLATE)

    def on(self, kind: type[Server]) -> "Bench":
        """Return a bench on a server of another kind, started when first asked for."""
        if kind not in self._others:
            server = kind(self.server.version, self.scratch / "servers")
            self._others[kind] = Bench(server, self.scratch)
        return self._others[kind]

    def beside(self, name: str, start: Callable[[], Any]) -> Any:
        """Return what was started under a name, when first asked for."""
        if name not in self._beside:
            self._beside[name] = start()
        return self._beside[name]

    def close(self) -> None:
        """Stop the other servers, and what else was started."""
        for other in self._others.values():
            other.server.stop()
        for started in self._beside.values():
            started.stop()

    def directory(self, variant: int) -> Path:
        """Return the directory of a variant, written when first asked for."""
        directory = self.scratch / f"variant-{variant}"
        if not directory.is_dir():
            directory.mkdir()
            for name, text in scenario.files(variant).items():
                (directory / name).write_text(text)
        return directory

    @contextlib.contextmanager
    def case(self, variant: int) -> Iterator[Case]:
        """Clone the database; drop it when the block ends."""
        name = self.server.create_database(template=self._template)
        case = Case(self, Database(self.server, name), variant)
        try:
            yield case
        finally:
            case.close()
            self.server.drop_database(name)

    def undisturbed(self, variant: int) -> Undisturbed:
        """Return what a run without faults leaves; it is made once."""
        if variant not in self._undisturbed:
            with self.case(variant) as case, case.proxy() as proxy:
                ended = case.run(through=proxy)
                if ended.exit:
                    raise RuntimeError(f"an undisturbed run failed: {ended}")
                places = tuple(
                    Place(m.toward, m.number, m.kind, b"COMMIT" in m.body)
                    for m in sorted(proxy.messages, key=lambda m: m.toward.value)
                    if m.session == 0 and not m.watches
                )
                versions = tuple(done["version"] for done in ended.outcome["done"])
                state = case.state()
                self._undisturbed[variant] = Undisturbed(state, places, versions)
        return self._undisturbed[variant]
