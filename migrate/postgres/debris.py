"""What an interrupted statement left behind: tell, remove, or refuse to guess.

Called by `stepwise`. The announcement that stood in the history while the statement was at
work tells what it was and below which oid everything is older than it, so that an INVALID
index is only ever dropped when it is ours.
"""

import re
from typing import Any

from migrate import classify
from migrate.classify import Alone, IndexBuild, Redo
from migrate.events import DebrisRemoved
from migrate.faults import InvalidIndex, StatementFailed, StatementInDoubt
from migrate.migration import Script
from migrate.postgres.sql import literal
from migrate.postgres.work import Work
from migrate.statements import Statement

#: "already exists" and "does not exist", of whatever kind of object.
_DONE_BEFORE = {"42P04", "42710", "42P07", "42704", "3D000", "42P01"}
_SHOWN = 200
_MAY_REMOVE = re.compile(
    rb"\b(?:drop|rename|schema|do|call|execute|detach)\b", re.IGNORECASE
)

_FIND_INDEX = """
SELECT c.oid::pg_catalog.int8, i.indisvalid, c.oid::pg_catalog.regclass::pg_catalog.text
  FROM pg_catalog.pg_class t
  JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) t.oid
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
 WHERE t.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({table})
"""
_NAMED = " AND c.relname OPERATOR(pg_catalog.=) (pg_catalog.parse_ident({name}))[1]"
_CREATED = " AND c.oid OPERATOR(pg_catalog.>) {floor}::pg_catalog.oid"
_REINDEX_DEBRIS = (
    "SELECT c.oid::int8, i.indisvalid, c.oid::regclass::text FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE NOT i.indisvalid AND c.oid > %s::oid AND c.relname ~ '_ccnew[0-9]*$'"
)


def may_remove(statement: Statement) -> bool:
    """Whether the statement may drop or rename something."""
    return bool(_MAY_REMOVE.search(statement.text))


def is_setting(statement: Statement) -> bool:
    """Whether a resumed run must repeat this statement for the sake of the later ones."""
    return statement.words[:1] in {("SET",), ("RESET",)} or (
        statement.words[:1] == ("SELECT",) and classify.changes_session(statement)
    )


def announcement(
    number: int, statement: Statement, reason: Alone, floor: int
) -> dict[str, Any]:
    """Return what the history says while the statement is at work."""
    build = classify.index_build(statement)
    return {
        "number": number,
        "line": statement.line,
        "redo": reason.redo.value,
        "statement": statement.text.decode()[:_SHOWN],
        "index": build.name if build else None,
        "table": build.table if build else None,
        "floor": floor,
    }


def _indexes(
    work: Work, table: str, name: str | None, floor: int | None
) -> list[tuple[int, bool, str]]:
    """Return (oid, valid, name) of a table's indexes, by name or younger than ``floor``."""
    sql = _FIND_INDEX.format(table=literal(table))
    if name is not None:
        sql += _NAMED.format(name=literal(name))
    if floor is not None:
        sql += _CREATED.format(floor=floor)
    rows = work.session.results(sql.encode()) or []
    return [(int(oid), bool(valid), str(shown)) for oid, valid, shown in rows]


def settle(
    work: Work, script: Script, statement: Statement, at_work: dict[str, Any]
) -> bool:
    """Find out whether the statement at work took effect; True: it did.

    False: it did not, and nothing of it is left. Raises `StatementInDoubt`.
    """
    redo = Redo(at_work["redo"])
    verdict = at_work.get("verdict")
    if verdict:
        return bool(verdict == "done")
    if redo is Redo.HUMAN:
        raise StatementInDoubt(
            version=script.migration.version,
            file=script.migration.file,
            line=statement.line,
            number=at_work["number"],
            statement=at_work["statement"],
        )
    if redo is Redo.INDEX:
        remove(work, at_work)
        build = classify.index_build(statement)
        if build and (build.name, build.table) == (at_work["index"], at_work["table"]):
            found = _indexes(work, build.table, build.name, at_work["floor"])
            return any(valid for _, valid, _ in found) and build.name is not None
    return False


def remove(work: Work, at_work: dict[str, Any] | None) -> None:
    """Drop the INVALID indexes that the interrupted statement left."""
    if not at_work or at_work["redo"] != Redo.INDEX.value:
        return
    if at_work["table"]:
        found = _indexes(work, at_work["table"], at_work["index"], at_work["floor"])
    else:
        found = work.session.rows(_REINDEX_DEBRIS, at_work["floor"])
    for _, valid, name in found:
        if not valid:
            work.session.run(f"DROP INDEX CONCURRENTLY {name}")
            work.tell(DebrisRemoved(name=name))


def refuse_others_invalid(
    work: Work, file: str, statement: Statement, build: IndexBuild | None
) -> None:
    """Raise `InvalidIndex` when an INVALID index that is not ours bears the name."""
    if not build or not build.name:
        return
    for _, valid, name in _indexes(work, build.table, build.name, None):
        if not valid:
            raise InvalidIndex(
                file=file,
                line=statement.line,
                index=name,
                whose="this history did not make it, so it is not ours to drop",
            )


def check_valid(
    work: Work, file: str, statement: Statement, build: IndexBuild | None, floor: int
) -> None:
    """Raise `InvalidIndex` when a build "succeeded" and its index is not valid."""
    if not build:
        return
    by_name = build.name is not None
    for _, valid, name in _indexes(
        work, build.table, build.name, None if by_name else floor
    ):
        if not valid:
            raise InvalidIndex(
                file=file,
                line=statement.line,
                index=name,
                whose="the server called its build a success",
            )


def index_things(work: Work, build: IndexBuild | None, floor: int) -> str | None:
    """Return an SQL array of what a build created, or None to look by transaction."""
    if not build:
        return None
    rows = work.session.results(
        _FIND_INDEX.format(table=literal(build.table)).encode()
        + _CREATED.format(floor=floor).encode()
    )
    oids = [str(oid) for oid, _, _ in rows or []]
    listed = ",".join(oids) or "0"
    return (
        "ARRAY(SELECT 'index ' || oid::regclass::text FROM pg_class "
        f"WHERE oid IN ({listed}) ORDER BY oid)"
    )


def counts_as_done(failure: StatementFailed, at_work: dict[str, Any] | None) -> bool:
    """Whether the failure of a repeated statement says that its first run succeeded."""
    return bool(
        at_work
        and at_work["redo"] == Redo.EXISTS.value
        and at_work.get("repeated")
        and failure.sqlstate in _DONE_BEFORE
    )
