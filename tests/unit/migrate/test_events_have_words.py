"""Every event can be told: to a person in the seeds' words, to a machine as JSON."""

import io
import json
import re
import sys
import typing

import pytest

from migrate import events, faults, render
from migrate.errors import ExitCode, NoMigrations
from migrate.events import Event
from migrate.outcome import Done, Outcome
from migrate.render import JsonListener, Printer, TextListener, banner, explain, words

EVENTS = typing.get_args(Event)
EMAIL = "0002_add_email.sql"
SEEDS_FILE = "migrations/enterprise_prompt_system_phase1.sql"
CONNECTING = events.Connecting(
    "h", "5432", "d", "app", ("m/1_a.sql", "m/2_b.sql"), 30, 4
)

#: What each event says to a person; more than one where the event has several forms.
TOLD: list[tuple[Event, str | None]] = [
    (
        CONNECTING,
        (
            "[Migration] Connecting to database...\n  Host: h\n  Port: 5432\n  Database: d\n"
            "  User: app\n  Migration files: m (2 files)\n\n"
            "[Migration] Loaded 2 SQL files (30 bytes, 4 lines)"
        ),
    ),
    (
        events.StillConnecting("connection refused", 2500),
        "[Migration] Still connecting (2.5 s): connection refused",
    ),
    (
        events.Connected("PostgreSQL 18.4", pooled=False),
        "[Migration] Connected successfully",
    ),
    (
        events.Connected("PostgreSQL 18.4", pooled=True),
        (
            "[Migration] Connected successfully\n"
            "  Through a pooler: a lease takes the place of the lock"
        ),
    ),
    (
        events.WaitingForLock("pid 7", 1),
        "[Migration] Waiting for another runner: pid 7",
    ),
    (
        events.HistoryUpgraded(1, 2),
        "[Migration] History table upgraded from layout 1 to 2",
    ),
    (
        events.Executing("0002", "add_email", EMAIL, "transactional", 2, 3),
        f"[Migration] Executing {EMAIL} (2 of 3)...",
    ),
    (
        events.Resuming(EMAIL, 2, 5),
        f"[Migration] {EMAIL} resumes after statement 2 of 5",
    ),
    (events.Progress("statements", 1, 2), None),
    (
        events.Blocked(EMAIL, ("pid 7", "pid 8")),
        f"[Migration] {EMAIL} waits for a lock\n  blocked by pid 7\n  blocked by pid 8",
    ),
    (
        events.Retrying(EMAIL, 1, 10, 1500, "lock timeout", ("pid 7",)),
        (
            f"[Migration] {EMAIL}: lock timeout; try 1 of 10 rolled back, next in 1.5 s\n"
            "  blocked by pid 7"
        ),
    ),
    (events.Notice(EMAIL, "NOTICE:  hello"), "  NOTICE:  hello"),
    (
        events.DebrisRemoved("public.users_email"),
        "[Migration] Dropped INVALID index public.users_email, left by an interrupted run",
    ),
    (
        events.Resolving(EMAIL, "the server closed it"),
        (
            "[Migration] Session lost (the server closed it); asking the server what was "
            "committed..."
        ),
    ),
    (events.CheckPassed(EMAIL, "all have one"), "[Verification] ✓ all have one"),
    (
        events.CreatedUnseen("gone"),
        "[Migration] All is committed; what it created could not be read back: gone",
    ),
    (
        events.Applied("0002", "add_email", EMAIL, 12.4, 2),
        f"[Migration] ✓ {EMAIL} (12 ms)",
    ),
    (
        events.Created(
            (
                ("table", "users"),
                ("index", "a"),
                ("view", "v"),
                ("index", "b"),
                ("index", "c"),
            )
        ),
        (
            "\n[Verification] Checking migration results...\n[Verification] Created tables:\n"
            "  ✓ users\n[Verification] And 3 indexes, 1 view"
        ),
    ),
    (events.Created(()), "\n[Verification] Checking migration results..."),
    (
        events.LeftBehind("0002", ("table users", "view v")),
        "[Migration] 0002 left behind: table users, view v",
    ),
    (
        events.RolledBack("0002", "add_email", 12.4),
        "[Migration] ✓ Rolled back 0002 add_email (12 ms)",
    ),
    (
        events.LeftOut(EMAIL, ("line 1: VACUUM", "line 2: CLUSTER")),
        f"[Migration] Left out of the transaction: {EMAIL} (line 1: VACUUM; line 2: CLUSTER)",
    ),
]


def test_every_event_is_exemplified():
    """A new event needs its words here, or this fails."""
    told = {type(event) for event, _ in TOLD}

    assert set(EVENTS) == told


@pytest.mark.parametrize(("event", "text"), TOLD, ids=range(len(TOLD)))
def test_an_event_says_this_to_a_person(event, text):
    """None: it is for machines and terminals alone."""
    found = words(event)

    assert text == found


def test_a_run_is_told_in_the_seeds_lines():
    """One file, applied: line by line what the seeds' job printed."""
    stream = io.StringIO()
    tell = TextListener(Printer(stream), terminal=False)
    tables = (
        "prompt_templates",
        "prompt_executions",
        "prompt_guardrails",
        "ab_test_experiments",
    )

    for event in (
        events.Connecting(
            "10.240.0.3", "5432", "vividly", "vividly", (SEEDS_FILE,), 21849, 688
        ),
        events.Connected("PostgreSQL 15", pooled=False),
        events.Executing("0001", "x", "x.sql", "transactional", 1, 1),
        events.Progress("statements", 1, 2),
        events.Applied("0001", "x", "x.sql", 1.0, 1),
        events.Created(tuple(("table", name) for name in tables)),
    ):
        tell(event)
    stream.write(banner(Outcome("apply", ExitCode.OK)))

    assert [
        "[Migration] Connecting to database...",
        "  Host: 10.240.0.3",
        "  Port: 5432",
        "  Database: vividly",
        "  User: vividly",
        "  Migration file: migrations/enterprise_prompt_system_phase1.sql",
        "",
        "[Migration] Loaded SQL file (21849 bytes, 688 lines)",
        "[Migration] Connected successfully",
        "[Migration] Executing SQL migration...",
        "[Migration] ✓ Migration executed successfully",
        "",
        "[Verification] Checking migration results...",
        "[Verification] Created tables:",
        "  ✓ prompt_templates",
        "  ✓ prompt_executions",
        "  ✓ prompt_guardrails",
        "  ✓ ab_test_experiments",
        "",
        "============================================================",
        "✓ MIGRATION COMPLETED SUCCESSFULLY",
        "============================================================",
    ] == stream.getvalue().splitlines()


@pytest.mark.parametrize("code", [code for code in ExitCode if code is not ExitCode.OK])
def test_any_other_end_is_a_failure_in_the_last_lines(code):
    """Nobody scrolls up to learn that it failed."""
    text = banner(Outcome("apply", code))

    assert "✗ MIGRATION FAILED" == text.splitlines()[-2]


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(1, 4, "rows: 1 of 4 (25 %)"), (3, 0, "rows: 3"), (0, 4, "rows: 0 of 4 (0 %)")],
)
def test_a_terminal_sees_how_far_it_is(done, total, text):
    """The line is rewritten in place, and closed before the next line."""
    stream = io.StringIO()
    tell = TextListener(Printer(stream), terminal=True)

    tell(events.Progress("rows", done, total))
    tell(events.Progress("rows", done, total))  # too soon to be shown
    tell(events.Notice(EMAIL, "x"))
    tell(events.Notice(EMAIL, "y"))

    assert f"\r\033[K  {text}\n  x\n  y\n" == stream.getvalue()


def json_lines(*told: Event, environment=None):
    stream = io.StringIO()
    tell = JsonListener(Printer(stream), "run-1", environment or {})
    for event in told:
        tell(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_event_is_one_json_line():
    """With severity, message, run_id and a seq without gaps: a reader can tell a loss."""
    everything = [event for event, _ in TOLD]

    lines = json_lines(*everything)

    assert len(everything) == len(lines)
    assert [*range(1, len(everything) + 1)] == [line["seq"] for line in lines]
    for event, line in zip(everything, lines, strict=True):
        assert type(event).__name__ == line["event"]
        assert set(event._fields) == set(line["fields"])
        assert ("run-1", 1) == (line["run_id"], line["schema"])
        assert line["message"] == line["message"].strip("\n")
        assert line["message"]
        assert line["severity"] in {"DEBUG", "INFO", "WARNING"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        (events.Progress("rows", 1, 2), "DEBUG"),
        (events.Notice(EMAIL, "x"), "INFO"),
        (events.Blocked(EMAIL, ()), "WARNING"),
        (events.LeftOut(EMAIL, ()), "WARNING"),
    ],
)
def test_severity_follows_the_event(event, severity):
    """What may need a person's eye can be filtered for."""
    (line,) = json_lines(event)

    assert severity == line["severity"]


def test_lines_carry_what_the_platform_says():
    """Cloud Logging groups lines by execution and by trace."""
    environment = {
        "CLOUD_RUN_JOB": "dev-prompt-migration",
        "CLOUD_RUN_EXECUTION": "dev-prompt-migration-x7",
        "CLOUD_RUN_TASK_INDEX": "0",
        "CLOUD_RUN_TASK_ATTEMPT": "",
        "MIGRATE_TRACE": "projects/p/traces/t",
    }

    (line,) = json_lines(events.Notice(EMAIL, "x"), environment=environment)
    (bare,) = json_lines(events.Notice(EMAIL, "x"))

    assert {
        "job": "dev-prompt-migration",
        "execution": "dev-prompt-migration-x7",
        "task_index": "0",
    } == line["logging.googleapis.com/labels"]
    assert "projects/p/traces/t" == line["logging.googleapis.com/trace"]
    assert not [key for key in bare if key.startswith("logging")]


@pytest.mark.parametrize("code", ExitCode)
def test_the_end_marker_is_the_outcome(code):
    """The last line holds what the exit code says, and more."""
    stream = io.StringIO()
    tell = JsonListener(Printer(stream), "run-1", {})
    outcome = Outcome("apply", code, done=(Done("0001", "users", 1.0),))

    tell.end(outcome)

    line = json.loads(stream.getvalue())
    good = code in {ExitCode.OK, ExitCode.PENDING}
    assert ("End", "INFO" if good else "ERROR") == (line["event"], line["severity"])
    assert ("finished" if good else "failed") in line["message"]
    assert outcome == Outcome.from_json(json.dumps(line["fields"]))


def test_an_error_is_one_json_line_with_its_fields():
    """The code is there for machines, the explanation for people; notes are words alone."""
    stream = io.StringIO()
    tell = JsonListener(Printer(stream), "run-1", {})
    error = faults.SessionLost(file=EMAIL, reason="gone")
    error.add_note("first: it was slow")

    tell.error(error)

    line = json.loads(stream.getvalue())
    assert ("Error", "ERROR") == (line["event"], line["severity"])
    assert {"code": "session-lost", "file": EMAIL, "reason": "gone"} == line["fields"]
    assert "first: it was slow" in line["message"]


def test_an_error_is_explained_with_what_to_do_next():
    """What, then notes, then the cure, each on a line of its own."""
    error = NoMigrations(directory="sql")
    error.add_note("looked twice")

    text = explain(error)

    assert [
        "error: there is no migration in 'sql'",
        "  looked twice",
        "  → create the first one with: python -m migrate new NAME",
    ] == text.splitlines()


class HangsUp(io.StringIO):
    """A reader that is gone after the first line."""

    def write(self, text: str) -> int:
        """Write the first line, refuse the others."""
        if self.getvalue():
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def test_a_reader_that_hangs_up_does_not_stop_the_work(monkeypatch):
    """The failure is kept for the end, and nothing more is written."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    stream = HangsUp()
    printer = Printer(stream)

    printer.line("one")
    printer.line("two")
    printer.line("three")

    assert "one\n" == stream.getvalue()
    assert "Broken pipe" == printer.broken
    assert sys.stdout is None


def test_a_closed_stream_does_not_stop_the_work_either(monkeypatch):
    """Python words that one itself."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    stream = io.StringIO()
    stream.close()
    printer = Printer(stream)

    printer.line("one")

    assert "closed" in printer.broken


def test_there_are_words_for_events_alone():
    """A class that is no event has no words left over."""
    known = set(render._WORDS) | set(render._SEVERITIES)

    assert set(EVENTS) == known
