"""Translate a driver error into ours, pointing into the file.

The border of the house: no driver error passes beyond `postgres`. Called by `transaction`,
`stepwise` and `checks`.
"""

import re
from typing import NamedTuple

import psycopg2

from migrate.faults import StatementFailed
from migrate.places import position
from migrate.postgres.privileges import missing_privilege
from migrate.statements import Statement

LOCK_TIMEOUT = "55P03"
CANCELED = "57014"
DEADLOCK = "40P01"
DENIED = "42501"
SERIALIZATION = "40001"
#: A retry of the whole transaction may cure these.
RETRIED = {LOCK_TIMEOUT, DEADLOCK, SERIALIZATION}

UNDEFINED_TABLE = "42P01"
UNKNOWN_PREPARED = "26000"
ENUM_TOO_EARLY = "55P04"
OUT_OF_MEMORY = "53200"
NO_ACTIVE_TRANSACTION = {"25001", "2D000", "25P01"}

_NOTES = {
    ENUM_TOO_EARLY: (
        "an enum value cannot be used in the transaction that adds it: put its use in a "
        "later migration, and do not apply both with --single-transaction"
    ),
    "53100": "the server's disk is full: the migration was rolled back",
    "25006": "the session is read-only: connect to the primary",
}
_COPY_LINE = re.compile(r"^COPY .*, line (\d+)", re.MULTILINE)


class Diagnosis(NamedTuple):
    """What the server said. ``position`` counts the characters of the message, from 1."""

    sqlstate: str
    message: str
    detail: str
    hint: str
    context: str
    position: int | None
    role: str = ""
    cure: str = ""  # of a denial, where we know more than the server says


def diagnose(error: psycopg2.Error) -> Diagnosis:
    """Return the fields of a driver error."""
    diag = error.diag
    return Diagnosis(
        sqlstate=error.pgcode or "",
        message=diag.message_primary or " ".join(str(error).split()),
        detail=diag.message_detail or "",
        hint=diag.message_hint or "",
        context=diag.context or "",
        position=_position(error),
    )


def _position(error: psycopg2.Error) -> int | None:
    """Return the place in the message in characters, whatever the server counted.

    In a database of SQL_ASCII it knows no characters, and counts bytes.
    """
    place, cursor = error.diag.statement_position, error.cursor
    if not place or not cursor or not cursor.query:
        return int(place) if place else None
    if cursor.connection.info.parameter_status("server_encoding") != "SQL_ASCII":
        return int(place)
    before = cursor.query[: int(place) - 1]
    return len(before.decode(errors="replace")) + 1


def ends_transactions(failure: StatementFailed) -> bool:
    """Whether it failed for want of a place outside any transaction."""
    return failure.sqlstate == "2D000" or (
        failure.sqlstate == "25001" and "inside a transaction block" in failure.message
    )


def statement_failed(
    found: Diagnosis,
    file: str,
    statement: Statement,
    *,
    character: int = 1,
    note: str = "",
) -> StatementFailed:
    """Return the error for a statement, at the character of it that the server named."""
    line, column, source = position(
        statement.text, statement.line, statement.column, character
    )
    if statement.copy and (in_data := _COPY_LINE.search(found.context)):
        # Data begins on the line after the statement's last one.
        line = statement.line + statement.text.count(b"\n") + int(in_data[1])
        column, source = 1, found.context.partition("\n")[0]
    return StatementFailed(
        file=file,
        line=line,
        column=column,
        source=source,
        sqlstate=found.sqlstate,
        message=found.message,
        detail=found.detail,
        server_hint=found.hint,
        context=found.context,
        note=note or _note(found, statement),
    )


def denial(found: Diagnosis, words: tuple[str, ...]) -> str:
    """Return what the role lacks; ``words`` begin with the statement's verb."""
    return found.cure or missing_privilege(found.message, words, found.role)


def _note(found: Diagnosis, statement: Statement) -> str:
    if found.sqlstate == DENIED:
        return denial(found, statement.words[:1])
    if found.sqlstate == OUT_OF_MEMORY and "max_locks_per_transaction" in found.hint:
        return (
            "the server's lock table is full: one transaction touched too many objects; apply "
            "without --single-transaction, or raise max_locks_per_transaction on the server"
        )
    return _NOTES.get(found.sqlstate, "")
