"""Triggers, and builds that wait for somebody's word."""

import pytest
from google.api_core import exceptions
from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.fix_emulator import PARENT, PROJECT
from tests.google_clients import new_name, until

STATUS = cloudbuild.Build.Status
BUILD_FILE = """
steps:
- name: bash
  entrypoint: bash
  args: [-c, 'echo $BRANCH_NAME $SHORT_SHA ${_ENV} && cat marker']
substitutions: {_ENV: dev, _NUMBER: 3}
timeout: 60s
options: {logging: CLOUD_LOGGING_ONLY}
"""


@pytest.fixture
def make_trigger(google, emulator, tmp_path):
    """Make a trigger on a repository whose checkout has a build file."""
    (tmp_path / "build.yaml").write_text(BUILD_FILE)
    (tmp_path / "marker").write_text("from the repository")

    def make(**more):
        repository = f"{PARENT}/connections/c/repositories/{new_name('repo')}"
        emulator.data(checkouts={repository: str(tmp_path)})
        trigger = cloudbuild.BuildTrigger(
            name=new_name("trigger"),
            filename="build.yaml",
            repository_event_config=cloudbuild.RepositoryEventConfig(
                repository=repository, push=cloudbuild.PushFilter(branch="^main$")
            ),
            **more,
        )
        request = {"parent": PARENT, "project_id": PROJECT, "trigger": trigger}
        return google.builds.create_build_trigger(request=request)

    return make


def run(google, trigger):
    """Run a trigger for a revision of main; give the build it started."""
    source = cloudbuild.RepoSource(branch_name="main")
    operation = google.builds.run_build_trigger(
        request={"name": trigger.resource_name, "source": source}
    )
    return operation.metadata.build


def test_trigger_builds_the_file_of_its_repository(google, make_trigger):
    """The build has the branch, the commit, and the trigger's own values."""
    trigger = make_trigger(substitutions={"_ENV": "staging"})

    build = google.built(run(google, trigger).name)

    assert STATUS.SUCCESS == build.status
    commit = dict(build.substitutions)["COMMIT_SHA"]
    assert f"Step #0: main {commit[:7]} staging" in google.build_log(build)
    assert "Step #0: from the repository" in google.build_log(build)
    assert trigger.id == build.build_trigger_id


def test_trigger_is_found_changed_and_deleted(google, make_trigger):
    """By its name or its id; a mask changes what it names only."""
    trigger = make_trigger(description="before")
    changed = cloudbuild.BuildTrigger(
        resource_name=trigger.resource_name,
        description="after",
        included_files=["m/**"],
    )

    google.builds.update_build_trigger(
        request={
            "trigger": changed,
            "trigger_id": trigger.id,
            "update_mask": {"paths": ["description"]},
        }
    )

    found = google.builds.get_build_trigger(
        request={"name": f"{PARENT}/triggers/{trigger.name}"}
    )
    assert ("after", [], "build.yaml") == (
        found.description,
        list(found.included_files),
        found.filename,
    )
    assert trigger.id in {
        t.id for t in google.builds.list_build_triggers(request={"parent": PARENT})
    }
    google.builds.delete_build_trigger(request={"name": trigger.resource_name})
    with pytest.raises(exceptions.NotFound):
        google.builds.get_build_trigger(request={"name": trigger.resource_name})


def test_disabled_trigger_does_not_run(google, make_trigger):
    """It is FAILED_PRECONDITION."""
    with pytest.raises(exceptions.FailedPrecondition, match="disabled"):
        run(google, make_trigger(disabled=True))


def decide(google, build, decision):
    """Approve or reject a build."""
    result = cloudbuild.ApprovalResult(decision=decision, comment="because")
    return google.builds.approve_build(
        request={"name": build.name, "approval_result": result}, timeout=10
    )


def test_build_waits_until_it_is_approved(google, make_trigger):
    """PENDING is neither queued nor working; approval starts it."""
    config = cloudbuild.ApprovalConfig(approval_required=True)
    build = run(google, make_trigger(approval_config=config))
    waiting = google.builds.get_build(request={"name": build.name})

    decide(google, build, "APPROVED")

    done = google.built(build.name)
    assert (STATUS.PENDING, "PENDING") == (waiting.status, waiting.approval.state.name)
    assert (STATUS.SUCCESS, "APPROVED") == (done.status, done.approval.state.name)
    assert "because" == done.approval.result.comment


def test_rejected_build_never_runs(google, make_trigger):
    """A rejection is the end, and cannot be taken back."""
    config = cloudbuild.ApprovalConfig(approval_required=True)
    build = run(google, make_trigger(approval_config=config))

    decide(google, build, "REJECTED")

    done = google.built(build.name)
    assert "REJECTED" == done.approval.state.name
    assert STATUS.QUEUED == done.steps[0].status
    with pytest.raises(exceptions.FailedPrecondition):
        decide(google, build, "APPROVED")


def test_waiting_build_can_be_cancelled(google, make_trigger):
    """It is CANCELLED without having run."""
    config = cloudbuild.ApprovalConfig(approval_required=True)
    build = run(google, make_trigger(approval_config=config))

    google.builds.cancel_build(request={"name": build.name})

    assert STATUS.CANCELLED == google.built(build.name).status


def test_retry_is_a_new_build_of_the_same(google):
    """The steps run again, under another id."""
    step = cloudbuild.BuildStep(name="bash", script="echo again")
    first = google.build(step, tags=["a-tag"])

    operation = google.builds.retry_build(request={"name": first.name})
    second = google.built(operation.metadata.build.name)

    assert first.id != second.id
    assert (STATUS.SUCCESS, ["a-tag"]) == (second.status, list(second.tags))
    assert "Step #0: again" in google.build_log(second)


def test_finished_build_cannot_be_cancelled(google):
    """Too late is FAILED_PRECONDITION."""
    build = google.build(cloudbuild.BuildStep(name="bash", script="true"))

    until(lambda: google.builds.get_build(request={"name": build.name}).status, bool)
    with pytest.raises(exceptions.FailedPrecondition):
        google.builds.cancel_build(request={"name": build.name})
