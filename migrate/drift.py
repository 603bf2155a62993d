"""Find where the directory and the history disagree.

Called by `plan`, and by the runner for ``verify`` and ``status``. Disagreement is a value
here; only ``apply`` turns one into an error. Never reads a file or a database.
"""

import enum
from collections.abc import Iterable
from typing import NamedTuple

from migrate.migration import (
    BASELINE,
    UNFINISHED,
    VERSIONED,
    Entry,
    Migration,
    order,
)


class Disagreement(enum.Enum):
    """The kinds of drift."""

    EDITED = "edited"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"
    UNFINISHED = "unfinished"


class Drift(NamedTuple):
    """One disagreement, about one version."""

    kind: Disagreement
    version: str
    name: str
    detail: str


def baseline_number(history: Iterable[Entry]) -> int:
    """Return the version at which the database was adopted, or -1."""
    adopted = (int(e.version) for e in history if e.state is BASELINE)
    return max(adopted, default=-1)


def find_drift(
    migrations: Iterable[Migration], history: Iterable[Entry]
) -> list[Drift]:
    """Return the disagreements, in order of version."""
    files = {m.version: m for m in migrations}
    entries = {e.version: e for e in history}
    newest = max((int(v) for v in entries if v.isdigit()), default=-1)
    baseline = baseline_number(entries.values())
    found = [d for e in entries.values() if (d := _of_entry(e, files.get(e.version)))]
    for migration in files.values():
        if migration.kind is VERSIONED and migration.version not in entries:
            number = int(migration.version)
            if baseline < number < newest:
                detail = (
                    f"{migration.file} is older than version {newest}, which is applied"
                )
                found.append(
                    Drift(
                        Disagreement.OUT_OF_ORDER,
                        migration.version,
                        migration.name,
                        detail,
                    )
                )
    return sorted(found, key=lambda d: order(d.version))


def _of_entry(entry: Entry, migration: Migration | None) -> Drift | None:
    if entry.state is BASELINE:
        return None
    if migration is None:
        return Drift(
            Disagreement.MISSING,
            entry.version,
            entry.name,
            f"version {entry.version} ({entry.name}) is applied, its file is gone",
        )
    if entry.state in UNFINISHED:
        return Drift(
            Disagreement.UNFINISHED,
            entry.version,
            entry.name,
            f"{migration.file} began and did not finish",
        )
    edited = entry.checksum != migration.checksum and entry.checksum is not None
    if edited and migration.kind is VERSIONED:
        return Drift(
            Disagreement.EDITED,
            entry.version,
            migration.name,
            f"{migration.file} is not the text that was applied",
        )
    return None
