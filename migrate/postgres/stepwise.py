"""Apply a migration that cannot be one transaction, statement by statement.

Called by the runner. What can share a transaction with its progress does; a statement
that cannot is announced in the history before it is sent, so that a later run knows what
was at work. A rerun resumes at the statement that did not finish, after the session
settings of those before it; `debris` decides what to do about one that was interrupted.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

import psycopg2

from migrate import classify
from migrate.classify import Alone, Control, Redo
from migrate.events import CheckPassed, Notice, Progress, Resuming
from migrate.faults import (
    CheckFailed,
    EditedMidway,
    HiddenSetting,
    Interrupted,
    InvalidIndex,
    LockReleased,
    StatementFailed,
    StoppedMidway,
)
from migrate.migration import Script
from migrate.places import NOWHERE, apart
from migrate.postgres import debris, lexing
from migrate.postgres.batches import Batch, opened, refuse_session_state, text_of
from migrate.postgres.checks import run_aside
from migrate.postgres.diagnose import (
    NO_ACTIVE_TRANSACTION,
    RETRIED,
    Diagnosis,
    statement_failed,
)
from migrate.postgres.history import REFUSALS
from migrate.postgres.pauses import let_others_pass
from migrate.postgres.session import OWN_PATH
from migrate.postgres.sql import literal
from migrate.postgres.sweep import RESET
from migrate.postgres.work import Work
from migrate.statements import Splitter, Statement

_STOPS = (
    *(StatementFailed, CheckFailed, HiddenSetting),
    *(Interrupted, InvalidIndex, LockReleased),
    *REFUSALS,
)
_UNLIMITED = "SELECT pg_catalog.set_config('lock_timeout', '0', false)"


def apply_stepwise(work: Work, script: Script) -> None:
    """Apply the migration, or resume it.

    Raises `StoppedMidway`, `StatementInDoubt`, `InvalidIndex`, `EditedMidway`,
    `PooledSessionState`, and `ConnectionLost` when the session is gone.
    """
    if work.session.pooled:
        refuse_session_state(script)
    stepper = Stepper(work, script)
    stepper.begin()
    try:
        with opened(script) as (statements, splitter):
            for statement in apart(statements):
                stepper.step(statement, splitter)
        stepper.check()
        stepper.finish()
    except _STOPS as failure:
        stepper.stopped(failure)
        raise
    finally:
        work.sweep()


class Stepper:
    """Where the run is in the file, and what the history knows of it."""

    def __init__(self, work: Work, script: Script) -> None:
        self._work = work
        self._script = script
        self._file = script.migration.file
        self._version = script.migration.version
        self._number = 0
        self._done = 0
        self._chain = ""
        self._recorded_chain: str | None = None
        self._at_work: dict[str, Any] | None = None
        self._floor = 0
        self._removes = False
        self._last: Statement | None = None
        directives = script.directives
        self._limits = work.limits(
            directives.lock_timeout_ms, directives.statement_timeout_ms
        )

    # --- the frame --------------------------------------------------------------------

    def begin(self) -> None:
        """Enter the migration as running, or take up where an earlier run stopped."""
        work, history = self._work, self._work.history
        rows = history.execute("unfinished", self._version)
        identity = work.identity
        history.execute(
            "begin",
            self._version,
            self._script.migration.name,
            self._script.description,
            self._script.migration.checksum,
            *identity[1:],
            identity.run_id,
        )
        if rows:
            self._done, self._recorded_chain, self._at_work = rows[0]  # type: ignore[assignment]
            work.tell(Resuming(self._file, self._done, self._script.statements))
        else:
            history.execute("restart", self._version)
        work.acknowledged.begun(self._version, self._done)
        self._floor = work.recorder.floor()

    def check(self) -> None:
        """Run the checks, which cannot undo anything, but keep the file from passing."""
        if self._number < self._done:
            raise EditedMidway(file=self._file, done=self._done)
        path, work = self._script.migration.verify_path, self._work
        work.session.run(RESET)
        word = lambda e: work.diagnose(e, self._file).message  # noqa: E731
        for check in run_aside(work.session, path, word) if path else ():
            work.tell(CheckPassed(file=check.file, check=check.name))

    def finish(self) -> None:
        """Enter the migration as applied."""
        work = self._work
        sql = f"BEGIN; {OWN_PATH}{work.fence}{work.guard(self._file)}"
        sql += work.history.text("applied", version=literal(self._version))
        if self._removes:
            sql += work.recorder.removed(self._version, own=True)
        self.run(f"{RESET}{sql}COMMIT".encode())

    def stopped(self, failure: Exception) -> None:
        """Enter the migration as failed; raise what says how far it came."""
        session = self._work.session
        if not session.lost:
            session.roll_back()
            session.run(RESET)
            # Where that is refused too, the entry says that it is running: as good.
            with contextlib.suppress(*REFUSALS):
                self._work.history.execute("fail", self._version)
        if isinstance(failure, InvalidIndex):
            raise failure
        words = str(failure)
        if isinstance(failure, REFUSALS):
            words = f"{self._file}: {failure}\n  {failure.advice()}"
        raise StoppedMidway(
            failure=words,
            done=self._done,
            total=self._script.statements,
            version=self._version,
            at_fault=not isinstance(failure, (Interrupted, *REFUSALS)),
            check=failure.file if isinstance(failure, CheckFailed) else "",
        ) from failure

    # --- one statement ----------------------------------------------------------------

    def step(self, statement: Statement, splitter: Splitter | None) -> None:
        """Carry out one statement, or pass one that was carried out before."""
        self._number += 1
        digest = hashlib.sha256(self._chain.encode() + statement.text).hexdigest()
        self._chain = f"sha256:{digest}"
        self._removes = self._removes or debris.may_remove(statement)
        if self._number <= self._done:
            self._pass(statement)
            self._last = statement
            return
        self._work.stop.check(self._file)
        self.look(statement)
        kind = classify.control(statement)
        if self._work.session.in_transaction or kind is not Control.NONE:
            self._in_own_transaction(statement, kind, splitter)
        elif (reason := classify.alone(statement)) is not None:
            self._alone(statement, reason)
        else:
            self._with_progress(statement, splitter)
        for text in self._work.session.take_notices():
            self._work.tell(Notice(file=self._file, text=text))
        self._work.tell(Progress("statements", self._number, self._script.statements))

    def _pass(self, statement: Statement) -> None:
        """A statement of an earlier run: unchanged, and only its settings count now."""
        if self._number == self._done and self._chain != self._recorded_chain:
            raise EditedMidway(file=self._file, done=self._done)
        if debris.is_setting(statement):
            self.run(statement.text)

    def _in_own_transaction(
        self, statement: Statement, kind: Control, splitter: Splitter | None
    ) -> None:
        """The file's own BEGIN … COMMIT: progress commits with it."""
        if kind is Control.COMMIT and self._work.session.in_transaction:
            self.run(
                self._progress() + statement.text, statement, before=self._progress()
            )
            self._advance()
        elif statement.copy:
            self._copy(statement, splitter)
        else:
            self.run(statement.text, statement)
            if not self._work.session.in_transaction:
                self.run(b"BEGIN; " + self._progress() + b"COMMIT")
                self._advance()

    def _with_progress(self, statement: Statement, splitter: Splitter | None) -> None:
        """In a transaction of ours, with its progress."""
        head = f"BEGIN; {self._work.fence}{self._limits}".encode()
        tail = self._progress() + b"COMMIT"
        if statement.copy:
            self.run(head)
            self._copy(statement, splitter)
            self.run(tail)
            self._advance()
            return
        text = text_of(Batch((statement,)))

        def send() -> None:
            # Not kept where what follows would have to be refused.
            looked = lexing.names_settings(text)
            end = b"" if looked else b"\n" + tail
            self.run(head + text + end, statement, before=head)
            if looked:
                self.look(statement)
                self.run(tail)

        try:
            self._retrying(send, self._work.lock_tries)
        except StatementFailed as failure:
            if failure.sqlstate not in NO_ACTIVE_TRANSACTION:
                raise
            # Only the server could tell: it ends transactions, or cannot be in one.
            self._work.session.roll_back()
            self._alone(statement, Alone(failure.message, Redo.HUMAN))
            return
        self._advance()

    def _alone(self, statement: Statement, reason: Alone) -> None:
        """A message of its own, announced before and checked after."""
        work = self._work
        build = classify.index_build(statement)
        if self._at_work and self._at_work["number"] == self._number:
            settled = debris.settle(work, self._script, statement, self._at_work)
            if settled:  # what it made is older than this run
                self._record_alone(build, self._at_work["floor"])
                return
        debris.refuse_others_invalid(work, self._file, statement, build)
        again = bool(self._at_work and self._at_work["number"] == self._number)
        self._at_work = debris.announcement(
            self._number, statement, reason, self._floor
        )
        self._at_work["repeated"] = again
        work.history.execute("at work", json.dumps(self._at_work), self._version)
        unlimited = "CONCURRENTLY" in reason.reason
        ((before,),) = work.session.rows("SELECT current_setting('lock_timeout')")
        if unlimited:
            work.session.run(_UNLIMITED)
        try:
            self._run_retrying(statement, reason)
        finally:
            if unlimited and not work.session.lost:
                work.session.run(
                    f"SELECT pg_catalog.set_config('lock_timeout', {literal(before)}, false)"
                )
        debris.check_valid(work, self._file, statement, build, self._floor)
        self._record_alone(build, self._floor)

    def _run_retrying(self, statement: Statement, reason: Alone) -> None:
        work, text = self._work, self._work.text(statement)
        tries = 1 if reason.redo is Redo.HUMAN else work.lock_tries
        try:
            self._retrying(lambda: self.run(text, statement), tries)
        except StatementFailed as failure:
            if debris.counts_as_done(failure, self._at_work):
                return
            if reason.redo is not Redo.INDEX:
                work.history.execute("at work", None, self._version)
            raise

    def _retrying(self, send: Callable[[], None], tries: int) -> None:
        """Send; again after a pause while locks of others are to blame."""
        work, attempt = self._work, 1
        while True:
            try:
                send()
            except StatementFailed as failure:
                if failure.sqlstate not in RETRIED or attempt >= tries:
                    raise
                work.session.roll_back()
                let_others_pass(work, self._file, attempt, failure.message)
                attempt += 1
                debris.remove(work, self._at_work)
            else:
                return

    def _record_alone(self, build: classify.IndexBuild | None, floor: int) -> None:
        things = debris.index_things(self._work, build, floor)
        self.run(b"BEGIN; " + self._progress(things) + b"COMMIT")
        self._at_work = None
        self._advance()

    def look(self, following: Statement) -> None:
        """Refuse to go on where the statement before changed where strings end.

        Raises `HiddenSetting`.
        """
        lexing.refuse_unseen(self._work.session, self._file, self._last)
        self._last = following

    def _advance(self) -> None:
        """Count the statement: the server has answered that it, and its record, are done."""
        self._done = self._number
        self._work.acknowledged.begun(self._version, self._done)

    # --- messages ---------------------------------------------------------------------

    def _progress(self, things: str | None = None) -> bytes:
        """Return the UPDATE that counts this statement as done, whatever the file set."""
        created = things or self._work.recorder.created(floor=self._floor)
        sql = self._work.history.text(
            "progress",
            done=self._number,
            chain=literal(self._chain),
            created=created,
            version=literal(self._version),
        )
        reset = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; "
        return f"{reset}{OWN_PATH}{self._work.guard(self._file)}{sql}".encode()

    def _copy(self, statement: Statement, splitter: Splitter | None) -> None:
        assert splitter is not None  # noqa: S101 - a file with COPY data is never held
        try:
            with self._work.watch.over(self._work.session):
                self._work.session.copy(
                    statement.text, splitter.copy_data(), self._tell_bytes
                )
        except psycopg2.Error as error:
            found = self._work.diagnose(error, self._file)
            raise self._failure(found, statement, found.position or 1) from error

    def _tell_bytes(self, sent: int) -> None:
        size = self._script.migration.size
        self._work.tell(Progress(what="bytes of COPY data", done=sent, total=size))

    def run(
        self, message: bytes, statement: Statement | None = None, *, before: bytes = b""
    ) -> None:
        """Send a message in which ``statement`` stands after ``before``."""
        try:
            with self._work.watch.over(self._work.session):
                self._work.session.run(message)
        except psycopg2.Error as error:
            found = self._work.diagnose(error, self._file)
            at = (found.position or 1) - (len(before.decode()) if found.position else 0)
            raise self._failure(found, statement or NOWHERE, max(at, 1)) from error

    def _failure(
        self, found: Diagnosis, statement: Statement, character: int
    ) -> StatementFailed:
        return statement_failed(
            *(found, self._file, statement),
            character=character,
            note=self._work.blamed(found),
        )
