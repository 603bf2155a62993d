"""The engine's socket as a build's steps see it: the real one, with Google's names.

A step's docker talks to the engine through a socket of its build. Everything is passed on
as it is, but what names a registry: an image of Artifact Registry is pushed to, and pulled
from, the registry on loopback, and nothing is pushed anywhere else. Made by
`container_mode`, which decides; here it is only carried over.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from emulator.dockerd import Dockerd, EngineProblem, dial

_MOST_HEAD, _PIECE = 65_536, 65_536
_HEAD_END = b"\r\n\r\n"
_ROUTE = re.compile(r"^(?:/v[0-9.]+)?/images/(?P<name>.+)/(?P<verb>push|json|tag)$")
_CREATE = re.compile(r"^(?:/v[0-9.]+)?/images/create$")
_BUILD = re.compile(r"^(?:/v[0-9.]+)?/build$")

Tell = Callable[[Mapping[str, object]], None]


class Registrar(Protocol):
    """Who knows where images go."""

    def send(self, name: str, tell: Tell) -> None:
        """Push; raise when it is refused."""
        ...

    def fetch(self, name: str, tell: Tell) -> bool:
        """Pull an image of ours; false when it is somebody else's."""
        ...

    def made(self, name: str) -> None:
        """A name was given to an image."""
        ...

    def arguments(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The build arguments that are used where these are given."""
        ...

    def shown(self, told: Mapping[str, object]) -> Mapping[str, object]:
        """What a step may see of an image."""
        ...


class _Request(NamedTuple):
    """The head of a request, and what has been read behind it."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    lines: list[bytes]
    rest: bytes

    def one(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def onward(self) -> bytes:
        """The same head, for one request on one connection."""
        kept = self.lines
        upgrade = any(line.lower().startswith(b"upgrade:") for line in kept)
        if not upgrade:
            kept = [x for x in kept if not x.lower().startswith(b"connection:")]
            kept = [*kept, b"Connection: close"]
        return b"\r\n".join(kept) + _HEAD_END + self.rest


class EngineSocket:
    """A Unix socket that leads to the engine."""

    def __init__(self, path: Path, engine: Dockerd, registrar: Registrar) -> None:
        self.path, self._engine, self._registrar = path, engine, registrar
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        # A step may run as anybody.
        path.chmod(0o666)
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = _read(client)
            if request is not None and not self._answered(client, request):
                self._pass_on(client, request)

    def _pass_on(self, client: socket.socket, request: _Request) -> None:
        with dial(self._engine.path) as engine:
            engine.sendall(request.onward())
            _relay(client, engine)

    # --- what is not passed on --------------------------------------------------------

    def _answered(self, client: socket.socket, request: _Request) -> bool:
        if request.method == "POST" and _BUILD.match(request.path):
            return self._build(client, request)
        if request.method == "POST" and _CREATE.match(request.path):
            return self._pull(client, request)
        match = _ROUTE.match(request.path)
        if match is None:
            return False
        name, verb = unquote(match["name"]), match["verb"]
        if (request.method, verb) == ("POST", "tag"):
            self._registrar.made(_whole(request.one("repo"), request.one("tag")))
            return False
        if (request.method, verb) == ("POST", "push"):
            self._push(client, _whole(name, request.one("tag")))
            return True
        if (request.method, verb) == ("GET", "json"):
            return self._inspect(client, name)
        return False

    def _build(self, client: socket.socket, request: _Request) -> bool:
        """Pass a build on, with the arguments that it shall have here."""
        for name in request.query.get("t", []):
            self._registrar.made(name)
        given = json.loads(request.one("buildargs") or "{}") or {}
        used = self._registrar.arguments(given)
        if used == given:
            return False
        query = {**request.query, "buildargs": [json.dumps(used)]}
        target = f"{request.path}?{urlencode(query, doseq=True)}"
        line = f"{request.method} {target} HTTP/1.1".encode()
        self._pass_on(client, request._replace(lines=[line, *request.lines[1:]]))
        return True

    def _push(self, client: socket.socket, name: str) -> None:
        _begin(client)
        try:
            self._registrar.send(name, _teller(client))
        except Exception as error:  # noqa: BLE001 - whatever it is, the step is told
            _fail(client, str(error))

    def _pull(self, client: socket.socket, request: _Request) -> bool:
        name = _whole(request.one("fromImage"), request.one("tag"))
        began: list[bool] = []

        def tell(line: Mapping[str, object]) -> None:
            if not began:
                _begin(client)
                began.append(True)
            _teller(client)(line)

        try:
            return self._registrar.fetch(name, tell)
        except EngineProblem as error:
            if not began:
                _begin(client)
            _fail(client, str(error))
            return True

    def _inspect(self, client: socket.socket, name: str) -> bool:
        found = self._engine.image(name)
        if found is None:
            return False
        body = json.dumps(self._registrar.shown(found)).encode()
        _begin(client, f"Content-Length: {len(body)}\r\n".encode())
        client.sendall(body)
        return True


def _whole(name: str, tag: str) -> str:
    if not tag:
        return name
    return f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"


def _begin(client: socket.socket, more: bytes = b"") -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    client.sendall(head + more + b"Connection: close\r\n\r\n")


def _teller(client: socket.socket) -> Tell:
    def tell(line: Mapping[str, object]) -> None:
        client.sendall(json.dumps(line).encode() + b"\r\n")

    return tell


def _fail(client: socket.socket, message: str) -> None:
    _teller(client)({"errorDetail": {"message": message}, "error": message})


def _read(client: socket.socket) -> _Request | None:
    data = b""
    while _HEAD_END not in data:
        piece = client.recv(_PIECE)
        if not piece or len(data) > _MOST_HEAD:
            return None
        data += piece
    head, _, rest = data.partition(_HEAD_END)
    lines = head.split(b"\r\n")
    method, target, _ = lines[0].decode("latin-1").split(" ", 2)
    parts = urlsplit(target)
    return _Request(method, parts.path, parse_qs(parts.query), lines, rest)


def _relay(client: socket.socket, engine: socket.socket) -> None:
    """Carry bytes both ways until the engine has said everything."""
    other = threading.Thread(target=_copy, args=(client, engine), daemon=True)
    other.start()
    _copy(engine, client)
    # The step may keep its side open; there is nothing left to say to it.
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    other.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
