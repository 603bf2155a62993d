"""The job alone, through Google's own clients: made, run, followed, judged, deleted."""

import os
import textwrap
import time
import uuid

import pytest

from jobs import events, orchestrator, tidy
from jobs.config import Target
from jobs.errors import AnotherLaunch
from jobs.findings import no_preflight
from jobs.lifecycle import Ending
from jobs.names import ExecutionName, JobName
from jobs.orchestrator import Means
from jobs.settings import JobMode
from jobs.spec import Image, Launch, job_spec, name_of_job
from tests.fix_emulator import PROJECT, REGION
from tests.google_clients import until

SPEAKS = """
import json, os, sys, time
def tell(seq, event="Notice", **fields):
    print(json.dumps({"severity": "INFO", "message": f"line {seq}", "run_id": "r",
                      "seq": seq, "event": event, "fields": fields}), flush=True)
def end(seq, code):
    tell(seq, "End", schema=1, verb="apply", exit_code=code, done=[], failed=None,
         error=None, message="", not_tried=[], duration_ms=1)
    sys.exit(code)
"""


@pytest.fixture
def no_last_words(monkeypatch):
    """Wait a moment, instead of eight seconds, for the last line of a task that died."""
    monkeypatch.setattr("jobs.following.NO_MARKER_S", 0.5)


@pytest.fixture
def run(emulator, google, cloud):
    """Give a function that runs a piece of Python as the engine of an environment."""
    env = f"e{uuid.uuid4().hex[:8]}"
    secret = f"url-{env}"
    emulator.data(secrets={secret: ["postgresql://nobody"]})

    def start(source, *, live=True, during=None, **target):
        name = google.python(textwrap.dedent(SPEAKS) + textwrap.dedent(source))
        repository, _, tag = name.rpartition(":")
        image = Image(repository, cloud.registry.digest(repository, tag))
        given = Target(
            env=env,
            project=PROJECT,
            region=REGION,
            image=repository,
            database_secret=secret,
            **target,
        )
        told = []

        def tell(event):
            told.append((time.monotonic(), event))
            if during is not None:
                during(event, given)

        means = Means(cloud, tell, no_preflight, live)
        who = Launch(uuid.uuid4().hex[:12])
        ended = orchestrator.run(means, given, image, who, note=lambda *_: None)
        return ended, told, given

    return start


def of(told, kind):
    """Return the events of a kind."""
    return [event for _, event in told if isinstance(event, kind)]


def jobs_left(cloud, target):
    """Return what is left of an environment."""
    return [job.name for job in tidy.jobs_of(cloud, target)]


@pytest.mark.parametrize(("live", "most"), [(True, 1.5), (False, 4.0)])
def test_lines_arrive_while_the_job_runs(run, cloud, emulator, live, most):
    """Soon, in order, each once; with a tail and by listing alone."""
    ended, told, target = run("tell(1); time.sleep(2.7); tell(2); end(3, 0)", live=live)

    at = {e.seq: moment for moment, e in told if isinstance(e, events.LogLine) if e.seq}
    written = {
        e.seq: e.timestamp for _, e in told if isinstance(e, events.LogLine) if e.seq
    }
    late = at[1] - (time.monotonic() - (time.time() - written[1]))
    assert 0 == ended.exit_code
    assert [1, 2, 3] == list(at)
    assert late < most
    assert [] == jobs_left(cloud, target)
    assert {"Jobs.CreateJob", "Jobs.RunJob"} <= emulator.state()["deadlines"].keys()


@pytest.mark.parametrize("code", [2, 7, 8, 10])
def test_the_engines_exit_code_comes_through(run, code):
    """From the process to the verdict."""
    assert code == run(f"end(1, {code})")[0].exit_code


def test_a_task_that_dies_without_a_word_is_told_so(run, no_last_words):
    """Killed: exit code 137, and advice about memory."""
    ended, _, _ = run("tell(1); import os; os.kill(os.getpid(), 9)")

    assert 22 == ended.exit_code
    assert "137" in ended.verdict.reason


def test_a_task_out_of_time_has_its_own_code(run, no_last_words):
    """Cloud Run's own timeout ends it."""
    ended, _, _ = run("tell(1); time.sleep(60)", task_timeout_s=1)

    assert (Ending.TIMED_OUT, 23) == ended.verdict[:2]


def test_whoever_cancels_it_it_is_no_success(run, no_last_words, cloud):
    """The operation of a cancelled execution completes without an error."""

    def during(event, target):
        if isinstance(event, events.LogLine) and event.seq == 1:
            for job in tidy.jobs_of(cloud, target):
                for execution in cloud.jobs.executions(JobName.parse(job.name)):
                    cloud.jobs.cancel(ExecutionName.parse(execution.name))

    ended, _, target = run("tell(1); time.sleep(60)", during=during)

    assert (Ending.CANCELLED, 24) == ended.verdict[:2]
    assert [] == jobs_left(cloud, target)


def test_a_second_run_names_the_first(run, cloud):
    """And leaves it alone."""
    refused: list[str] = []

    def during(event, target):
        if isinstance(event, events.LogLine) and event.seq == 1 and not refused:
            with pytest.raises(AnotherLaunch) as caught:
                tidy.sweep(cloud, target, lambda _: None)
            refused.append(str(caught.value))

    ended, _, _ = run("tell(1); time.sleep(1); end(2, 0)", during=during)

    assert 0 == ended.exit_code
    assert "execution" in refused[0]


def test_what_a_killed_run_left_is_swept(run, cloud):
    """Its job stands there with an execution that is over: removed, and told."""
    _, told, target = run("end(1, 0)")
    image = Image.parse(of(told, events.JobCreated)[0].image)
    dead = Launch("d" * 12)
    cloud.jobs.create(job_spec(target, image, dead, time.time()))
    name = name_of_job(target, dead)
    cloud.jobs.run(name)
    until(lambda: cloud.jobs.executions(name)[0].done, bool)
    told.clear()

    removed = tidy.sweep(cloud, target, lambda event: told.append((0.0, event)))

    assert [name.job] == removed
    assert "its execution is over" == of(told, events.Swept)[0].why
    assert [] == jobs_left(cloud, target)


def test_a_stable_job_is_updated_and_kept(run, cloud):
    """Each launch runs the same job, and tells only its own lines."""
    ended, told, target = run("tell(1); end(2, 0)", job_mode=JobMode.STABLE)
    first = jobs_left(cloud, target)

    again, told_again, _ = run("tell(1); end(2, 0)", job_mode=JobMode.STABLE)

    assert (0, 0) == (ended.exit_code, again.exit_code)
    assert [1, 2] == [e.seq for e in of(told, events.LogLine) if e.seq]
    assert [1, 2] == [e.seq for e in of(told_again, events.LogLine) if e.seq]
    assert first == jobs_left(cloud, target)
    assert first[0].endswith(f"/jobs/{target.env}-prompt-migration")


def test_the_patience_of_googles_library_is_not_ours(run, emulator, monkeypatch):
    """It gives up waiting after 900 seconds while the job goes on; here, after one.

    Neither a job that takes its time to be made nor one that runs for long is given up.
    """
    from google.api_core.future import polling

    monkeypatch.setattr(polling.DEFAULT_POLLING, "_timeout", 1.0)
    emulator.faults({"at": "job", "do": "slow", "seconds": 1.3})

    ended, told, _ = run("time.sleep(1.5); end(1, 0)")

    assert 0 == ended.exit_code
    assert 1 == len(of(told, events.JobCreated))


def test_a_lost_reply_starts_nothing_twice(run, emulator):
    """RunJob takes effect, its answer does not arrive: the execution is found."""
    emulator.faults(
        {"at": "rpc", "method": "Jobs.RunJob", "do": "lose_reply", "times": 1}
    )

    ended, told, target = run("end(1, 0)")

    assert 0 == ended.exit_code
    assert 1 == len(of(told, events.ExecutionStarted))
    ever = [name for name in emulator.state()["started"] if target.env in name]
    assert 1 == len(ever)


def test_lines_that_are_late_lost_or_double_come_once(run, emulator):
    """The tail loses every other line, the list has them."""
    emulator.faults(
        {"at": "log", "do": "lost", "lines": "every 2", "where": "tail"},
        {"at": "log", "do": "duplicate", "lines": "every 3"},
    )

    ended, told, _ = run("[tell(n) for n in range(1, 41)]; end(41, 0)")

    assert 0 == ended.exit_code
    assert list(range(1, 42)) == [e.seq for e in of(told, events.LogLine) if e.seq]


def test_a_log_service_that_is_down_changes_no_verdict(run, emulator, monkeypatch):
    """Neither tail nor list answer; counts and exit code do."""
    monkeypatch.setattr("jobs.following.LOG_S", 1.0)
    emulator.faults(
        {
            "at": "rpc",
            "method": "LoggingServiceV2.*",
            "do": "error",
            "code": "UNAVAILABLE",
        }
    )

    ended, told, _ = run("end(1, 7)")

    assert 7 == ended.exit_code
    assert of(told, events.LogTrouble)


def test_an_image_that_cannot_be_pulled_is_named(run, emulator, no_last_words):
    """Exit 22: the task failed without a word of the engine, and why."""
    emulator.faults({"at": "execution", "do": "image_pull_failure"})

    ended, _, _ = run("end(1, 0)")

    assert (Ending.FAILED, 22) == ended.verdict[:2]
    assert "Image '" in ended.verdict.reason
    assert "not found" in ended.verdict.reason


def test_a_read_quota_that_is_used_up_costs_lines_and_no_verdict(
    run, emulator, monkeypatch
):
    """429 is told once, reading slows down, and what did not come is announced."""
    monkeypatch.setattr("jobs.watch.DOWN_S", 1.0)
    emulator.faults(
        {"at": "rpc", "do": "quota", "method": "*.ListLogEntries", "per_minute": 0}
    )

    ended, told, _ = run("tell(1); end(2, 0)", live=False)

    assert 0 == ended.exit_code
    (trouble,) = of(told, events.LogTrouble)
    assert "Quota exceeded" in trouble.what


def test_an_execution_that_is_not_found_yet_is_waited_for(run, emulator):
    """Its migration lands, and is not called lost."""
    emulator.faults({"at": "execution", "do": "stale", "seconds": 2})

    assert 0 == run("end(1, 0)")[0].exit_code


#: A hundred thousand of them take ten seconds and a hundred megabytes.
MANY = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 15_000


def test_a_flood_of_lines_arrives_complete(run):
    """In order, none missing, none twice."""
    seen = []

    def during(event, _target):
        if isinstance(event, events.LogLine) and event.seq:
            seen.append(event.seq)

    ended, _, _ = run(
        f"[tell(n) for n in range(1, {MANY})]; end({MANY}, 0)", during=during
    )

    assert 0 == ended.exit_code
    assert list(range(1, MANY + 1)) == seen
