"""A proxy that knows the messages of PostgreSQL's protocol, and is faulty on command.

Asked for by the tests of lost sessions and by the fault ring. It forwards both ways,
message by message (protocol version 3), numbers them, and carries out a script: at the
first message for which a condition is true it cuts, holds or swallows. Nothing in it
waits for a time to pass. Real servers and real clients only; it never makes up a result.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple, Self

from tests.machine import LOOPBACK, free_port

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
REFUSED_LOGIN = b'SFATAL\0C28P01\0Mpassword authentication failed for user "x"\0\0'


class Toward(Enum):
    """Which way a message goes."""

    SERVER = "to the server"
    CLIENT = "to the client"


class Fault(Enum):
    """What happens at a message."""

    BEFORE = "it never arrives, and the session is cut"
    DELIVERED = "it arrives, and the session is cut at once"
    AFTER = "the server has answered, the client does not hear it, the session is cut"
    HOLD = "it is held until released, and its session with it"
    STALL = "it is held until released, and the whole network with it"


class Message(NamedTuple):
    """One message; ``session`` and ``number`` count from 0, a startup packet is number 0.

    The session that only watches is counted apart: ``watches``.
    """

    session: int
    watches: bool
    toward: Toward
    number: int
    kind: bytes
    body: bytes


When = Callable[[Message], bool]


class Armed:
    """One fault of the script: wait until it is ``reached``, then ``release`` it."""

    def __init__(self, when: When, fault: Fault, then: Callable[[], None]) -> None:
        """Name the condition; ``then`` is called when it is met, before anything else."""
        self.when = when
        self.fault = fault
        self.then = then
        self.reached = threading.Event()
        self.released = threading.Event()
        self.delivers = True

    def release(self, *, deliver: bool = True) -> None:
        """Let a held message go on, or cut its session."""
        self.delivers = deliver
        self.released.set()


class Proxy:
    """Listens on ``port`` once opened; ``arm`` adds a fault to its script."""

    def __init__(self, host: str, port: int) -> None:
        """Name the server; nothing listens yet."""
        self.port = free_port()
        self.messages: list[Message] = []  # all that came, whatever became of them
        self.cuts = 0
        self.cancels = 0  # requests to cancel, which come in connections of their own
        self.turned_away = 0
        self.turn_away = 0.0  # so many of the next connections are hung up on
        self.refusal = b""  # what they are told, or nothing, as by a server that starts
        self.server = (host, port)
        self._listener: socket.socket | None = None
        self._script: list[Armed] = []
        self._guard = threading.Lock()
        self._flow = threading.Event()
        self._flow.set()
        self._sessions = {False: 0, True: 0}
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def open(self) -> Self:
        """Listen from now on."""
        self._listener = socket.create_server((LOOPBACK, self.port), backlog=100)
        self._spawn(self._accept, self._listener)
        return self

    def arm(
        self, when: When, fault: Fault, then: Callable[[], None] = lambda: None
    ) -> Armed:
        """Add a fault: it happens once, at the first message that meets ``when``."""
        armed = Armed(when, fault, then)
        self._script.append(armed)
        return armed

    def close(self) -> None:
        """Cut everything and wait for the threads."""
        for armed in self._script:
            armed.release(deliver=False)
        self._flow.set()
        for each in [*self._sockets, *filter(None, [self._listener])]:
            _shut(each)
        for thread in self._threads:
            thread.join(5)

    # --- connections ------------------------------------------------------------------

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
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
        try:
            self._flow.wait()
            if self.turn_away > 0:
                self.turn_away -= 1
                self.turned_away += 1
                if self.refusal:
                    _startup(client)
                    _send(client, b"E", self.refusal)
                return
            start = _startup(client)
            server = socket.create_connection(self.server)
            self._sockets.append(server)
            for each in (client, server):  # small messages: never wait for more
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if struct.unpack("!I", start[4:8])[0] == _CANCEL:
                self.cancels += 1
                server.sendall(start)
                server.recv(1)  # the server hangs up when it has done it
                _shut(server)
            else:
                _Link(self, client, server).carry(start)
        except (OSError, EOFError):
            pass
        finally:
            _shut(client)

    def number(self, *, watches: bool) -> int:
        """Return the number of a new session."""
        with self._guard:
            self._sessions[watches] += 1
            return self._sessions[watches] - 1

    # --- the script -------------------------------------------------------------------

    def fault_at(self, message: Message) -> Armed | None:
        """Note a message; return what is to happen at it."""
        with self._guard:
            self.messages.append(message)
            for armed in self._script:
                if not armed.reached.is_set() and armed.when(message):
                    armed.then()
                    if armed.fault in {Fault.BEFORE, Fault.DELIVERED, Fault.AFTER}:
                        self.cuts += 1
                    if armed.fault is Fault.STALL:
                        self._flow.clear()
                    armed.reached.set()
                    return armed
        return None

    def wait_to_pass(self, armed: Armed) -> bool:
        """Wait until a held message is released; whether it goes on."""
        armed.released.wait()
        self._flow.set()
        return armed.delivers

    def flow(self) -> None:
        """Wait while the network is stalled."""
        self._flow.wait()


class _Link:
    """Both directions of one connection."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._flow = threading.Event()
        self._flow.set()
        self._muted = False
        self._answered = threading.Event()
        self._session = 0
        self._watches = False

    def carry(self, start: bytes) -> None:
        """Forward until one of the two ends hangs up, or the script ends it."""
        self._watches = b"cloudrun-migrate observer" in start
        self._session = self._proxy.number(watches=self._watches)
        back = threading.Thread(target=self._to_client, daemon=True)
        back.start()
        try:
            self._to_server(start)
        finally:
            _shut(self._server)
            _shut(self._client)
            back.join(5)

    def _to_server(self, start: bytes) -> None:
        number, kind, body = 0, b"", start
        while self._pass(Toward.SERVER, number, kind, body):
            kind, body = _message(self._client)
            number += 1

    def _to_client(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            for number in range(1 << 62):
                kind, body = _message(self._server)
                if self._muted:
                    if kind in b"ZG":  # it has done all of it, or waits for COPY data
                        self._answered.set()
                elif not self._pass(Toward.CLIENT, number, kind, body):
                    break
        self._answered.set()
        if not self._muted:
            _shut(self._client)
            _shut(self._server)

    def _pass(self, toward: Toward, number: int, kind: bytes, body: bytes) -> bool:
        """Forward one message, unless the script has another word; False: it was cut."""
        self._proxy.flow()
        self._flow.wait()
        message = Message(self._session, self._watches, toward, number, kind, body)
        armed = self._proxy.fault_at(message)
        target = self._server if toward is Toward.SERVER else self._client
        if armed is None:
            _send(target, kind, body)
            return True
        if armed.fault in {Fault.HOLD, Fault.STALL}:
            self._flow.clear()
            passes = self._proxy.wait_to_pass(armed)
            if passes:
                _send(target, kind, body)
            self._flow.set()
            return passes
        if armed.fault is Fault.AFTER and toward is Toward.SERVER:
            self._answered.clear()
            self._muted = True
            _send(target, kind, body)
            self._answered.wait(20)
        elif armed.fault is not Fault.BEFORE:
            _send(target, kind, body)
        return False


def _startup(client: socket.socket) -> bytes:
    """Return the client's startup or cancel packet; encryption is declined."""
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!II", head)
        if code not in {_SSL, _GSS}:
            return head + _exactly(client, length - 8)
        client.sendall(b"N")


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], _exactly(source, length - 4)


def _send(target: socket.socket, kind: bytes, body: bytes) -> None:
    """Send a message; one without a kind is a startup packet, which has its length."""
    head = kind + struct.pack("!I", len(body) + 4) if kind else b""
    target.sendall(head + body)


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
