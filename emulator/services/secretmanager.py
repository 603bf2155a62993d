"""Secret Manager v1: secrets and their versions."""

from typing import Any

from google.cloud.secretmanager_v1 import types
from google.protobuf.empty_pb2 import Empty

from emulator.calls import Call, paged
from emulator.problem import Code, Problem, invalid
from emulator.services.lookups import Policies
from emulator.stores import crc32c
from emulator.world import World

# An enum of proto-plus is an int to the type checker.
_STATE: Any = types.SecretVersion.State


class SecretManagerService(Policies):
    """google.cloud.secretmanager.v1.SecretManagerService."""

    def __init__(self, world: World) -> None:
        super().__init__(world)

    def _require(self, resource: str) -> None:
        self._world.secrets.get(resource)

    def create_secret(
        self, request: types.CreateSecretRequest, _call: Call
    ) -> types.Secret:
        """Make a secret without a version."""
        if not types.Secret.pb(request.secret).HasField("replication"):
            raise invalid("The replication policy must be set.")
        name = f"{request.parent}/secrets/{request.secret_id}"
        return self._world.secrets.create(name, request.secret)

    def get_secret(self, request: types.GetSecretRequest, _call: Call) -> types.Secret:
        """A secret without its payload."""
        return self._world.secrets.get(request.name)

    def list_secrets(
        self, request: types.ListSecretsRequest, _call: Call
    ) -> types.ListSecretsResponse:
        """The secrets of a project."""
        store = self._world.secrets
        names = [n for n in store.names() if n.startswith(f"{request.parent}/secrets/")]
        page, token = paged(names, request.page_size, request.page_token)
        return types.ListSecretsResponse(
            secrets=[store.get(name) for name in page],
            next_page_token=token,
            total_size=len(names),
        )

    def delete_secret(self, request: types.DeleteSecretRequest, _call: Call) -> Empty:
        """Delete a secret with all its versions."""
        self._world.secrets.delete(request.name)
        return Empty()

    def add_secret_version(
        self, request: types.AddSecretVersionRequest, _call: Call
    ) -> types.SecretVersion:
        """Add an enabled version."""
        payload = request.payload
        sent = types.SecretPayload.pb(payload).HasField("data_crc32c")
        if sent and payload.data_crc32c != crc32c(payload.data):
            raise invalid("The checksum does not match the payload.")
        return self._world.secrets.add(request.parent, payload.data)

    def access_secret_version(
        self, request: types.AccessSecretVersionRequest, _call: Call
    ) -> types.AccessSecretVersionResponse:
        """The payload of an enabled version."""
        version, data = self._world.secrets.access(request.name)
        return types.AccessSecretVersionResponse(
            name=version.name,
            payload=types.SecretPayload(data=data, data_crc32c=crc32c(data)),
        )

    def get_secret_version(
        self, request: types.GetSecretVersionRequest, _call: Call
    ) -> types.SecretVersion:
        """A version without its payload."""
        return self._world.secrets.version(request.name)

    def list_secret_versions(
        self, request: types.ListSecretVersionsRequest, _call: Call
    ) -> types.ListSecretVersionsResponse:
        """The versions of a secret, newest first."""
        versions = self._world.secrets.versions(request.parent)
        wanted = request.filter.replace(" ", "").lower()
        if wanted.startswith(("state:", "state=")):
            state = wanted[6:].strip('"').upper()
            versions = [v for v in versions if v.state.name == state]
        page, token = paged(versions, request.page_size, request.page_token)
        return types.ListSecretVersionsResponse(
            versions=page, next_page_token=token, total_size=len(versions)
        )

    def enable_secret_version(
        self, request: types.EnableSecretVersionRequest, _call: Call
    ) -> types.SecretVersion:
        """Let a version be read again."""
        return self._turn(request.name, request.etag, _STATE.ENABLED)

    def disable_secret_version(
        self, request: types.DisableSecretVersionRequest, _call: Call
    ) -> types.SecretVersion:
        """Stop a version from being read."""
        return self._turn(request.name, request.etag, _STATE.DISABLED)

    def destroy_secret_version(
        self, request: types.DestroySecretVersionRequest, _call: Call
    ) -> types.SecretVersion:
        """Throw a version's payload away."""
        return self._turn(request.name, request.etag, _STATE.DESTROYED)

    def _turn(self, name: str, etag: str, state: Any) -> types.SecretVersion:
        current = self._world.secrets.version(name)
        if etag and etag != current.etag:
            raise Problem(Code.FAILED_PRECONDITION, "The etag does not match.")
        return self._world.secrets.turn(name, state)
