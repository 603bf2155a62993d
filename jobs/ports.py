"""What the orchestrator needs of a cloud, in our words. Adapters: ``jobs/gcp``.

Each method has a deadline of its own and raises only errors of `jobs.errors`: `NotFound`,
`AlreadyExists`, `Denied`, `Invalid`, `QuotaExceeded`, `Unavailable`, `NoAnswer`,
`Unsupported`, `CloudFault`, `NoCredentials`. None of them retries a call that is not safe
to repeat; `NoAnswer` and `Unavailable` leave open whether the call took effect.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jobs.lifecycle import Build, Execution, Job, Task
from jobs.names import BuildName, ExecutionName, JobName
from jobs.spec import BuildSpec, JobSpec
from jobs.spec import Source as SourcePlace


class Clock(Protocol):
    """Time. Tests move it by hand."""

    def now(self) -> float:
        """Return seconds of the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


# --- builds ---------------------------------------------------------------------------


class Builds(Protocol):
    """Cloud Build."""

    def create(self, spec: BuildSpec) -> Build:
        """Submit a build. Not safe to repeat."""
        ...

    def get(self, name: BuildName) -> Build:
        """Return a build."""
        ...

    def list(
        self, parent: str, tags: Sequence[str] = (), *, limit: int = 50
    ) -> Sequence[Build]:
        """Return the newest builds that carry all these tags, newest first."""
        ...

    def cancel(self, name: BuildName) -> None:
        """Cancel a build. Safe to repeat; a build that has ended is no error."""
        ...

    def approve(self, name: BuildName, *, approved: bool, comment: str = "") -> None:
        """Approve or reject a build that waits for it."""
        ...

    def default_service_account(self, parent: str) -> str:
        """Return the e-mail address builds run as when none is named."""
        ...

    def triggers(self, parent: str) -> Sequence[Mapping[str, Any]]:
        """Return the triggers, each as its REST JSON."""
        ...

    def save_trigger(self, parent: str, body: Mapping[str, Any]) -> str:
        """Create a trigger, or update the one with the same name; return its id."""
        ...


# --- jobs -----------------------------------------------------------------------------


class Jobs(Protocol):
    """Cloud Run jobs, their executions and tasks."""

    def create(self, spec: JobSpec) -> Job:
        """Create a job and wait until Cloud Run has taken it. Not safe to repeat."""
        ...

    def update(self, spec: JobSpec) -> Job:
        """Make the job what the spec says, creating it if need be. Safe to repeat."""
        ...

    def get(self, name: JobName) -> Job:
        """Return a job."""
        ...

    def list(self, parent: str) -> Sequence[Job]:
        """Return the jobs of a location, newest first."""
        ...

    def run(self, name: JobName) -> Execution:
        """Start an execution and return it at once. Not safe to repeat."""
        ...

    def delete(self, name: JobName) -> None:
        """Delete a job and its executions. One that is gone is no error."""
        ...

    def executions(self, name: JobName) -> Sequence[Execution]:
        """Return the executions of a job, newest first."""
        ...

    def execution(self, name: ExecutionName) -> Execution:
        """Return an execution."""
        ...

    def cancel(self, name: ExecutionName) -> None:
        """Ask an execution to stop; do not wait. One that has ended is no error."""
        ...

    def tasks(self, name: ExecutionName) -> Sequence[Task]:
        """Return how each task's last attempt ended."""
        ...


# --- logs -----------------------------------------------------------------------------


class Entry(NamedTuple):
    """One log entry. ``timestamp`` is seconds of the epoch."""

    timestamp: float
    insert_id: str
    log_name: str
    severity: str
    text: str
    payload: Mapping[str, Any] | None = None
    labels: Mapping[str, str] = {}
    resource: Mapping[str, str] = {}
    kind: str = ""


class Tail(Protocol):
    """A live stream of log entries. It may end by itself at any time."""

    def poll(self, seconds: float) -> Sequence[Entry]:
        """Return what arrived; wait for it as long as ``seconds``."""
        ...

    @property
    def ended(self) -> str:
        """Why the stream ended, or nothing while it lives."""
        ...

    @property
    def suppressed(self) -> int:
        """How many entries the service says it left out."""
        ...

    def close(self) -> None:
        """End the stream. Safe to repeat."""
        ...


class Logs(Protocol):
    """Cloud Logging."""

    def tail(self, project: str, query: str) -> Tail:
        """Open a live stream; returns at once, also on a quiet log."""
        ...

    def list(self, project: str, query: str, since: float) -> Iterator[Entry]:
        """Yield the entries not older than ``since``, oldest first.

        ``since`` is always said: a client of Google's adds 24 hours on its own otherwise.
        """
        ...


# --- secrets --------------------------------------------------------------------------


class SecretVersion(NamedTuple):
    """A version of a secret. ``state`` is ENABLED, DISABLED or DESTROYED."""

    secret: str
    version: str
    state: str
    created: float | None = None


class Secrets(Protocol):
    """Secret Manager. ``secret`` is a full name, projects/P/secrets/S."""

    def exists(self, secret: str) -> bool:
        """Tell whether the secret exists."""
        ...

    def create(self, secret: str) -> None:
        """Create a secret without a version."""
        ...

    def version(self, secret: str, version: str) -> SecretVersion:
        """Return a version; ``latest`` becomes its number."""
        ...

    def versions(self, secret: str) -> Sequence[SecretVersion]:
        """Return the versions, newest first."""
        ...

    def access(self, secret: str, version: str) -> str:
        """Return the secret's value. Its checksum is compared; it is never printed."""
        ...

    def add(self, secret: str, value: str) -> SecretVersion:
        """Add a version, with its checksum. Not safe to repeat."""
        ...

    def enable(self, secret: str, version: str) -> None:
        """Enable a version."""
        ...

    def disable(self, secret: str, version: str) -> None:
        """Disable a version."""
        ...


# --- the rest -------------------------------------------------------------------------


class Source(Protocol):
    """Where a build's source is uploaded to."""

    def upload(self, bucket: str, name: str, content: bytes) -> SourcePlace:
        """Upload once, never over something else; makes the bucket if it is ours to make."""
        ...


class Registry(Protocol):
    """Artifact Registry."""

    def repository_exists(self, project: str, region: str, repository: str) -> bool:
        """Tell whether a repository exists."""
        ...

    def digest(self, image: str, tag: str) -> str | None:
        """Return the digest a tag points to, or None."""
        ...


class Binding(NamedTuple):
    """A role and those who hold it."""

    role: str
    members: tuple[str, ...]


class Projects(Protocol):
    """What ``doctor`` asks about a project; each answer is a plain value."""

    def caller(self) -> str:
        """Return who is asking, as a member (``user:…``, ``serviceAccount:…``) or ''."""
        ...

    def number(self, project: str) -> str | None:
        """Return the project's number, or None if there is no such project."""
        ...

    def enabled_services(self, project: str, names: Sequence[str]) -> frozenset[str]:
        """Return those of the named APIs that are enabled."""
        ...

    def service_account_exists(self, project: str, email: str) -> bool:
        """Tell whether a service account exists and is enabled."""
        ...

    def connector_state(self, name: str) -> str | None:
        """Return a VPC connector's state, such as READY, or None."""
        ...

    def subnet_range(self, project: str, region: str, subnet: str) -> str | None:
        """Return a subnet's address range, or None."""
        ...

    def bindings(self, resource: str) -> Sequence[Binding]:
        """Return the IAM policy of a project, secret, repository, bucket or account.

        ``resource`` is a full resource name: //service.googleapis.com/projects/….
        """
        ...

    def may(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Return which of these permissions the caller has on a resource."""
        ...


class Cloud(NamedTuple):
    """Everything together; made by ``jobs.gcp.cloud.connect``."""

    builds: Builds
    jobs: Jobs
    logs: Logs
    secrets: Secrets
    source: Source
    registry: Registry
    projects: Projects
    clock: Clock
