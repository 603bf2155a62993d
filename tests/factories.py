"""Values that are valid as they come: a test overrides what it is about.

Used by the tests of decisions. Reads nothing and writes nothing.
"""

import hashlib
from typing import Any

from migrate.migration import Entry, Kind, Migration, State


def a_migration(
    version: str = "0001", name: str = "users", **changes: Any
) -> Migration:
    """Return a migration as the directory shows it; ``R__…`` makes a repeatable one."""
    repeatable = version.startswith("R__")
    stem = version if repeatable else f"{version}_{name}"
    made = Migration(
        version=version,
        name=version.removeprefix("R__") if repeatable else name,
        kind=Kind.REPEATABLE if repeatable else Kind.VERSIONED,
        path=f"migrations/{stem}.sql",
        checksum="sha256:" + hashlib.sha256(stem.encode()).hexdigest(),
        size=10,
        lines=1,
        undo_path=None,
        verify_path=None,
    )
    return made._replace(**changes)


def an_entry(of: Migration | str = "0001", **changes: Any) -> Entry:
    """Return the history's entry of a migration that was applied as it is."""
    migration = a_migration(of) if isinstance(of, str) else of
    made = Entry(migration.version, migration.name, migration.checksum, State.APPLIED)
    return made._replace(**changes)
