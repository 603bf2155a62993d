"""Leave nothing of one file in the session for the next.

Called by `transaction` and `stepwise` after every file, and before one is tried again. A
new session for each file would do the same, and cost more than a tiny migration.
"""

import re

from migrate.postgres.session import OWN_PATH

#: Gives settings and role back.
RESET = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; "
#: Makes deferred constraints speak while the file is still to blame.
SETTLE = f"SET CONSTRAINTS ALL IMMEDIATE; {RESET}"
#: The rest of a session's state that is cheap to end, in a transaction or after it.
CLEAN = "CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; "

_MAY_STAY = re.compile(rb"\bprepare\b|advisory", re.IGNORECASE)
_UNLOCK = """DO $sweep$ DECLARE held record; BEGIN
SET LOCAL client_min_messages = error;
FOR held IN SELECT classid::bigint AS high, objid::bigint AS low, objsubid, mode
              FROM pg_locks
             WHERE locktype = 'advisory' AND pid = pg_backend_pid()
               AND (classid::bigint, objid::bigint, objsubid) <> ({high}, {low}, 1) LOOP
  WHILE CASE WHEN held.objsubid = 1 AND held.mode = 'ExclusiveLock'
             THEN pg_advisory_unlock(held.high << 32 | held.low)
             WHEN held.objsubid = 1
             THEN pg_advisory_unlock_shared(held.high << 32 | held.low)
             WHEN held.mode = 'ExclusiveLock'
             THEN pg_advisory_unlock(held.high::bit(32)::int, held.low::bit(32)::int)
             ELSE pg_advisory_unlock_shared(held.high::bit(32)::int, held.low::bit(32)::int)
        END LOOP
  END LOOP;
END LOOP; END $sweep$; """


def may_stay(text: bytes) -> bool:
    """Whether a text may leave more than `CLEAN` takes: plans or advisory locks."""
    return bool(_MAY_STAY.search(text))


def sweep(key: int) -> str:
    """Return what ends everything else, prepared statements of ours included.

    Session-level advisory locks go, but not the one with our ``key``.
    """
    unsigned = key & (1 << 64) - 1
    unlock = _UNLOCK.format(high=unsigned >> 32, low=unsigned & 0xFFFFFFFF)
    return f"{CLEAN}DEALLOCATE ALL; {OWN_PATH}{unlock}"
