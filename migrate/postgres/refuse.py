"""Translate a failed connection into an error that says what to do.

Called by `session.connect`. libpq hands a failed connection on as text alone, without
SQLSTATE, so this is the one place where text is matched. The sentences come from libpq's
fe-connect.c, the server's auth.c and postinit.c, and pgbouncer; a server that speaks
another language than English falls through to the general error, with its words.
"""

import os
import re

from migrate.dsn import Dsn
from migrate.refusals import (
    ConnectDenied,
    DatabaseMissing,
    LoginRefused,
    ServerFull,
    ServerUnreachable,
    SocketMissing,
    StatementPooling,
    Unreachable,
)

#: Waiting may cure these: a server that starts, a network that comes up, a crowd.
RETRIED = (ServerUnreachable, ServerFull)

_SENTENCES: tuple[tuple[str, type[Unreachable]], ...] = (
    (r"password authentication failed", LoginRefused),
    (r"no password supplied", LoginRefused),
    (r"no pg_hba.conf entry", LoginRefused),
    (r"authentication failed for user", LoginRefused),
    (r"role \".*\" does not exist", LoginRefused),
    (r"is not permitted to log in", ConnectDenied),
    (r"SASL authentication failed", LoginRefused),
    (r"permission denied for database", ConnectDenied),
    (r"no such user", LoginRefused),
    (r"database \".*\" does not exist", DatabaseMissing),
    (r"no such database", DatabaseMissing),
    (r"transaction blocks not allowed in statement pooling", StatementPooling),
    (r"too many clients already", ServerFull),
    (r"remaining connection slots", ServerFull),
    (r"too many connections for", ServerFull),
    (r"no more connections allowed", ServerFull),
)
_SOCKET = r'on socket "([^"]*)" failed: No such file or directory'


def refusal_for(text: str, dsn: Dsn) -> Unreachable:
    """Return the error for what libpq said; the text never holds the password."""
    reason = " ".join(text.split())
    for pattern, kind in _SENTENCES:
        if re.search(pattern, text):
            return kind(target=str(dsn), reason=reason)
    if (found := re.search(_SOCKET, text)) and not _may_appear(found[1], dsn):
        return SocketMissing(target=str(dsn), reason=f"there is no socket {found[1]}")
    return ServerUnreachable(target=str(dsn), reason=reason)


def _may_appear(path: str, dsn: Dsn) -> bool:
    """A proxy may still be starting: only where the address names a directory that is."""
    return bool(dsn.hosts) and os.path.isdir(os.path.dirname(path))
