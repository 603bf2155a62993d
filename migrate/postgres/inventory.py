"""What the history says was created, and whether it is there and whole.

Called by `worker` at the end of ``apply``, and by `verifying`. Reads the catalogs and runs
views; writes nothing.
"""

from collections.abc import Iterable, Sequence

import psycopg2

from migrate.events import Created, Listener
from migrate.postgres.catalog import conditions, run_view
from migrate.postgres.diagnose import diagnose
from migrate.postgres.history import History
from migrate.postgres.session import Session

#: What belongs to a thing that is told already.
_PARTS = {"column", "constraint", "unvalidated constraint"}


def expected_things(rows: Iterable[Sequence[object]]) -> list[str]:
    """Replay (created, removed) in the order applied: what must exist now."""
    expected: dict[str, None] = {}
    for created, removed in rows:
        expected.update(dict.fromkeys(created))  # type: ignore[call-overload]
        for thing in removed:  # type: ignore[attr-defined]
            expected.pop(thing, None)
    return list(expected)


def find_problems(session: Session, things: list[str]) -> list[str]:
    """Return one sentence for each thing that is gone or not whole."""
    found = conditions(session, things)
    wrong = [f"{thing} {how}" for thing, how in found.items() if how]
    for thing in things:
        kind, _, name = thing.partition(" ")
        if kind == "view" and not found[thing]:
            try:
                run_view(session, name)
            except psycopg2.Error as error:
                wrong.append(f"{thing} cannot be run: {diagnose(error).message}")
    return wrong


def show_created(history: History, run_id: str, tell: Listener) -> None:
    """Tell what a run created, as each of its transactions read it from the catalogs."""
    things = expected_things(history.execute("created by", run_id))
    pairs = (_split(thing) for thing in things)
    tell(Created(things=tuple(p for p in pairs if p[0] not in _PARTS)))


def _split(thing: str) -> tuple[str, str]:
    """Return (kind, name); names in ``public`` are shown without it."""
    kind, _, name = thing.partition(" ")
    if kind in {"materialized", "foreign", "unvalidated"}:
        second, _, name = name.partition(" ")
        kind = f"{kind} {second}"
    return kind, name.removeprefix("public.")
