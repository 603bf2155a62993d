"""A lease row with a heartbeat, where a pooler makes session locks meaningless.

Behind a transaction pooler every transaction may run in another server session, so an
advisory lock of a session locks nothing. Then the right to work is a row that expires on
the server's clock unless its holder says every few seconds that it lives. Every
transaction of the holder first locks that row (FOR KEY SHARE), so that nobody can take
the lease over while one is open. Runners with and without a pooler honour each other:
the lease is only taken where the advisory lock is free, and the other way round.
Called by `worker`.
"""

import contextlib
from collections.abc import Iterator

import psycopg2

from migrate.postgres import lock
from migrate.postgres.catalog import Identity
from migrate.postgres.session import OWN_PATH, Session
from migrate.postgres.sql import identifier, literal
from migrate.refusals import PrivilegeMissing

#: How the server tells one of two runners that make the table at the same moment: by the
#: table, its type, or an index that both have written to.
_MADE_AT_ONCE = (
    psycopg2.errors.DuplicateTable,
    psycopg2.errors.DuplicateObject,
    psycopg2.errors.DuplicateSchema,
    psycopg2.errors.UniqueViolation,
)
#: How often the holder says that it lives, and when silence means that it does not.
BEAT_S = 5.0
#: What a transaction says that finds the lease gone.
LOST = "the lease of this run was lost"
_TERM = "30 seconds"
#: What of the history's name stands in the lease's, of 63 bytes at most.
_KEPT_BYTES = 57

_CREATE = """
CREATE TABLE IF NOT EXISTS {table} (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    run_id      varchar(64) NOT NULL UNIQUE,
    holder      text NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    expires_at  timestamptz NOT NULL
)
"""
_TAKE = """
SET LOCAL lock_timeout = '500ms';
SELECT 1 FROM {table}
 WHERE expires_at < clock_timestamp() OR split_part(run_id, '/', 1) = %s FOR UPDATE;
INSERT INTO {table} (run_id, holder, expires_at)
SELECT %s, %s, clock_timestamp() + interval '{term}' WHERE pg_try_advisory_xact_lock(%s)
    ON CONFLICT (only_row) DO UPDATE
   SET run_id = EXCLUDED.run_id, holder = EXCLUDED.holder, acquired_at = clock_timestamp(),
       expires_at = EXCLUDED.expires_at
 WHERE {table}.expires_at < clock_timestamp()
    OR split_part({table}.run_id, '/', 1) = split_part(EXCLUDED.run_id, '/', 1)
RETURNING 1
"""
_LIVE = """
SELECT holder || ', since ' || to_char(acquired_at, 'YYYY-MM-DD HH24:MI:SS TZ')
       || ' (lease until ' || to_char(expires_at, 'HH24:MI:SS') || ')'
  FROM {table} WHERE expires_at >= clock_timestamp() OR %s
"""
_CLEAR = """
SET LOCAL lock_timeout = '500ms';
DELETE FROM {table} WHERE expires_at < clock_timestamp()
"""


def lease_table(schema: str, table: str) -> str:
    """Return the lease table of a history, qualified and quoted."""
    # Cut as the server cuts a name that is too long, by bytes; else, where letters have
    # several, it would cut off what tells this table from the history.
    kept = table.encode()[:_KEPT_BYTES].decode(errors="ignore")
    return f"{identifier(schema)}.{identifier(kept + '_lease')}"


class Lease:
    """The right to work on one history, held by one run."""

    def __init__(
        self,
        history: tuple[str, str],
        key: int,
        identity: Identity,
        holder: str,
        *,
        number: int,
    ) -> None:
        """Name it by its history, (schema, table); nothing is taken yet.

        ``number`` counts the leases of this run, each of which ends the one before: what a
        lost session sent may still be on its way to the server, and must find it gone.
        """
        self._schema = identifier(history[0])
        self._table = lease_table(*history)
        self._key = key
        self._run = identity.run_id
        self._run_id = f"{identity.run_id}/{number}"
        self._holder = holder

    def try_take(self, session: Session) -> bool:
        """Take the lease if it is free, or has run out and guards nothing any more."""
        sql = _TAKE.format(table=self._table.replace("%", "%%"), term=_TERM)
        values = (self._run, self._run_id, self._holder, self._key)
        try:
            self._make_table(session)
            with _allowed(session, self._table):
                return bool(session.rows(sql, *values))
        except psycopg2.errors.LockNotAvailable:
            # It has run out, but a transaction that it guards is still open. Asked for
            # again, not waited for: nobody hears a signal while libpq waits.
            return False
        except _MADE_AT_ONCE:
            if not _exists(session, self._table):
                raise
            return False

    def _make_table(self, session: Session) -> None:
        ((has_schema, has_table),) = session.rows(
            "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL",
            self._schema,
            self._table,
        )
        # IF NOT EXISTS would ask for privileges that nobody needs here, and be noticed.
        try:
            if not has_schema:
                session.run(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            if not has_table:
                session.run(f"{OWN_PATH}{_CREATE.format(table=self._table)}")
                session.take_notices()
        except psycopg2.errors.InsufficientPrivilege as error:
            grant = f"GRANT CREATE ON SCHEMA {self._schema}"
            raise PrivilegeMissing(
                privilege="CREATE, which the lease behind a pooler needs,",
                target=f"schema {self._schema}",
                role=session.user,
                grant=f"{grant} TO {identifier(session.user)};",
            ) from error

    def beat(self, session: Session) -> None:
        """Say that the holder lives."""
        session.rows(
            f"UPDATE {self._table.replace('%', '%%')} "
            f"SET expires_at = clock_timestamp() + interval '{_TERM}' WHERE run_id = %s",
            self._run_id,
        )

    def release(self, session: Session) -> None:
        """Give the lease back."""
        session.rows(
            f"DELETE FROM {self._table.replace('%', '%%')} WHERE run_id = %s",
            self._run_id,
        )

    def fence(self) -> str:
        """Return SQL that fails unless the lease is ours, and keeps it ours meanwhile."""
        return (
            "DO $fence$ BEGIN "
            f"PERFORM 1 FROM {self._table} WHERE run_id OPERATOR(pg_catalog.=) "
            f"{literal(self._run_id)} FOR KEY SHARE; IF NOT FOUND THEN "
            f"RAISE EXCEPTION '{LOST}' USING ERRCODE = '55000'; "
            "END IF; END $fence$; "
        )


def try_lock_beside(session: Session, key: int, table: str) -> bool:
    """Take the advisory lock, unless a runner behind a pooler holds a lease.

    One that has run out is removed, so that its holder, if it lives, is fenced off; while
    a transaction that it guards is open it counts.
    """
    if not lock.try_lock(session, key):
        return False
    free = False
    try:
        if not _exists(session, table):
            free = True
        elif live_holder(session, table) is None:
            with _allowed(session, table):
                session.rows(_CLEAR.format(table=table))
            free = True
    except psycopg2.errors.LockNotAvailable:
        pass
    finally:
        if not free:
            lock.unlock(session, key)
    return free


def live_holder(session: Session, table: str, *, expired: bool = False) -> str | None:
    """Describe who holds a live lease, or with ``expired`` any; or None."""
    if not _exists(session, table):
        return None
    try:
        with _allowed(session, table):
            rows = session.rows(_LIVE.format(table=table.replace("%", "%%")), expired)
    except psycopg2.errors.UndefinedTable:
        return None
    return str(rows[0][0]) if rows else None


def _exists(session: Session, table: str) -> bool:
    ((exists,),) = session.rows("SELECT to_regclass(%s) IS NOT NULL", table)
    return bool(exists)


@contextlib.contextmanager
def _allowed(session: Session, table: str) -> Iterator[None]:
    """Name what is missing where another role made the lease's table."""
    try:
        yield
    except psycopg2.errors.InsufficientPrivilege as error:
        wanted = "SELECT, INSERT, UPDATE, DELETE"
        raise PrivilegeMissing(
            privilege=wanted,
            target=f"table {table}",
            role=session.user,
            grant=f"GRANT {wanted} ON {table} TO {identifier(session.user)};",
        ) from error
