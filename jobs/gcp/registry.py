"""Artifact Registry behind `ports.Registry`: look-ups for the preflight."""

from typing import Any

from jobs.errors import NotFound
from jobs.gcp.clients import Clients


class GoogleRegistry:
    """Repositories and tags."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the client is made by the first call."""
        self._clients = clients
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            with self._clients.translated("loading Artifact Registry's client"):
                from google.cloud import artifactregistry_v1  # noqa: PLC0415
                from google.cloud.artifactregistry_v1.services.artifact_registry.transports import (  # noqa: PLC0415
                    ArtifactRegistryGrpcTransport,
                )

                self._made = self._clients.gapic(
                    artifactregistry_v1.ArtifactRegistryClient,
                    ArtifactRegistryGrpcTransport,
                )
        return self._made

    def repository_exists(self, project: str, region: str, repository: str) -> bool:
        """Look for a repository."""
        name = f"projects/{project}/locations/{region}/repositories/{repository}"
        client = self._client
        try:
            self._clients.asking(
                f"reading repository {repository}",
                client.get_repository,
                request={"name": name},
            )
        except NotFound:
            return False
        return True

    def digest(self, image: str, tag: str) -> str | None:
        """Look up a tag of ``REGION-docker.pkg.dev/PROJECT/REPOSITORY/PACKAGE``."""
        host, project, repository, package = image.split("/", 3)
        location = host.removesuffix("-docker.pkg.dev")
        name = (
            f"projects/{project}/locations/{location}/repositories/{repository}"
            f"/packages/{package.replace('/', '%2F')}/tags/{tag}"
        )
        client = self._client
        try:
            found = self._clients.asking(
                f"reading tag {tag}", client.get_tag, request={"name": name}
            )
        except NotFound:
            return None
        return str(found.version).rpartition("/")[2] or None
