"""What is asked of Google, field by field: golden files of the JSON that is sent."""

import json

import pytest

from jobs import buildfile, spec
from jobs.config import Target
from jobs.errors import BuildFileWrong
from jobs.settings import Egress, JobMode
from jobs.spec import Image, Launch, Source
from tests.fix_cli import CHECKOUT

TARGET = Target(
    env="dev",
    project="acme-dev",
    region="us-central1",
    image="us-central1-docker.pkg.dev/acme-dev/migrations/app",
    database_secret="database-url-dev",
    database_secret_version="5",
    network="default",
    subnet="dev",
    build_service_account="build@acme-dev.iam.gserviceaccount.com",
    job_service_account="job@acme-dev.iam.gserviceaccount.com",
)
LAUNCH = Launch("3fa9c1d2e4b5", "019a66fe-1e49-4ecb-a079-9f90a427a58e", "Abc123", "ann")
IMAGE = Image(f"{TARGET.image}/runner", "sha256:" + "0" * 64)
FILE = str(CHECKOUT / "cloudbuild.migrate.yaml")


def as_text(body):
    """Return a request as it is compared."""
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("direct_vpc", TARGET._replace(network_tags=("db",))),
        (
            "connector_and_socket",
            TARGET._replace(
                network="",
                subnet="",
                connector="dev-connector",
                egress=Egress.ALL_TRAFFIC,
                cloudsql_instance="acme-dev:us-central1:db",
                args=("--dry-run",),
                variables={"MIGRATE_LOCK_TIMEOUT": "10s"},
            ),
        ),
        (
            "stable_and_bare",
            TARGET._replace(
                job_mode=JobMode.STABLE, network="", subnet="", job_service_account=""
            ),
        ),
    ],
)
def test_the_job(golden, name, target):
    """One task, no retry, the image by digest, the secret by version."""
    made = spec.job_spec(target, IMAGE, LAUNCH, 1_700_000_000.0)

    golden(as_text({"job": str(made.name)} | dict(made.body)), f"spec/job_{name}.json")


def test_the_build(golden):
    """The file as it stands, with this launch's substitutions and source."""
    document = buildfile.load(FILE)
    source = Source("bucket", "source/x.tgz", 17)

    made = spec.build_spec(TARGET, document, source, LAUNCH, "5")

    golden(as_text({"parent": made.parent} | dict(made.body)), "spec/build.json")
    assert [s["id"] for s in made.body["steps"]] == list(buildfile.STEPS)


def test_a_zero_that_matters_is_sent():
    """The service's default is three retries, which would run a migration again."""
    run_v2 = pytest.importorskip("google.cloud.run_v2")
    from jobs.gcp.messages import from_json

    job = from_json(run_v2.Job, spec.job_spec(TARGET, IMAGE, LAUNCH, 0.0).body)

    assert "max_retries" in job.template.template
    assert 0 == job.template.template.max_retries


def test_what_google_does_not_know_is_refused():
    """A slip in a field's name is found before anything is sent."""
    run_v2 = pytest.importorskip("google.cloud.run_v2")
    from jobs.errors import BadName
    from jobs.gcp.messages import from_json

    with pytest.raises(BadName, match="tempalte"):
        from_json(run_v2.Job, {"tempalte": {}})


def test_a_build_file_without_our_substitutions_is_refused():
    """A launch must not silently ignore what it says."""
    document = {"steps": [], "substitutions": {"_ENV": "x"}}

    with pytest.raises(BuildFileWrong, match="_IMAGE"):
        spec.build_spec(TARGET, document, Source("b", "o", 1), LAUNCH, "")


@pytest.mark.parametrize("text", ["app:latest", "app@latest", "@sha256:x", ""])
def test_an_image_is_named_by_digest(text):
    """A tag may move between two looks at it."""
    with pytest.raises(BuildFileWrong, match="not an image by digest"):
        Image.parse(text)


def test_an_image_is_read_back():
    """With the line end that docker writes."""
    assert IMAGE == Image.parse(f"{IMAGE}\n")


def test_jobs_of_others_are_left_alone():
    """Ours carry two labels."""
    mine = {"managed-by": "cloudrun-migrate", "env": "dev"}

    assert spec.belongs_to(mine, "dev")
    assert not spec.belongs_to(mine, "prod")
    assert not spec.belongs_to({"env": "dev"}, "dev")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [", "line 1: it is not YAML"),
        ("a: 1", "no list of steps"),
        ("steps: [{id: build-image}]", "no step push-image, run-migration"),
    ],
)
def test_a_wrong_build_file_says_why(tmp_path, text, says):
    """Before anything is uploaded."""
    file = tmp_path / "build.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(BuildFileWrong, match=says):
        buildfile.load(str(file))


def test_a_missing_build_file_says_so(tmp_path):
    """With its name."""
    with pytest.raises(BuildFileWrong, match=r"gone\.yaml: No such file"):
        buildfile.load(str(tmp_path / "gone.yaml"))
