"""Apply migrations inside one transaction, together with their history entries.

Called by the runner: one migration at a time by default, all of them for
``--single-transaction``, all of them and never committed for ``--dry-run``.

A file goes to the server in as few messages as possible: most are one, from BEGIN to
COMMIT. When the server names no position, the failing statement is found by sending that
batch again, statement by statement, after a rollback; so precision costs nothing until it
is needed (docs/design.md, "Round trips").
"""

import itertools
from collections.abc import Callable, Sequence

import psycopg2

from migrate.events import CheckPassed, Progress
from migrate.faults import CheckFailed, Interrupted, StatementFailed
from migrate.migration import Script, span
from migrate.places import NOWHERE, apart, within
from migrate.postgres import lexing
from migrate.postgres.batches import (
    Batch,
    batches,
    bundled,
    may_be_whole,
    opened,
    text_of,
)
from migrate.postgres.checks import read_checks, run_check
from migrate.postgres.diagnose import (
    DENIED,
    RETRIED,
    UNDEFINED_TABLE,
    UNKNOWN_PREPARED,
    Diagnosis,
    denial,
    statement_failed,
)
from migrate.postgres.pauses import let_others_pass
from migrate.postgres.session import OWN_PATH
from migrate.postgres.sweep import CLEAN, RESET, SETTLE, sweep
from migrate.postgres.traits import Traits
from migrate.postgres.work import Work
from migrate.statements import Statement

_SAVEPOINT = b"SAVEPOINT migrate_batch;\n"
_RELEASE = b"\nRELEASE SAVEPOINT migrate_batch"


class Unlocated(Exception):
    """A message failed and the server did not say where."""


class _Retry(Exception):
    """The transaction may be tried again."""

    def __init__(self, found: Diagnosis, failure: StatementFailed) -> None:
        super().__init__(found.message)
        self.found = found
        self.failure = failure


def apply_together(
    work: Work,
    scripts: Sequence[Script],
    ending: str,
    *,
    opening: str = "",
    entering: Callable[[Sequence[Script]], None] = lambda _: None,
) -> None:
    """Apply the migrations in one transaction that ends with ``ending``.

    ``opening`` is SQL to begin with; ``entering`` is told what each message holds. Lock
    timeouts, deadlocks and serialization failures are retried as a whole, after a pause
    with jitter. Raises `StatementFailed`, `HiddenSetting`, `CheckFailed`, `Interrupted`,
    and `ConnectionLost` when the session is gone. Whatever it raises, no transaction of ours
    is left open.
    """
    careful, attempt = False, work.tried + 1
    while True:
        try:
            if careful:  # what rolling back leaves of an earlier attempt
                work.session.run(sweep(work.key))
                work.recorder.prepare_again()
                work.session.take_notices()  # what is sent again says it again
            try:
                with work.watch.over(work.session):
                    _attempt(work, scripts, ending, opening, entering, careful=careful)
            except (Unlocated, _Retry, StatementFailed, Interrupted):
                if ending != "COMMIT" or not _landed(work, scripts):
                    raise
                work.sweep()
        except Unlocated:
            careful = True
        except _Retry as retry:
            careful = True  # the failure reported in the end names its statement
            if attempt >= work.lock_tries:
                raise retry.failure from retry
            work.session.roll_back()
            let_others_pass(work, retry.failure.file, attempt, retry.found.message)
            attempt += 1
        else:
            return
        finally:
            work.session.roll_back()


def _landed(work: Work, scripts: Sequence[Script]) -> bool:
    """Whether the COMMIT took effect all the same: a message goes on after it.

    What failed or was cancelled there ended no transaction of the file's. A COMMIT that
    failed leaves none open either; so it is asked.
    """
    session = work.session
    if session.lost or session.in_transaction:
        return False
    return work.ask(scripts, lambda: work.recorder.landed(work.history, scripts))


def _attempt(
    work: Work,
    scripts: Sequence[Script],
    ending: str,
    opening: str,
    entering: Callable[[Sequence[Script]], None],
    *,
    careful: bool,
) -> None:
    # A dry run is made to be read: there each file's notices come under its own name.
    singly = careful or ending != "COMMIT"
    for group in [[script] for script in scripts] if singly else bundled(scripts):
        entering(group)
        with work.history.explained():
            work.recorder.get_ready()
        carriers = []
        for script in group:
            # Our own settings for the entry before must not reach the next file.
            first, last = script is scripts[0], script is scripts[-1]
            head = _opening(work, script) + opening if first else RESET
            tail = f"{ending}; " if last else ""
            carriers.append(
                _Carrier(work, script, opening=head, ending=tail, careful=careful)
            )
        if len(carriers) == 1:
            try:
                carriers[0].carry_out()
            except (StatementFailed, CheckFailed):
                work.tell_notices(span(group))
                raise
        else:
            _send_bundle(work, carriers, group)


def _send_bundle(
    work: Work, carriers: Sequence["_Carrier"], scripts: Sequence[Script]
) -> None:
    """Send small files in one message; which of them failed is found in a careful try."""
    try:
        work.session.run(b"\n".join(carrier.alone() for carrier in carriers))
    except psycopg2.Error as error:
        raise carriers[0].unlocated(error) from error
    work.tell_notices(span(scripts))


def whole_message(work: Work, script: Script) -> bytes:
    """Return the message that applies a small migration in a transaction of its own."""
    carrier = _Carrier(
        work, script, opening=_opening(work, script), ending="COMMIT; ", careful=False
    )
    return carrier.alone()


def _opening(work: Work, script: Script) -> str:
    begin = "BEGIN; "
    if script.wrapped:
        with opened(script) as (statements, _):
            begin = next(statements).text.decode() + " "
    return f"{begin}{work.fence}"


class _Carrier:
    """Sends one file, its checks and its entry, inside the transaction at hand."""

    def __init__(
        self, work: Work, script: Script, *, opening: str, ending: str, careful: bool
    ) -> None:
        self._work = work
        self._script = script
        self._file = script.migration.file
        directives = script.directives
        limits = work.limits(
            directives.lock_timeout_ms, directives.statement_timeout_ms
        )
        self._opening = opening + limits
        self._ending = ending
        self._careful = careful
        self._traits = Traits()
        self._last: Statement | None = None  # that was sent alone

    def carry_out(self) -> None:
        """Send everything; raises what `apply_together` documents."""
        whole = self._script.migration.verify_path is None and not self._careful
        with opened(self._script) as (statements, splitter):
            rest = batches(self._script, statements, splitter)
            first = next(rest, None)
            # Looking past a COPY would skip its data.
            second = next(rest, None) if first and first.data is None else None
            whole = whole and second is None
            if whole and first and may_be_whole(first):
                self._send_whole(first)
                return
            if self._opening:
                self._run_own(self._opening)
            for batch in itertools.chain(filter(None, (first, second)), rest):
                self._send(batch, protected=batch is not first)
                self._tell_progress()
        self._run_own(SETTLE)  # deferred constraints speak while the file is to blame
        self._check()
        self._record()
        self._swept()

    def alone(self) -> bytes:
        """Return the message of a small file, whose statements were kept."""
        statements = self._script.held or ()
        return self.whole(statements[1:-1] if self._script.wrapped else statements)

    def unlocated(self, error: psycopg2.Error) -> Exception:
        """Return what comes of a failure somewhere in a message of several files."""
        found = self._work.diagnose(error, self._file)._replace(position=None)
        statements = self._script.held or ()
        if found.sqlstate in RETRIED:
            return self._failure(found, statements[0], 1)
        return Unlocated()

    def whole(self, statements: tuple[Statement, ...]) -> bytes:
        """Return the one message that applies and records the migration."""
        text = text_of(Batch(statements))
        self._traits.add(statements, text)
        unseen = lexing.guard(statements, text)
        tail = f"\n{unseen}{SETTLE}{OWN_PATH}{self._record_sql()}"
        return self._opening.encode() + text + tail.encode()

    def _send_whole(self, batch: Batch) -> None:
        """Everything of this migration in one message."""
        head = self._opening
        try:
            self._work.session.run(self.whole(batch.statements))
        except psycopg2.Error as error:
            found = self._work.diagnose(error, self._file)
            if found.sqlstate == UNKNOWN_PREPARED and "migrate_record" in found.message:
                self._work.recorder.forget_prepared()
                raise Unlocated from error
            raise self._located(found, batch, len(head)) from error
        self._swept()
        self._work.tell_notices(self._file)

    def _send(self, batch: Batch, *, protected: bool) -> None:
        """One batch of several; ``protected``: a failure leaves the earlier ones standing."""
        lexing.refuse_unseen(self._work.session, self._file, self._last)
        text = text_of(batch)
        self._traits.add(batch.statements, text)
        if self._careful or batch.single or lexing.must_part(batch.statements):
            self._send_singly(batch)
        else:
            encoding = lexing.encoding(self._work.session)
            protected = protected and not batch.ends_savepoints
            head = _SAVEPOINT if protected else b""
            try:
                self._work.session.run(head + text + (_RELEASE if protected else b""))
            except psycopg2.Error as error:
                found = self._work.diagnose(error, self._file)
                try:
                    raise self._located(found, batch, len(head)) from error
                except Unlocated:
                    if not protected:
                        raise
                self._work.session.run("ROLLBACK TO SAVEPOINT migrate_batch")
                self._send_singly(batch)
            self._last = batch.statements[-1]
            # Sent one by one they are read as psql's are, or refused at their place.
            if lexing.strayed(self._work.session, self._last, encoding):
                raise Unlocated
        self._work.tell_notices(self._file)

    def _send_singly(self, batch: Batch) -> None:
        session = self._work.session
        for statement in apart(batch.statements):
            lexing.refuse_unseen(session, self._file, self._last)
            try:
                if batch.data is None:
                    session.run(statement.text)
                else:
                    session.copy(statement.text, batch.data, self._tell_bytes)
            except psycopg2.Error as error:
                found = self._work.diagnose(error, self._file)
                raise self._failure(found, statement, found.position or 1) from error
            self._last = statement

    def _check(self) -> None:
        """Run the checks, each as the last word of a savepoint of nobody's."""
        path = self._script.migration.verify_path
        if path is None:
            return
        work = self._work

        def word(error: psycopg2.Error) -> str:
            found = work.diagnose(error, self._file)
            return f"{found.message} (SQLSTATE {found.sqlstate})"

        for check in read_checks(path):
            work.stop.check(self._file)
            try:
                run_check(work.session, check, word)
            except CheckFailed as failure:
                failure.add_note(f"{self._file} was rolled back")
                raise
            work.tell(CheckPassed(file=check.file, check=check.name))
        self._run_own(SETTLE)

    def _record(self) -> None:
        self._run_own(f"{OWN_PATH}{self._record_sql()}")

    def _record_sql(self) -> str:
        """Return the entry, the end of the transaction if this is it, and the sweep."""
        traits, work = self._traits, self._work
        entry = work.recorder.record(self._script, traits)
        swept = sweep(work.key) if traits.stays else CLEAN
        return f"{work.guard(self._file)}{entry}{self._ending}{swept}"

    def _swept(self) -> None:
        if self._traits.stays:
            self._work.recorder.prepare_again()

    def _run_own(self, sql: str) -> None:
        """Send statements of our own; their failure is the file's, which set the scene."""
        try:
            self._work.session.run(sql)
        except psycopg2.Error as error:
            found = self._work.diagnose(error, self._file)
            if found.sqlstate == UNKNOWN_PREPARED and "migrate_record" in found.message:
                self._work.recorder.forget_prepared()
                raise Unlocated from error
            raise self._own_failure(found) from error

    def _own_failure(self, found: Diagnosis) -> Exception:
        place = NOWHERE
        if last := self._traits.last:
            *_, place = apart([last])
        note = "it failed while the migration was being recorded or committed"
        if (
            found.sqlstate == UNDEFINED_TABLE
            and self._work.history.table in found.message
        ):
            note = (
                "the migration dropped our history table: give the history another name "
                "with --table, or another schema with --schema"
            )
        elif found.sqlstate == DENIED:
            note = f"{note}; {denial(found, ())}"
        return self._failure(found, place, 1, note)

    def _located(self, found: Diagnosis, batch: Batch, before: int) -> Exception:
        """Return the failure of the statement the server points at; or raise `Unlocated`."""
        if found.position is None and found.sqlstate not in RETRIED:
            raise Unlocated
        at = (found.position or 0) - before
        for statement in batch.statements:
            length = len(statement.text.decode()) + 1
            if 0 < at <= length:
                return self._failure(found, *within(statement, at))
            at -= length
        if found.sqlstate not in RETRIED:
            raise Unlocated
        return self._failure(found, batch.statements[0], 1)

    def _failure(
        self, found: Diagnosis, statement: Statement, character: int, note: str = ""
    ) -> Exception:
        note = self._work.blamed(found) or note
        failure = statement_failed(
            found, self._file, statement, character=character, note=note
        )
        return _Retry(found, failure) if found.sqlstate in RETRIED else failure

    def _tell_bytes(self, sent: int) -> None:
        size = self._script.migration.size
        self._work.tell(Progress(what="bytes of COPY data", done=sent, total=size))

    def _tell_progress(self) -> None:
        self._work.tell(
            Progress(
                what="statements", done=self._traits.sent, total=self._script.statements
            )
        )
