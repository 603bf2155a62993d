"""A cloud that follows a script on a clock moved by hand: the ports, and nothing real.

For tests of the story alone: waits of hours, Ctrl-C between any two calls, answers that are
lost. What the real services do is tested against the emulator, with the same ports.
"""

# ruff: noqa: ARG002, D102 - the ports' methods: jobs/ports.py says what they do

from collections.abc import Callable
from typing import Any

from jobs.errors import CloudError, NotFound
from jobs.lifecycle import Build, BuildStatus, Execution, Job, Step, Task
from jobs.ports import Cloud, Entry, SecretVersion
from jobs.spec import Source

START = 1_700_000_000.0
NOBODY: Any = None


class Hands:
    """A clock moved by hand: sleeping moves it."""

    def __init__(self):
        self.time = START

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds


def a_line(seq, text="line", *, at=None, event="Notice", run_id="r1", fields=None):
    """Make an entry as the engine's JSON line becomes one."""
    payload = {
        "seq": seq,
        "run_id": run_id,
        "event": event,
        "message": text,
        "fields": fields or {},
    }
    moment = START + seq / 1000 if at is None else at
    return Entry(moment, f"id{seq}", "stdout", "INFO", text, payload)


def an_end(seq, exit_code=0, done=1, message="", at=None):
    """Make the engine's end marker."""
    fields = {
        "verb": "apply",
        "schema": 1,
        "exit_code": exit_code,
        "done": [
            {"version": str(n), "name": "x", "duration_ms": 1} for n in range(done)
        ],
        "failed": None,
        "error": None,
        "message": message,
        "not_tried": [],
        "duration_ms": 5,
    }
    return a_line(seq, "end", event="End", fields=fields, at=at)


class Script:
    """What will happen, and what did."""

    def __init__(self):
        self.clock = Hands()
        self.calls = []
        self.before = {}
        self.lasts = 3.0
        self.task = Task(0, 0)
        self.counts = {"succeeded": 1}
        self.entries = [a_line(1), a_line(2), an_end(3)]
        self.jobs = {}
        self.executions = {}
        self.builds = {}
        self.build_ends: tuple[BuildStatus, int | None] = (BuildStatus.SUCCESS, 0)
        self.build_entries: list[Entry] = []
        self.uploaded = []
        self.started = []
        self.hidden_s = 0.0
        self.job_lags = False
        self.tail_works = True
        self.list_works: object = True

    def call(self, name, act: Callable[[], object]):
        """Note a call; a script may raise before it, or after its effect (``+name``)."""
        self.calls.append(name)
        self._strike(name)
        found = act()
        self._strike(f"+{name}")
        return found

    def _strike(self, name):
        raised = self.before.get(name)
        if raised:
            error = raised.pop(0)
            if error is not None:
                raise error

    def cloud(self):
        """Return the ports."""
        return Cloud(
            builds=_as_any(ScriptedBuilds(self)),
            jobs=ScriptedJobs(self),
            logs=ScriptedLogs(self),
            secrets=_as_any(ScriptedSecrets()),
            source=ScriptedSource(self),
            registry=NOBODY,
            projects=NOBODY,
            clock=self.clock,
        )

    def add_execution(self, name, labels):
        """Start an execution that ends after `lasts` seconds."""
        number = len(self.started)
        full = f"{name}/executions/{name.job[:50]}-x{number}"
        self.started.append(full)
        self.executions[full] = Execution(full, self.clock.now(), labels=labels)
        if str(name) in self.jobs and not self.job_lags:
            job = self.jobs[str(name)]
            self.jobs[str(name)] = job._replace(latest_execution=full)
        return self.executions[full]

    def hidden(self, execution):
        """Tell whether an execution is too young to be found."""
        return self.clock.now() < execution.created + self.hidden_s

    def state_of(self, execution):
        """Return an execution as it is now."""
        if execution.done or self.clock.now() < execution.created + self.lasts:
            running = 0 if execution.done else 1
            return execution._replace(running=running)
        return execution._replace(
            completed=execution.created + self.lasts, running=0, **self.counts
        )


class ScriptedJobs:
    """Cloud Run."""

    def __init__(self, script):
        self.s = script

    def create(self, spec):
        def act():
            labels = spec.body["labels"]
            self.s.jobs[str(spec.name)] = Job(
                str(spec.name), labels, self.s.clock.now()
            )
            return self.s.jobs[str(spec.name)]

        return self.s.call("jobs.create", act)

    update = create

    def get(self, name):
        def act():
            if str(name) not in self.s.jobs:
                raise NotFound(call="reading", reason=str(name))
            return self.s.jobs[str(name)]

        return self.s.call("jobs.get", act)

    def list(self, parent):
        return self.s.call("jobs.list", lambda: list(self.s.jobs.values()))

    def run(self, name):
        labels = dict(self.s.jobs[str(name)].labels) if str(name) in self.s.jobs else {}
        return self.s.call("jobs.run", lambda: self.s.add_execution(name, labels))

    def delete(self, name):
        def act():
            self.s.jobs.pop(str(name), None)
            for full in list(self.s.executions):
                if full.startswith(f"{name}/"):
                    self.s.executions.pop(full)

        self.s.call("jobs.delete", act)

    def executions(self, name):
        def act():
            of_job = [
                e
                for e in self.s.executions.values()
                if e.name.startswith(f"{name}/") and not self.s.hidden(e)
            ]
            return [self.s.state_of(e) for e in reversed(of_job)]

        return self.s.call("jobs.executions", act)

    def execution(self, name):
        def act():
            found = self.s.executions.get(str(name))
            if found is None or self.s.hidden(found):
                raise NotFound(call="reading", reason=str(name))
            return self.s.state_of(found)

        return self.s.call("jobs.execution", act)

    def cancel(self, name):
        def act():
            found = self.s.state_of(self.s.executions[str(name)])
            if not found.done:
                self.s.executions[str(name)] = found._replace(
                    completed=self.s.clock.now(), cancelled=1, running=0
                )

        self.s.call("jobs.cancel", act)

    def tasks(self, name):
        return self.s.call("jobs.tasks", lambda: [self.s.task])


class ScriptedBuilds:
    """Cloud Build; its third step is played by making job and execution directly."""

    def __init__(self, script):
        self.s = script

    def create(self, spec):
        def act():
            number = len(self.s.builds) + 1
            build = Build(
                f"0000000{number}-0000-0000-0000-000000000000",
                BuildStatus.QUEUED,
                tags=tuple(spec.body["tags"]),
                substitutions=spec.body["substitutions"],
                created=self.s.clock.now(),
            )
            self.s.builds[build.id] = build
            return build

        return self.s.call("builds.create", act)

    def _now(self, build):
        if not build.active or build.status is BuildStatus.PENDING:
            return build
        age = self.s.clock.now() - build.created
        if age < 2:
            return build
        if age < 2 + self.s.lasts:
            return build._replace(status=BuildStatus.WORKING, started=build.created + 2)
        status, code = self.s.build_ends
        step = BuildStatus.FAILURE if code else BuildStatus.SUCCESS
        if code is None:
            step, code = BuildStatus.QUEUED, 0
        return build._replace(
            status=status, steps=(Step("run-migration", step, code, 1.0),)
        )

    def get(self, name):
        return self.s.call("builds.get", lambda: self._now(self.s.builds[name.build]))

    def list(self, parent, tags=(), *, limit=50):
        def act():
            found = [self._now(b) for b in self.s.builds.values()]
            return [b for b in reversed(found) if set(tags) <= set(b.tags)]

        return self.s.call("builds.list", act)

    def cancel(self, name):
        def act():
            build = self.s.builds[name.build]
            self.s.builds[name.build] = build._replace(status=BuildStatus.CANCELLED)

        self.s.call("builds.cancel", act)


class ScriptedTail:
    """Delivers what is in the script at once."""

    def __init__(self, script):
        self.s = script
        self.ended = "" if script.tail_works else "UNAVAILABLE: session ended"
        self.suppressed = 0
        self.closed = False
        self._told = 0

    def poll(self, seconds):
        self.s.clock.sleep(seconds)
        if not self.s.executions or self.ended:
            return []
        found = self.s.entries[self._told :]
        self._told = len(self.s.entries)
        return found

    def close(self):
        self.closed = True


class ScriptedLogs:
    """Cloud Logging."""

    def __init__(self, script):
        self.s = script

    def tail(self, project, query):
        return ScriptedTail(self.s)

    def list(self, project, query, since):
        self.s.call("logs.list", lambda: None)
        if not self.s.list_works:
            raise CloudError(call="reading the log", reason="it is down")
        if "build_id" in query:
            yield from [*self.s.build_entries, *self.s.build_entries]
        elif self.s.executions:
            yield from (e for e in self.s.entries if e.timestamp >= since)


class ScriptedSecrets:
    """Secret Manager: one secret in its seventh version."""

    def version(self, secret, version):
        return SecretVersion(secret, "7", "ENABLED")


class ScriptedSource:
    """Cloud Storage."""

    def __init__(self, script):
        self.s = script

    def upload(self, bucket, name, content):
        def act():
            self.s.uploaded.append((bucket, name))
            return Source(bucket, name, 1)

        return self.s.call("source.upload", act)


def _as_any(port: object) -> Any:
    """Offer less than the port: only what the story asks for."""
    return port
