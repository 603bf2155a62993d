"""The everyday verbs: apply, plan, status, verify.

Called by the faces. Each verb reads the directory, opens a session, decides with `plan`,
acts through `postgres`, tells events, and returns what came of it. Prints nothing.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from migrate.config import Settings
from migrate.drift import Drift
from migrate.errors import ExitCode, ExplainedError, UnmetRequirement
from migrate.events import (
    Applied,
    Connected,
    Connecting,
    Executing,
    HistoryUpgraded,
    Listener,
)
from migrate.faults import CommitLost, OutcomeUnknown, StatementFailed
from migrate.grouping import Manner, grouped
from migrate.migration import UNFINISHED, Entry, Migration, Mode, Script, order
from migrate.outcome import Done, Outcome
from migrate.plan import Plan, Selection, make_plan
from migrate.postgres.access import Access
from migrate.postgres.history import LAYOUT, Facts, History
from migrate.postgres.session import Session
from migrate.refusals import DriftBlocks
from migrate.source import open_file, read_directory
from migrate.stop import Stop


class Result(NamedTuple):
    """What a verb came to: the outcome, and the error that ended it, if one did."""

    outcome: Outcome
    error: ExplainedError | None = None


class Reading(NamedTuple):
    """What directory and database say, read without a lock."""

    migrations: list[Migration]
    entries: list[Entry]
    facts: Facts
    history: History
    session: Session
    access: Access


def read(settings: Settings, tell: Listener, stop: Stop | None = None) -> Reading:
    """Read the directory, open a session, read the history."""
    migrations = read_directory(settings.dir)
    dsn = settings.dsn()
    tell(
        Connecting(
            host=dsn.shown("host"),
            port=dsn.shown("port"),
            database=dsn.shown("dbname"),
            user=dsn.shown("user"),
            files=tuple(m.path for m in migrations),
            size=sum(m.size for m in migrations),
            lines=sum(m.lines for m in migrations),
        )
    )
    access = Access(settings, tell, stop)
    session = access.open()
    tell(Connected(server=session.server, pooled=session.pooled))
    history = History(session, settings.schema, settings.table)
    facts = history.inspect()
    return Reading(migrations, history.read(facts), facts, history, session, access)


def plan(
    settings: Settings, selection: Selection, tell: Listener
) -> tuple[Plan, list[Script]]:
    """Return what ``apply`` would do now, and how. Takes no lock, writes nothing."""
    reading = read(settings, tell)
    try:
        made = make_plan(reading.migrations, reading.entries, selection)
        return made, load_scripts(made.steps, reading.entries)
    finally:
        reading.session.close()


def load_scripts(
    steps: Sequence[Migration], entries: Sequence[Entry], *, unknown_below: int = 0
) -> list[Script]:
    """Read the pending files and their checks: a wrong one is found before any is applied.

    Where no history was read, what is older than ``unknown_below`` may be applied already.
    Raises `SourceError`.
    """
    # Imported here: a run that has nothing to apply never pays for the splitter.
    from migrate.parse import parse_script  # noqa: PLC0415
    from migrate.postgres.checks import read_checks  # noqa: PLC0415

    scripts: list[Script] = []
    known = {_key(e.version) for e in entries}
    begun = {e.version for e in entries if e.state in UNFINISHED}
    for migration in steps:
        with open_file(migration.path) as stream:
            script = parse_script(migration, stream)
        if migration.version in begun and script.mode is Mode.TRANSACTIONAL:
            reasons = ("an earlier run stopped in the middle of it",)
            script = script._replace(mode=Mode.NON_TRANSACTIONAL, reasons=reasons)
        for wanted in script.directives.requires:
            old = wanted.isdigit() and int(wanted) < unknown_below
            if _key(wanted) not in known and not old:
                raise UnmetRequirement(file=migration.file, required=wanted)
        known.add(_key(migration.version))
        if migration.verify_path:
            for _ in read_checks(migration.verify_path):
                pass
        scripts.append(script)
    return scripts


def _key(version: str) -> int | str:
    return int(version) if version.isdigit() else version


def refuse_drift(drift: Sequence[Drift]) -> None:
    """Raise `DriftBlocks` if there is any."""
    if drift:
        raise DriftBlocks(
            found=tuple((d.kind.value, d.version, d.detail) for d in drift)
        )


def apply(
    settings: Settings, selection: Selection, manner: Manner, tell: Listener, stop: Stop
) -> Result:
    """Apply what is pending.

    Errors before the first migration are raised; from then on they are part of the
    result, which says what was applied and what was not tried.
    """
    began = time.monotonic()
    reading = read(settings, tell, stop)
    try:
        made = make_plan(reading.migrations, reading.entries, selection)
        refuse_drift(made.blocking)
        if not made.steps:
            return Result(_outcome((), None, (), began))
        reading.history.check_privileges(reading.facts)
        ready = load_scripts(made.steps, reading.entries)
        # Imported here: a run that has nothing to apply never pays for it.
        from migrate.postgres.worker import Worker  # noqa: PLC0415

        with Worker(settings, reading.access, reading.session, tell, stop) as worker:
            worker.take_lock()
            chosen = (selection, manner)
            return _apply_locked(worker, reading, chosen, began, ready=ready)
    finally:
        reading.session.close()


def _apply_locked(
    worker: "Worker",  # type: ignore[name-defined]  # noqa: F821 - see the import above
    reading: Reading,
    chosen: tuple[Selection, Manner],
    began: float,
    *,
    ready: list[Script],
) -> Result:
    """Decide again under the lock, then act; ``ready`` is what was decided without it."""
    selection, manner = chosen
    facts, entries, scripts = _decide_again(reading, selection, ready)
    run = _Run(worker, scripts, manner, facts)
    groups = grouped(scripts, manner, worker.tell)
    kept = {script.migration.version for group in groups for script in group}
    versions = (script.migration.version for script in scripts)
    left = tuple(version for version in versions if version not in kept)
    if manner is not Manner.DRY:
        reading.history.ensure(facts)
        if 0 < facts.layout < LAYOUT:
            worker.tell(HistoryUpgraded(before=facts.layout, after=LAYOUT))
    worker.acknowledged.read(entries)
    try:
        while groups:
            run.carry_out(groups.pop(0))
            if worker.relocked and manner is Manner.SEPARATE:
                groups = _plan_again(run, worker, reading, selection)
        if manner is not Manner.DRY:
            worker.show_created()
    except ExplainedError as error:
        rest = run.untried()
        if isinstance(error, CommitLost):
            run.forget(error.missing)
        _note_leak(error, reading.migrations)
        failed = (worker.failed_file or None, error)
        outcome = _outcome(run.done, failed, rest, began)
        return Result(outcome._replace(left_out=left), error)
    return Result(_outcome(run.done, None, (), began)._replace(left_out=left))


def _plan_again(
    run: "_Run",
    worker: "Worker",  # type: ignore[name-defined]  # noqa: F821 - see the import above
    reading: Reading,
    selection: Selection,
) -> list[list[Script]]:
    """Return what is left to do: the lock was lost for a moment, and others may have worked."""
    worker.relocked = False
    worker.failed_file = ""
    entries = worker.entries()
    made = make_plan(reading.migrations, entries, selection)
    refuse_drift(made.blocking)
    scripts = load_scripts(made.steps, entries)
    run.go_on_with(scripts)
    return grouped(scripts, Manner.SEPARATE, worker.tell)


class _Run:
    """Carries groups of migrations out and keeps the account."""

    def __init__(
        self,
        worker: "Worker",  # type: ignore[name-defined]  # noqa: F821 - see above
        scripts: Sequence[Script],
        manner: Manner,
        facts: Facts,
    ) -> None:
        self._worker = worker
        self._scripts = scripts
        self._manner = manner
        self._facts = facts
        self.done: list[Done] = []
        self.tried = 0
        self._begun = 0

    def carry_out(self, group: Sequence[Script]) -> None:
        """Apply a group; in the account as done is what the server has committed."""
        self.tried += len(group)
        if self._manner is Manner.SEPARATE and len(group) > 1:
            self._bundle(group)
        else:
            self._together(group)

    def _bundle(self, group: Sequence[Script]) -> None:
        """Several in one message; those it did not reach go one by one.

        Unless the lock was lost on the way: then what is left is planned anew.
        """
        before = self.tried - len(group)
        begun = 1
        self._begin(before + 1)
        try:
            self._worker.carry_out_bundle(group)
        except (OutcomeUnknown, CommitLost):
            begun = len(group)  # nobody knows how far the server came
            raise
        finally:
            spent = self._worker.spent
            applied = len(spent)
            self.tried = before + min(applied + begun, len(group))
            for number, script in enumerate(group[:applied], start=before + 1):
                self._begin(number)
                self._enter(script, spent[script.migration.version])
        for number, script in enumerate(group[applied:], start=applied + 1):
            if self._worker.relocked:
                return
            self.tried = before + number
            self._together([script])

    def _together(self, group: Sequence[Script]) -> None:
        dry = self._manner is Manner.DRY
        before, began = self.tried - len(group), time.monotonic()
        numbers = {
            s.migration.version: n for n, s in enumerate(group, start=before + 1)
        }
        self._worker.carry_out(
            group,
            ending="ROLLBACK" if dry else "COMMIT",
            facts=self._facts if dry else None,
            begins=lambda script: self._begin(numbers[script.migration.version]),
        )
        self._begin(self.tried)
        elapsed = (time.monotonic() - began) * 1000
        for script in group:
            # Of several in one transaction nobody measured each.
            self._enter(script, elapsed if len(group) == 1 else None)

    def _begin(self, until: int) -> None:
        """Tell that the migrations up to a number have begun: each once, in order."""
        for number in range(self._begun + 1, until + 1):
            script = self._scripts[number - 1]
            self._worker.tell(_executing(script, number, len(self._scripts)))
        self._begun = max(self._begun, until)

    def untried(self) -> tuple[str, ...]:
        """Return the versions that were not begun; of one transaction, all are."""
        rest = self._scripts[self.tried :] if self._manner is Manner.SEPARATE else []
        return tuple(script.migration.version for script in rest)

    def go_on_with(self, scripts: Sequence[Script]) -> None:
        """Replace those that were not begun."""
        self._scripts = [*self._scripts[: self.tried], *scripts]

    def forget(self, versions: Sequence[str]) -> None:
        """Take from the account what the server has lost."""
        self.done = [done for done in self.done if done.version not in versions]

    def _enter(self, script: Script, spent: float | None) -> None:
        """Put a migration into the account, with the milliseconds it took, if known."""
        migration = script.migration
        rounded = None if spent is None else round(spent, 1)
        self.done.append(Done(migration.version, migration.name, rounded))
        if self._manner is not Manner.DRY:
            names = (migration.version, migration.name, migration.file)
            self._worker.tell(Applied(*names, spent, len(self._scripts)))


def _decide_again(
    reading: Reading, selection: Selection, ready: list[Script]
) -> tuple[Facts, list[Entry], list[Script]]:
    """Read the history under the lock; take the scripts that are ready if none changed."""
    facts = reading.history.inspect()
    entries = reading.history.read(facts)
    made = make_plan(reading.migrations, entries, selection)
    refuse_drift(made.blocking)
    if entries == reading.entries and made.steps == tuple(s.migration for s in ready):
        return facts, entries, ready
    return facts, entries, load_scripts(made.steps, entries)


def _note_leak(error: ExplainedError, migrations: Sequence[Migration]) -> None:
    """Say so when the statement that failed relied on what an earlier file set."""
    from migrate.leaks import explains, find_leak  # noqa: PLC0415 - failures alone need it

    failure = error if isinstance(error, StatementFailed) else error.__cause__
    if not isinstance(failure, StatementFailed) or not explains(failure.sqlstate):
        return
    until = [m.file for m in migrations].index(failure.file) + 1
    files = ((m.file, _statements(m)) for m in reversed(migrations[:until]))
    # A file from before the baseline may be no text of ours: then nothing is known.
    with contextlib.suppress(ExplainedError):
        if leak := find_leak(failure.sqlstate, files):
            error.add_note(str(leak))


def _statements(migration: Migration) -> "Iterator[Statement]":  # type: ignore[name-defined]  # noqa: F821
    from migrate.statements import Splitter  # noqa: PLC0415 - failures alone need it

    with open_file(migration.path) as stream:
        yield from Splitter(stream, migration.file)


def _executing(script: Script, number: int, total: int) -> Executing:
    migration = script.migration
    return Executing(
        version=migration.version,
        name=migration.name,
        file=migration.file,
        mode=script.mode.value,
        number=number,
        total=total,
    )


def _outcome(
    done: Sequence[Done],
    failure: tuple[str | None, ExplainedError] | None,
    rest: tuple[str, ...],
    began: float,
) -> Outcome:
    file, error = failure or (None, None)
    return Outcome(
        verb="apply",
        exit_code=error.exit_code if error else ExitCode.OK,
        done=tuple(done),
        failed=file,
        error=error.code if error else None,
        message=str(error) if error else "",
        not_tried=rest,
        duration_ms=round((time.monotonic() - began) * 1000, 1),
    )


def latest(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry of the newest version."""
    return max(entries, key=lambda e: order(e.version), default=None)
