"""Names of things in the cloud: parse, format, and the limits they must keep.

Called by everything above. Pure: a name is a value, and a wrong one raises `BadName`
before anything is sent. Rules: Cloud Run takes lower-case letters, digits and dashes, up
to 63, and appends six characters for an execution; labels take 63 letters, digits, ``_``
and ``-``.
"""

import hashlib
import re
from typing import NamedTuple

from jobs.errors import BadName

#: Cloud Run's limit, and what it appends to a job's name to name an execution.
MOST, SUFFIX = 63, 6
_RESOURCE = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?\Z")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]\Z")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+\Z")
_ENV = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?\Z")
_LABEL_BAD = re.compile(r"[^a-z0-9_-]+")

#: Every resource of ours carries these.
MANAGED_BY = "cloudrun-migrate"
LABEL_MANAGED = "managed-by"
LABEL_ENV = "env"
LABEL_LAUNCH = "launch-id"
LABEL_BUILD = "build-id"
LABEL_COMMIT = "commit"
LABEL_EXPIRES = "expires-at"


class ProjectId(str):
    """A project's id, such as ``acme-dev``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "ProjectId":
        """Return the id, or raise `BadName`."""
        if not _PROJECT.match(text):
            reason = "a project id has 6 to 30 lower-case letters, digits and dashes"
            raise BadName(what="project", value=text, reason=reason)
        return cls(text)


class Region(str):
    """A region, such as ``us-central1``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Region":
        """Return the region, or raise `BadName`."""
        if not _REGION.match(text):
            reason = "a region looks like us-central1 (a zone has one letter more)"
            raise BadName(what="region", value=text, reason=reason)
        return cls(text)


class EnvName(str):
    """The name of an environment: part of job names and labels."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "EnvName":
        """Return the name, or raise `BadName`."""
        if not _ENV.match(text) or len(text) > 30:  # noqa: PLR2004 - leaves room below
            reason = "it has up to 30 lower-case letters, digits and dashes"
            raise BadName(what="environment", value=text, reason=reason)
        return cls(text)


class JobName(NamedTuple):
    """A Cloud Run job."""

    project: str
    region: str
    job: str

    @property
    def parent(self) -> str:
        """The location it lives in."""
        return f"projects/{self.project}/locations/{self.region}"

    def __str__(self) -> str:
        return f"{self.parent}/jobs/{self.job}"

    @classmethod
    def parse(cls, text: str) -> "JobName":
        """Read the full form, or raise `BadName`."""
        match text.split("/"):
            case ["projects", project, "locations", region, "jobs", job] if job:
                return cls(project, region, job)
        reason = "it is projects/P/locations/L/jobs/J"
        raise BadName(what="job", value=text, reason=reason)


class ExecutionName(NamedTuple):
    """One run of a job. ``execution`` is its short name, unique in the region."""

    project: str
    region: str
    job: str
    execution: str

    def __str__(self) -> str:
        return (
            f"projects/{self.project}/locations/{self.region}"
            f"/jobs/{self.job}/executions/{self.execution}"
        )

    @property
    def of(self) -> JobName:
        """The job it is a run of."""
        return JobName(self.project, self.region, self.job)

    @classmethod
    def parse(cls, text: str) -> "ExecutionName":
        """Read the full form, or raise `BadName`."""
        match text.split("/"):
            case ["projects", p, "locations", r, "jobs", j, "executions", e] if e:
                return cls(p, r, j, e)
        reason = "it is projects/P/locations/L/jobs/J/executions/E"
        raise BadName(what="execution", value=text, reason=reason)


class BuildName(NamedTuple):
    """A Cloud Build build in a region."""

    project: str
    region: str
    build: str

    @property
    def parent(self) -> str:
        """The location it lives in."""
        return f"projects/{self.project}/locations/{self.region}"

    def __str__(self) -> str:
        return f"{self.parent}/builds/{self.build}"

    @classmethod
    def parse(cls, text: str) -> "BuildName":
        """Read the full form, or raise `BadName`."""
        match text.split("/"):
            case ["projects", project, "locations", region, "builds", build] if build:
                return cls(project, region, build)
        reason = "it is projects/P/locations/L/builds/B"
        raise BadName(what="build", value=text, reason=reason)


def short_id(identifier: str) -> str:
    """Return twelve hexadecimal digits that stand for an identifier."""
    digits = identifier.replace("-", "").lower()
    if re.match(r"[0-9a-f]{12}", digits):
        return digits[:12]
    return hashlib.sha256(identifier.encode()).hexdigest()[:12]


def job_name(env: str, base: str, identifier: str) -> str:
    """Return ``<env>-<base>-<identifier>``, as in the seeds, while it fits Cloud Run.

    An execution's name is the job's and six characters more, so 57 are the most; beyond
    that the identifier is cut to twelve digits (the whole one stands in the labels).
    """
    whole = f"{env}-{base}-{identifier.lower()}"
    if len(whole) <= MOST - SUFFIX and _RESOURCE.match(whole):
        return whole
    short = f"{env}-{base}-{short_id(identifier)}"
    return checked_job(short)


def stable_job_name(env: str, base: str) -> str:
    """Return the name of the one job that ``job_mode: stable`` keeps."""
    return checked_job(f"{env}-{base}")


def checked_job(name: str) -> str:
    """Return the name, or raise `BadName` if Cloud Run would not take it."""
    if len(name) > MOST - SUFFIX:
        reason = (
            f"it has {len(name)} characters; Cloud Run takes {MOST} and appends "
            f"{SUFFIX} to name an execution, so {MOST - SUFFIX} are the most"
        )
        raise BadName(what="job name", value=name, reason=reason)
    if not _RESOURCE.match(name):
        reason = (
            "it has lower-case letters, digits and dashes, and starts with a letter"
        )
        raise BadName(what="job name", value=name, reason=reason)
    return name


def label(text: str) -> str:
    """Return text as a label's value: what is not allowed becomes a dash."""
    return _LABEL_BAD.sub("-", text.lower())[:MOST].strip("-")


def labels(**values: str) -> dict[str, str]:
    """Return labels for a resource of ours; names with dashes, empty values left out."""
    given = {name.replace("_", "-"): label(value) for name, value in values.items()}
    return {LABEL_MANAGED: MANAGED_BY} | {k: v for k, v in given.items() if v}
