"""Google Cloud, all ports together. Called by the command line, once per command."""

import time
from collections.abc import Mapping

from jobs.gcp.builds import GoogleBuilds
from jobs.gcp.clients import Clients, Endpoint
from jobs.gcp.logs import GoogleLogs
from jobs.gcp.projects import GoogleProjects
from jobs.gcp.registry import GoogleRegistry
from jobs.gcp.runs import GoogleJobs
from jobs.gcp.secrets import GoogleSecrets
from jobs.gcp.source import GoogleSource
from jobs.ports import Cloud


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Return seconds of the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


def connect(
    project: str, region: str, endpoint: str, environment: Mapping[str, str]
) -> Cloud:
    """Return the ports. Raises `NoCredentials` and `CloudLibraryMissing` at once."""
    clients = Clients(project, Endpoint.of(endpoint, environment))
    with clients.translated("loading Google's client libraries"):
        clients.credentials()
    return Cloud(
        builds=GoogleBuilds(clients),
        jobs=GoogleJobs(clients),
        logs=GoogleLogs(clients),
        secrets=GoogleSecrets(clients),
        source=GoogleSource(clients, region),
        registry=GoogleRegistry(clients),
        projects=GoogleProjects(clients),
        clock=SystemClock(),
    )
