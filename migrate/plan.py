"""Decide which migrations to apply. Pure.

Called by the runner twice: without the lock to show, under the lock to act. Never reads a
clock, a file or a database.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from migrate.drift import Disagreement, Drift, baseline_number, find_drift
from migrate.errors import UnknownVersion
from migrate.migration import REPEATABLE, UNFINISHED, Entry, Migration, newest, order


class OutOfOrder(enum.Enum):
    """What to do with a pending version older than an applied one."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Plan(NamedTuple):
    """The steps in order, and the drift that forbids them (empty: nothing does)."""

    steps: tuple[Migration, ...]
    blocking: tuple[Drift, ...]
    drift: tuple[Drift, ...]


class Selection(NamedTuple):
    """Which part of what is pending is wanted."""

    to: str | None = None
    only: str | None = None
    out_of_order: OutOfOrder = OutOfOrder.REFUSE


def make_plan(
    migrations: Sequence[Migration], history: Iterable[Entry], selection: Selection
) -> Plan:
    """Return what ``apply`` would do.

    An unfinished non-transactional migration is a step (it resumes) and blocks nothing
    that comes before it in order. Raises `UnknownVersion` when ``to`` or ``only`` names
    nothing in the directory.
    """
    entries = {e.version: e for e in history}
    baseline = baseline_number(entries.values())
    steps = [m for m in migrations if _is_pending(m, entries.get(m.version), baseline)]
    drift = find_drift(migrations, entries.values())
    if selection.only is not None:
        steps = _only(selection.only, steps, migrations)
    if selection.to is not None:
        limit = _named(selection.to, migrations)
        steps = [m for m in steps if order(m.version) <= order(limit.version)]
    wanted = {m.version for m in steps}
    blocking = [d for d in drift if _blocks(d, selection, wanted)]
    return Plan(steps=tuple(steps), blocking=tuple(blocking), drift=tuple(drift))


def _is_pending(migration: Migration, entry: Entry | None, baseline: int) -> bool:
    if entry is None:
        return migration.kind is REPEATABLE or int(migration.version) > baseline
    if entry.state in UNFINISHED:
        return True
    return migration.kind is REPEATABLE and entry.checksum != migration.checksum


def _blocks(drift: Drift, selection: Selection, wanted: set[str]) -> bool:
    if drift.kind is Disagreement.UNFINISHED:
        return False
    if drift.kind is Disagreement.OUT_OF_ORDER:
        return selection.out_of_order is OutOfOrder.REFUSE and drift.version in wanted
    return True


def _named(version: str, migrations: Sequence[Migration]) -> Migration:
    wanted = int(version) if version.isdecimal() else version
    for m in migrations:
        if wanted == (int(m.version) if m.version.isdigit() else m.version):
            return m
    raise UnknownVersion(version=version, newest=newest(migrations))


def _only(
    only: str, steps: list[Migration], migrations: Sequence[Migration]
) -> list[Migration]:
    """``only`` is a version, a file name, or a path that ends in one."""
    file = only.rpartition("/")[2]
    chosen = next((m for m in migrations if m.file == file), None) or _named(
        only, migrations
    )
    return [m for m in steps if m.version == chosen.version]
