"""What we will ask of the cloud, as values that can be printed and compared. Pure.

A `Target` and an image become a `BuildSpec` or a `JobSpec`; `body` of each is the JSON
that goes over the wire, with every field that matters set on purpose: a default of the
service is never relied on. The golden files of the tests show both.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jobs.config import Target
from jobs.errors import BuildFileWrong
from jobs.names import (
    LABEL_ENV,
    MANAGED_BY,
    BuildName,
    JobName,
    job_name,
    label,
    labels,
    stable_job_name,
)
from jobs.settings import JobMode

#: A tag of every build of ours; another names the environment.
TAG = "migration"
#: What a build may take besides the migration: two images, a push, the clean-up.
STEP_SLACK_S = 60


class Image(NamedTuple):
    """A container image by digest: what was built, and nothing that moved since."""

    repository: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "Image":
        """Read ``repository@sha256:…``; a tag is refused. Raises `BuildFileWrong`."""
        repository, found, digest = text.strip().partition("@")
        if not found or not digest.startswith("sha256:") or not repository:
            raise BuildFileWrong(
                file="image",
                reason=f"{text.strip()!r} is not an image by digest (…@sha256:…)",
            )
        return cls(repository, digest)


class Launch(NamedTuple):
    """Who asks for this migration: goes into labels and into the history."""

    id: str
    build_id: str = ""
    commit: str = ""
    submitter: str = ""
    dry_run: bool = False

    @property
    def identifier(self) -> str:
        """What the job is named after."""
        return self.build_id or self.id


class Source(NamedTuple):
    """The uploaded source, pinned to one generation of the object."""

    bucket: str
    object: str
    generation: int


class JobSpec(NamedTuple):
    """A Cloud Run job that runs the migration once."""

    name: JobName
    body: Mapping[str, Any]


class BuildSpec(NamedTuple):
    """A build of ``cloudbuild.migrate.yaml``."""

    parent: str
    project: str
    body: Mapping[str, Any]


def name_of_job(target: Target, launch: Launch) -> JobName:
    """Return the job this launch will make, or the one that is kept."""
    if target.job_mode is JobMode.STABLE:
        job = stable_job_name(target.env, target.name)
    else:
        job = job_name(target.env, target.name, launch.identifier)
    return JobName(target.project, target.region, job)


def env_tag(env: str) -> str:
    """Return the build tag that names an environment."""
    return f"env-{env}"


def labels_for(target: Target, launch: Launch, expires_at: float) -> dict[str, str]:
    """Return the labels of the job and of its execution."""
    return labels(
        env=target.env,
        launch_id=launch.id,
        build_id=launch.build_id,
        commit=launch.commit,
        expires_at=str(int(expires_at)),
    )


def job_spec(target: Target, image: Image, launch: Launch, now: float) -> JobSpec:
    """Return the job: one task, one attempt, the secret by version, image by digest."""
    marked = labels_for(target, launch, now + target.lifetime_s)
    task: dict[str, Any] = {
        "containers": [_container(target, image, launch)],
        # Sent although it is zero: the service's default is three.
        "maxRetries": 0,
        "timeout": f"{target.task_timeout_s}s",
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
    }
    if target.job_service_account:
        task["serviceAccount"] = target.job_service_account
    if access := _vpc_access(target):
        task["vpcAccess"] = access
    if target.cloudsql_instance:
        instances = {"instances": [target.cloudsql_instance]}
        task["volumes"] = [{"name": "cloudsql", "cloudSqlInstance": instances}]
    body = {
        "labels": marked,
        "annotations": {"cloudrun-migrate/launch": launch.id}
        | ({"cloudrun-migrate/by": launch.submitter} if launch.submitter else {}),
        "client": MANAGED_BY,
        "launchStage": "GA",
        "template": {
            "labels": marked,
            "parallelism": 1,
            "taskCount": 1,
            "template": task,
        },
    }
    return JobSpec(name_of_job(target, launch), body)


def _container(target: Target, image: Image, launch: Launch) -> dict[str, Any]:
    plain = {
        "MIGRATE_ENV": target.env,
        "MIGRATE_BUILD_ID": launch.build_id,
        "MIGRATE_COMMIT_SHA": launch.commit,
        "MIGRATE_IMAGE_DIGEST": image.digest,
    } | dict(target.variables)
    secret = {
        "secret": target.database_secret,
        "version": target.database_secret_version,
    }
    variables: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in plain.items() if value
    ]
    variables.append({"name": "DATABASE_URL", "valueSource": {"secretKeyRef": secret}})
    container: dict[str, Any] = {
        "name": "migration",
        "image": str(image),
        "env": variables,
        "resources": {"limits": {"cpu": target.cpu, "memory": target.memory}},
    }
    if args := [*(["--dry-run"] if launch.dry_run else []), *target.args]:
        container["args"] = args
    if target.cloudsql_instance:
        container["volumeMounts"] = [{"name": "cloudsql", "mountPath": "/cloudsql"}]
    return container


def _vpc_access(target: Target) -> dict[str, Any]:
    if target.connector:
        return {"connector": target.connector_name, "egress": target.egress.value}
    if target.network or target.subnet:
        interface: dict[str, Any] = {
            k: v
            for k, v in (("network", target.network), ("subnetwork", target.subnet))
            if v
        }
        if target.network_tags:
            interface["tags"] = list(target.network_tags)
        return {"networkInterfaces": [interface], "egress": target.egress.value}
    return {}


# --- the build ------------------------------------------------------------------------


def build_spec(
    target: Target,
    document: Mapping[str, Any],
    source: Source,
    launch: Launch,
    secret_version: str,
) -> BuildSpec:
    """Return the build: the file's own text, our substitutions, the source's place.

    ``document`` is ``cloudbuild.migrate.yaml``; it is submitted as it stands, so that
    gcloud and a trigger do the same thing with it.
    """
    known = set(document.get("substitutions") or {})
    given = substitutions(target, launch, secret_version)
    if unknown := sorted(set(given) - known):
        reason = f"it does not declare {', '.join(unknown)} under substitutions"
        raise BuildFileWrong(file=target.build_file, reason=reason)
    body = dict(document) | {
        "substitutions": {**(document.get("substitutions") or {}), **given},
        "tags": [*(document.get("tags") or ()), env_tag(target.env), label(launch.id)],
        "source": {
            "storageSource": {
                "bucket": source.bucket,
                "object": source.object,
                "generation": str(source.generation),
            }
        },
    }
    parent = BuildName(target.project, target.region, "").parent
    return BuildSpec(parent, target.project, body)


def substitutions(
    target: Target, launch: Launch, secret_version: str
) -> dict[str, str]:
    """Return what the file's ``${_…}`` stand for in this launch."""
    given = {
        "_ENV": target.env,
        "_IMAGE": target.image,
        "_BUILD_SA": target.build_service_account,
        "_BASE_IMAGE": target.base_image,
        "_DOCKER_BUILDER": target.docker_builder,
        "_LAUNCH_ID": launch.id,
        "_COMMIT": launch.commit,
        "_SUBMITTER": launch.submitter,
        "_SECRET_VERSION": secret_version,
        "_DRY_RUN": "true" if launch.dry_run else "",
    }
    return {name: value for name, value in given.items() if value}


def belongs_to(labels_found: Mapping[str, str], env: str) -> bool:
    """Tell whether a job's labels say that it is ours and of this environment."""
    ours = labels_found.get("managed-by") == MANAGED_BY
    return ours and labels_found.get(LABEL_ENV) == label(env)
