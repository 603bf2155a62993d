"""What a person, and a program, reads of a launch: golden texts."""

import io
import json

import pytest

from jobs import events, render
from jobs.errors import NoCredentials
from jobs.findings import Finding, Weight, fatal
from jobs.lifecycle import BuildStatus, Ending, Step, Verdict
from jobs.render import JsonTeller, TextTeller

PAGE = "https://console.cloud.google.com/x"
FINDINGS = (
    Finding("secret", Weight.FINE, "the secret's version 5 is enabled"),
    Finding("region", Weight.WARNING, "build and job are far apart", "", "region: …"),
    Finding(
        "connector", Weight.FATAL, "no connector", "Resource … not found", "gcloud …"
    ),
)
PHASES = (
    events.PhaseDone("preflight", 0.42),
    events.PhaseDone("build", 341.0),
)
STEPS = (
    Step("build-image", BuildStatus.SUCCESS, 0, 61.5),
    Step("run-migration", BuildStatus.FAILURE, 7, 9.96),
    Step("never-ran", BuildStatus.QUEUED, 0),
)
GOOD = Verdict(Ending.SUCCEEDED, 0, "every task succeeded")
BAD = Verdict(Ending.FAILED, 7, "0002_a.sql:3:1: no such table", "correct it")
TALE = (
    events.LaunchStarted("dev", "acme-dev", "us-central1", "3fa9", "", "launch"),
    events.PreflightDone(FINDINGS, 0.4),
    PHASES[0],
    events.Swept("job dev-old", "its execution is over"),
    events.SourceUploaded("gs://b/o", 120_000, 143, 0.2),
    events.BuildSubmitted("019a", PAGE),
    events.BuildState("019a", "WORKING"),
    events.BuildLine("build-image", "Step 1/9"),
    events.BuildLine("run-migration", "told by the job's own log"),
    events.JobCreated("dev-job", "image@sha256:0", PAGE),
    events.ExecutionStarted("dev-job-x", PAGE),
    events.ExecutionState("dev-job-x", "pending", "waiting for an address"),
    events.LogLine("INFO", "[Migration] Connected successfully", 1, "Connected"),
    events.LogLine("DEBUG", "10 of 100", 2, "Progress"),
    events.LogLine("WARNING", "blocked by pid 7", 3, "Blocked"),
    events.LogLine("ERROR", "late trouble", 2, "Error", late=True),
    events.LogLine("INFO", "end", 9, "End"),
    events.LogGap(4, 8, PAGE),
    events.LogTrouble("reading the log: 429", PAGE),
    events.Waiting("the build's steps", 75.0),
    events.Retrying("reading build 019a", "503"),
    events.Cancelling("build 019a", "Ctrl-C"),
    events.CleanupFailed(("job dev-job",), "503"),
    events.JobDeleted("dev-job"),
    events.BuildState("019a", "FAILURE", "step 2 failed"),
)


def ended(verdict, **more):
    """Make the last event."""
    return events.LaunchEnded(
        "dev", "3fa9", verdict, 346.0, PHASES, STEPS, "019a", **({"done": 1} | more)
    )


@pytest.mark.parametrize(
    ("name", "manner"),
    [
        ("text", {}),
        ("quiet", {"quiet": True}),
        ("verbose", {"verbose": True}),
        ("colour", {"colour": True}),
    ],
)
def test_a_launch_is_told(golden, name, manner):
    """To people, in four manners."""
    stream = io.StringIO()
    tell = TextTeller(stream, **({"colour": False} | manner))

    for event in (*TALE, ended(BAD)):
        tell(event)

    golden(stream.getvalue(), f"jobs/launch_{name}.txt")


def test_a_success_ends_with_the_seeds_banner(golden):
    """And the timeline, and one line that can stand alone."""
    stream = io.StringIO()

    TextTeller(stream, colour=False)(ended(GOOD, execution="dev-job-x"))

    golden(stream.getvalue(), "jobs/launch_succeeds.txt")


def test_an_emulator_has_no_pages():
    """Google's console would show something else, or nothing."""
    stream = io.StringIO()
    tell = TextTeller(stream, colour=False)

    tell(TALE[0]._replace(endpoint="127.0.0.1:80"))
    for event in TALE[1:]:
        tell(event)

    assert "console.cloud.google.com" not in stream.getvalue()
    assert "at 127.0.0.1:80" in stream.getvalue()


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (GOOD._replace(exit_code=25), "✗ MIGRATION SUCCEEDED, CLEAN-UP FAILED"),
        (Verdict(Ending.LOST, 22, "gone"), "✗ MIGRATION LOST"),
        (Verdict(Ending.CANCELLED, 24, "Ctrl-C"), "✗ MIGRATION CANCELLED"),
    ],
)
def test_each_ending_has_its_title(verdict, says):
    """Nothing but a success looks like one."""
    stream = io.StringIO()

    TextTeller(stream, colour=False)(ended(verdict))

    assert says in stream.getvalue()


def test_a_build_that_failed_shows_its_last_lines():
    """When no migration was run, they are all there is to say why."""
    stream = io.StringIO()
    tell = TextTeller(stream, colour=False)

    tell(events.BuildLine("push-image", "denied: no such repository"))
    tell(ended(Verdict(Ending.FAILED, 20, "step push-image failed"), done=None))

    assert "  push-image │ denied: no such repository" in stream.getvalue()


def test_programs_get_one_event_per_line():
    """Each is JSON, with its name and a schema; the last has the verdict."""
    stream = io.StringIO()
    tell = JsonTeller(stream)

    for event in (*TALE, ended(BAD)):
        tell(event)

    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(TALE) + 1 == len(told)
    assert "LaunchEnded" == told[-1]["event"]
    assert {"ending": "failed", "exit_code": 7} == {
        k: told[-1]["verdict"][k] for k in ("ending", "exit_code")
    }
    assert "fatal" == told[1]["findings"][2]["weight"]
    assert {1} == {line["schema"] for line in told}
    assert [type(e).__name__ for e in (*TALE, ended(BAD))] == [t["event"] for t in told]


def test_nothing_pending_is_said_only_of_a_success():
    """A migration that failed at the first file has applied none."""
    assert "nothing was pending" in render.final_line(ended(GOOD, done=0))
    assert "0 applied" in render.final_line(ended(BAD, done=0))
    assert "applied" not in render.final_line(ended(BAD, done=None))


def test_an_error_ends_with_its_cure():
    """Each line of advice can be pasted."""
    error = NoCredentials(project="acme-dev", reason="nobody is logged in")
    error.add_note("looked at the metadata server too")

    assert [
        "error: Google Cloud does not know who is asking: nobody is logged in",
        "  looked at the metadata server too",
        "  → gcloud auth application-default login",
        "  → gcloud auth application-default set-quota-project acme-dev",
    ] == render.explain(error).splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (12.4, "12 s"), (346.0, "5 min 46 s")]
)
def test_times_are_readable(seconds, text):
    """Tenths below ten seconds, minutes from one minute on."""
    assert text == render.readable(seconds)


def test_only_fatal_findings_forbid():
    """A warning is told and no more."""
    assert (FINDINGS[2],) == fatal(FINDINGS)


@pytest.mark.parametrize(
    ("output", "kind"), [("json", JsonTeller), ("text", TextTeller)]
)
def test_the_listener_is_the_one_asked_for(output, kind):
    """By ``--output``."""
    found = render.teller(output, quiet=False, verbose=False, environment={})

    assert isinstance(found, kind)
