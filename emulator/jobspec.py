"""What Cloud Run accepts as a job: names, labels, defaults. Pure.

Called by the Jobs service before anything is kept.
"""

import datetime as dt
import re

from google.cloud.run_v2.types import Job

from emulator.problem import Code, Problem, invalid

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_LABEL_KEY = re.compile(r"^[a-z][-_a-z0-9]{0,62}$")
_LABEL_VALUE = re.compile(r"^[-_a-z0-9]{0,63}$")
_RESERVED = (
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
)
LONGEST_NAME = 63
MOST_LABELS = 64
MOST_RETRIES = 10
DEFAULT_RETRIES = 3
DEFAULT_TIMEOUT = dt.timedelta(seconds=600)
LONGEST_TIMEOUT = dt.timedelta(hours=168)


def check_name(job_id: str) -> None:
    """Refuse a job id that Cloud Run would refuse."""
    if len(job_id) > LONGEST_NAME or not _NAME.match(job_id):
        raise invalid(
            f"Invalid job_id '{job_id}': must be at most {LONGEST_NAME} characters, "
            "only lower-case letters, digits and dashes, beginning with a letter and not "
            "ending with a dash."
        )


def check_labels(labels: dict[str, str]) -> None:
    """Refuse labels that Google's rules exclude."""
    if len(labels) > MOST_LABELS:
        raise invalid(f"At most {MOST_LABELS} labels are allowed.")
    for key, value in labels.items():
        if key.startswith(_RESERVED):
            raise invalid(f"Label key '{key}' uses a reserved prefix.")
        if not _LABEL_KEY.match(key) or not _LABEL_VALUE.match(value):
            raise invalid(f"Invalid label '{key}: {value}'.")


def check_annotations(annotations: dict[str, str]) -> None:
    """Refuse annotations in Google's namespaces."""
    for key in annotations:
        if key.startswith(_RESERVED):
            raise invalid(f"Annotation key '{key}' uses a reserved prefix.")


def check_job(job: Job) -> None:
    """Refuse a job that cannot be."""
    task = job.template.template
    check_labels(dict(job.labels))
    check_labels(dict(job.template.labels))
    check_annotations(dict(job.annotations))
    check_annotations(dict(job.template.annotations))
    if not task.containers:
        raise invalid("job.template.template.containers: must not be empty.")
    if not task.containers[0].image:
        raise invalid("job.template.template.containers[0].image: must be set.")
    # `max_retries` is in a oneof: unset is 3, a zero that was sent is zero.
    retries = retries_of(job)
    if not 0 <= retries <= MOST_RETRIES:
        raise invalid(f"max_retries must be between 0 and {MOST_RETRIES}.")
    if task.timeout and task.timeout > LONGEST_TIMEOUT:
        raise invalid("timeout must be at most 168 hours.")
    if len(task.vpc_access.network_interfaces) > 1:
        raise invalid("Only one network interface is allowed.")
    if task.vpc_access.connector and task.vpc_access.network_interfaces:
        raise invalid("VPC connector and network interfaces exclude each other.")
    volumes = {volume.name for volume in task.volumes}
    for container in task.containers:
        for mount in container.volume_mounts:
            if mount.name not in volumes:
                raise invalid(f"Volume mount '{mount.name}' names no volume.")


def retries_of(job: Job) -> int:
    """The retries of a job's tasks."""
    task = job.template.template
    sent = Job.pb(job).template.template.WhichOneof("retries")
    return task.max_retries if sent else DEFAULT_RETRIES


def fill(job: Job) -> None:
    """Write Cloud Run's defaults into a job."""
    template = job.template
    task = template.template
    template.task_count = template.task_count or 1
    task.max_retries = retries_of(job)
    task.timeout = task.timeout or DEFAULT_TIMEOUT
    for container in task.containers:
        limits = dict(container.resources.limits)
        container.resources.limits = {"cpu": "1000m", "memory": "512Mi", **limits}


def secret_name(project: str, short: str, version: str) -> str:
    """The full name of the version that a reference means."""
    whole = (
        short
        if short.startswith("projects/")
        else f"projects/{project}/secrets/{short}"
    )
    return f"{whole}/versions/{version or 'latest'}"


def secret_names(job: Job, project: str) -> list[str]:
    """Every secret version a job's containers ask for."""
    found = []
    for container in job.template.template.containers:
        for variable in container.env:
            reference = variable.value_source.secret_key_ref
            if reference.secret:
                found.append(secret_name(project, reference.secret, reference.version))
    for volume in job.template.template.volumes:
        if volume.secret.secret:
            versions = [item.version for item in volume.secret.items] or ["latest"]
            found += [
                secret_name(project, volume.secret.secret, version)
                for version in versions
            ]
    return found


def refuse_etag(given: str, current: str) -> None:
    """Refuse a stale etag."""
    if given and given != current:
        raise Problem(Code.ABORTED, "Etag does not match the current state.")
