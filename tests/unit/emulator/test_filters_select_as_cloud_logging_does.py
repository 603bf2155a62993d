"""The filter language: what it selects, and what it refuses."""

import pytest

from emulator.entries import Entry
from emulator.filters import compile_filter
from emulator.moments import parse_ns
from emulator.problem import Problem

ENTRY = Entry(
    log_name="projects/p/logs/run.googleapis.com%2Fstdout",
    resource_type="cloud_run_job",
    resource_labels={"job_name": "dev-migration", "location": "europe-west1"},
    timestamp=parse_ns("2026-03-01T10:00:00.5Z"),
    severity=400,
    insert_id="e1",
    payload={"message": "Applied 0001", "seq": 7, "nested": {"done": True}},
    labels={"run.googleapis.com/execution_name": "dev-migration-abcde"},
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'resource.type="cloud_run_job"',
        "resource.type = cloud_run_job",
        'resource.type = "cloud_run_job" resource.labels.job_name = "dev-migration"',
        "resource.labels.job_name=dev-migration\nseverity >= DEFAULT",
        'labels."run.googleapis.com/execution_name"="dev-migration-abcde"',
        'logName="projects/p/logs/run.googleapis.com%2Fstdout"',
        "severity>=WARNING",
        "severity=WARNING",
        "severity!=ERROR",
        "severity<ERROR",
        'timestamp>="2026-03-01T10:00:00Z"',
        'timestamp>"2026-03-01" AND timestamp<"2026-03-02"',
        'timestamp<="2026-03-01T11:00:00.5+01:00"',
        "jsonPayload.seq=7",
        "jsonPayload.seq>6.5",
        "jsonPayload.nested.done=true",
        'jsonPayload.message:"applied"',
        'jsonPayload.message=~"^Applied \\\\d+$"',
        'jsonPayload.message!~"^Failed"',
        "jsonPayload.seq:*",
        "NOT severity=ERROR",
        "-severity=ERROR",
        '(severity=ERROR OR severity=WARNING) AND "applied 0001"',
        "severity=(ERROR OR WARNING)",
        'jsonPayload.absent!="x"',
        'RESOURCE.TYPE="x" OR resource.type="CLOUD_RUN_JOB"',
        "-- a comment\nseverity=WARNING",
    ],
)
def test_filter_selects(text):
    """These filters select the entry."""
    assert compile_filter(text)(ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        'resource.type="build"',
        "severity>WARNING",
        "severity>=ERROR",
        'timestamp>"2026-03-01T10:00:00.5Z"',
        'jsonPayload.absent="x"',
        "jsonPayload.absent>0",
        "jsonPayload.absent:*",
        "jsonPayload.seq>7",
        'jsonPayload.message=~"^Failed"',
        "NOT severity>=DEFAULT",
        'textPayload:"applied"',
        "severity=WARNING AND severity=ERROR",
        '"no such text"',
    ],
)
def test_filter_leaves_out(text):
    """These filters do not select the entry."""
    assert not compile_filter(text)(ENTRY)


def test_or_binds_tighter_than_and():
    """``a AND b OR c`` is ``a AND (b OR c)``, unlike in most languages."""
    text = "severity=ERROR AND severity=INFO OR severity=WARNING"

    assert not compile_filter(text)(ENTRY)


@pytest.mark.parametrize(
    "text",
    ["severity>=", "(severity=ERROR", "severity=ERROR)", "a ==", 'x=~"("', "AND", "=3"],
)
def test_filter_that_cannot_be_read_is_refused(text):
    """A filter with an error in it is INVALID_ARGUMENT, never ignored."""
    with pytest.raises(Problem, match="Unparseable filter"):
        compile_filter(text)


def test_filter_that_is_too_long_is_refused():
    """A filter has at most 20,000 characters."""
    with pytest.raises(Problem, match="longer than"):
        compile_filter("severity=ERROR OR " * 2000)
