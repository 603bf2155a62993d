"""Builds and executions become rows: what ran, when, by whom, with which verdict."""

from jobs.history import Recorded, Run, recorded, rows, versions
from jobs.lifecycle import Build, BuildStatus, Execution, Job, Step


def a_build(**changes):
    """Return a build that succeeded."""
    plain = Build(
        "b1",
        BuildStatus.SUCCESS,
        substitutions={"_SUBMITTER": "ada", "_COMMIT": "c0ffee"},
        steps=(Step("run-migration", BuildStatus.SUCCESS, 0),),
        created=100.0,
        started=110.0,
        finished=140.0,
    )
    return plain._replace(**changes)


def a_job(**labels):
    """Return a job and one execution that succeeded."""
    job = Job(
        "projects/p/locations/l/jobs/j",
        labels,
        90.0,
        annotations={"cloudrun-migrate/by": "bob"},
    )
    execution = Execution(
        f"{job.name}/executions/j-x",
        200.0,
        succeeded=1,
        started=201.0,
        completed=205.0,
        labels=labels,
    )
    return job, [execution]


def test_a_launch_is_a_build():
    """Its duration is that of the build, its verdict that of its step."""
    good = rows([a_build()], [], {})
    failed = Step("run-migration", BuildStatus.FAILURE, 7)
    bad = rows(
        [a_build(status=BuildStatus.FAILURE, steps=(failed,), started=None)], [], {}
    )

    assert [Run(100.0, 30.0, "build", "b1", "ada", "c0ffee", "succeeded", 0)] == good
    assert (40.0, "failed", 7) == (bad[0].seconds, bad[0].verdict, bad[0].exit_code)
    assert bad[0].reason


def test_who_and_which_commit_may_be_a_triggers():
    """A trigger knows the commit, and is named where nobody is."""
    build = a_build(substitutions={"COMMIT_SHA": "feed"}, trigger_id="t1")
    nobody = a_build(substitutions={}, created=None, status=BuildStatus.WORKING)

    assert ("trigger t1", "feed") == rows([build], [], {})[0][4:6]
    assert ("", "", "running", None) == rows([nobody._replace(finished=None)], [], {})[
        0
    ][4:8]


def test_a_build_that_waits_or_was_refused_says_so():
    """PENDING waits for an approval; a refused one never ran."""
    waits = a_build(status=BuildStatus.PENDING, finished=None, started=None)
    refused = a_build(status=BuildStatus.CANCELLED, approval="REJECTED")

    assert "waits for approval" == rows([waits], [], {})[0].verdict
    assert rows([waits], [], {})[0].seconds is None
    assert "rejected" == rows([refused], [], {})[0].verdict


def test_an_execution_is_told_once_and_newest_comes_first():
    """That of a listed build is the build's; one without a build is a row."""
    alone, of_build = a_job(commit="dead"), a_job(**{"build-id": "b1"})

    found = rows([a_build()], [of_build, alone], {})

    assert [("job", "j-x", "bob", "dead"), ("build", "b1", "ada", "c0ffee")] == [
        (r.kind, r.id, r.by, r.commit) for r in found
    ]
    assert (4.0, "succeeded", 0, "") == (found[0].seconds, *found[0][6:9])


def test_an_execution_may_run_or_have_failed():
    """Counts tell; a start that is not known is the creation."""
    job, (execution,) = a_job()
    runs = execution._replace(completed=None, succeeded=0)
    failed = execution._replace(succeeded=0, failed=1, started=None)

    found = rows([], [(job, [runs, failed])], {})

    assert [("running", None), ("failed", 22)] == [
        (r.verdict, r.exit_code) for r in found
    ]
    assert [None, 5.0] == [r.seconds for r in found]


def test_what_was_applied_comes_from_the_engines_last_line():
    """By build; a line that is no end marker names nothing."""
    end = {"event": "End", "fields": {"done": [{"version": "0001"}, {"odd": 1}]}}

    short = {"done": [{"version": "0001"}], "cut": {"done": 7, "not_tried": 2}}

    assert ("0001",) == versions(end)
    assert ("0001", "and 7 more") == versions({"event": "End", "fields": short})
    assert ("0001",) == rows([a_build()], [], {"b1": versions(end)})[0].applied
    assert () == versions(None)
    assert () == versions({"event": "Applied", "fields": {"done": [{"version": "1"}]}})
    assert () == versions({"event": "End", "fields": "cut"})
    assert () == versions({"event": "End", "fields": {}})


def test_the_table_says_what_a_launch_applied_and_what_the_cloud_does_not_know():
    """It goes before the log; a version that another program applied has its own row."""
    job, (execution,) = a_job()
    table = [
        Recorded("0001", "applied", 120.0, 0.2, "app", build="b1"),
        Recorded("0002", "applied", 121.0, 0.2, "app", build="b1"),
        Recorded("0003", "applied", 202.0, 0.2, "app", execution="j-x"),
        Recorded("0004", "baseline", 300.0, None, "dba"),
        Recorded("0005", "applied", 50.0, 1.0, "app", build="forgotten", commit="dead"),
    ]

    found = rows([a_build()], [(job, [execution])], {"b1": ("0001",)}, table)

    assert [
        ("database", "0004", "dba", "", "baseline", ("0004",)),
        ("job", "j-x", "bob", "", "succeeded", ("0003",)),
        ("build", "b1", "ada", "c0ffee", "succeeded", ("0001", "0002")),
        ("database", "forgotten", "app", "dead", "applied", ("0005",)),
    ] == [(r.kind, r.id, r.by, r.commit, r.verdict, r.applied) for r in found]


def test_the_table_is_read_from_what_the_engine_prints():
    """What is pending has no row; without an answer there is none at all."""
    row = {
        "executed_at": 5.5,
        "duration_ms": 1500,
        "executed_by": "app",
        "build_id": None,
        "execution": "j-x",
        "commit_sha": "c0ffee",
    }
    found = [
        {"version": "1", "state": "applied", "recorded": row},
        {"version": "2", "state": "pending", "recorded": None},
        {"version": "3", "state": "baseline", "recorded": {"executed_at": 1}},
    ]

    read = recorded({"pending": 1, "migrations": found})

    assert Recorded("1", "applied", 5.5, 1.5, "app", "", "j-x", "c0ffee") == read[0]
    assert Recorded("3", "baseline", 1.0, None, "") == read[1]
    assert 2 == len(read)
    assert () == recorded(None)
    assert () == recorded({})
