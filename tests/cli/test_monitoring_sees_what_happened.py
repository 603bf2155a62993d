"""The filters of docs/how-to/monitor.md select what the page says, and nothing else.

Three runs of the container's entrypoint are read as Cloud Logging reads a job's output; each
filter of the page is then asked which of their lines it wants.
"""

import re
from collections import Counter

import pytest

from docs._generate.pages import CHECKOUT, blocks
from emulator.entries import Entry, parse_line
from emulator.filters import SEVERITIES, compile_filter
from tests.observing import holding

PAGE = CHECKOUT / "docs/how-to/monitor.md"
JOB = "dev-prompt-migration-019a66fe"
GOOD = {
    "0001_good.sql": "CREATE TABLE good (n int);",
    "0002_more.sql": "CREATE TABLE more (n int);",
}
BAD = {**GOOD, "0003_bad.sql": "SELECT 1/0;"}
ALTER = {**GOOD, "0003_alter.sql": "ALTER TABLE good ADD COLUMN m int;"}


def filters():
    """Return the page's filters by their names."""
    found = blocks(PAGE.read_text(encoding="utf-8"))
    return {b.mark[1]: "\n".join(b.lines) for b in found if b.mark[0] == "filter"}


@pytest.fixture(scope="module")
def selected():
    """Give a function: which events of some entries does a filter of the page select?"""
    asked = filters()

    def select(name, entries, **filled):
        text = asked[name]
        for word, value in filled.items():
            text = text.replace(word, value)
        wanted = compile_filter(text)
        return [e.payload["event"] for e in entries if wanted(e)]

    return select


@pytest.fixture
def logged(run_migrate, a_directory, blank_database):
    """Give a function that runs a directory as a job, and returns its lines as entries."""

    def run(files, **more):
        ran = run_migrate(
            module="migrate.run_migration",
            env={
                "CLOUD_RUN_JOB": JOB,
                "CLOUD_RUN_EXECUTION": f"{JOB}-x7k2p",
                "MIGRATE_DIR": str(a_directory(files)),
                "DATABASE_URL": blank_database.url,
                **more,
            },
        )
        return ran.exit, [entry_of(line) for line in ran.out.splitlines()]

    return run


def entry_of(line):
    """Return a line of a container as Cloud Logging keeps it."""
    told = parse_line(line)
    return Entry(
        log_name="projects/acme-dev/logs/run.googleapis.com%2Fstdout",
        resource_type="cloud_run_job",
        resource_labels={"job_name": JOB, "location": "us-central1"},
        timestamp=told.timestamp or 0,
        severity=told.severity,
        insert_id="",
        payload=told.payload,
        labels=told.labels,
    )


def test_a_run_that_succeeds_is_seen_and_wakes_nobody(logged, selected):
    """One end, what was applied, nothing above INFO, no number missing."""
    code, entries = logged(GOOD)

    run = entries[0].payload["run_id"]
    assert 0 == code
    assert ["End"] == selected("ends", entries)
    assert ["Applied", "Applied"] == selected("applied", entries)
    assert [] == [n for n in ("failed", "errors", "blocked") if selected(n, entries)]
    assert len(entries) == len(selected("run", entries, RUN_ID=run))
    assert [] == selected("run", entries, RUN_ID="another")
    assert list(range(1, len(entries) + 1)) == [e.payload["seq"] for e in entries]
    assert SEVERITIES["INFO"] >= max(e.severity for e in entries)


def test_a_run_that_fails_wakes_somebody_and_says_why(logged, selected):
    """The end marker is an error, and one line before it names the place."""
    code, entries = logged(BAD)

    (error,) = [e for e in entries if e.payload["event"] == "Error"]
    assert 7 == code
    assert ["End"] == selected("failed", entries)
    assert ["Error"] == selected("errors", entries)
    assert "0003_bad.sql:1" in error.payload["message"]
    assert 7 == entries[-1].payload["fields"]["exit_code"]


def test_a_run_that_is_blocked_names_who_is_in_the_way(
    logged, selected, blank_database
):
    """Retries are warnings, with the pid of the blocker; the end is that of a failure."""
    logged(GOOD)
    limits = {"MIGRATE_LOCK_TIMEOUT": "100ms", "MIGRATE_LOCK_TRIES": "2"}

    with holding(blank_database, "LOCK TABLE good IN ACCESS SHARE MODE"):
        code, entries = logged(ALTER, **limits)

    found = Counter(selected("blocked", entries))
    assert code != 0
    assert found["Retrying"] >= 1
    assert {"Blocked", "Retrying"} >= set(found)
    assert ["End"] == selected("failed", entries)


def test_another_environment_is_not_meant(logged, selected):
    """The name of the job tells them apart; an alert means all of them."""
    _, entries = logged(BAD)
    others = [
        e._replace(resource_labels={"job_name": JOB.replace("dev", "prod")})
        for e in entries
    ]

    assert [] == selected("ends", others)
    assert ["End"] == selected("failed", others)


def test_the_alert_of_the_page_is_its_filter():
    """The command makes a metric of the very filter above it."""
    text = PAGE.read_text(encoding="utf-8")
    (typed,) = re.findall(r"--log-filter='(.*?)'", text, re.DOTALL)

    assert filters()["failed"].split() == typed.split()
    assert {"applied", "blocked", "ends", "errors", "failed", "run"} == set(filters())
