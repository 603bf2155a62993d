"""`scripts/bootstrap_gcp.py` takes an empty project to one that can be launched in.

Run for real against a `gcloud` that is a program of its own and knows what a real one knows
(`tests/gcloud_stand_in.py`).
"""

import hashlib
import io
import json
import os
import shlex
import subprocess
import sys

import pytest

from jobs import bootstrap, provision
from jobs.access import grants
from jobs.bootstrap import Wishes, steps
from jobs.config import Target
from jobs.errors import BadAddress, TargetFileWrong
from jobs.provision import GcloudFailed
from tests.fix_cli import CHECKOUT, process_environment
from tests.gcloud_stand_in import KNOWN, NUMBER, main, parsed

ADDRESS = "postgresql://app:s3cret@10.240.0.3:5432/app"
ENVIRONMENT = """\
launch:
  project: acme-dev
  region: us-central1
  image: us-central1-docker.pkg.dev/acme-dev/migrations/app
  database_secret: database-url-dev
  build_service_account: migration-build@acme-dev.iam.gserviceaccount.com
  job_service_account: migration-job@acme-dev.iam.gserviceaccount.com
  network: default
  subnet: dev
"""
TARGET = Target(
    env="dev",
    project="acme-dev",
    region="us-central1",
    image="us-central1-docker.pkg.dev/acme-dev/migrations/app",
    database_secret="database-url-dev",
    build_service_account="migration-build@acme-dev.iam.gserviceaccount.com",
    job_service_account="migration-job@acme-dev.iam.gserviceaccount.com",
    network="default",
    subnet="dev",
    file="environments/dev.yaml",
)
EVERYBODY = Wishes(
    ("user:a@x.com",), ("group:b@x.com",), ("user:c@x.com",), github="acme/app"
)


class Cloud:
    """A directory with an environment, and a gcloud that makes things in it."""

    def __init__(self, root, name="cloud"):
        self.root, self.home = root, root / name
        (self.home / "bin").mkdir(parents=True)
        (root / "environments").mkdir(exist_ok=True)
        (root / "environments/dev.yaml").write_text(ENVIRONMENT, encoding="utf-8")
        program = self.home / "bin/gcloud"
        words = [sys.executable, "-I", "-S", CHECKOUT / "tests/gcloud_stand_in.py"]
        line = shlex.join([*map(str, words), str(self.home)])
        program.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self.path = f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(self, *command, typed=""):
        """Run a command with this gcloud on PATH; it must succeed."""
        ran = subprocess.run(
            command,
            cwd=self.root,
            env=process_environment(self.root, {"PATH": self.path}),
            input=typed,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (0, "") == (ran.returncode, ran.stderr)
        return ran.stdout

    def script(self, *options, typed=""):
        """Run the script."""
        file = CHECKOUT / "scripts/bootstrap_gcp.py"
        return self.run(sys.executable, str(file), "dev", *options, typed=typed)

    def lines(self):
        """Return what there is."""
        return (self.home / "project.txt").read_text(encoding="utf-8").splitlines()

    def told(self):
        """Return the commands that gcloud was given, and forget them."""
        file = self.home / "commands.jsonl"
        found = [json.loads(x) for x in file.read_text(encoding="utf-8").splitlines()]
        file.unlink()
        return found


def verbs(commands):
    """Return which kinds of commands were given."""
    return {parsed(words)[0].rpartition(" ")[2] for words in commands}


def test_an_empty_project_is_made_ready_once(tmp_path):
    """Everything is made in an order that works; a second run makes nothing and says so."""
    cloud = Cloud(tmp_path)

    first = cloud.script("--apply", typed=ADDRESS + "\n")
    made, told = cloud.lines(), cloud.told()
    second = cloud.script("--apply")

    build = "serviceAccount:migration-build@acme-dev.iam.gserviceaccount.com"
    for line in (
        "api/run.googleapis.com",
        "account/migration-job@acme-dev.iam.gserviceaccount.com",
        "repository/migrations",
        "bucket/gs://acme-dev_us-central1_cloudbuild",
        "subnet/dev",
        f"version/database-url-dev/{hashlib.sha256(ADDRESS.encode()).hexdigest()}",
        f"grant/project/acme-dev/{build}/roles/run.developer",
    ):
        assert line in made
    assert made == cloud.lines()
    again = verbs(cloud.told())
    assert {"create", "add"} <= verbs(told)
    assert {"describe", "list", "enable", "add-iam-policy-binding"} == again
    assert "✓ made: secret database-url-dev" in first
    assert "✓ made" not in second
    assert "s3cret" not in first + json.dumps(told)


@pytest.mark.parametrize(
    "changes", [{}, {"connector": "c", "network": "", "subnet": ""}], ids=["vpc", "c"]
)
def test_every_step_finds_what_it_needs(tmp_path, monkeypatch, changes):
    """With everybody and a workflow; what looks for a thing finds what makes it."""
    made = steps(TARGET._replace(**changes), EVERYBODY)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ADDRESS.encode())))

    before = [main(tmp_path, list(step.look)) for step in made if step.look]
    codes = [main(tmp_path, list(step.make)) for step in made]
    after = [main(tmp_path, list(step.look)) for step in made if step.look]

    assert {1} == set(before)
    assert {0} == set(codes)
    assert {0} == set(after)


RECORDER = """\
#!/bin/sh
for word in "$@"; do printf '%s\\t' "$word"; done >> commands
echo >> commands
case "$*" in
*describe*projectNumber*) echo 123456789012 ;;
*describe*) exit 1 ;;
*versions\\ add*) cat > value ;;
esac
"""


def test_the_printed_script_does_the_same(tmp_path):
    """What is shown is what is done: the same commands in the same order."""
    cloud = Cloud(tmp_path)
    text = cloud.script("--launcher=user:a@x.com", "--github=acme/app")
    (cloud.home / "bin/gcloud").write_text(RECORDER, encoding="utf-8")

    cloud.run("bash", "-c", text, typed=ADDRESS + "\n")

    told = (tmp_path / "commands").read_text(encoding="utf-8").splitlines()
    made = steps(TARGET, Wishes(("user:a@x.com",), github="acme/app"))
    expected = [bootstrap.number_words(TARGET)]
    expected += [words for step in made for words in (step.look, step.make) if words]
    assert [
        [word.replace(bootstrap.NUMBER, NUMBER) for word in words] for words in expected
    ] == [line.rstrip("\t").split("\t") for line in told]
    assert ADDRESS == (tmp_path / "value").read_text(encoding="utf-8")


def test_every_grant_of_the_table_is_made():
    """For who launches, who approves, who rotates, the build and the job; no other role."""
    wishes = EVERYBODY._replace(github="")

    made = [s.make for s in steps(TARGET, wishes) if "add-iam-policy-binding" in s.make]

    roles = [next(w[7:] for w in words if w.startswith("--role=")) for words in made]
    assert sorted(g.need.role for g in grants(TARGET)) == sorted(roles)
    assert not [w for words in made for w in words if "EXAMPLE" in w]


def test_a_workflow_launches_and_reads_no_secret():
    """From one environment of one repository; the address is none of its business."""
    made = [" ".join(s.make) for s in steps(TARGET, Wishes(github="acme/app"))]

    own = [line for line in made if "serviceAccount:migration-launch@" in line]
    assert [] == [line for line in own if "secretAccessor" in line]
    assert made[-1].endswith(
        "/workloadIdentityPools/github/subject/repo:acme/app:environment:dev"
    )
    assert any(
        "--attribute-condition=assertion.repository=='acme/app'" in x for x in made
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"connector": "c", "network": "", "subnet": ""}, "connectors create c"),
        ({"subnet": ""}, "subnets create default"),
        ({"network": "", "subnet": ""}, "secrets create database-url-dev"),
        (
            {"subnet": "projects/host/regions/us-central1/subnetworks/s"},
            "subnets create s --project=host",
        ),
        ({"cloudsql_instance": "p:r:i"}, "sqladmin.googleapis.com"),
        ({"image": "docker.io/acme/app"}, "buckets create"),
    ],
)
def test_what_is_made_is_what_the_environment_names(changes, expected):
    """And every command is one that gcloud has, with flags that it takes."""
    made = steps(TARGET._replace(**changes), Wishes(("user:a@x.com",)))

    lines = [" ".join(step.make) for step in made]
    assert [line for line in lines if expected in line]
    assert ("connector" in changes) == any("vpc-access" in x for x in lines)
    used = {parsed(list(w))[0] for s in made for w in (s.make, s.look) if w}
    assert used <= set(KNOWN["commands"])


def test_the_number_is_asked_for_only_where_it_is_needed():
    """By a workflow's name, and by accounts of Google's own."""
    alone = bootstrap.script(TARGET, steps(TARGET, Wishes()))
    shared = TARGET._replace(subnet="projects/host/regions/us-central1/subnetworks/s")

    assert bootstrap.NUMBER not in alone
    assert "service-$PROJECT_NUMBER@" in bootstrap.script(
        shared, steps(shared, Wishes())
    )


def test_accounts_of_ones_own_are_asked_for():
    """A default account would have more rights than needed."""
    with pytest.raises(TargetFileWrong, match="job_service_account: name an account"):
        steps(TARGET._replace(job_service_account=""), Wishes())


def in_process(cloud, monkeypatch, made=None, typed=""):
    """Carry steps out here; return what was told."""
    told: list[str] = []
    monkeypatch.setenv("PATH", cloud.path)
    some = steps(TARGET, Wishes()) if made is None else made
    provision.carry_out(
        TARGET, some, typed=lambda: typed, tell=told.append, pauses=(0.0, 0.0)
    )
    return told


def test_a_new_account_is_waited_for(tmp_path, monkeypatch):
    """It takes seconds until every part of Google knows it; the number is looked up once."""
    cloud = Cloud(tmp_path)
    (cloud.home / "slow").touch()
    every = steps(TARGET, Wishes(github="acme/app"))
    account = [s for s in every if "migration-launch@" in s.what]
    grant = [s for s in every if "roles/run.viewer" in s.what]

    told = in_process(cloud, monkeypatch, [every[0], *account, *grant, every[-1]])

    assert "✓ in force: submitter: watches the job and its execution" in told[2]
    pool = f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global"
    assert [x for x in cloud.lines() if pool in x]
    assert bootstrap.NUMBER not in "".join(cloud.lines())


def test_nothing_typed_is_said(tmp_path, monkeypatch):
    """And how to make up for it; what is no address is refused before it is stored."""
    cloud = Cloud(tmp_path)
    wanted = ("APIs", "secret database-url-dev")
    some = [s for s in steps(TARGET, Wishes()) if s.what.endswith(wanted)]

    told = in_process(cloud, monkeypatch, some)

    assert told[-1].startswith("! not made: an enabled version of secret")
    with pytest.raises(BadAddress):
        in_process(cloud, monkeypatch, some, typed="hunter2")
    assert not [x for x in cloud.lines() if x.startswith("version/")]


def test_what_gcloud_refuses_is_shown(tmp_path, monkeypatch):
    """The command and its own words; or that there is no gcloud."""
    cloud = Cloud(tmp_path)
    step = steps(TARGET, Wishes())[1]

    with pytest.raises(
        GcloudFailed, match=r"create migration-build .*SERVICE_DISABLED"
    ):
        in_process(cloud, monkeypatch, [step])
    cloud.path = str(tmp_path)
    with pytest.raises(GcloudFailed, match="gcloud cannot be run"):
        in_process(cloud, monkeypatch, [step])


def test_the_stand_in_refuses_what_gcloud_does(tmp_path):
    """A command or a flag that is not in the recording."""
    cloud = Cloud(tmp_path)
    program = str(cloud.home / "bin/gcloud")

    codes = [
        subprocess.run([program, *words.split()], capture_output=True, check=False)
        for words in ("secrets destroy x", "secrets create x --replication=auto")
    ]

    assert [2, 2] == [ran.returncode for ran in codes]
