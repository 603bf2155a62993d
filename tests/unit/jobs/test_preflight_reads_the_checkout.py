"""What is wrong with the files of a checkout is found before they are uploaded."""

import pytest

from jobs.facts import Unknown
from jobs.findings import Weight
from jobs.imagefiles import Stage, image_of
from tests.preflighted import DOCKERFILE, DOCUMENT, UPLOADED, a_target, only, troubles


def without_push():
    """Return the seeds' first build file."""
    steps = [s for s in DOCUMENT["steps"] if s["id"] != "push-image"]
    return {**DOCUMENT, "steps": steps}


def test_a_missing_push_is_caught():
    """Builds #1 and #2: the image would be built, never pushed, and not found."""
    found = only(local={"document": without_push()})

    assert ("build-file", Weight.FATAL) == (found.check, found.weight)
    assert found.why.startswith("Image 'us-central1-docker.pkg.dev/vividly-dev-rich/")
    assert found.why.endswith("not found.")


def test_a_build_file_is_judged_as_cloud_build_would():
    """Unreadable; with a substitution too few; with one too many."""
    extra = {**DOCUMENT["substitutions"], "_EXTRA": ""}
    fewer = {k: v for k, v in DOCUMENT["substitutions"].items() if k != "_COMMIT"}

    assert "git checkout" in only(local={"document": Unknown("no YAML")}).cure
    few = only(local={"document": {**DOCUMENT, "substitutions": fewer}})
    assert "not a valid built-in substitution" in few.why
    many = only(local={"document": {**DOCUMENT, "substitutions": extra}})
    assert 'key "_EXTRA" in the substitution data is not matched' in many.why


@pytest.mark.parametrize(
    ("changes", "document", "says"),
    [
        ({"build_timeout_s": 7200}, {}, "timeout: 5400s, and environments/dev.yaml"),
        ({"queue_timeout_s": 60}, {}, "queueTtl: 600s, and environments/dev.yaml"),
        ({}, {"timeout": None}, "timeout: 3600s"),
        ({"task_timeout_s": 4951}, {}, "after 5400 s, and it may take 5401 s"),
    ],
)
def test_times_that_contradict_each_other_are_caught(changes, document, says):
    """The build file's are in force; a launch that waits by others waits wrongly."""
    found = only(a_target(**changes), local={"document": DOCUMENT | document})

    assert ("build-file", Weight.FATAL) == (found.check, found.weight)
    assert says in found.what


def test_a_migration_that_is_not_where_the_runner_looks_is_caught():
    """Build #4a: `backend/migrations` in the settings, `migrations` in the image."""
    target = a_target(variables={"MIGRATE_DIR": "backend/migrations"})

    found = only(target)

    assert (
        "[Errno 2] No such file or directory: "
        "'/app/backend/migrations/0001_users.down.sql'" == found.why
    )
    assert (
        "sed -i 's#backend/migrations#migrations#' environments/dev.yaml" == found.cure
    )


def image(dockerfile, uploaded=UPLOADED):
    """Return facts about the checkout with another Dockerfile."""
    return {"image": image_of(dockerfile, UPLOADED), "uploaded": uploaded}


def test_an_image_without_migrations_is_caught():
    """Not copied at all, or one of them; told by whoever says where to look."""
    none = DOCKERFILE.replace("COPY migrations/ migrations/\n", "")
    one = DOCKERFILE.replace(
        "COPY migrations/ ", "COPY migrations/0001_users.down.sql "
    ).replace("migrations/\n", "migrations/\n")
    elsewhere = DOCKERFILE + "ENV MIGRATE_DIR=sql\n"

    assert "COPY migrations/ migrations/" in only(local=image(none)).cure
    lost = only(local=image(one))
    assert "'/app/migrations/0001_users.sql'" in lost.why
    assert (
        "sed -i 's#sql#migrations#' Dockerfile.migrate"
        == only(local=image(elsewhere)).cure
    )
    engine = only(a_target(file=""), local={"engine_dir": "sql"})
    assert engine.cure.endswith("environments/dev.yaml")
    bare = only(local=image(none, uploaded=("environments/dev.yaml",)))
    assert bare.why.endswith("'/app/migrations/*.sql'")


def test_an_image_without_the_environment_file_is_caught():
    """The job says MIGRATE_ENV, and the engine reads the file of that name."""
    without = DOCKERFILE.replace("COPY environments/ environments/\n", "")

    assert "there is no environment 'dev'" in only(local=image(without)).why


def test_what_cannot_be_read_here_is_caught():
    """Dockerfile, source, migrations: each with its own words."""
    assert "no Dockerfile" == only(local={"image": Unknown("no Dockerfile")}).what
    assert [("source", "fatal")] == troubles(local={"uploaded": Unknown("no jobs/")})
    broken = only(local={"engine_exit": 3, "engine_said": "0001: two of them"})
    assert ("0001: two of them", "exit code 3 of the job") == (broken.what, broken.why)
    assert [("image", "fatal")] == troubles(local={"image": Stage({}, "/", {})})


def test_an_engine_that_did_not_answer_in_time_forbids_nothing():
    """A slow machine says nothing about the migrations: they were not looked at."""
    late = {"engine_exit": 6, "engine_said": "no answer in 20 s", "engine_late": True}

    assert [("migrations", "warning")] == troubles(local=late)
