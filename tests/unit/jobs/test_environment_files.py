"""An environment file becomes a target, or an error with the line and the cure."""

from pathlib import Path

import pytest

from jobs import config, settings
from jobs.errors import TargetFileWrong, UnknownTarget
from jobs.settings import Egress, JobMode
from tests.fix_cli import CHECKOUT

LEAST = """\
launch:
  project: acme-dev
  region: us-central1
  image: us-central1-docker.pkg.dev/acme-dev/migrations/app
  database_secret: database-url
"""


def a_target(text="", env="dev"):
    """Read a file that holds the least and some lines more."""
    return config.target_from((LEAST + text).encode(), env, "environments/dev.yaml")


def the_error(text):
    """Return what is said of a wrong line."""
    with pytest.raises(TargetFileWrong) as caught:
        a_target(text)
    return str(caught.value)


def test_the_least_is_five_lines():
    """Everything else has a default that is written in one place."""
    target = a_target()

    assert ("dev", "acme-dev", "us-central1") == target[:3]
    assert JobMode.EPHEMERAL is target.job_mode
    assert 600 == target.task_timeout_s
    assert "acme-dev_us-central1_cloudbuild" == target.bucket
    assert "projects/acme-dev/secrets/database-url" == target.secret_name
    assert 2 == target.lines["project"]
    assert target.lifetime_s > target.build_timeout_s > target.deadline_s


def test_every_key_is_read():
    """Each in the form its documentation shows."""
    target = a_target(
        """\
  job_mode: stable
  connector: dev-connector
  egress: all-traffic
  cloudsql_instance: acme-dev:us-central1:db
  source_bucket: own-bucket
  task_timeout: 20min
  args: [--lock-timeout, 10s]
  variables: {LANG: C.UTF-8}
engine:
  whatever: the engine reads it
"""
    )

    assert JobMode.STABLE is target.job_mode
    assert "projects/acme-dev/locations/us-central1/connectors/dev-connector" == (
        target.connector_name
    )
    assert Egress.ALL_TRAFFIC is target.egress
    assert "own-bucket" == target.bucket
    assert 1200 == target.task_timeout_s
    assert ("--lock-timeout", "10s") == target.args
    assert {"LANG": "C.UTF-8"} == target.variables


def test_full_names_are_left_as_they_are():
    """A connector or a secret of another project is named in full."""
    target = a_target()._replace(
        connector="projects/x/c", database_secret="projects/x/s"
    )

    assert "projects/x/c" == target.connector_name
    assert "projects/x/s" == target.secret_name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "regoin: us-central1",
            "dev.yaml:6: unknown key 'regoin'; did you mean 'region'?",
        ),
        ("zzz: 1", "unknown key 'zzz' (there are: project,"),
        ("region: us-east1", "dev.yaml:6: 'region' stands twice"),
        ("job_mode: sometimes", "it is ephemeral or stable"),
        ("job_mode: [a]", "it is one value"),
        ("cpu: lots", "it is 1, 2, 4 or 8"),
        ("task_timeout: 600", "it is a number with a unit: s, min or h"),
        ("task_timeout: 1s", "it is from 10 s to"),
        ("task_timeout: 10h", "the build needs 300 s more"),
        ("name: '-x'", "lower-case letters"),
        ("args: --x", "it is a list of values"),
        ("variables: x", "it is a mapping"),
        ("variables: {1x: y}", "'1x' is not the name of a variable"),
        ("variables: {DB_PASSWORD: x}", "looks like a secret"),
        ("variables: {URL: 'postgresql://u:p@h/d'}", "looks like a secret"),
        ("variables: {LANG: [a]}", "it is one value"),
        ("database_secret_version: newest", "it is a version's number, or latest"),
        (
            "connector: c\n  subnet: s",
            "dev.yaml:6: connector: a job has a connector or",
        ),
        ("network_tags: [a]", "they need network or subnet"),
        ("memory: 1G", "it is a size such as 512Mi"),
        ("cloudsql_instance: db", "it is PROJECT:REGION:INSTANCE"),
        ("build_service_account: me", "e-mail address"),
    ],
)
def test_a_wrong_line_is_named(line, says):
    """With the file, its number, and what would have been right."""
    assert says in the_error(f"  {line}\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"launch: [", "dev.yaml:1: it is not YAML"),
        (b"launch:\n  a: b: c\n", "dev.yaml:2: it is not YAML"),
        (b"engine:\n  dir: x\n", "dev.yaml:1: it has no section `launch`"),
        (b"launch: yes\n", "here stands no mapping"),
        (b"", "here stands no mapping"),
        (b"\xff", "it is not YAML"),
        (b"launch:\n  project: acme-dev\n", "dev.yaml:1: 'region' is missing"),
        (
            LEAST.replace("app\n", "app:latest\n").encode(),
            "an image without tag or digest",
        ),
        (
            LEAST.replace("database-url\n", "postgresql://u:p@h/d\n").encode(),
            "a secret's name in Secret Manager",
        ),
    ],
)
def test_a_wrong_file_is_named(text, says):
    """YAML's own errors, and what is not there at all."""
    with pytest.raises(TargetFileWrong) as caught:
        config.target_from(text, "dev", "environments/dev.yaml")

    assert says in str(caught.value)


def test_an_unknown_environment_names_those_there_are(tmp_path):
    """Only files with a section for launches are named."""
    (tmp_path / "dev.yaml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "local.yaml").write_text("engine:\n", encoding="utf-8")

    with pytest.raises(UnknownTarget, match=r"'prod' \(there are: dev\)"):
        config.load("prod", str(tmp_path))
    with pytest.raises(UnknownTarget, match="there are: none"):
        config.load("prod", str(tmp_path / "nothing"))
    assert "acme-dev" == config.load("dev", str(tmp_path)).project


@pytest.mark.parametrize("env", ["dev", "staging", "prod", "rehearsal"])
def test_the_shipped_files_are_right(env):
    """And each is read with all its lines."""
    target = config.load(env, str(CHECKOUT / "environments"))

    assert env == target.env
    assert target.lines["project"] > 1


def test_dev_documents_every_key():
    """In place: a comment above each, and no key left out."""
    target = config.load("dev", str(CHECKOUT / "environments"))

    assert set(settings.NAMES) == set(target.lines)


def test_null_is_the_default(tmp_path):
    """A key without a value is a key left out."""
    assert "" == a_target("  endpoint:\n").endpoint
    assert Path(config.DIRECTORY).name == "environments"
