"""A launch goes through a build, and leaves nothing behind."""

from typing import Any

import pytest

from jobs import events
from jobs.errors import (
    AnotherLaunch,
    Denied,
    PreflightFailed,
    WaitedTooLong,
)
from jobs.findings import Finding, Weight
from jobs.lifecycle import Build, BuildStatus
from tests.scripted_cloud import START, Script, a_line
from tests.stories import DOWN, LOST, launch
from tests.unit.jobs.test_requests_on_the_wire import TARGET


def test_a_launch_goes_through_a_build():
    """Look ahead, upload, submit, follow, judge, clean up."""
    script = Script()

    ended, told = launch(script)

    assert 0 == ended.exit_code
    assert ["preflight", "source", "submit", "build"] == [
        p.name for p in told[-1].phases
    ]
    build = next(iter(script.builds.values()))
    assert {"migration", "env-dev", "aaaaaaaaaaaa"} == set(build.tags)
    assert "5" == build.substitutions["_SECRET_VERSION"]
    assert ["QUEUED", "WORKING", "SUCCESS"] == [
        state.status for state in told.of(events.BuildState)
    ]


def test_latest_is_pinned_when_the_launch_begins():
    """What is rotated meanwhile takes part in the next launch."""
    script = Script()

    launch(script, TARGET._replace(database_secret_version="latest"))

    build = next(iter(script.builds.values()))
    assert "7" == build.substitutions["_SECRET_VERSION"]


@pytest.mark.parametrize("code", [7, 10, 22])
def test_the_run_steps_exit_code_is_the_launchs(code):
    """Through step, build and launch."""
    script = Script()
    script.build_ends = (BuildStatus.FAILURE, code)

    assert code == launch(script)[0].exit_code


def test_a_build_that_failed_before_the_migration_tells_its_own_log():
    """Each line once, though tail and list both have them; and no engine is waited for."""
    script = Script()
    script.build_ends = (BuildStatus.INTERNAL_ERROR, None)
    script.build_entries = [
        a_line(1, 'Step #1 - "push-image": denied')._replace(
            kind="build", payload=None
        ),
        a_line(2, "PUSH")._replace(kind="build", payload=None),
    ]

    ended, told = launch(script)

    assert 20 == ended.exit_code
    assert [("push-image", "denied"), ("PUSH", "")] == [
        (line.step, line.text) for line in told.of(events.BuildLine)
    ]
    assert "the last lines of the log" not in {w.what for w in told.of(events.Waiting)}


def test_a_finding_keeps_everything_back():
    """Nothing is uploaded, nothing is submitted."""
    script = Script()
    finding = Finding(
        "connector", Weight.FATAL, "there is no connector", "…", "gcloud …"
    )

    with pytest.raises(PreflightFailed, match="there is no connector"):
        launch(script, preflight=lambda: [finding])
    assert [] == script.uploaded
    assert {} == script.builds


def test_whoever_may_not_even_look_is_told_why_by_the_preflight():
    """Not by the first call that happened to be refused; where it knows nothing, by that."""
    denied = Denied(call="listing builds", reason="no")
    finding = Finding("project", Weight.FATAL, "there is no project acme")
    told, untold = Script(), Script()
    told.before, untold.before = {"builds.list": [denied]}, {"jobs.list": [denied]}

    with pytest.raises(PreflightFailed, match="there is no project acme"):
        launch(told, preflight=lambda: [finding])
    with pytest.raises(Denied, match="listing builds"):
        launch(untold)


def test_an_outage_is_told_while_it_is_waited_out():
    """Thirty seconds without a word are long."""
    script = Script()
    script.before = {"builds.list": [DOWN, DOWN], "source.upload": [DOWN]}

    ended, told = launch(script)

    assert 0 == ended.exit_code
    assert 3 == len(told.of(events.Retrying))


def test_a_second_launch_names_the_first():
    """And submits nothing."""
    script = Script()
    script.builds["b1"] = Build(
        "b1",
        BuildStatus.PENDING,
        tags=("migration", "env-dev"),
        substitutions={"_SUBMITTER": "bob"},
        created=START - 60,
    )

    with pytest.raises(AnotherLaunch, match=r"build b1 \(pending, since 60 s by bob\)"):
        launch(script)
    assert ["b1"] == list(script.builds)


def test_of_two_launches_at_once_the_younger_gives_way():
    """Both looked, nobody was there, both submitted."""
    script = Script()
    other = Build(
        "b0", BuildStatus.QUEUED, tags=("migration", "env-dev"), created=START - 0.1
    )

    class Racing(list[Any]):
        """Lets the other one in at the moment of our own submission."""

        def pop(self, _index=0):
            script.builds["b0"] = other

    script.before = {"builds.create": Racing([1])}

    with pytest.raises(AnotherLaunch, match="build b0"):
        launch(script)
    ours = [b for b in script.builds.values() if b.id != "b0"]
    assert [BuildStatus.CANCELLED] == [b.status for b in ours]


@pytest.mark.parametrize("call", ["+builds.create", "builds.get", "jobs.delete"])
def test_ctrl_c_cancels_the_build(call):
    """Also when the answer to its submission never came."""
    script = Script()
    script.before = {call: [KeyboardInterrupt()]}

    ended, _ = launch(script)

    build = next(iter(script.builds.values()))
    assert {} == script.jobs
    if call != "jobs.delete":
        assert 24 == ended.exit_code
        assert BuildStatus.CANCELLED is build.status


def test_a_second_ctrl_c_of_a_launch_names_build_and_job():
    """And the command that ends them; a launch that has no build yet names its tag."""
    script, early = Script(), Script()
    script.before = {
        "builds.get": [KeyboardInterrupt()],
        "builds.cancel": [KeyboardInterrupt()],
    }
    early.before = {
        "+builds.create": [KeyboardInterrupt()],
        "+builds.list": [None, None, KeyboardInterrupt()],
    }

    ended, told = launch(script)
    _, told_early = launch(early)

    build = next(iter(script.builds))
    (left,) = told.of(events.CleanupFailed)
    assert 25 == ended.exit_code
    assert f"build {build}, if it still runs" == left.things[0]
    assert left.things[1].startswith("job dev-prompt-migration-00000001")
    assert "python -m jobs cancel dev" in left.advice
    (left,) = told_early.of(events.CleanupFailed)
    assert ("builds with the tag aaaaaaaaaaaa",) == left.things


def test_a_build_that_never_starts_is_given_up():
    """With its own error and code, and cancelled."""
    script = Script()
    script.builds = _Stuck()

    with pytest.raises(WaitedTooLong, match="start of the build: not within 660 s"):
        launch(script)
    assert BuildStatus.CANCELLED is next(iter(script.builds.values())).status


class _Stuck(dict[str, Build]):
    """Builds that are created far in the future: they stay queued."""

    def __setitem__(self, key, build):
        super().__setitem__(key, build._replace(created=START + 1e9))


def test_a_lost_submission_is_found_by_its_tag():
    """One build, whatever became of the answer."""
    script = Script()
    script.before = {"+builds.create": [LOST]}

    assert 0 == launch(script)[0].exit_code
    assert 1 == len(script.builds)
