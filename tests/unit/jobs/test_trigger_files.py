"""A file in `triggers/` becomes the trigger Cloud Build is to have, or an error with its line."""

import pytest

from jobs import config, settings, triggers
from jobs.errors import TargetFileWrong
from jobs.settings import Trigger
from tests.fix_cli import CHECKOUT
from tests.preflighted import a_target

SECOND = "projects/p/locations/l/connections/c/repositories/r"
LEAST = f"repository: {SECOND}\nbranch: ^main$\n"


def a_trigger(text="", env="dev"):
    """Read a file that holds the least and some lines more."""
    return config.trigger_from((LEAST + text).encode(), env, f"triggers/{env}.yaml")


def body(text="", env="dev", **changes):
    """Return what Cloud Build is to have."""
    return triggers.body(a_target(env=env, **changes), a_trigger(text, env))


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
    assert not {"disabled", "ignoredFiles"} & set(made)


def test_somebody_approves_unless_the_file_says_otherwise():
    """A line that was forgotten opens no door."""
    assert {"approvalRequired": True} == body()["approvalConfig"]
    assert "approvalConfig" not in body("approval: false\n")


@pytest.mark.parametrize("env", ["prod", "production"])
def test_production_waits_for_approval(env):
    """Whatever its file says."""
    with pytest.raises(TargetFileWrong) as caught:
        a_trigger("approval: false\n", env)

    assert str(caught.value).startswith(f"triggers/{env}.yaml:3: approval: a push does")
    assert a_trigger(env=env).approval


def test_files_and_silence_are_passed_on():
    """Which changes count, which do not, and that none does for now."""
    made = body("included_files: [sql/**]\nignored_files: [sql/*.md]\nenabled: false\n")

    assert (["sql/**"], ["sql/*.md"]) == (made["includedFiles"], made["ignoredFiles"])
    assert made["disabled"]


def test_a_repository_of_github_is_named_by_its_owner():
    """The first generation; without an account of its own nothing is said of one."""
    github = Trigger("vividly/backend", "^main$")

    made = triggers.body(a_target(build_service_account=""), github)

    assert {
        "owner": "vividly",
        "name": "backend",
        "push": {"branch": "^main$"},
    } == made["github"]
    assert "serviceAccount" not in made


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("branch: ^main$\n", 1, "'repository' is missing"),
        (f"repository: {SECOND}\n", 1, "'branch' is missing"),
        (f"repository: {SECOND}\nbranch: (\n", 2, "it is no regular expression"),
        ("branch: x\nrepository: https://example.com/r.git\n", 2, "it is OWNER/NAME"),
        (LEAST + "brunch: main\n", 3, "did you mean 'branch'?"),
        (LEAST + "approval: perhaps\n", 3, "it is true or false"),
        (LEAST + "included_files: migrations\n", 3, "it is a list of values"),
        (LEAST + "branch: main\n", 3, "'branch' stands twice"),
        ("- a\n", 1, "no mapping of names"),
        ("", 1, "no mapping of names"),
    ],
)
def test_a_wrong_line_is_named(text, line, says):
    """With the file, its number, and what would have been right."""
    with pytest.raises(TargetFileWrong) as caught:
        config.trigger_from(text.encode(), "dev", "triggers/dev.yaml")

    assert str(caught.value).startswith(f"triggers/dev.yaml:{line}: ")
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    """An environment need not have a trigger; to apply one, it must."""
    with pytest.raises(TargetFileWrong, match=r"dev\.yaml:1: No such file"):
        config.load_trigger("dev", str(tmp_path))


@pytest.mark.parametrize("env", ["dev", "staging", "prod"])
def test_the_shipped_files_are_right(env):
    """Each of an environment that can be launched, and of its project."""
    trigger = config.load_trigger(env, str(CHECKOUT / "triggers"))
    target = config.load(env, str(CHECKOUT / "environments"))

    assert f"projects/{target.project}/" in trigger.repository
    assert (env == "prod") == trigger.approval


def test_dev_documents_every_key():
    """In place: a comment above each, and no key left out."""
    lines = (CHECKOUT / "triggers/dev.yaml").read_text(encoding="utf-8").splitlines()
    keys = [n for n, line in enumerate(lines) if line and line[0] not in "# "]

    assert [k.name for k in settings.TRIGGER_KEYS] == [
        lines[n].partition(":")[0] for n in keys
    ]
    assert all(lines[n - 1].startswith("# ") for n in keys)


def test_differences_are_named():
    """What Cloud Build adds is no difference; what it has too much is one."""
    wanted = body("approval: false\n")
    same = {**wanted, "id": "t1", "createTime": "…"}

    assert [] == triggers.differences(wanted, same)
    assert ["filename"] == triggers.differences(wanted, {**same, "filename": "other"})
    more = {**same, "approvalConfig": {"approvalRequired": True}, "disabled": True}
    assert ["approvalConfig", "disabled"] == triggers.differences(wanted, more)
    fewer = {k: v for k, v in same.items() if k != "tags"}
    assert ["tags"] == triggers.differences(wanted, fewer)
