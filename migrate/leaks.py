"""Tell when a failed statement relied on session state that an earlier file set.

Every migration has a session's state of its own: settings, role and temporary things of
one file are gone when the next begins. Called by the runner when a statement failed in a
way that such a loss explains. Pure: reads only the statements it is given.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from migrate.statements import Statement, tokens


class Kind(enum.Enum):
    """What a statement did to its session."""

    PATH = "set search_path"
    ROLE = "set the role"
    TEMPORARY = "made a temporary object"
    SETTING = "set a parameter"
    PREPARED = "prepared a statement"
    CURSOR = "opened a cursor"


_NAMES = frozenset({Kind.PATH, Kind.ROLE, Kind.TEMPORARY})
#: SQLSTATEs, and the loss of what would explain each.
_EXPLAINED_BY = {
    "42P01": _NAMES,  # undefined table
    "42883": _NAMES,  # undefined function
    "3F000": _NAMES,  # invalid schema name, or none selected
    "42P07": _NAMES,  # duplicate table: created in another schema than was meant
    "42704": _NAMES | {Kind.SETTING},  # undefined object, or unknown setting
    "42501": frozenset({Kind.ROLE}),  # insufficient privilege
    "26000": frozenset({Kind.PREPARED}),  # no such prepared statement
    "34000": frozenset({Kind.CURSOR}),  # no such cursor
}
_SHOWN = 60


class Leak(NamedTuple):
    """Session state that ended with its file."""

    file: str
    line: int
    kind: Kind
    statement: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line} {self.kind.value} ({self.statement}) for itself"
            " alone: sessions do not leak from file to file, so say it again here,"
            " or qualify the name"
        )


def explains(sqlstate: str) -> bool:
    """Whether lost session state may be the reason for an error of this kind."""
    return sqlstate in _EXPLAINED_BY


def find_leak(
    sqlstate: str, files: Iterable[tuple[str, Iterable[Statement]]]
) -> Leak | None:
    """Return what the first of the files leaves that explains the error, or None.

    ``files`` are names and statements, nearest first, the failing one at the head: where
    that one sets the same itself, nothing was lost.
    """
    wanted = _EXPLAINED_BY.get(sqlstate, frozenset())
    own: set[Kind] | None = None
    for file, statements in files:
        found = dict(_kinds(statements))
        if own is None:
            own = set(found)
            continue
        for kind, statement in found.items():
            if kind in wanted - own:
                shown = " ".join(statement.text.decode(errors="replace").split())
                text = shown.rstrip(";")[:_SHOWN]
                return Leak(file, statement.line, kind, text)
    return None


def _kinds(statements: Iterable[Statement]) -> Iterator[tuple[Kind, Statement]]:
    for statement in statements:
        kind = _kind(statement)
        if kind is not None:
            yield kind, statement


def _kind(statement: Statement) -> Kind | None:
    words = statement.words
    first, second = (*words, "", "")[:2]
    if first == "CREATE":
        at = words[3:4] if words[1:3] == ("OR", "REPLACE") else words[1:2]
        return Kind.TEMPORARY if {"TEMP", "TEMPORARY"} & set(at) else None
    if first == "PREPARE" and second != "TRANSACTION":
        return Kind.PREPARED
    if first == "DECLARE":
        return Kind.CURSOR
    if first == "SET" and second not in {"LOCAL", "TRANSACTION", "CONSTRAINTS"}:
        return _setting([t for t in tokens(statement.text) if t != "SESSION"])
    if first == "SELECT" and b"set_config" in statement.text.lower():
        return _configured(list(tokens(statement.text)))
    return None


def _setting(found: list[str]) -> Kind:
    name = found[1].strip('"').upper() if len(found) > 1 else ""
    if name in {"ROLE", "AUTHORIZATION"}:
        return Kind.ROLE
    return Kind.PATH if name in {"SEARCH_PATH", "SCHEMA"} else Kind.SETTING


def _configured(found: list[str]) -> Kind | None:
    """Judge ``set_config('name', 'value', is_local)``."""
    upper = [token.strip("'").upper() for token in found]
    at = upper.index("SET_CONFIG") if "SET_CONFIG" in upper else len(upper)
    name, local = (*upper[at + 2 : at + 7 : 4], "", "")[:2]
    if local in {"TRUE", "T", "ON", "1"}:
        return None
    return {"SEARCH_PATH": Kind.PATH, "ROLE": Kind.ROLE}.get(name, Kind.SETTING)
