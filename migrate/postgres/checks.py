"""Run the checks of a ``.verify.sql``: inside the migration's transaction, or later.

A check is one statement, named by the comment above it. It fails if it raises, returns no
row, or returns a row whose first column is false or NULL; a statement that returns no
result at all (DO) passes when it does not raise.
Called by `transaction`, and by the runner's ``verify``.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psycopg2

from migrate import classify
from migrate.classify import Control
from migrate.faults import CheckFailed
from migrate.misfits import CheckEndsTransaction, CopyToClient
from migrate.postgres.session import Session
from migrate.source import open_file
from migrate.statements import Splitter, Statement

_COMMENT = re.compile(
    rb"(?:^(?:\xef\xbb\xbf)?|\n)[ \t]*--[ \t]*+(?!migrate:)([^\r\n]*)\s*\Z"
)
_SHOWN = 60


class Check(NamedTuple):
    """One check and where it stands."""

    name: str
    file: str
    statement: Statement


def read_checks(path: str) -> Iterator[Check]:
    """Yield the checks of a file. Raises `SourceError` where the file is wrong."""
    file = path.rpartition("/")[2]
    with open_file(path) as stream:
        text = stream.read()
        stream.seek(0)
        end = 0
        for statement in Splitter(stream, file):
            above = _COMMENT.search(text, end, statement.offset)
            first_line = statement.text.decode().partition("\n")[0]
            if classify.control(statement) is not Control.NONE or statement.copy:
                shown = statement.text.decode().partition("\n")[0][:_SHOWN]
                raise CheckEndsTransaction(
                    file=file, line=statement.line, statement=shown
                )
            if classify.copies_to_client(statement):
                raise CopyToClient(file=file, line=statement.line)
            name = above[1].decode().strip() if above else ""
            yield Check(name or first_line[:_SHOWN], file, statement)
            end = statement.offset + len(statement.text)


def run_check(
    session: Session, check: Check, on_error: Callable[[psycopg2.Error], str]
) -> None:
    """Run one check. Raises `CheckFailed`; ``on_error`` words what the server raised."""
    statement = check.statement
    reason = ""
    try:
        rows = session.results(statement.text)
    except psycopg2.Error as error:
        reason = on_error(error)
        raise _failed(check, reason) from error
    if rows is not None:
        if not rows:
            reason = "it returned no row"
        elif any(row[0] is None for row in rows):
            reason = "it returned NULL"
        elif any(row[0] is False for row in rows):
            reason = "it returned false"
    if reason:
        raise _failed(check, reason)


def run_aside(
    session: Session, path: str, on_error: Callable[[psycopg2.Error], str]
) -> Iterator[Check]:
    """Run the checks of a file, each in a transaction that is rolled back.

    Yields those that hold; raises `CheckFailed` at the first that does not.
    """
    for check in read_checks(path):
        session.run("BEGIN")
        try:
            run_check(session, check, on_error)
        finally:
            session.roll_back()
        yield check


def _failed(check: Check, reason: str) -> CheckFailed:
    return CheckFailed(
        file=check.file, line=check.statement.line, check=check.name, reason=reason
    )
