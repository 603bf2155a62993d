"""Hold the lock and carry migrations out: the part of ``apply`` that writes.

Called by the runner, with a session that is open already. Decides nothing about which
migrations; resolves, by asking the server, what a lost session left undecided.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import psycopg2

from migrate.config import Settings
from migrate.errors import ExplainedError
from migrate.events import (
    Blocked,
    CreatedUnseen,
    Listener,
    Notice,
    Progress,
    Resolving,
    WaitingForLock,
)
from migrate.faults import (
    CommitLost,
    Interrupted,
    LeaseLost,
    OutcomeUnknown,
    RecordRefused,
    SessionLost,
    StatementFailed,
    StoppedMidway,
)
from migrate.migration import Entry, Mode, Script, span
from migrate.postgres import lease, lock
from migrate.postgres.access import Access
from migrate.postgres.acknowledged import Acknowledged
from migrate.postgres.bundle import apply_bundle, waiting
from migrate.postgres.catalog import Eraser, Identity, Recorder
from migrate.postgres.diagnose import ends_transactions
from migrate.postgres.history import REFUSALS, Facts, History, Spent
from migrate.postgres.inventory import show_created
from migrate.postgres.pauses import let_others_pass
from migrate.postgres.session import Session
from migrate.postgres.stepwise import apply_stepwise
from migrate.postgres.transaction import apply_together
from migrate.postgres.undoing import undo
from migrate.postgres.version import tool_version
from migrate.postgres.watch import Watch
from migrate.postgres.work import Work
from migrate.refusals import (
    ConnectionLost,
    LockHeld,
    ServerUnreachable,
    Unreachable,
)
from migrate.stop import Stop

_RESOLVE_MS = 60_000
#: What kept a question from being answered, and needs no cure but another run.
_PASSES = (ServerUnreachable, ConnectionLost, LeaseLost, Interrupted)
_Answer = TypeVar("_Answer")


class Worker:
    """One run's lock, watch and work. Use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        session: Session,
        tell: Listener,
        stop: Stop,
    ) -> None:
        """Take the session over; nothing is locked yet."""
        self._settings = settings
        self._access = access
        self._stop = stop
        self.tell = tell
        self.failed_file = ""
        #: Of the last bundle: those that are applied, and how long each took.
        self.spent: Spent = {}
        self._tried, self._met = 0, ""
        #: What the message on its way holds; ``_apart``: each commits by itself.
        self._at_work, self._apart = tuple[Script, ...](), False
        self._begins: Callable[[Script], None] = lambda _: None
        self.acknowledged = Acknowledged()
        #: Whether the lock was lost and taken again: then others may have worked meanwhile.
        self.relocked = False
        platform = settings.platform
        self._identity = Identity(
            run_id=access.run_id, tool_version=tool_version(), **platform._asdict()
        )
        self._watch = Watch(
            stop,
            access.open_observer,
            on_blocked=self._blocked,
            on_progress=lambda what, done, total: tell(Progress(what, done, total)),
        )
        self._watch.application_name = access.application_name
        self._key = 0
        self._lease: lease.Lease | None = None
        self._leases = 0
        self._use(session)

    def _use(self, session: Session) -> None:
        settings = self._settings
        self.session = session
        self._history = History(session, settings.schema, settings.table)
        self._recorder = Recorder(session, self._history.qualified, self._identity)

    def __enter__(self) -> Self:
        """Start watching."""
        self._watch.start(self._settings.lock_timeout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back and stop watching; never hides the error at hand."""
        with contextlib.suppress(psycopg2.Error, ConnectionLost):
            self.session.roll_back()
            if self._lease:
                self._lease.release(self.session)
            elif self._key:
                lock.unlock(self.session, self._key)
        self._watch.close()
        self.session.close()

    # --- the lock ---------------------------------------------------------------------

    def take_lock(self) -> None:
        """Wait for the lock, naming its holder. Raises `LockHeld`."""
        settings = self._settings
        ((database,),) = self.session.rows("SELECT current_database()::text")
        key = lock.lock_key(database, settings.schema, settings.table)
        table = lease.lease_table(settings.schema, settings.table)
        if self.session.pooled:
            self._leases += 1
            history = (settings.schema, settings.table)
            name = self._access.application_name
            self._lease = lease.Lease(
                history, key, self._identity, name, number=self._leases
            )
            attempt = self._lease.try_take
        else:
            attempt = lambda session: lease.try_lock_beside(session, key, table)  # noqa: E731
        lock.wait_until(
            lambda: attempt(self.session),
            lambda: (
                lease.live_holder(self.session, table)
                or lock.holder(self.session, key)
                or lease.live_holder(self.session, table, expired=True)
            ),
            wait_ms=settings.lock_wait,
            pause=self._stop.pause,
            on_wait=lambda who, ms: self.tell(WaitingForLock(who, ms)),
        )
        self._key = key
        if self._lease:
            self._watch.keep(self._lease.beat, lease.BEAT_S)

    # --- the work ---------------------------------------------------------------------

    def carry_out(
        self,
        scripts: Sequence[Script],
        *,
        ending: str,
        facts: Facts | None = None,
        begins: Callable[[Script], None],
    ) -> None:
        """Apply one non-transactional migration, or several in one transaction.

        ``facts``: make or upgrade the history inside that transaction (a dry run).
        ``begins`` is told the first of each message. Raises what `transaction` and
        `stepwise` raise, and when the session was lost what the server says came of it.
        """
        self._begins = begins
        self._entering(scripts[:1])
        if self._met:
            met, self._met = self._met, ""
            let_others_pass(self._work(), self.failed_file, self._tried, met)
        own = scripts[0].directives.lock_timeout_ms
        self._watch.hurry(self._settings.lock_timeout if own is None else own)
        try:
            if scripts[0].mode is Mode.NON_TRANSACTIONAL:
                apply_stepwise(self._work(), scripts[0])
            elif not self._together(scripts, ending, facts):
                scripts = [scripts[0]._replace(mode=Mode.NON_TRANSACTIONAL)]
                apply_stepwise(self._work(), scripts[0])
        except ConnectionLost as lost:
            self._resolve(scripts, lost, committing=ending == "COMMIT")
        except REFUSALS as refusal:
            raise self._unrecorded(refusal) from refusal
        self._tried = 0
        if ending == "COMMIT":
            self.acknowledged.applied(s.migration.version for s in scripts)

    def carry_out_bundle(self, scripts: Sequence[Script]) -> None:
        """Apply several small migrations; ``spent`` has those that are applied.

        Raises `SessionLost` when the session was lost before all of them were.
        """
        self.failed_file = scripts[0].migration.file
        self._at_work, self._apart, self.spent = tuple(scripts), True, {}
        self._watch.hurry(self._settings.lock_timeout)
        try:
            self.spent, met = apply_bundle(self._work(), scripts)
            if met and len(self.spent) < len(scripts):
                self._tried, self._met = 1, met
        except REFUSALS as refusal:
            raise self._unrecorded(refusal) from refusal
        except ConnectionLost as lost:
            files = tuple(s.migration.file for s in scripts)
            self.spent = self._ask(files, lost, lambda: self._history.spent(scripts))
            if len(self.spent) < len(scripts):
                file = self.failed_file = scripts[len(self.spent)].migration.file
                raise SessionLost(file=file, reason=lost.reason) from lost
        finally:
            done = scripts[: len(self.spent)]
            self.acknowledged.applied(s.migration.version for s in done)

    def _unrecorded(self, refusal: ExplainedError) -> RecordRefused:
        """Return the error of a migration that was not begun: it could not be recorded."""
        file = self.failed_file
        return RecordRefused(file=file, reason=str(refusal), cure=refusal.advice())

    def _together(
        self, scripts: Sequence[Script], ending: str, facts: Facts | None
    ) -> bool:
        """Apply in one transaction; False: the only file ends transactions on its own."""
        opening = ""
        if facts:
            opening = self._history.layout_sql(facts) + " RESET search_path; "
            # What the prepared statement needs may not exist yet.
            self._recorder.forget_prepared()
        try:
            apply_together(
                self._work(), scripts, ending, opening=opening, entering=self._entering
            )
        except StatementFailed as failure:
            if len(scripts) > 1 or ending != "COMMIT" or not ends_transactions(failure):
                raise
            if scripts[0].wrapped or scripts[0].directives.transaction:
                raise
            # The text did not tell: a routine that it calls commits on its own.
            place = f"{failure.file}:{failure.line}"
            text = f"{place} ends its transaction: applying statement by statement"
            self.tell(Notice(file=failure.file, text=text))
            return False
        return True

    def show_created(self) -> None:
        """Tell what this run created. Raises `CommitLost`.

        All is committed: if the session is lost now, the outcome does not hang on it.
        """
        run_id = self._identity.run_id
        try:
            try:
                show_created(self._history, run_id, self.tell)
            except ConnectionLost as lost:
                self._use(self._access.open())
                self._key = 0
                self._compare(lost)
                show_created(self._history, run_id, self.tell)
        except (Unreachable, Interrupted, *REFUSALS) as error:
            self.tell(CreatedUnseen(reason=str(error)))

    def undo(self, script: Script) -> None:
        """Run a ``.down.sql`` and remove the entry. Raises what `undoing` raises."""
        self.failed_file = script.migration.file
        eraser = Eraser(self.session, self._history.qualified, self._identity)
        undo(self._work()._replace(recorder=eraser), script)

    def _entering(self, scripts: Sequence[Script]) -> None:
        self.failed_file = scripts[0].migration.file
        self._at_work, self._apart = tuple(scripts), False
        self._begins(scripts[0])

    def _blocked(self, blockers: tuple[str, ...], observer: Session) -> None:
        """Tell which file waits, as exactly as can be known. Called by the watch."""
        file = span(self._at_work) if self._at_work else self.failed_file
        if self._apart:
            file = waiting(self._history.seen_by(observer), self._at_work)
        self.tell(Blocked(file, blockers))

    def entries(self) -> list[Entry]:
        """Return what the history says now."""
        return self._history.read(self._history.inspect())

    def _work(self) -> Work:
        return Work(
            session=self.session,
            history=self._history,
            recorder=self._recorder,
            watch=self._watch,
            stop=self._stop,
            tell=self.tell,
            identity=self._identity,
            lock_tries=self._settings.lock_tries,
            fence=self._lease.fence() if self._lease else "",
            key=self._key,
            acknowledged=self.acknowledged,
            tried=self._tried,
        )

    # --- a lost session ---------------------------------------------------------------

    def _resolve(
        self, scripts: Sequence[Script], lost: ConnectionLost, *, committing: bool
    ) -> None:
        """Ask the server whether the COMMIT took effect; return only if it did.

        The lock is the barrier: it lived in the lost session, so whoever holds it now
        knows that the lost transaction has ended, one way or the other.
        """
        last = scripts[-1].migration
        if not committing:
            if self._stop.signal:
                raise Interrupted(signal=self._stop.signal, file=last.file) from lost
            raise SessionLost(file=last.file, reason=lost.reason) from lost
        began = time.monotonic()
        files = tuple(s.migration.file for s in scripts)
        done = self._ask(files, lost, lambda: self._found(scripts))
        seconds = time.monotonic() - began
        if done is None:
            reason = f"{lost.reason} (asked again after {seconds:.1f} s)"
            raise SessionLost(file=last.file, reason=reason) from lost
        if done >= 0:
            raise StoppedMidway(
                failure=f"the session was lost while applying {last.file}: {lost.reason}",
                done=done,
                total=scripts[0].statements,
                version=last.version,
                at_fault=False,
            ) from lost

    def _ask(
        self,
        files: tuple[str, ...],
        lost: ConnectionLost,
        question: Callable[[], _Answer],
    ) -> _Answer:
        """Ask in a new session, under the lock: again and again, until the time is over.

        Raises `OutcomeUnknown` if nobody answers, `CommitLost` if another server does.
        """
        self.tell(Resolving(file=self.failed_file, reason=lost.reason))
        until = time.monotonic() + max(self._settings.wait, _RESOLVE_MS) / 1000
        while True:
            left_ms = max(round((until - time.monotonic()) * 1000), 0)
            try:
                self._stop.pause(0, self.failed_file)
                self._use(self._access.open(wait_ms=left_ms))
                self._key = 0
                self.take_lock()
                self.relocked = True
                self._compare(lost)
                return question()
            except (
                *(Unreachable, LockHeld, LeaseLost, Interrupted),
                *REFUSALS,
            ) as error:
                # This session may be lost as the first one was.
                if isinstance(error, ConnectionLost) and left_ms:
                    continue
                cure = "" if isinstance(error, _PASSES) else error.advice()
                file, reason = ", ".join(files), str(error)
                raise OutcomeUnknown(file=file, reason=reason, cure=cure) from lost

    def _compare(self, lost: ConnectionLost) -> None:
        """Raise `CommitLost` unless the server has what it had before."""
        if lacking := self.acknowledged.lacking(self._history):
            raise CommitLost(missing=lacking, reason=lost.reason) from lost

    def _found(self, scripts: Sequence[Script]) -> int | None:
        """Return how many statements the history has of it; -1: all; None: nothing."""
        if self._history.committed(scripts) == len(scripts):
            return -1
        return self._history.begun(scripts[-1].migration.version)
