"""Open sessions by the settings: password or IAM token, first or second session.

Called by the runner and by `worker`.
"""

import os
from collections.abc import Callable
from typing import Any

from migrate.config import Settings
from migrate.events import Listener, StillConnecting
from migrate.postgres.session import Limits, Session, connect
from migrate.refusals import TokenRefused
from migrate.stop import Stop

_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105
_TOKEN_TIMEOUT_S = 5


class Access:
    """How this run reaches its database."""

    def __init__(
        self, settings: Settings, tell: Listener, stop: Stop | None = None
    ) -> None:
        """Take the settings; nothing is opened yet."""
        self._settings = settings
        self._tell = tell
        self._stop = stop
        self.dsn = settings.dsn()
        self.run_id = os.urandom(16).hex()
        execution = settings.platform.execution or ""
        self.application_name = (
            f"cloudrun-migrate {self.run_id[:8]} {execution}".strip()[:63]
        )

    def open(self, *, wait_ms: int | None = None) -> Session:
        """Open the session that does the work."""
        return self._connect(self.application_name, wait_ms)

    def open_observer(self) -> Session:
        """Open the second session, which only looks."""
        return self._connect(f"cloudrun-migrate observer {self.run_id[:8]}", 0)

    def _connect(self, name: str, wait_ms: int | None) -> Session:
        settings = self._settings
        dsn, password = self.dsn, None
        if settings.iam_auth:
            password = self._token(settings.metadata_url)
            if not any(host.startswith("/") for host in dsn.hosts):
                dsn = dsn.merged(sslmode=dsn.parameters.get("sslmode", "require"))
        limits = Limits(
            lock=settings.lock_timeout,
            statement=settings.statement_timeout,
            idle=settings.idle_timeout,
        )
        extra: dict[str, Any] = {}
        if self._stop:
            self._stop.check()
            extra = {
                "pause": self._stop.pause,
                "opened": self._stop.knows,
                "aside": self._stop.unless_asked,
            }
        return connect(
            dsn,
            limits,
            name,
            wait_ms=settings.wait if wait_ms is None else wait_ms,
            on_retry=lambda reason, ms: self._tell(StillConnecting(reason, ms)),
            password=password,
            **extra,
        )

    def _token(self, metadata_url: str) -> Callable[[], str]:
        # Two imports that only IAM login pays for.
        import json  # noqa: PLC0415
        import urllib.request  # noqa: PLC0415

        def fetch() -> str:
            request = urllib.request.Request(  # noqa: S310 - the metadata server speaks http
                metadata_url + _TOKEN_PATH, headers={"Metadata-Flavor": "Google"}
            )
            try:
                answer = urllib.request.urlopen(request, timeout=_TOKEN_TIMEOUT_S)  # noqa: S310
                with answer:
                    return str(json.load(answer)["access_token"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                reason = f"{metadata_url} gave no token: {error}"
                raise TokenRefused(target=str(self.dsn), reason=reason) from error

        return fetch
