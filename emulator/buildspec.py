"""What Cloud Build accepts as a build: limits, ids, secrets, where logs may go. Pure.

Called by the CloudBuild service before anything is kept.
"""

import datetime as dt
import re

from google.cloud.devtools.cloudbuild_v1.types import Build, BuildOptions

from emulator.problem import invalid

MOST_STEPS, MOST_ARGUMENTS, MOST_TAGS, MOST_SECRETS = 100, 100, 64, 100
LONGEST_NAME, LONGEST_ARGUMENT = 1000, 10_000
DEFAULT_TIMEOUT = dt.timedelta(minutes=60)
LONGEST_TIMEOUT = dt.timedelta(hours=24)
DEFAULT_QUEUE_TTL = dt.timedelta(hours=1)
_TAG = re.compile(r"^[\w][\w.-]{0,127}$")
_LOGGING = BuildOptions.LoggingMode


def check_build(build: Build) -> None:
    """Refuse a build that Cloud Build would refuse."""
    if not build.steps:
        raise invalid("invalid build: no build steps are specified")
    if len(build.steps) > MOST_STEPS:
        raise invalid(f"invalid build: more than {MOST_STEPS} build steps")
    if len(build.tags) > MOST_TAGS or any(not _TAG.match(tag) for tag in build.tags):
        raise invalid("invalid build: invalid tags")
    if build.timeout and build.timeout > LONGEST_TIMEOUT:
        raise invalid("invalid build: timeout exceeds the maximum of 24 hours")
    _check_steps(build)
    _check_secrets(build)
    _check_logs(build)


def _check_steps(build: Build) -> None:
    seen: set[str] = set()
    for number, step in enumerate(build.steps):
        if not step.name or len(step.name) > LONGEST_NAME:
            raise invalid(f"invalid build: invalid build step name (step {number})")
        if len(step.args) > MOST_ARGUMENTS:
            raise invalid(f"invalid build: too many args (step {number})")
        if max(map(len, step.args), default=0) > LONGEST_ARGUMENT:
            raise invalid(f"invalid build: arg too long (step {number})")
        if step.script and (step.args or step.entrypoint):
            raise invalid(
                f"invalid build: step {number}: script cannot be used with args or "
                "entrypoint"
            )
        if step.dir_.startswith("..") or "/../" in step.dir_:
            raise invalid(f"invalid build: dir refers outside the workspace ({number})")
        unknown = [other for other in step.wait_for if other not in {*seen, "-"}]
        if unknown:
            raise invalid(
                f'invalid build: step {number} waits for "{unknown[0]}", which no '
                "earlier step defines"
            )
        if step.id in seen:
            raise invalid(f'invalid build: step id "{step.id}" is used twice')
        if step.id:
            seen.add(step.id)


def _check_secrets(build: Build) -> None:
    declared = {secret.env for secret in build.available_secrets.secret_manager}
    if len(declared) > MOST_SECRETS:
        raise invalid(f"invalid build: more than {MOST_SECRETS} secrets")
    used: set[str] = set(build.options.secret_env)
    for step in build.steps:
        used |= set(step.secret_env)
    for name in sorted(used - declared):
        raise invalid(f'invalid build: secretEnv "{name}" is not defined in secrets')
    for name in sorted(declared - used):
        raise invalid(f'invalid build: secret "{name}" is defined but never used')


def _check_logs(build: Build) -> None:
    options = build.options
    bucket = BuildOptions.DefaultLogsBucketBehavior.REGIONAL_USER_OWNED_BUCKET
    settled = (
        build.logs_bucket
        or options.default_logs_bucket_behavior == bucket
        or options.logging in {_LOGGING.CLOUD_LOGGING_ONLY, _LOGGING.NONE}
    )
    if build.service_account and not settled:
        raise invalid(
            "generic::invalid_argument: if 'build.service_account' is specified, the "
            "build must either (a) specify 'build.logs_bucket', (b) use the "
            "REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior "
            "option, or (c) use either CLOUD_LOGGING_ONLY / NONE logging options"
        )
    if "$" in build.logs_bucket:
        raise invalid("invalid build: logs_bucket takes no substitutions")


def label(build: Build, number: int) -> str:
    """How a step is called in the log."""
    step = build.steps[number]
    return f'Step #{number} - "{step.id}"' if step.id else f"Step #{number}"


def account_of(service_account: str) -> str:
    """The address in ``projects/P/serviceAccounts/EMAIL``."""
    return service_account.rsplit("/", 1)[-1]
