"""Decide what a statement needs from the runner, by looking at its words.

Called by `parse` (how is this file applied?) and `postgres.stepwise` (what was
interrupted?). Sources: the callers of ``PreventInTransactionBlock`` in PostgreSQL
(CREATE/DROP DATABASE and TABLESPACE, VACUUM, CLUSTER and REINDEX of many, ALTER SYSTEM,
CONCURRENTLY, subscriptions with slots), the same list up to version 18.
Never touches a database: what cannot be told from the text is said by the server.
"""

import enum
import itertools
from typing import NamedTuple

from migrate.statements import Statement, tokens


class Control(enum.Enum):
    """What a statement does to the transaction it stands in."""

    NONE = "none"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    OTHER = "other"


class Redo(enum.Enum):
    """What may be done with a statement of which it is unknown whether it took effect."""

    AGAIN = "again"  # running it twice leaves what running it once leaves
    EXISTS = "exists"  # a second run fails with "already exists"/"does not exist": done
    INDEX = "index"  # the catalogs tell; debris of ours is dropped first
    HUMAN = "human"  # nobody can tell but a person


class Alone(NamedTuple):
    """Why a statement cannot share a transaction, and what a rerun may do."""

    reason: str
    redo: Redo


class IndexBuild(NamedTuple):
    """CREATE INDEX CONCURRENTLY: the names as written, quotes included."""

    name: str | None
    table: str


_PAIRS: dict[tuple[str, ...], Alone] = {
    ("CREATE", "DATABASE"): Alone("CREATE DATABASE", Redo.EXISTS),
    ("DROP", "DATABASE"): Alone("DROP DATABASE", Redo.EXISTS),
    ("CREATE", "TABLESPACE"): Alone("CREATE TABLESPACE", Redo.EXISTS),
    ("DROP", "TABLESPACE"): Alone("DROP TABLESPACE", Redo.EXISTS),
    ("ALTER", "SYSTEM"): Alone("ALTER SYSTEM", Redo.AGAIN),
    ("CREATE", "SUBSCRIPTION"): Alone("CREATE SUBSCRIPTION", Redo.EXISTS),
    ("DROP", "SUBSCRIPTION"): Alone("DROP SUBSCRIPTION", Redo.EXISTS),
    ("DISCARD", "ALL"): Alone("DISCARD ALL", Redo.AGAIN),
}


def control(statement: Statement) -> Control:
    """Return what the statement does to transactions."""
    words = statement.words
    first = words[0] if words else ""
    if first not in _CONTROL_WORDS:
        return Control.NONE
    if first == "BEGIN" or words[:2] == ("START", "TRANSACTION"):
        return Control.BEGIN
    if first in {"COMMIT", "END"}:
        return Control.OTHER if "PREPARED" in words else Control.COMMIT
    if first == "ROLLBACK" and "TO" in words:
        return Control.NONE
    if first in {"ROLLBACK", "ABORT"}:
        return Control.OTHER if "PREPARED" in words else Control.ROLLBACK
    if words[:2] == ("PREPARE", "TRANSACTION"):
        return Control.OTHER
    return Control.NONE


def transaction_modes(begin: Statement) -> str:
    """Return what a BEGIN asks of its transaction (``READ ONLY``), or nothing."""
    rest = [t for t in _head(begin)[1:] if t != ";"]
    return " ".join(rest[1:] if rest[:1] in (["WORK"], ["TRANSACTION"]) else rest)


_CONTROL_WORDS = {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE"}


def alone(statement: Statement) -> Alone | None:
    """Return why the statement cannot run inside a transaction, or None if it can."""
    words = statement.words
    first = words[0] if words else ""
    if first not in _ALONE_WORDS:
        return None
    if first == "VACUUM":
        return Alone("VACUUM", Redo.AGAIN)
    if pair := _PAIRS.get(words[:2]):
        return pair if _really(words[:2], statement) else None
    if b"concurrently" in statement.text.lower() or first in {"REINDEX", "CLUSTER"}:
        return _concurrently(list(_head(statement)))
    if first == "ALTER" and words[1:2] == ("DATABASE",):
        return _ALTER_DATABASE if "TABLESPACE" in _head(statement) else None
    if words[:2] == ("ALTER", "SUBSCRIPTION"):
        return _alter_subscription(_head(statement))
    return None


_ALONE_WORDS = {"VACUUM", "CREATE", "DROP", "ALTER", "REINDEX", "CLUSTER", "DISCARD"}
#: A statement that begins with none of these words is one like any other.
WATCHED = frozenset({"COPY", *_CONTROL_WORDS, *_ALONE_WORDS})
_ALTER_DATABASE = Alone("ALTER DATABASE … SET TABLESPACE", Redo.AGAIN)
_HEAD = 60


def _head(statement: Statement) -> tuple[str, ...]:
    """The first tokens: none of the forms looked for is longer."""
    found = []
    for token in tokens(statement.text):
        found.append(token)
        if len(found) == _HEAD:
            break
    return tuple(found)


def _really(pair: tuple[str, ...], statement: Statement) -> bool:
    """Subscriptions without a slot may share a transaction; the rest of the pairs never."""
    if pair != ("CREATE", "SUBSCRIPTION"):
        return True
    text = b"".join(statement.text.lower().split())
    return b"create_slot=false" not in text and b"connect=false" not in text


def _concurrently(head: list[str]) -> Alone | None:
    """Judge the statements in which CONCURRENTLY may stand, and REINDEX and CLUSTER."""
    first, concurrently = head[0], "CONCURRENTLY" in head
    if first == "CREATE" and concurrently and "INDEX" in head[:3]:
        return Alone("CREATE INDEX CONCURRENTLY", Redo.INDEX)
    if first == "DROP" and head[1:3] == ["INDEX", "CONCURRENTLY"]:
        return Alone("DROP INDEX CONCURRENTLY", Redo.EXISTS)
    if first == "ALTER" and "DETACH" in head and concurrently:
        return Alone("DETACH PARTITION CONCURRENTLY", Redo.HUMAN)
    if first == "REINDEX":
        if concurrently:
            return Alone("REINDEX CONCURRENTLY", Redo.INDEX)
        if _after_options(head)[:1] in (["SCHEMA"], ["DATABASE"], ["SYSTEM"]):
            return Alone("REINDEX of many tables", Redo.AGAIN)
    if first == "CLUSTER" and not set(_after_options(head)) - {";", "VERBOSE"}:
        return Alone("CLUSTER of every table", Redo.AGAIN)
    return None


def _after_options(head: list[str]) -> list[str]:
    """Return what follows the command's word and its options in parentheses."""
    if head[1:2] == ["("] and ")" in head:
        return head[head.index(")") + 1 :]
    return head[1:]


def _alter_subscription(head: tuple[str, ...]) -> Alone | None:
    """Judge the forms that change a slot, or what is in it; the others may share."""
    forms = {"REFRESH", "PUBLICATION", "FAILOVER", "TWO_PHASE"} & set(head[3:])
    return Alone("ALTER SUBSCRIPTION of a slot", Redo.AGAIN) if forms else None


def changes_session(statement: Statement) -> bool:
    """Whether the statement changes the session for those that follow it in the file."""
    words = statement.words
    first = words[0] if words else ""
    if first in {"SET", "RESET"}:
        return words[1:2] not in {("LOCAL",), ("TRANSACTION",), ("CONSTRAINTS",)}
    if first == "CREATE":
        after = 3 if words[1:3] == ("OR", "REPLACE") else 1
        after += words[after : after + 1] in {("LOCAL",), ("GLOBAL",)}
        return words[after : after + 1] in {("TEMP",), ("TEMPORARY",)}
    if first == "SELECT":
        return b"set_config" in statement.text.lower()
    return first in {"PREPARE", "LISTEN", "DECLARE", "LOAD"}


def copies_to_client(statement: Statement) -> bool:
    """Whether it is COPY … TO STDOUT (psql reads STDIN there as the same)."""
    if statement.words[:1] != ("COPY",) or statement.copy:
        return False
    found = list(tokens(statement.text))
    return any(
        pair in {("TO", "STDOUT"), ("TO", "STDIN")}
        for pair in itertools.pairwise(found)
    )


def altered_table(statement: Statement) -> str:
    """Return the name, as written, of the table that ALTER TABLE is about."""
    rest = list(_head(statement))[2:]
    if rest[:2] == ["IF", "EXISTS"]:
        rest = rest[2:]
    if rest[:1] == ["ONLY"]:
        rest = rest[1:]
    name = "".join(rest[:1])
    while rest[1:2] == ["."]:
        name += "." + "".join(rest[2:3])
        rest = rest[2:]
    return name


def index_build(statement: Statement) -> IndexBuild | None:
    """Return which index CREATE INDEX CONCURRENTLY builds, as far as the text says."""
    head = list(_head(statement))
    if head[0] != "CREATE" or "CONCURRENTLY" not in head or "INDEX" not in head[:3]:
        return None
    rest = head[head.index("CONCURRENTLY") + 1 :]
    if rest[:3] == ["IF", "NOT", "EXISTS"]:
        rest = rest[3:]
    at = rest.index("ON") if "ON" in rest else len(rest)
    name = "".join(rest[:at]) or None
    rest = rest[at + 1 :]
    if rest[:1] == ["ONLY"]:
        rest = rest[1:]
    if not rest:
        return None  # no statement: the server will say so
    table = rest[0]
    while rest[1:2] == ["."]:  # schema-qualified, perhaps with a database
        table += "." + rest[2]
        rest = rest[2:]
    return IndexBuild(name=name, table=table)
