"""The whole pipeline in real containers: a migration that fails, and the seeds' failures.

Each launch is what a person types: ``python -m jobs launch ENV``. They go at the same time,
like the launches of different people. The preflight, which would catch most of them in
seconds, is told to let them through.
"""

import pytest

from tests.fix_cli import Finished
from tests.fix_contained import SECONDS
from tests.fix_emulator import PARENT
from tests.fix_story import BUCKET, BUILD, IMAGE, JOB, Story

pytestmark = pytest.mark.timeout(900)
INSTANCE = "vividly-dev-rich:us-central1:dev-vividly-db"
SOCKET = f"postgresql://vividly:s3cret@/vividly?host=/cloudsql/{INSTANCE}"
#: Takes the local image's id for the digest of something that was pushed.
NO_PUSH = (
    "echo \"$$IMAGE/runner@$$(docker inspect --format '{{.Id}}' "
    '"$$IMAGE/runner:$BUILD_ID")" > image.digest\n'
)
BROKEN = """\
CREATE TABLE orders (id int PRIMARY KEY);

ALTER TABLE orders
    ADD COLUMN total nonsense;
"""


class Ended:
    """How a launch ended, and what the cloud knows of it."""

    def __init__(self, told: Finished, google) -> None:
        self.exit, self.said = told.exit, told.out + told.err
        words = self.said.partition("  build ")[2]
        self.build = google.builds.get_build(
            request={"name": f"{PARENT}/builds/{words.split()[0]}"}
        )
        self.log = google.build_log(self.build)

    def step(self, name):
        """Give a step's status and exit code."""
        step = next(step for step in self.build.steps if step.id == name)
        return step.status.name, step.exit_code


@pytest.fixture(scope="module")
def launched(
    contained, runner_image, orchestrator_image, postgres_server, tmp_path_factory
):
    """Launch all of them; give how each ended, by its environment.

    The ring's own images come first: what they are made of need not be made four times.
    """
    from tests.google_clients import Google

    contained.data(
        service_accounts=[BUILD, JOB], repositories=["vividly"], buckets=[BUCKET]
    )
    story = Story(contained, tmp_path_factory.mktemp("launches"))
    address = postgres_server.url(postgres_server.create_database())
    made = {
        env: story.checkout(env, where)
        for env, where in {
            "broken": address,
            "unpushed": address,
            "misplaced": address,
            "unmounted": SOCKET,
        }.items()
    }
    (made["broken"].root / "migrations/0002_totals.sql").write_text(BROKEN)
    text = (made["unpushed"].root / "cloudbuild.migrate.yaml").read_text()
    push = text[
        text.index('docker push "') : text.index("    env:", text.index("docker push"))
    ]
    made["unpushed"].edit("cloudbuild.migrate.yaml", push, NO_PUSH)
    made["misplaced"].edit(
        "Dockerfile.migrate", "COPY migrations/", "COPY backend/migrations/"
    )
    begun = {
        env: one.start("launch", env, JOBS_IGNORE="all") for env, one in made.items()
    }
    google = Google(contained)
    ended = {}
    for env, process in begun.items():
        with process:
            out, err = process.communicate(timeout=SECONDS)
        ended[env] = Ended(Finished(process.returncode, out, err), google)
    yield ended
    google.close()
    contained.policy()


def test_seven_stays_seven_through_every_container(launched):
    """Container, task, execution, run step, clean-up step, build, launch: 7, and the place.

    The file before it stays applied; the verdict names file, line and column and shows the
    line itself.
    """
    broken = launched["broken"]

    assert 7 == broken.exit, broken.said
    assert "Container called exit(7)." in broken.said
    assert ("FAILURE", 7) == broken.step("run-migration")
    assert ("FAILURE", 7) == broken.step("cleanup-migration-job")
    assert "FAILURE" == broken.build.status.name
    assert "step exited with non-zero status: 7" in broken.build.failure_info.detail
    assert '0002_totals.sql:4:22: type "nonsense" does not exist' in broken.said
    assert "    ADD COLUMN total nonsense;" in broken.said
    assert "✗ MIGRATION FAILED" in broken.said


def test_an_image_that_was_not_pushed_cannot_be_pulled(launched):
    """The seeds' first two builds: the engine that built it has it, the job's has not."""
    unpushed = launched["unpushed"]

    assert unpushed.exit not in {0, 7}, unpushed.said
    assert f"Image '{IMAGE}/runner@sha256:" in unpushed.said
    assert "' not found." in unpushed.said
    assert ("SUCCESS", 0) == unpushed.step("push-image")
    assert "FAILURE" == unpushed.build.status.name


def test_files_in_another_place_fail_the_build_of_the_image(launched):
    """The seeds' fourth build, first half: no job is made, and the missing path is named."""
    misplaced = launched["misplaced"]

    assert 20 == misplaced.exit, misplaced.said
    assert "FAILURE" == misplaced.step("build-image")[0]
    assert "QUEUED" == misplaced.step("run-migration")[0]
    assert '"/backend/migrations" not found' in misplaced.said


def test_a_socket_that_is_not_mounted_is_named(launched):
    """The seeds' fourth build, second half: with both cures in place of `Host: None`."""
    unmounted = launched["unmounted"]

    assert 6 == unmounted.exit, unmounted.said
    assert f"Host: /cloudsql/{INSTANCE}" in unmounted.said
    assert f"/cloudsql/{INSTANCE}/.s.PGSQL.5432" in unmounted.said
    assert "s3cret" not in unmounted.said


def test_nothing_is_left_behind(launched, contained, engine):
    """No job in the cloud, no container and no image of a build in the engine."""
    mine = "--filter=label=cloudrun-migrate.emulator"

    assert [] == [job for job in contained.state()["jobs"] if "-prompt-" in job]
    assert "" == engine.must("ps", "--quiet", "--all", mine)
    names = engine.must("images", "--format={{.Repository}}:{{.Tag}}").split()
    assert [] == [name for name in names if name.startswith(f"{IMAGE}/")]
