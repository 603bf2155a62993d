"""The way from prompts/ to PostgreSQL: the only module here that knows the driver.

Called by ``service``, by ``cli`` and by the package ``verification`` with a database URL.
It never decides what an answer means, and it never lets a password into a message: libpq
quotes what it could not read.
"""

import os
import re
import select
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, make_dsn, parse_dsn
from psycopg2.extensions import connection as Connection  # noqa: N812 (it is a class)

from prompts.errors import ConnectionFailedError, PromptError, StatementFailedError

LINK_CONNECT_S = 2.0
LINK_GRACE_S = 0.3  # for an answer on its way when the server's own limit strikes
COOL_DOWN_S = 5.0

# Prompts are Unicode, whatever PGCLIENTENCODING says.
_DEFAULTS = {"fallback_application_name": "prompts", "client_encoding": "UTF8"}

Row = dict[str, Any]  # by the names of the columns
Parameters = Mapping[str, object] | None


class Link:
    """A connection: opens when asked, answers in time, rests after failing.

    The driver is used without blocking, so that a server that hangs, and not only one that
    is slow, costs no more than the limit. Each call is one message and so one transaction,
    which also a transaction pooler carries. Threads take turns.
    """

    def __init__(
        self,
        database_url: str,
        *,
        answer_ms: int,
        connect_s: float | None = None,
        retries: int = 1,
        cool_down_s: float = COOL_DOWN_S,
    ) -> None:
        self._given = _read(database_url)
        self._answer_ms = answer_ms
        self._connect_s = connect_s or LINK_CONNECT_S
        self._retries = retries
        self._cool_down_s = cool_down_s
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._process = os.getpid()
        self._rests_until = 0.0
        self._failed: PromptError | None = None

    def rows(self, sql: str, parameters: Parameters = None) -> list[Row]:
        """Return the rows of the last statement.

        A connection that breaks is opened again and asked again: every statement sent
        here may arrive twice without harm. Wrong data and a missing table or right are
        no reason to rest; anything else is, so that an outage costs one attempt and not
        one per call.
        """
        with self._turn:
            if time.monotonic() < self._rests_until:
                raise ConnectionFailedError(f"A moment ago: {self._failed}")
            for left in range(self._retries, -1, -1):
                try:
                    return self._answer(self._open(), sql, parameters)
                except ConnectionFailedError as error:
                    broke, self._connection = self._connection is not None, None
                    if not (broke and left):
                        self._rest(error)
                        raise
                except StatementFailedError as error:
                    if left and error.sqlstate in {"40001", "40P01"}:
                        continue  # the victim of a deadlock: the way is free now
                    if not error.sqlstate.startswith(("22", "23", "42")):
                        self._rest(error)
                    raise
        raise AssertionError  # the loop returns or raises

    def close(self) -> None:
        """Close; the next call would open it again."""
        with self._turn:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _rest(self, error: PromptError) -> None:
        self._rests_until, self._failed = time.monotonic() + self._cool_down_s, error

    def _open(self) -> Connection:
        if self._process != os.getpid():  # a fork shares the socket: leave it alone
            self._connection, self._process = None, os.getpid()
        if self._connection is None:
            try:
                address = make_dsn(**{**_DEFAULTS, **self._given})
                opened = psycopg2.connect(address, async_=True)
                _wait(opened, self._connect_s)
            except psycopg2.Error as error:
                raise _unreachable(self._given, error) from error
            self._connection = opened
        return self._connection

    def _answer(
        self, opened: Connection, sql: str, parameters: Parameters
    ) -> list[Row]:
        limit = f"SET LOCAL statement_timeout = {self._answer_ms}; "
        try:
            with opened.cursor() as cursor:
                cursor.execute(limit + sql, parameters)
                _wait(opened, self._answer_ms / 1000 + LINK_GRACE_S)
                names = [column.name for column in cursor.description or ()]
                rows = cursor.fetchall() if names else []
                return [dict(zip(names, row, strict=True)) for row in rows]
        except psycopg2.Error as error:
            state = error.pgcode or ""
            if not state or state.startswith(("08", "57P")):
                opened.close()
                told = f"The connection to the database was lost: {_one_line(error)}"
                raise ConnectionFailedError(told) from error
            told = error.diag.message_primary or _one_line(error)
            constraint = error.diag.constraint_name or ""
            raise StatementFailedError(told, state, constraint) from error
        except ValueError as error:  # the driver, of half a character or a zero byte
            raise StatementFailedError(f"This is no text: {error}", "22021") from error


def statements(path: Path) -> dict[str, str]:
    """Return the statements of a file by the ``-- name:`` line above each."""
    parts = re.split(r"^-- name: (\w+)\n", path.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))


_SHOWN = ("host", "port", "dbname", "user")


def _read(database_url: str) -> dict[str, str]:
    """Take the string apart, and refuse one whose password was cut in two.

    A '@' or '/' in a password that is not percent-encoded ends it early: the rest turns
    up as host, port or database, and libpq quotes those.
    """
    try:
        given: dict[str, str] = parse_dsn(database_url)
    except psycopg2.ProgrammingError:
        # Without the cause: its text may hold the whole string.
        raise ConnectionFailedError(
            "Could not connect to the database: the database URL is not a connection "
            "string. It begins with postgresql:// or is made of key=value pairs; in a "
            "URL the special characters of the password are percent-encoded."
        ) from None
    names = given.get("host", "") + given.get("dbname", "")
    if "@" in names or not re.fullmatch(r"[\d,]*", given.get("port", "")):
        raise ConnectionFailedError(
            "Could not connect to the database: the database URL does not divide into "
            "user, password, host, port and database. Percent-encode the special "
            "characters of the password, for example %40 for @ and %2F for a slash."
        )
    return given


def _wait(connection: Connection, seconds: float) -> None:
    """Drive a connection until it has its answer; an `OperationalError` when late."""
    until = time.monotonic() + seconds
    while (state := connection.poll()) != POLL_OK:
        poller = select.poll()  # select() ends at descriptor 1,024
        wanted = select.POLLIN if state == POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), wanted)
        left = until - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            connection.close()
            raise psycopg2.OperationalError(f"no answer within {seconds:g} s")


def _unreachable(given: Mapping[str, str], error: Exception) -> ConnectionFailedError:
    reason = _one_line(error)
    for secret in (given.get("password"), given.get("sslpassword")):
        reason = reason.replace(secret, "***") if secret else reason
    shown = [f"{key} {given[key]}" for key in _SHOWN if given.get(key)]
    where = ", ".join(shown) or "libpq's defaults"
    return ConnectionFailedError(
        f"Could not connect to the database ({where}): {reason}"
    )


def _one_line(error: Exception) -> str:
    return ". ".join(line.strip() for line in str(error).strip().splitlines())
