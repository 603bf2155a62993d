"""The history table: find out what is there, make or upgrade it, read, record, mend.

Called by the runner, `transaction` and `stepwise`. Every statement stands in history.sql.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg2.errors

from migrate.migration import Entry, Script, State
from migrate.postgres.session import OWN_PATH, Session
from migrate.postgres.sql import identifier, literal, named_statements
from migrate.refusals import (
    ForeignHistory,
    HistoryRefused,
    NewerHistory,
    PrivilegeMissing,
    ReadOnlyServer,
)

#: The layout this release writes. Each is one statement, "layout N", in history.sql.
LAYOUT = 2
_COMMENT = "cloudrun-migrate history, layout "

#: Column sets of other tools' tables of the same name (reference: each tool's own source).
_FOREIGN = (
    ({"version", "dirty"}, "golang-migrate"),
    ({"version"}, "dbmate or Rails"),
    (
        {"version", "description", "executed_at"},
        "a hand-written runner (the seeds' table)",
    ),
)


#: What the server's refusal of our own statements about the history is raised as.
REFUSALS = (HistoryRefused, PrivilegeMissing)


#: By version: how many milliseconds a migration took by the server's clock, if it tells.
Spent = dict[str, float | None]


class Facts(NamedTuple):
    """What stands where the history should be, and what this role may do there."""

    layout: int  # 0: there is no table
    can_read: bool
    can_write: bool
    schema_exists: bool
    can_create: bool
    role: str
    database: str
    read_only: str  # why the session cannot write, or ""
    can_enter: bool = True  # USAGE of the schema


def spent(rows: Sequence[Sequence[Any]]) -> Spent:
    """Return (version, duration) as a mapping."""
    return {version: None if ms is None else float(ms) for version, ms in rows}


class History:
    """The history table of one schema in one session."""

    def __init__(self, session: Session, schema: str, table: str) -> None:
        """Name the table; nothing is read yet."""
        self._session = session
        self.schema = schema
        self.table = table
        self.qualified = f"{identifier(schema)}.{identifier(table)}"
        self._sql = named_statements("history.sql")

    def seen_by(self, session: Session) -> "History":
        """Return the same history in another session."""
        return History(session, self.schema, self.table)

    def text(self, name: str, **values: object) -> str:
        """Return one named statement with the table's name, and the values, in it.

        All at once: braces in one of them mean nothing.
        """
        return self._sql[name].format(table=self.qualified, **values)

    def execute(self, name: str, *values: object) -> list[tuple[object, ...]]:
        """Run one named statement. Raises `REFUSALS`."""
        table = self.qualified.replace("%", "%%") if values else self.qualified
        with self.explained():
            return self._session.rows(self._sql[name].format(table=table), *values)

    def committed(self, scripts: Sequence[Script]) -> int:
        """Return how many of the migrations are applied. Raises `REFUSALS`."""
        return len(self.spent(scripts))

    def spent(self, scripts: Sequence[Script]) -> Spent:
        """Return those of the migrations that are applied. Raises `REFUSALS`.

        None was when this run began; that another one did it, while this one had lost the
        lock, is as good.
        """
        versions = [script.migration.version for script in scripts]
        checksums = [script.migration.checksum for script in scripts]
        return spent(self.execute("committed", versions, checksums))

    def begun(self, version: str) -> int | None:
        """Return how many statements an unfinished migration has done. Raises `REFUSALS`."""
        rows = self.execute("unfinished", version)
        return int(str(rows[0][0])) if rows else None

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the server's refusal inside into an error that says what to change."""
        try:
            yield
        except psycopg2.errors.InsufficientPrivilege as error:
            can_enter = "for schema" not in str(error)
            raise self.denied(self._session.user, can_enter=can_enter) from error
        except psycopg2.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: psycopg2.Error) -> HistoryRefused:
        reason = f"{error.diag.message_primary} (SQLSTATE {error.pgcode})"
        return HistoryRefused(table=self.qualified, reason=reason)

    def inspect(self) -> Facts:
        """Return what is there. Raises `ForeignHistory` and `NewerHistory`."""
        with self.explained():
            (row,) = self._session.rows(self._sql["inspect"], self.schema, self.table)
        oid, columns, comment, can_read, can_write, schema_exists, can_create = row[:7]
        role, database, read_only, standby, can_enter, is_table = row[7:]
        can_read = bool(can_read and can_enter)
        layout = 0
        if oid is not None and not is_table:
            raise ForeignHistory(
                table=self.qualified, owner="somebody else", versions="it is no table"
            )
        if oid is not None:
            layout = self._layout(set(columns), comment or "", readable=can_read)
        why = (
            "the server is a standby"
            if standby
            else "default_transaction_read_only is on"
        )
        return Facts(
            layout=layout,
            can_read=can_read,
            can_write=bool(can_write),
            schema_exists=schema_exists,
            can_create=can_create and can_enter,
            role=role,
            database=database,
            read_only=why if read_only else "",
            can_enter=can_enter,
        )

    def _layout(self, columns: set[str], comment: str, *, readable: bool) -> int:
        if comment.startswith(_COMMENT):
            layout = int(comment.removeprefix(_COMMENT))
            if layout > LAYOUT:
                raise NewerHistory(table=self.qualified, layout=layout, known=LAYOUT)
            return layout
        owner = next(
            (tool for names, tool in _FOREIGN if names == columns), "another tool"
        )
        versions = "its rows cannot be read"
        if readable and "version" in columns:
            with self.explained():
                (row,) = self._session.rows(
                    f"SELECT count(*), max(version::text) FROM {self.qualified}"
                )
            versions = f"{row[0]} rows, newest version {row[1]}"
        raise ForeignHistory(table=self.qualified, owner=owner, versions=versions)

    def check_privileges(self, facts: Facts) -> None:
        """Raise `ReadOnlyServer` or `PrivilegeMissing` if a run could not record itself."""
        if facts.read_only:
            raise ReadOnlyServer(why=facts.read_only)
        if facts.layout and not (facts.can_read and facts.can_write):
            raise self.denied(facts.role, can_enter=facts.can_enter)
        role = identifier(facts.role)
        enter = "" if facts.can_enter else "USAGE, "
        if not facts.layout and not facts.can_create:
            target = (
                f"SCHEMA {identifier(self.schema)}"
                if facts.schema_exists
                else f"DATABASE {identifier(facts.database)}"
            )
            raise PrivilegeMissing(
                privilege=f"{enter}CREATE",
                target=target.lower().partition(" ")[0]
                + " "
                + target.partition(" ")[2],
                role=facts.role,
                grant=f"GRANT {enter}CREATE ON {target} TO {role};",
            )

    def denied(self, role: str, *, can_enter: bool) -> PrivilegeMissing:
        """Return the error of a role that may not read, or not write, the table."""
        grantee, wanted = identifier(role), "SELECT, INSERT, UPDATE, DELETE"
        enter = f"GRANT USAGE ON SCHEMA {identifier(self.schema)} TO {grantee}; "
        grant = f"GRANT {wanted} ON {self.qualified} TO {grantee};"
        return PrivilegeMissing(
            privilege=wanted,
            target=f"table {self.qualified}",
            role=role,
            grant=grant if can_enter else enter + grant,
        )

    def ensure(self, facts: Facts) -> None:
        """Make the table, or bring it to this release's layout, in one transaction."""
        if facts.layout == LAYOUT:
            return
        try:
            self._session.run(f"BEGIN; {self.layout_sql(facts)} COMMIT")
        except psycopg2.errors.InsufficientPrivilege as error:
            raise PrivilegeMissing(
                privilege="ownership, which the upgrade of its layout needs,",
                target=f"table {self.qualified}",
                role=facts.role,
                grant=f"ALTER TABLE {self.qualified} OWNER TO {identifier(facts.role)};",
            ) from error
        except psycopg2.Error as error:
            raise self._refused(error) from error
        finally:
            self._session.roll_back()

    def layout_sql(self, facts: Facts) -> str:
        """Return what makes or upgrades the table, for a transaction of the caller's."""
        parts = [OWN_PATH]
        if not facts.schema_exists:
            parts.append(f"CREATE SCHEMA {identifier(self.schema)};")
        parts += [self.text(f"layout {n}") for n in range(facts.layout + 1, LAYOUT + 1)]
        comment = literal(f"{_COMMENT}{LAYOUT}")
        parts.append(f"COMMENT ON TABLE {self.qualified} IS {comment};")
        return "\n".join(parts)

    def read(self, facts: Facts) -> list[Entry]:
        """Return the entries, as far as decisions need them."""
        if not facts.layout:
            return []
        if not facts.can_read:
            raise self.denied(facts.role, can_enter=facts.can_enter)
        with self.explained():
            rows = self._session.rows(self.text("read"))
        return [
            Entry(version, name, checksum, _STATES[state])
            for version, name, checksum, state in rows
        ]

    def report(self, facts: Facts) -> dict[str, dict[str, object]]:
        """Return what else is recorded of each version: when, by whom, from where."""
        if not facts.layout:
            return {}
        return {
            version: dict(zip(_REPORTED, facts_of_it, strict=True))
            for version, *facts_of_it in self._session.rows(self.text("report"))
        }


#: What `History.report` tells of a version; `executed_at` in seconds of the epoch.
_REPORTED = (
    "description",
    "executed_at",
    "duration_ms",
    "executed_by",
    "build_id",
    "commit_sha",
    "image_digest",
    "execution",
)
_STATES = {state.value: state for state in State}
