"""`history`, `trigger`, `approve` and `doctor --print-grants`, against an emulated project."""

import json
import shlex
import time

import pytest
from google.cloud.devtools import cloudbuild_v1

from jobs.cli import main
from tests.fix_emulator import PARENT, PROJECT, REGION, SECONDS
from tests.fix_story import BUILD, PERSON

REPOSITORY = f"{PARENT}/connections/github/repositories/backend"
TRIGGER = f"repository: {REPOSITORY}\nbranch: ^main$\napproval: true\n"
PRIVATE = "postgresql://vividly:s3cret@10.240.0.3:5432/vividly"


@pytest.fixture(scope="module")
def checkout(story):
    """Give an environment whose builds somebody must approve."""
    made = story.checkout(
        "prod",
        PRIVATE,
        connector="ready-connector",
        trigger=TRIGGER,
    )
    story.emulator.data(checkouts={REPOSITORY: str(made.root)})
    return made


@pytest.fixture
def verb(checkout, monkeypatch, capfd):
    """Give a function that runs a verb here, and returns its exit code and output."""
    monkeypatch.chdir(checkout.root)
    for name, value in checkout.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        capfd.readouterr()
        code = main([*arguments])
        return code, "".join(capfd.readouterr())

    return run


@pytest.fixture
def builds(story):
    """Give Google's own client of Cloud Build."""
    from tests.google_clients import Google

    clients = Google(story.emulator)
    yield clients.builds
    clients.close()


def trigger_of(builds, env):
    """Return an environment's trigger, as Cloud Build has it."""
    request = {"parent": PARENT, "project_id": PROJECT}
    found = builds.list_build_triggers(request, timeout=10)
    (made,) = [t for t in found if t.name == f"prompt-migration-{env}"]
    return made


def test_a_trigger_is_made_once_and_kept_as_the_file_says(
    story, verb, builds, monkeypatch
):
    """Created, then so already, then updated by what has changed."""
    made = story.checkout("staging", PRIVATE, trigger=TRIGGER)
    monkeypatch.chdir(made.root)

    shown = verb("trigger", "show", "staging")
    created = verb("trigger", "apply", "staging")
    again = verb("trigger", "apply", "staging")
    made.edit("triggers/staging.yaml", "^main$", "^release$")
    updated = verb("trigger", "apply", "staging")

    found = trigger_of(builds, "staging")
    assert [0, 0, 0, 0] == [code for code, _ in (shown, created, again, updated)]
    assert "prompt-migration-staging" == json.loads(shown[1])["name"]
    assert "prompt-migration-staging created" in created[1]
    assert "is so already" in again[1]
    assert "updated (repositoryEventConfig)" in updated[1]
    assert "^release$" == found.repository_event_config.push.branch
    assert found.approval_config.approval_required
    assert ["migrations/**"] == list(found.included_files)


def pending(builds, verb):
    """Let the trigger start a build; return its id."""
    verb("trigger", "apply", "prod")
    trigger = trigger_of(builds, "prod")
    source = cloudbuild_v1.RepoSource(branch_name="main", commit_sha="c0ffee" * 6)
    started = builds.run_build_trigger(
        {
            "name": f"{PARENT}/triggers/{trigger.id}",
            "project_id": PROJECT,
            "trigger_id": trigger.id,
            "source": source,
        },
        timeout=10,
    )
    return started.metadata.build.id


def test_a_build_that_waits_is_refused_and_recorded(verb, builds):
    """With a comment; the history says who asked, for which commit, and that it was not run."""
    build = pending(builds, verb)

    waiting = verb("history", "prod")[1]
    refused = verb(
        "approve", build, "--env", "prod", "--reject", "--comment", "not today"
    )
    after = verb("history", "prod", "--limit", "1")[1]

    assert f"waits for approval           -  build {build}" in waiting
    assert 0 == refused[0]
    assert f"build {build} is rejected" in refused[1]
    assert "rejected" in after
    assert "by trigger" in after
    assert "at c0ffeec0ffee" in after
    found = builds.get_build(
        {"name": f"{PARENT}/builds/{build}", "project_id": PROJECT, "id": build},
        timeout=10,
    )
    assert "not today" == found.approval.result.comment


def test_a_build_that_waits_is_approved_by_its_full_name(verb, builds):
    """Then it runs."""
    build = pending(builds, verb)

    approved = verb("approve", f"{PARENT}/builds/{build}", "--output", "json")

    named = {"name": f"{PARENT}/builds/{build}", "project_id": PROJECT, "id": build}
    found = builds.get_build(named, timeout=10)
    builds.cancel_build(named, timeout=10)
    # It is cancelled when its step has ended; until then the environment is busy.
    deadline = time.monotonic() + SECONDS
    while "CANCELLED" != builds.get_build(named, timeout=10).status.name:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert 0 == approved[0]
    assert {"answer": f"build {build} is approved"} == json.loads(approved[1])
    assert "APPROVED" == found.approval.state.name
    _, told = verb("history", "prod", "--output", "json", "--no-database")
    records = map(json.loads, told.splitlines())
    assert build in {record["id"] for record in records}


def test_whose_build_must_be_said(verb):
    """An id alone belongs to no project; one that is not there is not approved."""
    assert 2 == verb("approve", "4a26bed8")[0]
    assert 21 == verb("approve", "4a26bed8", "--env", "prod")[0]


def test_an_environment_without_records_says_so(verb):
    """An empty history is no error."""
    code, said = verb("history", "prod", "--limit", "0", "--no-database")

    assert (0, "prod: nothing is recorded\n") == (code, said)


def test_a_project_that_is_not_there_is_found_by_the_preflight(
    story, verb, monkeypatch
):
    """Though the very first call of a launch is refused already."""
    made = story.checkout("nowhere", PRIVATE)
    made.edit(made.target.file, f"project: {PROJECT}\n", "project: no-such-project\n")
    monkeypatch.chdir(made.root)

    code, said = verb("launch", "nowhere")

    assert 4 == code
    assert "✗ there is no project no-such-project, or you may not see it" in said
    assert "→ gcloud projects list" in said


def test_a_job_name_that_would_be_too_long_is_found_by_the_preflight(
    story, verb, monkeypatch
):
    """Each part of it may be long, both together may not."""
    env = "a-very-long-environment"
    made = story.checkout(env, PRIVATE, name="and-a-long-name-of-a-migration")
    monkeypatch.chdir(made.root)

    code, said = verb("launch", env)

    assert 4 == code
    assert f"✗ job name '{env}-and-a-long-name" in said
    assert f"environments/{env}.yaml" in said


def test_grants_are_printed_as_commands(verb, checkout):
    """With the project's number looked up; a shell could run it as it stands."""
    code, said = verb("doctor", "prod", "--print-grants")

    commands = [shlex.split(x) for x in said.splitlines() if x and x[0] != "#"]
    assert 0 == code
    assert {"gcloud"} == {words[0] for words in commands}
    assert f"--member=serviceAccount:{BUILD}" in said
    assert REGION in said


def test_grants_are_printed_without_a_cloud(verb, checkout, monkeypatch):
    """Before there are credentials: that is when they are needed."""
    monkeypatch.delenv("GOOGLE_CLOUD_EMULATOR")
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(checkout.root))

    code, said = verb("doctor", "prod", "--print-grants")

    assert 0 == code
    assert "# not looked up: Google Cloud does not know who is asking" in said
    assert "--role=roles/run.developer" in said


LOST = [
    (f"serviceAccount:{BUILD}", "roles/run.developer", "build service account"),
    ("user:developer@example.com", "roles/cloudbuild.builds.editor", "you lack"),
    ("user:developer@example.com", "roles/iam.securityReviewer", "you lack"),
]


@pytest.mark.parametrize(("member", "role", "says"), LOST)
def test_a_role_taken_away_is_named(verb, story, member, role, says):
    """The emulator enforces it; `doctor` says who lacks what, and the command."""
    story.grant((member, role))

    code, said = verb("doctor", "prod", "--output", "json")
    story.grant()
    whole, seen = verb("doctor", "prod")

    missing = [
        f for f in map(json.loads, said.splitlines()) if role in f.get("what", "")
    ]
    assert 1 == len(missing)
    assert says in missing[0]["what"]
    assert f"--role={role}" in missing[0]["cure"]
    forbids = role != "roles/iam.securityReviewer"
    assert (4 if forbids else 0) == code, said
    assert 0 == whole, seen


def test_nobody_left_to_approve_or_rotate_is_told(verb, story):
    """With the commands; a launch needs neither, so it is not forbidden."""
    roles = (
        "roles/cloudbuild.builds.approver",
        "roles/secretmanager.secretVersionManager",
    )
    story.grant(*((PERSON, role) for role in roles))

    code, said = verb("doctor", "prod", "--output", "json")
    story.grant()
    whole = verb("doctor", "prod")[1]

    told = [f for f in map(json.loads, said.splitlines()) if f.get("check") == "people"]
    assert 0 == code
    assert ["nobody may approve", "nobody may change"] == [
        " ".join(f["what"].split()[:3]) for f in told
    ]
    assert all(
        f"--role={role}" in f["cure"] for role, f in zip(roles, told, strict=True)
    )
    assert f"{PERSON} may approve a build that waits for it" in whole
