"""Secret Manager behind `ports.Secrets`. A value passes through, and is kept nowhere."""

from collections.abc import Sequence
from typing import Any

from jobs.errors import CloudFault, NotFound
from jobs.gcp.clients import Clients
from jobs.gcp.messages import seconds
from jobs.ports import SecretVersion


class GoogleSecrets:
    """Secrets, by full name."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the client is made by the first call."""
        self._clients = clients
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            with self._clients.translated("loading Secret Manager's client"):
                from google.cloud import secretmanager_v1  # noqa: PLC0415
                from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (  # noqa: E501, PLC0415
                    SecretManagerServiceGrpcTransport,
                )

                self._made = self._clients.gapic(
                    secretmanager_v1.SecretManagerServiceClient,
                    SecretManagerServiceGrpcTransport,
                )
        return self._made

    def _ask(self, verb: str, named: str, function: str, /, **request: Any) -> Any:
        call = f"{verb} secret {named.rpartition('/')[2]}"
        client = self._client
        return self._clients.asking(call, getattr(client, function), request=request)

    def exists(self, secret: str) -> bool:
        """Look for the secret."""
        try:
            self._ask("reading", secret, "get_secret", name=secret)
        except NotFound:
            return False
        return True

    def create(self, secret: str) -> None:
        """Create an empty secret, replicated as Google sees fit."""
        parent, _, name = secret.rpartition("/secrets/")
        self._ask(
            "creating",
            secret,
            "create_secret",
            parent=parent,
            secret_id=name,
            secret={"replication": {"automatic": {}}},
        )

    def version(self, secret: str, version: str) -> SecretVersion:
        """Read a version's state; ``latest`` is resolved by Secret Manager."""
        name = f"{secret}/versions/{version}"
        found = self._ask("reading", secret, "get_secret_version", name=name)
        return _version(found)

    def versions(self, secret: str) -> Sequence[SecretVersion]:
        """Read the states of all versions."""
        with self._clients.translated("listing versions"):
            found = self._ask(
                "listing versions of", secret, "list_secret_versions", parent=secret
            )
            return [_version(version) for version in found]

    def access(self, secret: str, version: str) -> str:
        """Read the value, and compare its checksum."""
        name = f"{secret}/versions/{version}"
        found = self._ask("opening", secret, "access_secret_version", name=name)
        data: bytes = found.payload.data
        if "data_crc32c" in found.payload and found.payload.data_crc32c != _checksum(
            data
        ):
            raise CloudFault(call=f"opening {name}", reason="its checksum is wrong")
        return data.decode()

    def add(self, secret: str, value: str) -> SecretVersion:
        """Add a version with its checksum, so that no bit is lost on the way."""
        data = value.encode()
        payload = {"data": data, "data_crc32c": _checksum(data)}
        found = self._ask(
            "adding to", secret, "add_secret_version", parent=secret, payload=payload
        )
        return _version(found)

    def enable(self, secret: str, version: str) -> None:
        """Enable a version."""
        name = f"{secret}/versions/{version}"
        self._ask("enabling a version of", secret, "enable_secret_version", name=name)

    def disable(self, secret: str, version: str) -> None:
        """Disable a version."""
        name = f"{secret}/versions/{version}"
        self._ask("disabling a version of", secret, "disable_secret_version", name=name)


def _checksum(data: bytes) -> int:
    import google_crc32c  # noqa: PLC0415 - comes with the storage client

    return int(google_crc32c.value(data))


def _version(found: Any) -> SecretVersion:
    secret, _, version = found.name.rpartition("/versions/")
    return SecretVersion(secret, version, found.state.name, seconds(found.create_time))
