"""Google's clients: who is asking, which address, how long, and errors in our words.

Used by the adapters beside it. An endpoint is only an address: with one, every client
speaks gRPC in the clear to it and sends no credentials but a token that was given; without
one, Google's own hosts are asked with the application default credentials. Every call
through `asking` has a deadline, and no call is repeated here: `polling` decides that.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobs import errors
from jobs.errors import CloudLibraryMissing, NoCredentials

#: The deadline of one call, and of one that starts long work on the other side.
CALL_S, SLOW_CALL_S = 20.0, 60.0
#: How long a machine of Google's may take to show its metadata server.
METADATA_S = 1.0
_METADATA = "169.254.169.254"
#: gRPC's own word for "the credentials could not be refreshed".
_PLUGIN = "Getting metadata from plugin failed"
#: A message of Google's may be as long as it likes; ours are one line.
_SHOWN = 600


class Endpoint(NamedTuple):
    """Where the APIs are. All empty: at Google."""

    address: str = ""
    storage: str = ""
    token: str = ""

    @classmethod
    def of(cls, configured: str, environment: Mapping[str, str]) -> "Endpoint":
        """Return the endpoint: the environment's before the environment file's."""
        address = environment.get("GOOGLE_CLOUD_EMULATOR") or configured
        if not address:
            return cls()
        address = address.removeprefix("http://").rstrip("/")
        storage = environment.get("STORAGE_EMULATOR_HOST") or f"http://{address}"
        names = ("GOOGLE_CLOUD_EMULATOR_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
        token = next((environment[n] for n in names if environment.get(n)), "")
        return cls(address, storage.rstrip("/"), token)


class Clients:
    """A factory of Google's clients that share one channel, or one set of credentials."""

    def __init__(self, project: str, endpoint: Endpoint) -> None:
        """Take where the APIs are; nothing is contacted yet."""
        # gRPC's core writes remarks of its own to stderr; errors come to us as exceptions.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        self.project = project
        self.endpoint = endpoint
        self._channel: Any = None
        self._credentials: Any = None

    def gapic(self, client: type[Any], transport: type[Any]) -> Any:
        """Return a client of a generated library, given its gRPC transport."""
        if self.endpoint.address:
            return client(transport=transport(channel=self.channel()))
        return client(credentials=self.credentials())

    def channel(self) -> Any:
        """Return the one channel in the clear."""
        if self._channel is None:
            import grpc  # noqa: PLC0415

            options = [
                # A log of a hundred thousand lines comes in large pages.
                ("grpc.max_receive_message_length", 64 << 20),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.enable_retries", 0),
            ]
            made = grpc.insecure_channel(self.endpoint.address, options=options)
            if self.endpoint.token:
                from jobs.gcp.bearer import Bearer  # noqa: PLC0415 - tests of permissions

                made = grpc.intercept_channel(made, Bearer(self.endpoint.token))
            self._channel = made
        return self._channel

    def credentials(self) -> Any:
        """Return who is asking. Raises `NoCredentials`, at the latest after a second."""
        if self.endpoint.address:
            from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415

            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        if self._credentials is None:
            self._credentials = self._default_credentials()
        return self._credentials

    def _default_credentials(self) -> Any:
        _look_for_credentials(self.project)
        with self.translated("reading the credentials"):
            import google.auth  # noqa: PLC0415

            found, _ = google.auth.default(
                scopes=["https://www.googleapis.com/auth/cloud-platform"]
            )
            return found

    def storage(self) -> Any:
        """Return the client of Cloud Storage, which speaks REST."""
        from google.cloud import storage  # noqa: PLC0415

        options = (
            {"api_endpoint": self.endpoint.storage} if self.endpoint.storage else None
        )
        client = storage.Client(
            project=self.project,
            credentials=self.credentials(),
            client_options=options,
        )
        if self.endpoint.token:
            client._http.headers["Authorization"] = f"Bearer {self.endpoint.token}"  # noqa: SLF001
        return client

    def session(self) -> Any:
        """Return a session for REST calls that no client library covers."""
        from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

        made = AuthorizedSession(self.credentials())  # type: ignore[no-untyped-call]
        if self.endpoint.token:
            made.headers["Authorization"] = f"Bearer {self.endpoint.token}"
        return made

    def host(self, service: str) -> str:
        """Return the base address of a service for REST calls: ``run`` → https://run.…."""
        if self.endpoint.address:
            return self.endpoint.storage
        return f"https://{service}.googleapis.com"

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()

    @contextlib.contextmanager
    def translated(self, call: str) -> Iterator[None]:
        """Turn what Google's libraries raise into our errors. ``call``: what was done."""
        try:
            yield
        except errors.LaunchError:
            raise
        except ImportError as error:
            raise CloudLibraryMissing(module=error.name or "?") from error
        except Exception as error:
            if (made := self._explained(error, call)) is None:
                raise
            raise made from error

    def asking(self, call: str, function: Callable[..., Any], **arguments: Any) -> Any:
        """Make one call of a generated client: our deadline, no retry of its own."""
        arguments.setdefault("timeout", CALL_S)
        with self.translated(call):
            return function(retry=None, **arguments)

    def _explained(self, error: Exception, call: str) -> errors.LaunchError | None:
        from google.api_core import exceptions as api  # noqa: PLC0415
        from google.auth import exceptions as auth  # noqa: PLC0415

        text = str(getattr(error, "message", "") or error)[:_SHOWN]
        if isinstance(error, auth.TransportError):
            return errors.Unavailable(call=call, reason=text)
        refresh = isinstance(error, auth.GoogleAuthError) or _PLUGIN in text
        if refresh or isinstance(error, api.Unauthorized):
            return NoCredentials(project=self.project, reason=text)
        for kinds, made in _translations(api):
            if isinstance(error, kinds):
                return made(call=call, reason=text)
        return None


def _translations(
    api: Any,
) -> tuple[tuple[tuple[type, ...], type[errors.CloudError]], ...]:
    """Return Google's errors and ours; the first that fits counts."""
    import requests  # noqa: PLC0415 - the storage client's own errors pass through it

    return (
        ((api.NotFound,), errors.NotFound),
        ((api.Aborted,), errors.Unavailable),
        ((api.Conflict, api.PreconditionFailed), errors.AlreadyExists),
        ((api.Forbidden,), errors.Denied),
        ((api.TooManyRequests,), errors.QuotaExceeded),
        ((api.BadRequest,), errors.Invalid),
        ((api.GatewayTimeout, api.RetryError, requests.Timeout), errors.NoAnswer),
        ((api.MethodNotImplemented, api.MethodNotAllowed), errors.Unsupported),
        (
            (api.ServiceUnavailable, api.BadGateway, requests.ConnectionError),
            errors.Unavailable,
        ),
        ((api.GoogleAPIError, requests.RequestException), errors.CloudFault),
    )


def _look_for_credentials(project: str) -> None:
    """Raise `NoCredentials` at once where Google's library would try for nine seconds.

    The library asks the metadata server three times, three seconds each; on a laptop
    nothing answers. One connection attempt tells a machine of Google's from any other.
    """
    if _well_known().exists() or _named():
        return
    address = _variable("GCE_METADATA_HOST") or _METADATA
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port or 80)), METADATA_S).close()
    except OSError:
        reason = "there are no application default credentials on this machine"
        raise NoCredentials(project=project, reason=reason) from None


def _well_known() -> Path:
    base = _variable("CLOUDSDK_CONFIG") or "~/.config/gcloud"
    return Path(base).expanduser() / "application_default_credentials.json"


def _named() -> str:
    return _variable("GOOGLE_APPLICATION_CREDENTIALS")


def _variable(name: str) -> str:
    # Google's library reads these itself; what it will find cannot be known otherwise.
    return os.environ.get(name, "")
