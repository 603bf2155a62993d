"""A world in which anything may fail: emulator, engine and database are real, time hurries.

Used by the stateful test of the orchestrator. The clock runs fifty times as fast, so that
patience of minutes costs seconds; the ports are Google's clients, and between any two
calls Ctrl-C may come, or the process may be gone. Decides nothing about what is right.
"""

import contextlib
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jobs import events, orchestrator, tidy
from jobs.config import Target
from jobs.errors import LaunchError
from jobs.findings import no_preflight
from jobs.gcp.cloud import connect
from jobs.names import ExecutionName, JobName
from jobs.orchestrator import Ended, Means
from jobs.ports import Cloud
from jobs.spec import Image, Launch
from tests.fix_cli import CHECKOUT
from tests.fix_emulator import PROJECT, REGION, Emulator

#: How much faster than ours the orchestrator's clock runs.
FACTOR = 50.0
#: Seconds until somebody cancels what a dead orchestrator has left.
PATIENCE = 2.0
PASSWORD = "s3cret-of-the-weather"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/weather/engine"
NOTICES = 12
MIGRATIONS = {
    "0001_first.sql": "CREATE TABLE first (id int);\n",
    "0002_talks.sql": (
        f"DO $$ BEGIN FOR i IN 1..{NOTICES} LOOP RAISE NOTICE 'line %', i; END LOOP; END $$;\n"
        "CREATE TABLE second (id int);\n"
    ),
    "0003_slow.sql": "SELECT pg_sleep(0.3);\nCREATE TABLE third (id int);\n",
    "0004_wrong.sql": "CREATE TABLE fourth (id int);\nSELECT 1/0;\n",
}
TABLES = {"0001": "first", "0002": "second", "0003": "third", "0004": "fourth"}


class Killed(BaseException):
    """The orchestrator's process is gone: from here on it calls nobody."""


class Hurried:
    """A clock that runs `FACTOR` times as fast as the machine's, from now on."""

    def __init__(self) -> None:
        self._wall, self._began = time.time(), time.monotonic()

    def now(self) -> float:
        """Return seconds of the epoch, ever more of them."""
        return self._wall + (time.monotonic() - self._began) * FACTOR

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds / FACTOR)


class _HurriedTail:
    def __init__(self, tail: Any) -> None:
        self._tail = tail

    def poll(self, seconds: float) -> Any:
        return self._tail.poll(seconds / FACTOR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tail, name)


class Interruption(NamedTuple):
    """What comes at a call of the orchestrator's, before its effect or after it."""

    at: int
    kind: type[BaseException]
    after: bool = False
    again: int = 0


class _Watched:
    """Ports whose calls are counted, and interrupted."""

    def __init__(self, planned: Interruption | None) -> None:
        self._planned = planned
        self._calls = 0
        self._dead = False

    def wrap(self, port: Any) -> Any:
        return _Port(port, self)

    def call(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if self._dead:
            raise Killed
        self._calls += 1
        plan = self._planned
        due = plan is not None and self._calls in {plan.at, plan.at + plan.again}
        if due and plan is not None and not plan.after:
            self._strike(plan)
        found = function(*args, **more)
        if due and plan is not None:
            self._strike(plan)
        return found

    def _strike(self, plan: Interruption) -> None:
        self._dead = plan.kind is Killed
        raise plan.kind


class _Port:
    def __init__(self, port: Any, watched: _Watched) -> None:
        self._port, self._watched = port, watched

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._port, name)
        if name == "tail":
            return lambda *a: _HurriedTail(self._watched.call(function, *a))
        return lambda *a, **m: self._watched.call(function, *a, **m)


class Went(NamedTuple):
    """How one run went: what it returned or raised, and what it told."""

    ended: Ended | None
    error: BaseException | None
    told: list[Any]
    launch: str

    def of(self, kind: Any) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the lines, as they were told."""
        return [line.seq for line in self.of(events.LogLine) if line.seq]

    @property
    def said(self) -> str:
        """Everything that was told, as text."""
        return repr(self.told) + repr(self.error)


class World:
    """One project with one database; each example has an environment of its own."""

    def __init__(self, emulator: Emulator, database: Any, directory: Path) -> None:
        self.emulator, self.database = emulator, database
        self.cloud = connect(PROJECT, REGION, "", emulator.environment())
        image = directory / "image"
        (image / "migrations").mkdir(parents=True)
        (image / "environments").mkdir()
        for name in ("migrate", "jobs", "requirements", "cloudbuild.migrate.yaml"):
            (image / name).symlink_to(CHECKOUT / name)
        (image / "Dockerfile.migrate").symlink_to(CHECKOUT / "Dockerfile.migrate")
        for name, text in MIGRATIONS.items():
            (image / "migrations" / name).write_text(text, encoding="utf-8")
        emulator.data(repositories=["weather"], images={f"{IMAGE}:1": str(image)})
        self.image = Image(IMAGE, self.cloud.registry.digest(IMAGE, "1") or "")
        self.url = database.url.replace("postgres@", f"postgres:{PASSWORD}@")

    def environment(self) -> Target:
        """Make an environment, on an empty database, in fair weather."""
        self.emulator.faults()
        self.emulator.reset()
        with contextlib.closing(self.database.connect()) as session:
            session.autocommit = True
            session.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        env = f"e{uuid.uuid4().hex[:8]}"
        self.emulator.data(secrets={f"url-{env}": [self.url]})
        return Target(
            env=env,
            project=PROJECT,
            region=REGION,
            image=IMAGE,
            database_secret=f"url-{env}",
            task_timeout_s=20,
            variables={"MIGRATE_ENV": "", "MIGRATE_LOCK_WAIT": "20s"},
        )

    def run(
        self,
        target: Target,
        interruption: Interruption | None = None,
        during: Callable[[Any], None] = lambda _: None,
    ) -> Went:
        """Run the job once; whatever is raised is kept."""
        watched = _Watched(interruption)
        ports = {
            name: watched.wrap(getattr(self.cloud, name))
            for name in ("builds", "jobs", "logs", "secrets")
        }
        cloud: Cloud = self.cloud._replace(clock=Hurried(), **ports)
        told: list[Any] = []

        def tell(event: Any) -> None:
            told.append(event)
            during(event)

        who = Launch(uuid.uuid4().hex[:12])
        means = Means(cloud, tell, no_preflight)
        try:
            ended = orchestrator.run(
                means, target, self.image, who, note=lambda *_: None
            )
        except (LaunchError, KeyboardInterrupt, Killed) as error:
            return Went(None, error, told, who.id)
        return Went(ended, None, told, who.id)

    def cancel(self, target: Target) -> None:
        """Cancel what an environment runs, as somebody else would, if the weather lets."""
        with contextlib.suppress(LaunchError):
            for job in tidy.jobs_of(self.cloud, target):
                for execution in self.cloud.jobs.executions(JobName.parse(job.name)):
                    self.cloud.jobs.cancel(ExecutionName.parse(execution.name))

    def renew_secret(self, target: Target) -> None:
        """Give the secret an enabled version again."""
        self.cloud.secrets.add(target.secret_name, self.url)

    # --- what is true -----------------------------------------------------------------

    def jobs(self, target: Target) -> list[str]:
        """The jobs of an environment that are there."""
        return [job.name for job in tidy.jobs_of(self.cloud, target)]

    def started(self, launch: str) -> list[str]:
        """The executions that a launch has started, deleted ones too."""
        return [name for name in self.emulator.state()["started"] if launch in name]

    def at_work(self, execution: str) -> bool:
        """Whether an execution has begun and not yet ended."""
        executions = self.emulator.state()["executions"]
        return any(execution in e["name"] and not e["done"] for e in executions)

    def exits(self, execution: str) -> list[str]:
        """What the platform wrote about a container's end."""
        short = execution.rpartition("/")[2]
        label = f'labels."run.googleapis.com/execution_name"="{short}"'
        asked = urllib.parse.quote(f'{label} AND logName:"varlog"')
        lines = self.emulator.get(f"/_emulator/log?filter={asked}")["lines"]
        return [line["text"] for line in lines]

    def applied(self) -> set[str]:
        """The versions that the history has; each has its table, and no other one."""
        found = self.database.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        tables = {str(row[0]) for row in found}
        if "schema_migrations" not in tables:
            assert not tables
            return set()
        rows = self.database.rows("SELECT version, state FROM schema_migrations")
        done = {str(version) for version, state in rows if state == "applied"}
        assert len(rows) == len(done)
        assert tables == {"schema_migrations", *(TABLES[version] for version in done)}
        return done

    def settle(self, target: Target, seconds: float = 20.0) -> None:
        """Let what still runs come to its end: no execution, no session of the engine.

        What a dead orchestrator left may run for ever: after a while somebody cancels it.
        """
        sessions = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        began, pause = time.monotonic(), 0.02
        while (spent := time.monotonic() - began) < seconds:
            running = [e for e in self.emulator.state()["executions"] if not e["done"]]
            if not running and self.database.rows(sessions) == [(0,)]:
                return
            if running and spent > PATIENCE:
                self.cancel(target)
            time.sleep(pause)
            pause = min(1.3 * pause, 0.1)
        raise AssertionError(f"still at work: {json.dumps(running)}")


@contextlib.contextmanager
def hurried_logs() -> Iterator[None]:
    """Let the log's window be as short as the time is."""
    from jobs.gcp import logs

    before, logs._BUFFER_S = logs._BUFFER_S, 0.01
    try:
        yield
    finally:
        logs._BUFFER_S = before
