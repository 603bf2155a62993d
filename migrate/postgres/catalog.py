"""What migrations created: read inside their transaction, checked ever after.

Called by `transaction`, `stepwise` and the runner's ``verify``. The statements stand in
capture.sql; here are their parameters.
"""

from collections.abc import Sequence
from typing import NamedTuple

from migrate.migration import Script
from migrate.postgres.history import History
from migrate.postgres.session import Session
from migrate.postgres.sql import identifier, literal, named_statements
from migrate.postgres.traits import Traits

_FILE = "capture.sql"
#: Near the end the oid counter may wrap, and new objects get low oids: then look at all.
_HIGH_OID = 4_000_000_000
_NAMES = ("version", "name", "description", "checksum", "tool_version", "build_id",
          "commit_sha", "image_digest", "execution", "run_id", "previous",
          "statements")  # fmt: skip
#: Every catalog is entered by an index, from few rows: statistics do not know that. What
#: is ruled out makes a plan dear on paper, and compiling what is dear takes seconds.
_BY_INDEX = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; "
)
_PATH_OF_A_VIEW = """
SELECT concat_ws(', ', quote_ident(n.nspname), nullif(s.reset_val, ''))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_settings s
 WHERE c.oid = %s::regclass AND s.name = 'search_path'
"""
#: The prepared statements: for plain texts, and for those that may create anything.
_PLANS = {True: "migrate_record_plain", False: "migrate_record"}


class Identity(NamedTuple):
    """Who applies: kept with every entry."""

    run_id: str
    tool_version: str
    build_id: str | None = None
    commit_sha: str | None = None
    image_digest: str | None = None
    execution: str | None = None


class Recorder:
    """Writes a transactional migration's entry, with what it created, as one statement.

    Prepared once per session where there is one session: planning it would cost more than
    a tiny migration. Through a pooler, and after somebody's DEALLOCATE ALL, it is sent whole.
    """

    def __init__(self, session: Session, table: str, identity: Identity) -> None:
        """Prepare nothing yet."""
        self._session = session
        self._table = table
        self._identity = identity
        self._prepared = False
        self._may_prepare = not session.pooled
        self._floor = 0
        self._previous = self._present = ""
        self._path: tuple[str, ...] | None = None

    def floor(self) -> int:
        """Return an oid below everything that is created from now on."""
        ((highest,),) = self._session.rows(named_statements(_FILE)["floor"])
        return 0 if highest > _HIGH_OID else int(highest)

    def get_ready(self) -> None:
        """Learn what is there, and prepare: before a transaction begins."""
        if self._path is None:
            self._floor = self.floor()
            # Without our own search_path: this is what unqualified names of files mean.
            rows = self._session.results(
                b"SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]"
            )
            self._path = tuple(rows[0][0]) if rows else ()
        ready = self._prepared or self._session.in_transaction
        if self._may_prepare and not ready:
            self._prepare()

    def _prepare(self) -> None:
        parameters = {name: f"${n}" for n, name in enumerate(_NAMES, start=1)}
        places = {"floor": "$13", "anything": "$14", "names": "$15"}
        types = ", ".join(["text"] * 11 + ["int", "bigint", "bool", "text[]"])
        bodies = (
            f"PREPARE {_PLANS[plain]} ({types}) AS "
            f"{self._insert(parameters, places, plain=plain)};"
            for plain in (True, False)
        )
        self._session.run(
            f"BEGIN; SET LOCAL search_path = pg_catalog, pg_temp; {' '.join(bodies)} COMMIT"
        )
        self._prepared = True

    def prepare_again(self) -> None:
        """Prepare anew when there is no transaction: everything was deallocated."""
        self._prepared = False

    def forget_prepared(self) -> None:
        """Send the statement whole from now on."""
        self._prepared = self._may_prepare = False

    def record(self, script: Script, traits: Traits) -> str:
        """Return the SQL that records the migration in the open transaction.

        ``traits``: what its text may have done.
        """
        values = {name: literal(value) for name, value in self._values(script).items()}
        version = script.migration.version
        if version != self._present:  # a retry has the same one before it
            self._previous, self._present = self._present, version
        values["previous"] = literal(self._previous)
        places = {
            "floor": str(self._floor),
            "anything": "true" if traits.alters_anything else "false",
            "names": self._names(traits),
        }
        if self._prepared:
            settings = "SET LOCAL plan_cache_mode = force_generic_plan; "
            listed = ", ".join([*(values[name] for name in _NAMES), *places.values()])
            sql = f"EXECUTE {_PLANS[traits.plain]} ({listed})"
        else:
            settings = ""
            sql = self._insert(values, places, plain=traits.plain)
        text = f"{settings}{_BY_INDEX}{sql};"
        return text + (self.removed(script.migration.version) if traits.removed else "")

    def landed(self, history: History, scripts: Sequence[Script]) -> bool:
        """Whether all of it is in the history. Raises `REFUSALS`."""
        return history.committed(scripts) == len(scripts)

    def _names(self, traits: Traits) -> str:
        """Return the tables altered by name as an SQL array, in every schema of the path."""
        if not traits.altered:
            return "'{}'::text[]"
        found = [
            literal(name if "." in name else f"{identifier(schema)}.{name}")
            for name in sorted(traits.altered)
            for schema in (("",) if "." in name else self._path or ())
        ]
        return f"ARRAY[{', '.join(found)}]::text[]"

    def created(self, *, floor: int) -> str:
        """Return an expression for what was created since ``floor``, alterations included."""
        places = {"floor": str(floor), "anything": "true", "names": "'{}'::text[]"}
        found = _found(places, plain=False)
        statements = named_statements(_FILE)
        return statements["created"].format(found=found, ours=statements["ours"])

    def removed(self, version: str, *, own: bool = False) -> str:
        """Return the SQL that notes which earlier creations are gone.

        ``own``: and that forgets the migration's own, which were noted one by one.
        """
        statements = named_statements(_FILE)
        names = ("removed", "kept") if own else ("removed",)
        condition = statements["condition"]
        values = {"version": literal(version), "condition": condition}
        return "".join(
            f"{statements[name].format(table=self._table, **values)};" for name in names
        )

    def _values(self, script: Script) -> dict[str, str | int | None]:
        migration = script.migration
        return {
            "version": migration.version,
            "name": migration.name,
            "description": script.description,
            "checksum": migration.checksum,
            "statements": script.statements,
            **self._identity._asdict(),
        }

    def _insert(
        self, values: dict[str, str], places: dict[str, str], *, plain: bool
    ) -> str:
        found = _found({**places, "floor": "(SELECT oid FROM before)"}, plain=plain)
        statements = named_statements(_FILE)
        return statements["record"].format(
            table=self._table,
            found=found,
            floor=places["floor"],
            ours=statements["ours"],
            **values,
        )


def _found(places: dict[str, str], *, plain: bool) -> str:
    """Return the query for what was created; ``plain``: tables and indexes alone."""
    statements = named_statements(_FILE)
    places = {**places, "floor": f"{places['floor']}::oid"}
    others = "" if plain else statements["others"].format(**places)
    return statements["found"].format(others=others, **places)


class Eraser(Recorder):
    """Removes the entry of a migration whose ``.down.sql`` ran in the open transaction."""

    def get_ready(self) -> None:
        """Nothing to prepare."""

    def record(self, script: Script, traits: Traits) -> str:  # noqa: ARG002
        """Return the SQL that removes the entry."""
        version = literal(script.migration.version)
        return f"DELETE FROM {self._table} WHERE version = {version};"

    def landed(self, history: History, scripts: Sequence[Script]) -> bool:
        """Whether the entries are gone. Raises `REFUSALS`."""
        left = {version for version, _, _ in history.execute("standing")}
        return left.isdisjoint(script.migration.version for script in scripts)


def conditions(session: Session, things: list[str]) -> dict[str, str]:
    """Return what is wrong with each thing: ``is gone``, ``is INVALID``… or nothing ("")."""
    if not things:
        return {}
    sql = named_statements(_FILE)["condition"].replace("%", "%%")
    return dict(
        session.rows(f"SELECT thing, {sql} FROM unnest(%s::text[]) AS thing", things)
    )


def run_view(session: Session, view: str) -> None:
    """Run a view as far as its first row; raises what the server raises.

    Not under our own search_path: what the view calls finds its names where its users do,
    in its own schema, or in the path of the role or the database. What it writes is
    rolled back.
    """
    ((path,),) = session.rows(_PATH_OF_A_VIEW, view)
    chosen = f"SELECT pg_catalog.set_config('search_path', {literal(path)}, true)"
    try:
        session.run(f"BEGIN; {chosen}; SELECT 1 FROM {view} LIMIT 1; ROLLBACK")
    finally:
        session.roll_back()
