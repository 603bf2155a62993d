"""The four failed builds of the seeds, as the emulated cloud tells them."""

import pytest
from google.api_core import exceptions
from google.cloud import run_v2

from tests.fix_emulator import PARENT, PROJECT, REGION
from tests.google_clients import new_name


def test_image_that_was_built_and_never_pushed_is_not_found(google, emulator):
    """#1: a build's own engine had the image; the job's does not."""
    repository = new_name("r")
    emulator.data(repositories=[repository])
    image = f"{REGION}-docker.pkg.dev/{PROJECT}/{repository}/app:migration"
    from google.cloud.devtools.cloudbuild_v1 import BuildStep

    script = f"echo FROM scratch > Dockerfile; docker build -t {image} ."
    build = google.build(BuildStep(name="docker", script=script))

    assert "SUCCESS" == build.status.name
    with pytest.raises(exceptions.NotFound, match="not found"):
        google.job(image)


def test_connector_that_does_not_exist_is_not_found(google):
    """#3: the job does not become ready, and the connector is named."""
    image = google.python("")
    access = run_v2.VpcAccess(connector="dev-cloud-run-connector")

    with pytest.raises(
        exceptions.NotFound,
        match=f"Resource '{PARENT}/connectors/dev-cloud-run-connector' was not found",
    ):
        google.job(image, vpc_access=access)


def test_file_missing_in_the_image_is_missing_in_the_task(google, emulator, tmp_path):
    """#4a: a path of another layout is not there, and the task says which."""
    image = f"{REGION}-docker.pkg.dev/{PROJECT}/x/{new_name('i')}:1"
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/one.sql").write_text("SELECT 1;")
    (tmp_path / "Dockerfile").write_text(
        "FROM python\nWORKDIR /app\nCOPY migrations migrations\n"
        'ENTRYPOINT ["python", "-c", "import sys; print(open(sys.argv[1]).read())"]\n'
    )
    emulator.data(images={image: str(tmp_path)})

    def run(path):
        return google.run(google.job(image, container={"args": [path]}))

    there = run("/app/migrations/one.sql")
    absent = run("/app/backend/migrations/one.sql")

    assert ["SELECT 1;"] == google.lines(there)
    assert 1 == google.attempt(absent).exit_code
    short = absent.name.rsplit("/", 1)[1]
    told = google.entries(
        f'labels."run.googleapis.com/execution_name"="{short}" logName:stderr'
    )
    assert "'/app/backend/migrations/one.sql'" in told[-1].text_payload


def test_socket_that_is_not_mounted_is_not_there(google):
    """#4b: without a Cloud SQL volume there is no /cloudsql directory in a task."""
    image = google.python("import os; print(os.path.exists('/cloudsql/p:r:i'))")

    execution = google.run(google.job(image))

    assert ["False"] == google.lines(execution)
