"""A proxy that knows the messages of PostgreSQL's protocol, and is faulty on command.

Asked for by the tests of lost sessions. It forwards both ways, message by message
(protocol version 3), and carries out a script: when a query matches, cut the session
before it reaches the server, or after the server's answer and before the client hears of
it. Real servers and real clients only; it never makes up a result.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Self

from tests.postgres_process import LOOPBACK, free_port

_SSL, _GSS = 80877103, 80877104
_REFUSAL = b'SFATAL\0C28P01\0Mpassword authentication failed for user "x"\0\0'


class Fault(Enum):
    """When a session is cut."""

    BEFORE = "the query never reaches the server"
    AFTER = "the server has answered, the client does not hear it"


class Proxy:
    """Listens on ``port`` once opened; ``cut(when, fault)`` arms one fault."""

    def __init__(self, host: str, port: int) -> None:
        """Name the server; nothing listens yet."""
        self.port = free_port()
        self.queries: list[bytes] = []
        self.cuts = 0
        self.refuse_after_cut = False  # logins, for a reason that waiting cannot cure
        self.deaf_after_cut = False  # connections, as a server that is starting does
        self._server = (host, port)
        self._listener: socket.socket | None = None
        self._when: Callable[[bytes], bool] | None = None
        self._fault = Fault.BEFORE
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def open(self) -> Self:
        """Listen from now on."""
        self._listener = socket.create_server((LOOPBACK, self.port))
        self._spawn(self._accept, self._listener)
        return self

    def cut(self, when: Callable[[bytes], bool], fault: Fault) -> None:
        """Cut the session of the first query for which ``when`` is true."""
        self._when, self._fault = when, fault

    def close(self) -> None:
        """Cut everything and wait for the threads."""
        for each in [*self._sockets, *filter(None, [self._listener])]:
            _shut(each)
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, target: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self.cuts and self.deaf_after_cut:
                _shut(client)
                return
            start = _startup(client)
            if self.cuts and self.refuse_after_cut:
                client.sendall(b"E" + struct.pack("!I", len(_REFUSAL) + 4) + _REFUSAL)
                _shut(client)
                return
            server = socket.create_connection(self._server)
            self._sockets.append(server)
            for each in (
                client,
                server,
            ):  # small messages both ways: never wait for more
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall(start)
            muted = threading.Event()
            done = threading.Event()
            back = (server, client, muted, done)
            thread = threading.Thread(target=self._backward, args=back, daemon=True)
            self._threads.append(thread)
            thread.start()
            try:
                self._forward(client, server, muted, done)
            finally:
                _shut(server)
                _shut(client)

    def _forward(
        self,
        client: socket.socket,
        server: socket.socket,
        muted: threading.Event,
        done: threading.Event,
    ) -> None:
        while True:
            kind, body = _message(client)
            if kind == b"Q":
                self.queries.append(body)
                if self._when and self._when(body):
                    self._when = None
                    if self._fault is Fault.AFTER:
                        done.clear()
                        muted.set()
                        _send(server, kind, body)
                        done.wait(20)
                    self.cuts += 1
                    return
            _send(server, kind, body)

    def _backward(
        self,
        server: socket.socket,
        client: socket.socket,
        muted: threading.Event,
        done: threading.Event,
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                kind, body = _message(server)
                if not muted.is_set():
                    _send(client, kind, body)
                elif kind == b"Z":  # ReadyForQuery: the server has done all of it
                    done.set()
        done.set()
        if not muted.is_set():
            _shut(client)


def _startup(client: socket.socket) -> bytes:
    """Return the client's startup or cancel packet; encryption is declined."""
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!II", head)
        if code not in {_SSL, _GSS}:
            return head + _exactly(client, length - 8)
        client.sendall(b"N")


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1)
    (length,) = struct.unpack("!I", _exactly(source, 4))
    return kind, _exactly(source, length - 4)


def _send(target: socket.socket, kind: bytes, body: bytes) -> None:
    target.sendall(kind + struct.pack("!I", len(body) + 4) + body)


def _exactly(source: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        block = source.recv(size - len(read))
        if not block:
            raise EOFError
        read += block
    return read


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextlib.contextmanager
def proxying(host: str, port: int) -> Iterator[Proxy]:
    """Make a proxy for the length of a block; the test opens it."""
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
