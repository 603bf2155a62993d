"""One session with the server: connect, send, fetch, cancel, cut.

Called by everything in `postgres`, and by the runner. Always in autocommit: we send BEGIN
and COMMIT ourselves, because what shares a message with what is ours to decide.
Knows nothing of migrations.
"""

import contextlib
import functools
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import psycopg2
import psycopg2.extensions

from migrate.dsn import Dsn
from migrate.postgres.refuse import RETRIED, refusal_for
from migrate.refusals import (
    ConnectionLost,
    ServerTooOld,
    StatementPooling,
    StringsNotStandard,
)

#: The oldest release that is still maintained, and has client_connection_check_interval.
OLDEST = 140000

#: Our own statements never see names from a user's search_path.
OWN_PATH = "SET LOCAL search_path = pg_catalog, pg_temp; "

#: How much COPY data passes between two words about it.
_TOLD_BYTES = 8 << 20

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

Row = tuple[Any, ...]


class Readable(Protocol):
    """What COPY data is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


class Limits:
    """The timeouts of a session, in milliseconds, as startup options and as SET LOCAL."""

    __slots__ = ("idle", "lock", "statement")

    def __init__(self, *, lock: int, statement: int, idle: int) -> None:
        """Keep the three limits; 0 means none."""
        self.lock = lock
        self.statement = statement
        self.idle = idle

    def startup(self) -> str:
        """Return libpq ``options``: then RESET ALL returns to them by itself."""
        return (
            f"-c lock_timeout={self.lock} -c statement_timeout={self.statement} "
            f"-c idle_in_transaction_session_timeout={self.idle} "
            "-c client_connection_check_interval=5000"
        )

    def local(self) -> str:
        """Return the same for one transaction."""
        return (
            f"SET LOCAL lock_timeout = {self.lock}; "
            f"SET LOCAL statement_timeout = {self.statement}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {self.idle}; "
            "SET LOCAL client_connection_check_interval = 5000; "
        )


class _Counted:
    """COPY data that say how far their reader has come."""

    def __init__(self, data: Readable, told: Callable[[int], None]) -> None:
        self._data = data
        self._told = told
        self._sent = 0

    def read(self, size: int, /) -> bytes:
        block = self._data.read(size)
        before, self._sent = self._sent, self._sent + len(block)
        if before // _TOLD_BYTES != self._sent // _TOLD_BYTES:
            self._told(self._sent)
        return block


class Session:
    """A connection and what is known of it. ``pooled``: it goes through a pooler."""

    def __init__(self, connection: Any, *, pooled: bool, limits: Limits) -> None:
        """Take over an open connection."""
        self._connection = connection
        self._cursor = connection.cursor()
        self.pooled = pooled
        self.limits = limits
        self.server_version: int = connection.server_version

    def run(self, message: bytes | str) -> None:
        """Send one message of any number of statements; results are dropped."""
        self._execute(message)

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Run one statement of our own, safe from any search_path, and fetch its rows."""
        self._execute(OWN_PATH + sql, values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def results(self, message: bytes) -> list[Row] | None:
        """Run one statement of the user's; return its rows, or None if it has no result."""
        self._execute(message)
        return self._cursor.fetchall() if self._cursor.description else None

    def copy(
        self, statement: bytes, data: Readable, told: Callable[[int], None]
    ) -> None:
        """Run COPY … FROM STDIN with the data, block by block.

        ``told`` is called with the bytes sent so far, every few megabytes.
        """
        try:
            self._cursor.copy_expert(
                statement.decode(), _Counted(data, told), size=1 << 18
            )
        except psycopg2.Error as error:
            self._raise_if_lost(error)
            raise

    def _execute(
        self, sql: bytes | str, values: tuple[object, ...] | None = None
    ) -> None:
        """Send. Raises `ConnectionLost` instead of the driver's error if that is why."""
        try:
            self._cursor.execute(sql, values)
        except psycopg2.Error as error:
            self._raise_if_lost(error)
            raise

    def _raise_if_lost(self, error: psycopg2.Error) -> None:
        if self.lost:
            reason = " ".join(str(error).split())
            raise ConnectionLost(target="", reason=reason) from error

    @property
    def server(self) -> str:
        """The server's version for people: ``PostgreSQL 18.4``."""
        return f"PostgreSQL {self._connection.info.parameter_status('server_version')}"

    def reported(self, setting: str) -> str:
        """Return a setting that the server tells with each change; ask nothing.

        Empty where a pooler keeps it to itself.
        """
        return self._connection.info.parameter_status(setting) or ""

    @property
    def user(self) -> str:
        """The role that logged in."""
        return str(self._connection.info.user)

    @property
    def pid(self) -> int:
        """The process id in the server, as the protocol announced it."""
        return int(self._connection.info.backend_pid)

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._connection.closed)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction block is open, or failed and not yet ended."""
        status = self._connection.info.transaction_status
        return bool(status != psycopg2.extensions.TRANSACTION_STATUS_IDLE)

    def roll_back(self) -> None:
        """End any open transaction; a lost connection has none."""
        if not self.lost and self.in_transaction:
            self.run("ROLLBACK")

    def take_notices(self) -> list[str]:
        """Return what the server said since the last call."""
        notices = [str(n).strip() for n in self._connection.notices]
        self._connection.notices.clear()
        return notices

    def cancel(self) -> None:
        """Ask the server to cancel the running statement. For another thread.

        The driver's own ``cancel`` would keep every other thread from running while the
        network answers nothing; called like this, libpq waits alone.
        """
        import ctypes  # noqa: PLC0415 - who is never cancelled never pays for it

        libpq = ctypes.CDLL(psycopg2._psycopg.__file__)  # noqa: SLF001 - it links libpq
        libpq.PQgetCancel.argtypes = [ctypes.c_void_p]
        libpq.PQgetCancel.restype = ctypes.c_void_p
        libpq.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        libpq.PQfreeCancel.argtypes = [ctypes.c_void_p]
        request = libpq.PQgetCancel(self._connection.pgconn_ptr)
        try:
            said = ctypes.create_string_buffer(256)
            libpq.PQcancel(request, said, len(said))
        finally:
            libpq.PQfreeCancel(request)

    def cut(self) -> None:
        """Shut the socket down, so that a blocked call returns. For another thread."""
        # What is closed, here or at the other end, is cut already.
        with (
            contextlib.suppress(psycopg2.Error, OSError),
            socket.socket(fileno=os.dup(self._connection.fileno())) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; never raises."""
        if not self.lost:
            self._connection.close()


def connect(
    dsn: Dsn,
    limits: Limits,
    application_name: str,
    *,
    wait_ms: int = 0,
    on_retry: Callable[[str, float], None] | None = None,
    pause: Callable[[float], None] = time.sleep,
    password: Callable[[], str] | None = None,
    opened: Callable[[Session], None] = lambda _: None,
    aside: Callable[[Callable[[], Any]], Any] = lambda make: make(),
) -> Session:
    """Open a session, trying again with jitter until ``wait_ms`` has passed.

    ``password`` is called before each try (IAM tokens live for an hour), ``opened`` with
    each session before anything is asked in it; ``aside`` does what a silent network makes
    last. Raises the subclasses of `Unreachable`; those that waiting cannot cure at once.
    """
    began = time.monotonic()
    bound = _FIRST_PAUSE_S
    while True:
        try:
            return _connect_once(
                dsn, limits, application_name, password, opened=opened, aside=aside
            )
        except (psycopg2.OperationalError, ConnectionLost) as error:
            refusal = refusal_for(str(error), dsn)
            elapsed = time.monotonic() - began
            left = wait_ms / 1000 - elapsed
            if not isinstance(refusal, RETRIED) or left <= 0:
                raise refusal from error
            if on_retry:
                on_retry(refusal.reason, elapsed * 1000)
            import random  # noqa: PLC0415 - who connects at once never pays for it

        pause(min(random.uniform(bound / 2, bound), max(left, 0.0)))  # noqa: S311
        bound = min(bound * 2, _LONGEST_PAUSE_S)


def _connect_once(
    dsn: Dsn,
    limits: Limits,
    application_name: str,
    password: Callable[[], str] | None,
    *,
    opened: Callable[[Session], None],
    aside: Callable[[Callable[[], Any]], Any],
) -> Session:
    parameters: dict[str, Any] = {
        "connect_timeout": "5",  # for each host
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",  # the same where something sent is unanswered
        **dsn.parameters,
        "application_name": application_name[:63],
        "client_encoding": "UTF8",
    }
    if password:
        parameters["password"] = aside(password)
    theirs = parameters.get("options", "")
    pooled = False
    try:
        options = f"{limits.startup()} {theirs}"
        connection = aside(
            functools.partial(psycopg2.connect, **{**parameters, "options": options})
        )
    except psycopg2.OperationalError as error:
        # pgbouncer refuses startup options it cannot hand on; a server never words it so.
        if "unsupported startup parameter" not in str(error):
            raise
        pooled = True
        connection = aside(functools.partial(psycopg2.connect, **parameters))
    connection.autocommit = True
    if connection.server_version < OLDEST:
        version = connection.info.parameter_status("server_version")
        connection.close()
        raise ServerTooOld(target=str(dsn), reason=f"it is PostgreSQL {version}")
    if connection.info.parameter_status("standard_conforming_strings") == "off":
        connection.close()
        reason = "in it standard_conforming_strings is off"
        raise StringsNotStandard(target=str(dsn), reason=reason)
    session = Session(connection, pooled=pooled, limits=limits)
    opened(session)
    if not pooled:
        # A pooler announces a process id of its own making.
        session.pooled = session.rows("SELECT pg_backend_pid()") != [(session.pid,)]
    if session.pooled:
        _refuse_statement_mode(session, dsn)
    return session


def _refuse_statement_mode(session: Session, dsn: Dsn) -> None:
    session.run("SELECT 1")  # what fails here is the server's or the network's
    try:
        session.run("BEGIN")
        session.run("ROLLBACK")
    except (psycopg2.OperationalError, ConnectionLost) as error:
        # pgbouncer hangs up on a transaction; its reason does not always arrive.
        reason = "the pooler ended the session at BEGIN"
        raise StatementPooling(target=str(dsn), reason=reason) from error


def readable(session: Session, timeout_s: float) -> bool:
    """Whether the server sent something, or hung up, within the time."""
    ready, _, _ = select.select([session._connection.fileno()], [], [], timeout_s)  # noqa: SLF001
    return bool(ready)
