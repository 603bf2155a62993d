"""A token on every call of a channel in the clear: who is asking, for an endpoint that cares.

Used by `clients` when an endpoint and CLOUDSDK_AUTH_ACCESS_TOKEN are both given. Google's
own hosts never see it: over TLS the credentials library does this.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc


class _Details(NamedTuple):
    """What a call is sent with."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class Bearer(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """Adds ``authorization: Bearer …`` to what is sent."""

    def __init__(self, token: str) -> None:
        """Take the token."""
        self._added = ("authorization", f"Bearer {token}")

    def _with_token(self, details: Any) -> _Details:
        return _Details(
            details.method,
            details.timeout,
            [*(details.metadata or ()), self._added],
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        """Pass on a call with one answer."""
        return continuation(self._with_token(details), request)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], details: Any, requests: Any
    ) -> Any:
        """Pass on a stream."""
        return continuation(self._with_token(details), requests)
