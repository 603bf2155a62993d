"""What a session's socket is told, so that a network that swallows everything is noticed."""

import contextlib
import os
import socket

from migrate.dsn import Dsn
from migrate.postgres.session import Limits, connect

MINUTE_MS = 60_000


def test_unanswered_data_end_a_session_as_unanswered_keepalives_do(blank_database):
    """Both within a minute. Keepalives do not count while something sent, as COMMIT, is
    unanswered: the kernel alone would try for a quarter of an hour.
    """
    limits = Limits(lock=0, statement=0, idle=0)

    session = connect(Dsn.parse(blank_database.url), limits, "test")

    with (
        contextlib.closing(session),
        socket.socket(fileno=os.dup(session._connection.fileno())) as its,
    ):
        ask = lambda option: its.getsockopt(socket.IPPROTO_TCP, option)  # noqa: E731
        idle, every, count = map(
            ask, (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        unanswered = ask(socket.TCP_USER_TIMEOUT)

    assert MINUTE_MS == unanswered
    assert MINUTE_MS == (idle + every * count) * 1000
