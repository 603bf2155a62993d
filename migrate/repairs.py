"""The fenced verbs: rollback, baseline, repair, unlock.

Called by the command line alone. They undo work, or change what is recorded without
changing the schema; each tells what it will do before it does it.
"""

import json
import time
from collections.abc import Callable

from migrate.config import Settings
from migrate.drift import Disagreement, find_drift
from migrate.errors import EmptyFile, UnknownVersion
from migrate.events import Executing, LeftBehind, Listener, RolledBack
from migrate.migration import Entry, Kind, Migration, Script, State, newest, order
from migrate.parse import parse_script
from migrate.postgres import lease, lock
from migrate.postgres.access import Access
from migrate.postgres.catalog import conditions
from migrate.postgres.version import tool_version
from migrate.postgres.worker import Worker
from migrate.refusals import NothingToRepair, NothingToUndo
from migrate.runner import Reading, read, refuse_drift
from migrate.source import open_file
from migrate.stop import Stop

#: Shows lines about what will be done; returns only if it may be done.
Confirm = Callable[[list[str]], None]


def rollback(
    settings: Settings, to: str | None, confirm: Confirm, tell: Listener, stop: Stop
) -> list[str]:
    """Undo the newest applied migration, or all newer than ``to``; newest first.

    One transaction per step, by the ``.down.sql``. Returns the versions undone. Raises
    `NothingToUndo` before the first step when one of them cannot be undone.
    """
    reading = read(settings, tell, stop)
    try:
        steps = _undo_steps(reading, to)
        confirm([f"roll back {m.version} {m.name} ({m.undo_path})" for m, _ in steps])
        undone = []
        with Worker(settings, reading.access, reading.session, tell, stop) as worker:
            worker.take_lock()
            reading.history.ensure(reading.history.inspect())
            for number, (migration, script) in enumerate(steps, start=1):
                tell(
                    Executing(
                        version=migration.version,
                        name=migration.name,
                        file=script.migration.file,
                        mode=script.mode.value,
                        number=number,
                        total=len(steps),
                    )
                )
                began = time.monotonic()
                created = _created(reading, migration.version)
                worker.undo(script)
                elapsed = (time.monotonic() - began) * 1000
                tell(RolledBack(migration.version, migration.name, elapsed))
                left = [
                    t
                    for t, c in conditions(worker.session, created).items()
                    if c != "is gone"
                ]
                if left:
                    tell(LeftBehind(migration.version, tuple(left)))
                undone.append(migration.version)
        return undone
    finally:
        reading.session.close()


def _created(reading: Reading, version: str) -> list[str]:
    """Return what this version created; what it altered, others created, and stays."""
    others = [e.version for e in reading.entries if e.version != version]
    mine, theirs = (
        {str(t): None for created, _ in rows for t in created}  # type: ignore[attr-defined]
        for rows in (
            reading.history.execute("created of", [version]),
            reading.history.execute("created of", others),
        )
    )
    return [thing for thing in mine if thing not in theirs]


def _undo_steps(reading: Reading, to: str | None) -> list[tuple[Migration, Script]]:
    """Return what to undo, newest first, each with its undo script read and checked."""
    refuse_drift(
        [
            d
            for d in find_drift(reading.migrations, reading.entries)
            if d.kind is Disagreement.MISSING
        ]
    )
    files = {m.version: m for m in reading.migrations}
    entries = [e for e in reading.entries if e.version.isdigit()]
    entries.sort(key=lambda e: order(e.version), reverse=True)
    if to is None:
        entries = entries[:1]
    else:
        if to != "0" and not any(_same(e.version, to) for e in entries):
            latest = entries[0].version if entries else "none"
            raise UnknownVersion(version=to, newest=latest)
        entries = [e for e in entries if int(e.version) > int(to)]
    if not entries:
        raise NothingToRepair(reason="nothing is applied that could be rolled back")
    return [(files[e.version], _undo_script(e, files.get(e.version))) for e in entries]


def _same(one: str, other: str) -> bool:
    """Whether two versions are one: numbers as numbers."""
    return order(one)[:2] == order(other)[:2] if other.isdigit() else one == other


def _undo_script(entry: Entry, migration: Migration | None) -> Script:
    if entry.state is State.BASELINE:
        raise NothingToUndo(version=entry.version, reason="it is the baseline")
    if migration is None or migration.undo_path is None:
        raise NothingToUndo(version=entry.version, reason="it has no .down.sql")
    down = migration._replace(path=migration.undo_path, verify_path=None)
    with open_file(down.path) as stream:
        try:
            return parse_script(down, stream)
        except EmptyFile as error:
            reason = "its .down.sql holds no statement (SELECT 1; would say: nothing to undo)"
            raise NothingToUndo(version=entry.version, reason=reason) from error


def baseline(
    settings: Settings, version: str, confirm: Confirm, tell: Listener, stop: Stop
) -> None:
    """Declare that a database stands at a version: nothing at or below it is pending."""
    reading = read(settings, tell, stop)
    try:
        migration = next(
            (
                m
                for m in reading.migrations
                if m.kind is Kind.VERSIONED and _same(m.version, version)
            ),
            None,
        )
        if migration is None:
            raise UnknownVersion(version=version, newest=newest(reading.migrations))
        newer = [
            e.version
            for e in reading.entries
            if e.version.isdigit() and int(e.version) >= int(migration.version)
        ]
        if newer:
            raise NothingToRepair(
                reason=f"the history already holds version {newer[0]}"
            )
        confirm([f"record {migration.version} {migration.name} as the baseline"])
        reading.history.check_privileges(reading.facts)
        with Worker(settings, reading.access, reading.session, tell, stop) as worker:
            worker.take_lock()
            reading.history.ensure(reading.history.inspect())
            platform = settings.platform
            reading.history.execute(
                "baseline",
                migration.version,
                migration.name,
                "Baseline",
                tool_version(),
                platform.build_id,
                platform.commit_sha,
                platform.image_digest,
                platform.execution,
                reading.access.run_id,
            )
    finally:
        reading.session.close()


def repair(
    settings: Settings,
    wanted: tuple[str, str],
    confirm: Confirm,
    tell: Listener,
    stop: Stop,
) -> str:
    """Change one entry of the history, never the schema; return what was done.

    The action is ``accept-edit``, ``forget``, ``statement-done`` or ``statement-again``.
    """
    version, action = wanted
    reading = read(settings, tell, stop)
    try:
        entry = next((e for e in reading.entries if _same(e.version, version)), None)
        if entry is None:
            raise NothingToRepair(reason=f"the history has no version {version}")
        reading.history.check_privileges(reading.facts)
        with Worker(settings, reading.access, reading.session, tell, stop) as worker:
            worker.take_lock()
            reading.history.ensure(reading.history.inspect())
            return _ACTIONS[action](reading, entry, confirm)
    finally:
        reading.session.close()


def _accept_edit(reading: Reading, entry: Entry, confirm: Confirm) -> str:
    migration = next(
        (m for m in reading.migrations if m.version == entry.version), None
    )
    if migration is None:
        raise NothingToRepair(reason=f"version {entry.version} has no file to accept")
    if migration.checksum == entry.checksum:
        raise NothingToRepair(reason=f"{migration.file} is the text that was applied")
    confirm(
        [
            f"{entry.version} {entry.name}",
            f"  before: {entry.checksum}",
            f"  after:  {migration.checksum}",
        ]
    )
    reading.history.execute("accept", migration.checksum, entry.version)
    return f"accepted the text of {migration.file}"


def _forget(reading: Reading, entry: Entry, confirm: Confirm) -> str:
    confirm([f"remove the entry {entry.version} {entry.name} ({entry.state.value})"])
    reading.history.execute("remove", entry.version)
    return f"forgot {entry.version} {entry.name}; the schema was not touched"


def _verdict(verdict: str) -> Callable[[Reading, Entry, Confirm], str]:
    def decide(reading: Reading, entry: Entry, confirm: Confirm) -> str:
        rows = reading.history.execute("unfinished", entry.version)
        at_work = rows[0][2] if rows else None
        if not isinstance(at_work, dict):
            raise NothingToRepair(reason=f"no statement of {entry.version} is in doubt")
        meaning = "took effect" if verdict == "done" else "did not take effect"
        number = at_work["number"]
        confirm(
            [
                f"statement {number} of {entry.version} {meaning}:",
                f"  {at_work['statement']}",
            ]
        )
        at_work["verdict"] = verdict
        reading.history.execute("at work", json.dumps(at_work), entry.version)
        return f"statement {number} {meaning}; apply again to go on"

    return decide


_ACTIONS: dict[str, Callable[[Reading, Entry, Confirm], str]] = {
    "accept-edit": _accept_edit,
    "forget": _forget,
    "statement-done": _verdict("done"),
    "statement-again": _verdict("again"),
}


def unlock(settings: Settings, confirm: Confirm, tell: Listener, stop: Stop) -> str:
    """End the session that holds the lock, and a lease; return what was done."""
    session = Access(settings, tell, stop).open()
    try:
        ((database,),) = session.rows("SELECT current_database()::text")
        key = lock.lock_key(database, settings.schema, settings.table)
        table = lease.lease_table(settings.schema, settings.table)
        pid = lock.holder_pid(session, key)
        held = lease.live_holder(session, table)
        if pid is None and held is None:
            raise NothingToRepair(reason="nobody holds the lock")
        who = lock.holder(session, key) or held or "?"
        confirm([f"end the session of {who}; its open transaction is rolled back"])
        if pid is not None:
            session.rows("SELECT pg_terminate_backend(%s)", pid)
        if held is not None:
            session.run(f"DELETE FROM {table}")  # noqa: S608
        return f"ended {who}"
    finally:
        session.close()
