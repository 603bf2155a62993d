"""The advisory lock that lets one runner at a time work on one history.

Held in the session that does the work, so that the lock lives exactly as long as the
work does: a killed runner's statement may go on in the server, and until it ends nobody
else begins (docs/decisions/0005). Asked for again and again instead of waited for: a
blocked wait holds a snapshot, and CREATE INDEX CONCURRENTLY would wait for it for ever.
"""

import hashlib
import time
from collections.abc import Callable

from migrate.postgres.session import Session
from migrate.postgres.sql import literal
from migrate.refusals import LockHeld

#: What a guard says before the file's name.
RELEASED = "the lock of this run was released in "
_POLL_S = 0.1
_LONGEST_POLL_S = 1.0

_HOLDER = """
SELECT a.pid, a.application_name, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ'),
       coalesce(host(a.client_addr), 'local')
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid = %s::bigint::oid AND l.objid = %s::bigint::oid
"""


def lock_key(database: str, schema: str, table: str) -> int:
    """Return the key of a history: signed, 64 bits, from names that cannot run together."""
    text = f"cloudrun-migrate\0{database}\0{schema}\0{table}"
    return int.from_bytes(
        hashlib.sha256(text.encode()).digest()[:8], "big", signed=True
    )


def holder(session: Session, key: int) -> str | None:
    """Describe who holds the lock: pid, application_name, since when, from where."""
    unsigned = key & (1 << 64) - 1
    rows = session.rows(_HOLDER, unsigned >> 32, unsigned & 0xFFFFFFFF)
    if not rows:
        return None
    pid, name, since, where = rows[0]
    return f"pid {pid} ({name or 'no application_name'}) from {where}, since {since or '?'}"


def holder_pid(session: Session, key: int) -> int | None:
    """Return the process id of the lock's holder."""
    unsigned = key & (1 << 64) - 1
    rows = session.rows(_HOLDER, unsigned >> 32, unsigned & 0xFFFFFFFF)
    return int(rows[0][0]) if rows else None


def wait_until(
    attempt: Callable[[], bool],
    describe: Callable[[], str | None],
    *,
    wait_ms: int,
    pause: Callable[[float], None],
    on_wait: Callable[[str, float], None],
) -> None:
    """Try until it succeeds or the time is over, naming the holder each time it changes.

    Raises `LockHeld`.
    """
    began = time.monotonic()
    bound, told = _POLL_S, ""
    while not attempt():
        who = describe() or told or "it has just gone"
        elapsed = time.monotonic() - began
        if elapsed * 1000 >= wait_ms:
            raise LockHeld(holder=who)
        if who != told:
            told = who
            on_wait(who, elapsed * 1000)
        pause(min(bound, max(wait_ms / 1000 - elapsed, 0.01)))
        bound = min(bound * 1.5, _LONGEST_POLL_S)


def try_lock(session: Session, key: int) -> bool:
    """Take the lock if it is free: twice, so that `guard` can give one back."""
    sql = "SELECT pg_try_advisory_lock(%s) AND pg_try_advisory_lock(%s)"
    ((taken,),) = session.rows(sql, key, key)
    return bool(taken)


def unlock(session: Session, key: int) -> None:
    """Give the lock back; a lost session has given it back already."""
    if not session.lost:
        sql = "SELECT pg_advisory_unlock(%s), pg_advisory_unlock(%s)"
        session.rows(sql, key, key)


def guard(key: int, file: str) -> str:
    """Return SQL that fails, with ``file`` in its words, unless the lock is still held.

    To give a lock back says whether it was held, and costs nothing; pg_locks lists the
    locks of everybody. It is given back once of twice, and taken again.
    """
    words = literal(f"{RELEASED}{file}\n")
    return (
        f"SELECT CASE WHEN pg_catalog.pg_advisory_unlock({key}) "
        f"AND pg_catalog.pg_try_advisory_lock({key}) THEN 0 "
        f"ELSE pg_catalog.concat({words}, pg_catalog.pg_backend_pid())::pg_catalog.int4 END; "
    )


def released_by(message: str) -> str | None:
    """Return the file in the words of a `guard` that failed; None for another failure."""
    _, found, rest = message.partition(RELEASED)
    return rest.partition("\n")[0] if found else None
