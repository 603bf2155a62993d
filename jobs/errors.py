"""Every foreseen error of the orchestrator, and its exit codes 20 to 26.

Raised everywhere in ``jobs``, caught only by the faces. The engine's own codes keep their
meaning here: 2 is a wrong command or setting, 4 a finding of the preflight, 5 another
launch that holds the environment, 6 a cloud that cannot be reached. Of the house it
imports `migrate.errors` alone; fields are plain values and never hold a secret.
"""

import enum
from typing import ClassVar

from migrate.errors import ExitCode, ExplainedError, QuotesInput


class LaunchCode(enum.IntEnum):
    """What is true after a launch ended without a code of the engine. Never renumbered."""

    BUILD_FAILED = 20
    REFUSED = 21
    EXECUTION_FAILED = 22
    TIMED_OUT = 23
    CANCELLED = 24
    LEFT_BEHIND = 25
    UNCERTAIN = 26


class LaunchError(ExplainedError):
    """A launch cannot begin, or did not end well."""

    # The engine's enumeration is closed; a launch has six codes of its own.
    exit_code: ClassVar[ExitCode | LaunchCode] = LaunchCode.REFUSED  # type: ignore[assignment]


# --- usage: nothing was contacted -----------------------------------------------------


class Usage(QuotesInput, LaunchError):
    """The command, or an environment file, is wrong. Nothing was contacted."""

    exit_code = ExitCode.USAGE


class UnknownTarget(Usage):
    """There is no environment of this name."""

    code = "unknown-target"
    hint = "environments are files: environments/NAME.yaml with a section `launch`"

    name: str
    known: str

    def __str__(self) -> str:
        return f"there is no environment {self.name!r} (there are: {self.known})"


class TargetFileWrong(Usage):
    """A file of an environment cannot be read, or one of its lines means nothing."""

    code = "target-file"
    hint = (
        "every key is documented where it stands in environments/ and triggers/dev.yaml"
    )

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class BadName(Usage):
    """A name breaks the rules of the service that will carry it."""

    code = "bad-name"
    hint = "correct it in the environment file, or on the command line"

    what: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} {self.value!r}: {self.reason}"


class BuildFileWrong(Usage):
    """``cloudbuild.migrate.yaml`` cannot be read, or does not fit the environment."""

    code = "build-file"
    hint = "compare it with the one that comes with cloudrun-migrate"

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class SourceMissing(Usage):
    """A file that the image is built from is not there."""

    code = "source-missing"
    hint = "run the command in the directory that holds Dockerfile.migrate"

    file: str

    def __str__(self) -> str:
        return f"{self.file} is needed for the build and is not here"


class CloudLibraryMissing(Usage):
    """Google's client libraries are not installed."""

    code = "cloud-library-missing"
    hint = "pip install 'cloudrun-migrate[cloud]'"

    module: str

    def __str__(self) -> str:
        return f"Google's client library {self.module} is not installed"


class BadAddress(Usage):
    """A database address cannot be read, or not be rebuilt as asked. Never quotes it."""

    code = "bad-address"
    hint = "one that can be read: postgresql://USER:PASSWORD@HOST:5432/DATABASE"

    reason: str

    def __str__(self) -> str:
        return f"the database address: {self.reason}"


class NothingTyped(Usage):
    """A password was to be typed or piped in, and none came."""

    code = "nothing-typed"
    hint = "type it when asked, or pipe it in: … | python -m jobs secret rotate {env}"

    env: str

    def __str__(self) -> str:
        return "no password was given"


class VerdictFileMissing(LaunchError):
    """The clean-up step found no verdict: the run step ended before it made a job."""

    code = "verdict-missing"
    exit_code = LaunchCode.EXECUTION_FAILED
    hint = "the log of the step run-migration tells how far it came"

    file: str

    def __str__(self) -> str:
        return f"there is no verdict in {self.file}: the run step made no job"


# --- before anything was submitted ----------------------------------------------------


class NoCredentials(LaunchError):
    """There are no Google credentials on this machine, or they have expired."""

    code = "no-credentials"
    exit_code = ExitCode.UNREACHABLE
    hint = (
        "gcloud auth application-default login\n"
        "gcloud auth application-default set-quota-project {project}"
    )

    project: str
    reason: str

    def __str__(self) -> str:
        return f"Google Cloud does not know who is asking: {self.reason}"


class VersionUnusable(LaunchError):
    """The version that was just added to a secret is not enabled."""

    code = "version-unusable"
    hint = "gcloud secrets versions enable {version} --secret={secret}"

    secret: str
    version: str
    state: str

    def __str__(self) -> str:
        return f"version {self.version} of {self.secret} is {self.state}; nothing was disabled"


class NotConnected(LaunchError):
    """The address that was just added to a secret does not do from this machine."""

    code = "not-connected"
    exit_code = ExitCode.UNREACHABLE
    hint = (
        "where only the job is in the VPC this says nothing of the job; else correct it "
        "with `secret set-url`, or: gcloud secrets versions disable {version} "
        "--secret={secret}"
    )

    secret: str
    version: str
    previous: str
    reason: str

    def __str__(self) -> str:
        kept = f"; version {self.previous} is as it was" if self.previous else ""
        return (
            f"version {self.version} of {self.secret} is added and enabled, but the "
            f"engine says from here: {self.reason}{kept}"
        )


class PreflightFailed(LaunchError):
    """The preflight found what would have made the launch fail."""

    code = "preflight"
    exit_code = ExitCode.BLOCKED
    hint = "each finding above names its cure; python -m jobs doctor {env} looks again"

    env: str
    findings: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.findings)
        return f"{count} finding{'s' * (count != 1)} would make this launch fail: " + (
            "; ".join(self.findings)
        )


class AnotherLaunch(LaunchError):
    """Another launch of this environment has not ended."""

    code = "another-launch"
    exit_code = ExitCode.LOCKED
    hint = (
        "wait for it, follow it with `python -m jobs logs {env} --follow`, "
        "or end it with `python -m jobs cancel {env}`"
    )

    env: str
    holder: str

    def __str__(self) -> str:
        return f"{self.env} is being migrated by another launch: {self.holder}"


# --- the cloud said no ----------------------------------------------------------------


class CloudError(LaunchError):
    """A call to Google Cloud did not succeed. ``call`` says what was being done."""

    call: str
    reason: str

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"


class NotFound(CloudError):
    """The resource does not exist, or the caller may not know that it does."""

    code = "not-found"
    hint = "check the names in the environment file; python -m jobs doctor looks closer"


class AlreadyExists(CloudError):
    """A resource of this name exists."""

    code = "already-exists"
    hint = "python -m jobs sweep removes what an earlier launch left"


class Denied(CloudError):
    """The caller lacks a permission."""

    code = "denied"
    hint = "python -m jobs doctor ENV names the role that is missing, and who needs it"


class Invalid(CloudError):
    """The service does not accept the request, or not in the present state."""

    code = "invalid"
    hint = "the service's own words are above; python -m jobs doctor checks beforehand"


class QuotaExceeded(CloudError):
    """A quota is used up for the moment."""

    code = "quota"
    hint = "try again in a minute, or ask for more quota"


class Unavailable(CloudError):
    """The service cannot be reached, or is failing."""

    code = "unavailable"
    exit_code = ExitCode.UNREACHABLE
    hint = "try again; status.cloud.google.com tells of outages"


class NoAnswer(CloudError):
    """The call's deadline passed; whether it took effect is not known."""

    code = "no-answer"
    exit_code = LaunchCode.TIMED_OUT  # type: ignore[assignment]
    hint = "python -m jobs status ENV shows what exists"


class Unsupported(CloudError):
    """The endpoint does not offer this call."""

    code = "unsupported"
    hint = "is the endpoint an emulator? its coverage table names what it offers"


class CloudFault(CloudError):
    """Any other answer that is not a success."""

    code = "cloud-fault"
    hint = "try again; if it stays, the service's own words are above"


#: Answers after which it is certain that a call had no effect.
REFUSALS = (NotFound, AlreadyExists, Denied, Invalid, QuotaExceeded, Unsupported)


# --- how a launch ended ---------------------------------------------------------------


class WaitedTooLong(LaunchError):
    """Something did not happen before its deadline."""

    code = "waited-too-long"
    exit_code = LaunchCode.TIMED_OUT
    hint = "the console shows its state; python -m jobs status ENV shows what exists"

    what: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.what}: not within {self.seconds:.0f} s"


class LeftBehind(LaunchError):
    """Clean-up did not succeed: something of ours is still there."""

    code = "left-behind"
    exit_code = LaunchCode.LEFT_BEHIND
    hint = (
        "python -m jobs cancel {env} ends what still runs and removes it; the next launch "
        "sweeps what is left"
    )

    env: str
    things: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"left behind: {', '.join(self.things)} ({self.reason})"
