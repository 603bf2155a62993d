"""The Docker Engine API over its socket, as much of it as container mode needs.

Called by `containers`, `artifacts`, `enginesocket` and `container_mode`. Environment and
secrets go in a request's body, never into an argument list. Knows nothing of builds or jobs.
"""

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

DEFAULT = "unix:///var/run/docker.sock"
_CONNECT_S, _ANSWER_S = 5.0, 120.0
_FAILED = 400


class NoEngine(Exception):
    """No container engine can be used; the message says why, and the cure."""


class EngineProblem(Exception):
    """The engine refused, in its own words; or it is lost (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = dial(self._path)
        self.sock.settimeout(self.timeout)


def dial(path: str) -> socket.socket:
    """Open the engine's socket."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(_CONNECT_S)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    made.settimeout(None)
    return made


class Dockerd:
    """A container engine of this machine."""

    def __init__(self, path: str) -> None:
        self.path = path
        answer = self._request("GET", "/version", None, {}, _CONNECT_S)
        with _reading(answer):
            told = json.loads(answer.read())
        self.version = str(told["Version"])
        self._prefix = f"/v{told['ApiVersion']}"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Dockerd":
        """The engine that DOCKER_HOST names, or docker's own default; else `NoEngine`."""
        named = environment.get("DOCKER_HOST") or DEFAULT
        path = named.removeprefix("unix://")
        if path == named:
            raise NoEngine(
                f"DOCKER_HOST is {named}, and containers share directories with the "
                "emulator; name an engine of this machine: unix:///PATH"
            )
        try:
            return cls(path)
        except EngineProblem as problem:
            raise NoEngine(
                f"no container engine answers at {named} ({problem}); DOCKER_HOST names "
                "another"
            ) from None

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """One request; the answer's JSON, or None."""
        answer = self._request(method, self._prefix + path, body, query, _ANSWER_S)
        with _reading(answer):
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def ask_long(self, method: str, path: str) -> Any:
        """One request whose answer comes when it comes."""
        answer = self.stream(method, path)
        with _reading(answer):
            return json.loads(answer.read())

    def lines(
        self, method: str, path: str, body: object = None, **query: object
    ) -> Iterator[Mapping[str, Any]]:
        """A request whose answer is progress; `EngineProblem` when it tells of an error."""
        answer = self._request(method, self._prefix + path, body, query, None)
        with _reading(answer):
            for line in filter(bytes.strip, answer):
                told: Mapping[str, Any] = json.loads(line)
                if "error" in told:
                    raise EngineProblem(0, str(told["error"]))
                yield told

    def stream(
        self, method: str, path: str, **query: object
    ) -> http.client.HTTPResponse:
        """A request whose answer is read for as long as it takes."""
        return self._request(method, self._prefix + path, None, query, None)

    def image(self, name: str) -> Mapping[str, Any] | None:
        """What the engine has under a name."""
        try:
            found: Mapping[str, Any] = self.ask(
                "GET", f"/images/{quote(name, safe='/:@')}/json"
            )
        except EngineProblem as problem:
            if problem.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    def _request(
        self,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object],
        timeout: float | None,
    ) -> http.client.HTTPResponse:
        if query:
            path += "?" + urlencode(query)
        data, kind = (
            (body, "application/x-tar") if isinstance(body, bytes) else (None, "")
        )
        if not isinstance(body, bytes | None):
            data, kind = json.dumps(body).encode(), "application/json"
        # No credentials: the registry is our own, and nothing is pushed anywhere else.
        headers = {
            "Content-Type": kind,
            "X-Registry-Auth": "e30=",
            "Connection": "close",
        }
        if kind:
            headers["Content-Type"] = kind
        connection = Connection(self.path, timeout)
        with lost():
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
        if answer.status < _FAILED:
            return answer
        with _reading(answer):
            message = str(json.loads(answer.read())["message"])
        raise EngineProblem(answer.status, message)


@contextlib.contextmanager
def lost() -> Iterator[None]:
    """Turn what a broken conversation raises into `EngineProblem`."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error)
        raise EngineProblem(0, reason) from error


@contextlib.contextmanager
def _reading(answer: http.client.HTTPResponse) -> Iterator[None]:
    with lost(), contextlib.closing(answer):
        yield
