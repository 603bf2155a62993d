"""The section `trigger` of an environment file becomes the trigger Cloud Build is to have."""

import pytest

from jobs import triggers
from jobs.errors import TargetFileWrong
from jobs.settings import Trigger
from tests.preflighted import a_target

SECOND = "projects/p/locations/l/connections/c/repositories/r"


def body(repository=SECOND, branch="^main$", *, approval=False, **changes):
    """Return the trigger of a target."""
    return triggers.body(
        a_target(trigger=Trigger(repository, branch, approval), **changes)
    )


def test_a_push_with_migrations_starts_the_same_build():
    """The build file, the substitutions and the account are those of `launch`."""
    made = body()

    assert "prompt-migration-dev" == made["name"]
    assert "cloudbuild.migrate.yaml" == made["filename"]
    assert ["migrations/**"] == made["includedFiles"]
    assert {"repository": SECOND, "push": {"branch": "^main$"}} == made[
        "repositoryEventConfig"
    ]
    assert "dev" == made["substitutions"]["_ENV"]
    assert "_LAUNCH_ID" not in made["substitutions"]
    assert made["serviceAccount"].endswith(
        "/build@vividly-dev-rich.iam.gserviceaccount.com"
    )
    assert ["migration", "env-dev"] == made["tags"]


def test_production_waits_for_approval():
    """Only where the environment says so."""
    assert {"approvalRequired": True} == body(approval=True)["approvalConfig"]
    assert "approvalConfig" not in body()


def test_a_repository_of_github_is_named_by_its_owner():
    """The first generation; without an account of its own nothing is said of one."""
    made = body("vividly/backend", build_service_account="")

    assert {
        "owner": "vividly",
        "name": "backend",
        "push": {"branch": "^main$"},
    } == made["github"]
    assert "serviceAccount" not in made


@pytest.mark.parametrize(
    ("repository", "branch", "says"),
    [
        ("", "^main$", "needs repository and branch"),
        (SECOND, "", "needs repository and branch"),
        (SECOND, "(", "no regular expression"),
        ("https://example.com/r.git", "^main$", "OWNER/NAME"),
    ],
)
def test_a_wrong_trigger_names_its_line(repository, branch, says):
    """Nothing is sent."""
    with pytest.raises(TargetFileWrong, match=says) as caught:
        body(repository, branch, lines={"trigger": 12})

    assert str(caught.value).startswith("environments/dev.yaml:12: trigger: ")


def test_differences_are_named():
    """What Cloud Build adds is no difference; what it has too much is one."""
    wanted = body()
    same = {**wanted, "id": "t1", "createTime": "…"}

    assert [] == triggers.differences(wanted, same)
    assert ["filename"] == triggers.differences(wanted, {**same, "filename": "other"})
    more = {**same, "approvalConfig": {"approvalRequired": True}, "disabled": True}
    assert ["approvalConfig", "disabled"] == triggers.differences(wanted, more)
    fewer = {k: v for k, v in same.items() if k != "tags"}
    assert ["tags"] == triggers.differences(wanted, fewer)
