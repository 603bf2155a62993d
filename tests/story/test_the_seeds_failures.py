"""The four failures that cost the seeds' author ninety minutes, and how they end now.

Each is first let through (JOBS_IGNORE=all) and fails the launch as the seeds tell it; then
the preflight catches it, in seconds, before anything is submitted, with the cure.
"""

import subprocess
import time
from typing import Any, NamedTuple

import pytest

from tests.fix_emulator import PROJECT, REGION
from tests.fix_story import IMAGE, finished

# Five launches at once, of three processes each, are waited for by the first test.
pytestmark = pytest.mark.timeout(300)

INSTANCE = "vividly-dev-rich:us-central1:dev-vividly-db"
PRIVATE = "postgresql://vividly:s3cret@10.240.0.3:5432/vividly"
SOCKET = f"postgresql://vividly:s3cret@/vividly?host=/cloudsql/{INSTANCE}"
CONNECTOR = f"projects/{PROJECT}/locations/{REGION}/connectors/dev-cloud-run-connector"
#: Takes the local image's id for the digest of something that was pushed.
NO_PUSH = (
    "echo \"$$IMAGE/runner@$$(docker inspect --format '{{.Id}}' "
    '"$$IMAGE/runner:$BUILD_ID")" > image.digest'
)


class Failure(NamedTuple):
    """One of the seeds' builds: its settings, its end, and what catches it."""

    address: str
    settings: dict[str, Any]
    fails_with: tuple[str, ...]
    check: str
    cure: str


FAILURES = {
    "build2": Failure(
        PRIVATE,
        {"connector": "ready-connector"},
        (f"Image '{IMAGE}/runner@sha256:", "' not found."),
        "build-file",
        "add the step push-image to cloudbuild.migrate.yaml before run-migration",
    ),
    "build3": Failure(
        PRIVATE,
        {"connector": "dev-cloud-run-connector"},
        (f"Resource '{CONNECTOR}' was not found",),
        "connector",
        "gcloud compute networks vpc-access connectors create dev-cloud-run-connector",
    ),
    "build4a": Failure(
        PRIVATE,
        {
            "connector": "ready-connector",
            "variables": {"MIGRATE_DIR": "backend/migrations"},
        },
        ("'backend/migrations' cannot be read: No such file or directory",),
        "image",
        "sed -i 's#backend/migrations#migrations#' environments/build4a.yaml",
    ),
    "build4b": Failure(
        SOCKET,
        {"connector": "ready-connector"},
        (f"Host: /cloudsql/{INSTANCE}", f"/cloudsql/{INSTANCE}/.s.PGSQL.5432"),
        "address",
        "python -m jobs secret set-url build4b --connection connector --host PRIVATE_IP",
    ),
}


def between(checkout, begin, end):
    """Return a part of the build file."""
    text = (checkout.root / "cloudbuild.migrate.yaml").read_text(encoding="utf-8")
    at = text.index(begin)
    return text[at : text.index(end, at)]


@pytest.fixture(scope="module")
def checkouts(story):
    """Give a checkout for each failure; the second's build file does not push."""
    made = {
        env: story.checkout(env, failure.address, **failure.settings)
        for env, failure in FAILURES.items()
    }
    pushes = between(made["build2"], 'docker push "', "    env:")
    made["build2"].edit("cloudbuild.migrate.yaml", pushes, f"{NO_PUSH}\n")
    return made


@pytest.fixture(scope="module")
def unprotected(checkouts):
    """Launch all of them at once with every check ignored; give how they ended."""
    started = {
        env: checkout.start("launch", env, JOBS_IGNORE="all")
        for env, checkout in checkouts.items()
    }
    return {env: finished(process) for env, process in started.items()}


def examined(checkouts):
    """Examine environments; return the findings that forbid, and how it ended."""
    found = {}
    for env, made in checkouts.items():
        told = made.inside("doctor", env, "--quiet")
        found[env] = ([x for x in told.out.splitlines() if x.startswith("✗")], told)
    return found


@pytest.fixture(scope="module")
def protected(story, checkouts, unprotected):
    """Examine all of them; give what was found, how fast, and how many builds it made."""
    before = len(story.emulator.state()["builds"])
    began = time.monotonic()
    found = examined(checkouts)
    spent = time.monotonic() - began
    return found, spent, len(story.emulator.state()["builds"]) - before


@pytest.mark.parametrize("env", FAILURES)
def test_without_the_preflight_it_fails_as_the_seeds_tell(unprotected, env):
    """In the cloud, after an upload and a build, in the words of the service."""
    ended = unprotected[env]

    said = ended.out + ended.err
    assert ended.exit not in {0, 4}, said
    assert "build working" in said
    for words in FAILURES[env].fails_with:
        assert words in said
    assert "s3cret" not in said


@pytest.mark.parametrize("env", FAILURES)
def test_the_preflight_catches_it_before_anything_is_submitted(protected, env):
    """One finding forbids the launch, with the cure; there is no build, and it took seconds."""
    found, spent, builds = protected

    (finding,), told = found[env]
    assert finding.startswith(f"✗ {FAILURES[env].check}: ")
    assert 4 == told.exit
    assert FAILURES[env].cure in told.out
    assert "s3cret" not in told.out + told.err
    assert 0 == builds
    assert spent < 5 * len(FAILURES)


def test_the_cures_cure(story, checkouts, protected):
    """What the findings say, carried out; then nothing keeps them from being launched."""
    story.emulator.data(connectors=["dev-cloud-run-connector"])
    checkouts["build2"].edit(
        "cloudbuild.migrate.yaml", NO_PUSH, f"docker push x; {NO_PUSH}"
    )
    sed = FAILURES["build4a"].cure
    subprocess.run(sed, shell=True, check=True, cwd=checkouts["build4a"].root)
    words = FAILURES["build4b"].cure.replace("PRIVATE_IP", "10.240.0.3").split()
    changed = checkouts["build4b"].jobs(*words[3:])

    cured = examined(checkouts)

    assert "postgresql://vividly:***@10.240.0.3:5432/vividly" in changed.out
    assert dict.fromkeys(FAILURES, ([], 0)) == {
        env: (findings, told.exit) for env, (findings, told) in cured.items()
    }


def test_a_launch_examines_first(story):
    """Build #1 had no step that pushes, and a launch of its file is refused before all else.

    With a file that can be read, `launch` looks as `doctor` does, and ends with the same
    code; nothing is uploaded.
    """
    made = story.checkout("build1", SOCKET, connector="ready-connector")

    looked = made.jobs("launch", made.env)
    part = between(made, "  # The push comes", "  # Creates the job")
    made.edit("cloudbuild.migrate.yaml", part, "")
    refused = made.jobs("launch", made.env)

    assert 4 == looked.exit
    assert "secret set-url build1 --connection connector" in looked.out
    assert "✓ source" not in looked.out
    assert 2 == refused.exit
    assert "it has no step push-image" in refused.err
