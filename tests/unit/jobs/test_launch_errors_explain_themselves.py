"""Every foreseen error of the orchestrator says what, and what to do; texts are golden."""

import pickle

import pytest

from jobs import errors
from jobs.provision import GcloudFailed
from jobs.rehearsal import CannotContain, CannotRehearse
from jobs.render import explain

CALL = {"call": "starting job dev-job", "reason": "the service's own words"}
SAMPLES = [
    errors.UnknownTarget(name="produktion", known="dev, prod"),
    errors.TargetFileWrong(
        file="environments/dev.yaml",
        line=7,
        reason="unknown key 'regoin'; did you mean 'region'?",
    ),
    errors.BadName(what="region", value="us", reason="a region looks like us-central1"),
    errors.BuildFileWrong(
        file="cloudbuild.migrate.yaml", reason="it has no list of steps"
    ),
    errors.SourceMissing(file="Dockerfile.migrate"),
    errors.CloudLibraryMissing(module="google.cloud.run_v2"),
    errors.BadAddress(reason="there is no host in it"),
    errors.NothingTyped(env="dev"),
    errors.VersionUnusable(secret="database-url-dev", version="6", state="DISABLED"),
    errors.NotConnected(
        secret="database-url-dev",
        version="6",
        previous="5",
        reason="no session with app@10.240.0.3:5432/app: timeout expired",
    ),
    errors.VerdictFileMissing(file="verdict.json"),
    errors.NoCredentials(project="acme-dev", reason="nobody is logged in"),
    errors.PreflightFailed(env="dev", findings=("there is no connector", "no secret")),
    errors.AnotherLaunch(env="dev", holder="build 019a (working, since 12 s by ann)"),
    errors.NotFound(**CALL),
    errors.AlreadyExists(**CALL),
    errors.Denied(**CALL),
    errors.Invalid(**CALL),
    errors.QuotaExceeded(**CALL),
    errors.Unavailable(**CALL),
    errors.NoAnswer(**CALL),
    errors.Unsupported(**CALL),
    errors.CloudFault(**CALL),
    errors.WaitedTooLong(what="start of the build", seconds=660.0),
    errors.LeftBehind(env="dev", things=("job dev-job",), reason="503"),
    CannotRehearse(what="the emulator", reason="it ended without a word"),
    CannotContain(what="the emulator", reason="no container engine answers"),
    GcloudFailed(
        command="gcloud secrets create database-url-dev",
        reason="ERROR: (gcloud.secrets.create) PERMISSION_DENIED",
    ),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: error.code)
def test_each_is_told_with_its_cure(golden, error):
    """What happened, and a line that can be pasted or followed."""
    told = explain(error)

    golden(
        f"{told}\nexit code {int(error.exit_code)}\n", f"jobs/errors/{error.code}.txt"
    )
    assert "  → " in told


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: error.code)
def test_each_survives_pickling(error):
    """Fields and text, for whoever runs us in another process."""
    copy = pickle.loads(pickle.dumps(error))

    assert str(error) == str(copy)


def test_every_error_has_a_sample_and_a_code_of_its_own():
    """One that is not shown here has never been read by anybody."""
    declared = [
        kind.code
        for kind in errors.LaunchError.all()
        if kind.__module__ in {"jobs.errors", "jobs.provision", "jobs.rehearsal"}
    ]

    assert sorted(declared) == sorted(error.code for error in SAMPLES)
    assert len(set(declared)) == len(declared)


def test_the_launchs_exit_codes_are_never_renumbered():
    """They are a contract with whoever calls us."""
    assert {
        "BUILD_FAILED": 20,
        "REFUSED": 21,
        "EXECUTION_FAILED": 22,
        "TIMED_OUT": 23,
        "CANCELLED": 24,
        "LEFT_BEHIND": 25,
        "UNCERTAIN": 26,
    } == {code.name: int(code) for code in errors.LaunchCode}
