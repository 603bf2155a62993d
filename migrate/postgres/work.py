"""What applying needs, in one value: session, history, watch, limits.

Made by the runner for one session; given to `transaction`, `stepwise` and `checks`.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import psycopg2

from migrate.events import Listener, Notice
from migrate.faults import Interrupted, LeaseLost, LockReleased, OutcomeUnknown
from migrate.migration import Script
from migrate.postgres import lock
from migrate.postgres.acknowledged import Acknowledged
from migrate.postgres.catalog import Identity, Recorder
from migrate.postgres.diagnose import (
    CANCELED,
    DENIED,
    RETRIED,
    Diagnosis,
    diagnose,
)
from migrate.postgres.history import REFUSALS, History
from migrate.postgres.lease import LOST
from migrate.postgres.session import Limits, Session
from migrate.postgres.sweep import RESET, sweep
from migrate.postgres.watch import Watch
from migrate.refusals import ConnectionLost
from migrate.statements import Statement
from migrate.stop import Stop

Answer = TypeVar("Answer")


class Work(NamedTuple):
    """One session at work.

    ``fence`` is SQL that fails when our lease is lost, or ""; ``key`` is the lock's.
    """

    session: Session
    history: History
    recorder: Recorder
    watch: Watch
    stop: Stop
    tell: Listener
    identity: Identity
    lock_tries: int
    fence: str
    key: int
    acknowledged: Acknowledged
    tried: int = 0  # tries that met a lock timeout before this one began

    def ask(self, scripts: Sequence[Script], question: Callable[[], Answer]) -> Answer:
        """Ask the history what became of a COMMIT. Raises `OutcomeUnknown` if it may not."""
        try:
            return question()
        except REFUSALS as refusal:
            files = ", ".join(script.migration.file for script in scripts)
            reason, cure = str(refusal), refusal.advice()
            raise OutcomeUnknown(file=files, reason=reason, cure=cure) from refusal

    def guard(self, file: str) -> str:
        """Return SQL that fails if our lock was let go of, seen or not."""
        return "" if self.fence else lock.guard(self.key, file)

    def diagnose(self, error: psycopg2.Error, file: str) -> Diagnosis:
        """Return what the server said; raise what is no failure of the SQL.

        `Interrupted` when we made it say so, `LeaseLost` when our fence did, `LockReleased`
        when our guard did.
        """
        found = diagnose(error)._replace(role=self.session.user)
        if found.sqlstate == DENIED and found.message.endswith(self.history.table):
            cure = self.history.denied(found.role, can_enter=True).advice()
            found = found._replace(cure=cure)
        if (culprit := lock.released_by(found.message)) is not None:
            raise LockReleased(file=culprit) from error
        if self.fence and found.message == LOST:
            raise LeaseLost(file=file) from error
        if found.sqlstate == CANCELED and self.stop.signal:
            raise Interrupted(signal=self.stop.signal, file=file) from error
        return found

    def blamed(self, found: Diagnosis) -> str:
        """Return who kept the statement from what it waited for, or nothing."""
        blockers = self.watch.blockers
        known = blockers and found.sqlstate in RETRIED
        return "blocked by " + "; ".join(blockers) if known else ""

    def tell_notices(self, file: str) -> None:
        """Tell what the server said since the last time: about a file, or a range."""
        for text in self.session.take_notices():
            self.tell(Notice(file=file, text=text))

    def sweep(self) -> None:
        """Leave nothing of a file in the session; one that is gone keeps nothing."""
        self.session.roll_back()
        if self.session.lost:
            return
        with contextlib.suppress(psycopg2.Error, ConnectionLost):
            self.session.run(f"{RESET}{sweep(self.key)}")
            self.recorder.prepare_again()

    def text(self, statement: Statement) -> bytes:
        """Return what to send: DISCARD ALL would discard our lock with the rest."""
        if statement.words[:2] != ("DISCARD", "ALL"):
            return statement.text
        self.recorder.prepare_again()
        return f"{RESET}{sweep(self.key)}DISCARD PLANS".encode()

    def limits(self, lock_ms: int | None, statement_ms: int | None) -> str:
        """Return the SET LOCALs that a migration needs beyond the session's own limits."""
        own = self.session.limits
        wanted = Limits(
            lock=own.lock if lock_ms is None else lock_ms,
            statement=own.statement if statement_ms is None else statement_ms,
            idle=own.idle,
        )
        same = (wanted.lock, wanted.statement) == (own.lock, own.statement)
        return "" if same and not self.session.pooled else wanted.local()
