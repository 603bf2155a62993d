"""Whatever fails, and whenever: the promises of a run, against real parts that are broken.

A schedule is a handful of faults in the emulated cloud and an interruption, and one or two
runs in them. In the end no job is left, at most one execution ran, the verdict agrees with
the database, and every line was told once or its absence announced. A hundred schedules
are always the same; `make storms` tries a thousand others.
"""

import enum
import os

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from jobs import events
from jobs.errors import AnotherLaunch, LaunchCode
from jobs.judging import ENGINE_CODES
from jobs.lifecycle import Ending
from tests.fix_emulator import _stopped, all_in_time, launch
from tests.weather import (
    FACTOR,
    NOTICES,
    PASSWORD,
    Interruption,
    Killed,
    World,
    hurried_logs,
)

SCHEDULES = int(os.environ.get("STORMS", "100"))
#: So that several workers share them; each shard's schedules are always the same.
SHARDS = 4

METHODS = (
    "Jobs.CreateJob",
    "Jobs.GetJob",
    "Jobs.ListJobs",
    "Jobs.RunJob",
    "Jobs.DeleteJob",
    "Executions.ListExecutions",
    "Executions.GetExecution",
    "Executions.CancelExecution",
    "Tasks.ListTasks",
    "Operations.GetOperation",
    "CloudBuild.ListBuilds",
    "SecretManagerService.GetSecretVersion",
    "LoggingServiceV2.ListLogEntries",
    "LoggingServiceV2.TailLogEntries",
    "LoggingServiceV2.*",
    "*",
)
PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED")
LASTING = ("INTERNAL", "PERMISSION_DENIED", "UNKNOWN", "UNIMPLEMENTED")
SECONDS = st.sampled_from((0.5, 3.0, 10.0, 25.0, 60.0, 150.0))
TIMES = st.integers(1, 12)


def a_fault(at, do, **more):
    """Return a strategy for one entry of a fault script."""
    fixed = {"at": st.just(at), "do": st.just(do)}
    given = {
        k: v if isinstance(v, st.SearchStrategy) else st.just(v)
        for k, v in more.items()
    }
    return st.fixed_dictionaries(fixed | given).map(_hurried)


def _hurried(fault):
    """Let a fault's seconds pass as fast as the clock does."""
    if "seconds" in fault:
        fault = {**fault, "seconds": fault["seconds"] / FACTOR}
    return fault


LINES = st.sampled_from(("1", "2-4", "every 3", "every 2", "5-", f"{NOTICES}", "1-"))
WHERE = st.sampled_from(("tail", "list", "both"))
FAULTS = st.one_of(
    a_fault(
        "rpc", "error", method=st.sampled_from(METHODS),
        code=st.sampled_from(PASSING), skip=st.integers(0, 3), times=TIMES,
    ),
    a_fault(
        "rpc", "error", method=st.sampled_from(METHODS),
        code=st.sampled_from(LASTING), skip=st.integers(0, 6), times=st.integers(1, 2),
    ),
    a_fault(
        "rpc", "lose_reply", method=st.sampled_from(METHODS[:8]),
        code=st.sampled_from(("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL")),
        skip=st.integers(0, 1), times=st.integers(1, 2),
    ),
    a_fault(
        "rpc", "lose_reply", method=st.sampled_from(("Jobs.RunJob", "Jobs.CreateJob")),
        code=st.sampled_from(("UNAVAILABLE", "DEADLINE_EXCEEDED")), times=st.just(1),
    ),
    a_fault("rpc", "error", method="LoggingServiceV2.*", code=st.sampled_from(PASSING)),
    a_fault("rpc", "quota", method="*.ListLogEntries", per_minute=st.integers(0, 3)),
    a_fault("log", "late", lines=LINES, where=WHERE, seconds=SECONDS),
    a_fault("log", "lost", lines=LINES, where=WHERE),
    a_fault("log", "duplicate", lines=LINES),
    a_fault("log", "hold", lines=LINES, until_line=st.integers(3, 20)),
    a_fault("log", "suppress", lines=LINES),
    a_fault("tail", "lag", seconds=SECONDS),
    a_fault("tail", "end", seconds=SECONDS, code=st.sampled_from(("OUT_OF_RANGE", *PASSING))),
    a_fault("job", "slow", seconds=SECONDS),
    a_fault("job", "not_ready", code=st.sampled_from(("INTERNAL", "NOT_FOUND"))),
    a_fault("execution", "never_start"),
    a_fault("execution", "start_late", seconds=SECONDS),
    a_fault("execution", "image_pull_failure"),
    a_fault("execution", "report_failed"),
    a_fault("execution", "stale", seconds=st.sampled_from((1.0, 8.0, 25.0))),
    a_fault("task", "kill", after_line=st.integers(1, 20), signal=st.sampled_from((9, 11, 15))),
    a_fault("event", "disable_secret", event="job.created", secret="*"),
)  # fmt: skip
INTERRUPTIONS = st.builds(
    Interruption,
    at=st.integers(1, 60),
    kind=st.sampled_from((KeyboardInterrupt, Killed)),
    after=st.booleans(),
    again=st.sampled_from((0, 0, 1, 2, 4)),
)
TARGETS = st.sampled_from(("0002", "0003", "0004", "0004"))


class Others(enum.Enum):
    """What somebody else does while the run is at work."""

    NOTHING = "nothing"
    RUN = "begin a run of their own"
    CANCEL = "cancel the execution"


class Storm(RuleBasedStateMachine):
    """One environment, one database, and two runs in bad weather."""

    world: World

    @initialize()
    def a_fair_day(self):
        """Nothing is applied yet."""
        self.target = self.world.environment()
        self.mended = True

    @rule(
        faults=st.lists(FAULTS, min_size=1, max_size=4),
        interruption=st.none() | INTERRUPTIONS,
        others=st.sampled_from((*[Others.NOTHING] * 3, Others.RUN, Others.CANCEL)),
        to=TARGETS,
    )
    def storm(self, faults, interruption, others, to):
        """Run the job in a storm, and hold it to its promises."""
        before = self.world.applied()
        secret = {"secret": self.target.database_secret}
        self.world.emulator.faults(
            *({**f, **secret} if "secret" in f else f for f in faults)
        )
        target = self.target._replace(args=("--to", to))
        went = self.world.run(target, interruption, self._meanwhile(target, others))
        self.world.emulator.faults()
        self.world.settle(self.target)
        self._at_most_one_execution(went)
        self._lines_once(went)
        self._no_job_unsaid(went)
        self._verdict_is_true(went, before, to)
        assert PASSWORD not in went.said
        self.mended = went.ended is not None and went.ended.exit_code == 0

    def _meanwhile(self, target, others):
        def during(event):
            if not isinstance(event, events.ExecutionStarted):
                return
            if others is Others.RUN:
                still = self.world.at_work(event.execution)
                other = self.world.run(target)
                # One that had ended, or ended meanwhile, was in nobody's way.
                if still and self.world.at_work(event.execution):
                    assert other.ended is None
                    assert not self.world.started(other.launch)
            if others is Others.CANCEL:
                self.world.cancel(target)

        return during

    def _at_most_one_execution(self, went):
        assert len(self.world.started(went.launch)) <= 1

    def _lines_once(self, went):
        numbers = went.numbers
        assert len(numbers) == len(set(numbers))
        punctual = [e.seq for e in went.of(events.LogLine) if e.seq and not e.late]
        assert punctual == sorted(punctual)
        gaps = {
            n for gap in went.of(events.LogGap) for n in range(gap.first, gap.last + 1)
        }
        known = set(numbers) | gaps
        if known:
            assert known == set(range(1, max(known) + 1))
        ends = [e for e in went.of(events.LogLine) if e.engine_event == "End"]
        troubles = went.of(events.LogTrouble)
        if went.ended is not None and known and not ends:
            assert troubles or went.ended.verdict.ending is Ending.CANCELLED

    def _no_job_unsaid(self, went):
        left = self.world.jobs(self.target)
        if isinstance(went.error, Killed):
            return
        said = went.of(events.CleanupFailed) or isinstance(went.error, AnotherLaunch)
        assert not left or said

    def _verdict_is_true(self, went, before, to):
        done = self.world.applied()
        assert before <= done
        assert "0004" not in done
        if went.ended is None:
            return
        verdict = went.ended.verdict
        executions = self.world.started(went.launch)
        exits = [text for e in executions for text in self.world.exits(e)]
        good = any("exit(0)" in text for text in exits)
        if verdict.ending is Ending.SUCCEEDED:
            assert good
            assert {v for v in ("0001", "0002", "0003") if v <= to} <= done
        if verdict.exit_code in ENGINE_CODES:
            assert any(f"exit({verdict.exit_code})" in text for text in exits)
        if good:
            assert verdict.ending is not Ending.FAILED
        assert (verdict.exit_code == LaunchCode.UNCERTAIN) == (
            verdict.ending in {Ending.LOST, Ending.UNCERTAIN}
        )

    def teardown(self):
        """When the weather is fair again one sweep and one run put everything right."""
        if getattr(self, "mended", True):
            return
        mended = self.target._replace(stale_after_s=0, args=("--to", "0003"))
        self.world.renew_secret(mended)
        went = self.world.run(mended)
        assert went.ended is not None, went.error
        assert went.ended.exit_code == 0, went.ended
        assert {"0001", "0002", "0003"} == self.world.applied()
        assert self.world.jobs(self.target) == []


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres_server):
    """Hold an emulated project and a database for all schedules of a worker."""
    from tests.fix_postgres import Database

    home = tmp_path_factory.mktemp("weather")
    name = postgres_server.create_database()
    with _stopped(launch(home)) as emulator, hurried_logs():
        yield World(emulator, Database(postgres_server, name), home)
        all_in_time(emulator)
    postgres_server.drop_database(name)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_run_keeps_its_promises_in_any_weather(world, shard):
    """Slow because each schedule runs an orchestrator, an engine and a database."""
    seeded = hypothesis.seed(shard + SCHEDULES * 1000)
    machine = seeded(type("Storm", (Storm,), {"world": world}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=-(-SCHEDULES // SHARDS),
            stateful_step_count=2,
            deadline=None,
            database=None,
            print_blob=True,
            # A schedule takes seconds: the first that breaks a promise is shown as it is.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
