"""Asks a server what it makes of a text, without running it: the message Parse, alone.

Used by the faults of the splitter. psql and the driver cannot send Parse by itself, and
only Parse tells that a text holds more than one command. Trusts `postgres` over TCP, as
the servers of the tests do.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from tests.postgres_process import Server

_AT_ONCE = 40  # answers that the sockets hold while nobody reads them
_MULTIPLE = "cannot insert multiple commands into a prepared statement"
_SYNTAX = "42601"


class Answer(NamedTuple):
    """What the server said of one text: nothing, or an error."""

    sqlstate: str
    message: str

    @property
    def many(self) -> bool:
        """Whether the text holds more than one command."""
        return self.message == _MULTIPLE

    @property
    def broken(self) -> bool:
        """Whether the text is no command at all; not so where only a name is unknown."""
        return self.sqlstate == _SYNTAX and not self.many


class Preparing:
    """One session that prepares. Use as a context manager."""

    def __init__(self, server: Server, database: str = "postgres") -> None:
        """Connect and wait until the server is ready."""
        self._socket = socket.create_connection((server.host, server.port))
        self._stream = self._socket.makefile("rb")
        pairs = {"user": "postgres", "database": database, "client_encoding": "UTF8"}
        given = b"".join(f"{k}\0{v}\0".encode() for k, v in pairs.items()) + b"\0"
        start = struct.pack("!II", len(given) + 8, 3 << 16) + given
        self._socket.sendall(start)
        self._until_ready()

    def __enter__(self) -> Self:
        """Give the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()

    def answers(self, texts: Sequence[bytes]) -> list[Answer]:
        """Return what the server says of each text."""
        found: list[Answer] = []
        for at in range(0, len(texts), _AT_ONCE):
            some = texts[at : at + _AT_ONCE]
            self._socket.sendall(b"".join(map(_parse, some)))
            found += [self._until_ready() for _ in some]
        return found

    def run(self, text: bytes) -> Answer:
        """Run a text: a setting that decides how the next ones are read."""
        self._socket.sendall(_message(b"Q", text + b"\0"))
        return self._until_ready()

    def _until_ready(self) -> Answer:
        answer = Answer("", "")
        for kind, body in self._messages():
            if kind == b"E":
                fields = {f[:1]: f[1:] for f in body.split(b"\0") if f}
                answer = Answer(fields[b"C"].decode(), fields[b"M"].decode())
            elif kind == b"Z":
                return answer
        raise EOFError(answer.message)

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        while kind := self._stream.read(1):
            (length,) = struct.unpack("!I", self._stream.read(4))
            yield kind, self._stream.read(length - 4)


def _parse(text: bytes) -> bytes:
    return _message(b"P", b"\0" + text + b"\0\0\0") + _message(b"S", b"")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
