"""A target, facts with which nothing keeps it from being launched, and what is found.

Used by the tests of the preflight: each changes what it is about. Asks nobody.
"""

from typing import Any

from jobs import access, doctor
from jobs.address import Address
from jobs.config import Target
from jobs.facts import Facts, Local, Remote, Unknown
from jobs.findings import Finding, Weight
from jobs.imagefiles import image_of
from jobs.ports import Binding, SecretVersion
from jobs.resources import APIS
from jobs.roles import LEAST

NUMBER = "123456789012"
DOCKERFILE = """\
ARG BASE=python:3.12-slim
FROM ${BASE} AS base
WORKDIR /app
FROM base AS runner
COPY migrate/ migrate/
COPY environments/ environments/
COPY migrations/ migrations/
"""
UPLOADED = (
    "Dockerfile.migrate",
    "cloudbuild.migrate.yaml",
    "environments/dev.yaml",
    "migrate/cli.py",
    "migrations/0001_users.sql",
    "migrations/0001_users.down.sql",
)
DOCUMENT: dict[str, Any] = {
    "steps": [
        {"id": "build-image", "args": ["build", "--target", "runner", "${_IMAGE}"]},
        {"id": "push-image", "args": ["push", "${_IMAGE}:$BUILD_ID", "$$_NOT"]},
        {"id": "run-migration", "args": ["run", "$_ENV", "${_BUILD_SA}"]},
        {"id": "cleanup-migration-job", "script": "${_LAUNCH_ID}${_COMMIT}"},
        {"id": "more", "args": ["${_SUBMITTER}${_SECRET_VERSION}"]},
    ],
    "timeout": "5400s",
    "queueTtl": "600s",
    "substitutions": {
        "_ENV": "dev",
        "_IMAGE": "",
        "_BUILD_SA": "",
        "_LAUNCH_ID": "",
        "_COMMIT": "",
        "_SUBMITTER": "",
        "_SECRET_VERSION": "",
    },
}
DENIED, AWAY = Unknown("no", denied=True), Unknown("gone")
DIRECT = {"connector": "", "network": "default", "subnet": "migrations"}


def a_target(**changes: Any) -> Target:
    """Return the seeds' environment."""
    plain = Target(
        env="dev",
        project="vividly-dev-rich",
        region="us-central1",
        image="us-central1-docker.pkg.dev/vividly-dev-rich/vividly/backend-api",
        database_secret="database-url-dev",
        connector="dev-cloud-run-connector",
        build_service_account="build@vividly-dev-rich.iam.gserviceaccount.com",
        job_service_account="dev-cloud-run-sa@vividly-dev-rich.iam.gserviceaccount.com",
        file="environments/dev.yaml",
    )
    return plain._replace(**changes)


def policies_of(target: Target) -> dict[str, list[Binding]]:
    """Return policies in which every principal holds exactly the least roles."""
    found: dict[str, list[Binding]] = {}
    for grant in access.grants(target, number=NUMBER):
        binding = Binding(grant.need.role, (grant.member,))
        found.setdefault(grant.resource, []).append(binding)
    return found


def some_facts(
    target: Target,
    *,
    local: dict[str, Any] | None = None,
    here: bool = False,
    sockets: frozenset[str] = frozenset(),
    **remote: Any,
) -> Facts:
    """Return facts with which the target can be launched, but for what is changed."""
    uploaded = (local or {}).get("uploaded", UPLOADED)
    files = Local(
        document=DOCUMENT,
        uploaded=uploaded,
        image=image_of(DOCKERFILE, UPLOADED, "runner"),
    )
    everything = frozenset(need.permission for need in LEAST)
    resources = {g.resource for g in access.grants(target, number=NUMBER)}
    accounts = (target.build_service_account, target.job_service_account)
    more = ("vpcaccess", "compute", "sqladmin")
    plain = Remote(
        number=NUMBER,
        services=frozenset(f"{name}.googleapis.com" for name in (*APIS, *more)),
        secret=SecretVersion(target.secret_name, "5", "ENABLED"),
        address=Address.parse("postgresql://vividly:pw@10.240.0.3:5432/vividly"),
        build_account=target.build_service_account,
        accounts={email: True for email in accounts if email},
        repository=True,
        connector="READY" if target.connector else None,
        subnet="10.9.0.0/24" if target.subnet else None,
        bucket=True,
        policies=policies_of(target),
        allowed=dict.fromkeys(resources, everything),
        busy=(),
    )
    return Facts(
        local=files._replace(**(local or {})),
        remote=plain._replace(**remote),
        caller="user:ada@example.com",
        here=here,
        sockets=sockets,
    )


def judged(target: Target | None = None, **facts: Any) -> tuple[Finding, ...]:
    """Judge a target and its facts."""
    target = target or a_target()
    return doctor.judged(target, some_facts(target, **facts))


def troubles(target: Target | None = None, **facts: Any) -> list[tuple[str, str]]:
    """Return (check, weight) of all that is not fine."""
    return [
        (f.check, f.weight.value)
        for f in judged(target, **facts)
        if f.weight is not Weight.FINE
    ]


def only(target: Target | None = None, **facts: Any) -> Finding:
    """Return the one finding that is not fine."""
    (found,) = [f for f in judged(target, **facts) if f.weight is not Weight.FINE]
    return found
