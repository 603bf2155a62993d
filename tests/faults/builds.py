"""Fault 6: CREATE INDEX CONCURRENTLY is stopped at each of its waits, or meets duplicates.

Each moment is made by what the build waits for there: a lock on its table, a writer, a
function of the index's own expression, an old snapshot. So nothing depends on time.
"""

import contextlib
import signal
from pathlib import Path
from typing import NamedTuple

from tests.faults.bench import Bench, Case, Ended, finish
from tests.faults.case import Found, spread
from tests.faults.check import holds, left_nothing
from tests.observing import holding, until

NUMBER = 6
TITLE = "CREATE INDEX CONCURRENTLY cancelled, killed, or failing, at each of its waits"
TIMES = 57
FOUND: tuple[str, ...] = ()

_TABLE = """
CREATE TABLE items (n int NOT NULL, word text NOT NULL);
INSERT INTO items SELECT n, 'word ' || n FROM generate_series(1, 50) n;
CREATE FUNCTION held(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN n; END $$;
"""
_FORMS = (
    "CREATE UNIQUE INDEX CONCURRENTLY items_n ON items (held(n));",
    'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "items n" ON public.items (held(n));',
    "CREATE UNIQUE INDEX CONCURRENTLY ON items (held(n));",
)
_DUPLICATE = "INSERT INTO items VALUES (50, 'again')"
_MENDED = "DELETE FROM items WHERE word = 'again'"
_BUILDS = "query LIKE 'CREATE UNIQUE INDEX%' AND pid <> pg_backend_pid()"
_WAITING = f"""
SELECT pid FROM pg_stat_activity WHERE {_BUILDS} AND datname = current_database()
   AND wait_event_type = 'Lock'
"""
_INDEXES = """
SELECT indexrelid::bigint, indisvalid FROM pg_index WHERE indrelid = 'items'::regclass
"""


class Moment(NamedTuple):
    """A wait of the build, and what somebody holds so that it comes to it."""

    name: str
    held: tuple[str, ...]


_MOMENTS = (
    Moment("waiting for its table", ("LOCK TABLE items",)),
    Moment("waiting for writers", ("LOCK TABLE items IN ROW EXCLUSIVE MODE",)),
    Moment("building", ("SELECT pg_advisory_xact_lock(77)",)),
    Moment(
        "waiting for old snapshots",
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM effects"),
    ),
)
_WAYS = ("cancelled", "terminated", "SIGTERM", "SIGKILL", "a duplicate")
_CHOICES = [
    *((moment, way) for moment in _MOMENTS for way in _WAYS if way != _WAYS[4]),
    *((moment, _WAYS[4]) for moment in (_MOMENTS[0], _MOMENTS[2])),
    *((moment, "somebody else's") for moment in _MOMENTS[:1]),
]


def attempt(bench: Bench, seed: int) -> Found:
    """Stop one build; the next run leaves one valid index, and nobody else's is dropped."""
    (moment, way), form = spread(seed, _CHOICES, _FORMS)
    with bench.case(0) as case:
        case.database.psql(_TABLE)
        case.directory = bench.scratch / f"build-{seed}"
        case.directory.mkdir()
        _write(case.directory, form)
        if way == "somebody else's":
            _left_alone(case, form)
        else:
            ended = _stopped(case, moment, way)
            _checked(case, ended, way)
        left_nothing(case)
    return Found(f"{way}, {moment.name}, form {_FORMS.index(form) + 1}")


def _write(directory: Path, form: str) -> None:
    text = f"INSERT INTO effects VALUES ('0001', 1);\n{form}\n"
    text += "INSERT INTO effects VALUES ('0001', 2);\n"
    (directory / "0001_index.sql").write_text(text)


def _stopped(case: Case, moment: Moment, way: str) -> Ended:
    """Run until the moment, and do there what is to be done."""
    if way == _WAYS[4] and moment is _MOMENTS[0]:
        case.database.psql(_DUPLICATE)
        return case.run()
    with holding(case.database, *moment.held):
        process = case.start()
        rows = until(lambda: case.database.rows(_WAITING), "the build never waits")
        pid = int(str(rows[0][0]))
        if way == "SIGKILL":
            process.kill()
            process.wait()
            # The server would notice by itself some seconds later.
            case.database.rows(f"SELECT pg_terminate_backend({pid}, 10000)")
        elif way == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        elif way == "cancelled":
            case.database.rows(f"SELECT pg_cancel_backend({pid})")
        elif way == "terminated":
            case.database.rows(f"SELECT pg_terminate_backend({pid}, 10000)")
        else:  # a row that the build does not see, and its validation does
            case.database.psql(_DUPLICATE)
        if way in _WAYS[:4]:
            return finish(process)
    return finish(process)


def _checked(case: Case, ended: Ended, way: str) -> None:
    """What was stopped is told; after the next run there is one index, and it is valid."""
    holds("no traceback", when="Traceback" not in ended.err, seen=ended)
    wanted = {-signal.SIGKILL} if way == "SIGKILL" else {8}
    holds(f"exit code {wanted}", when=ended.exit in wanted, seen=ended)
    case.database.psql(_MENDED)
    again = case.run()
    holds("the next run succeeds", when=again.exit == 0, seen=again)
    found = case.database.rows(_INDEXES)
    holds("one valid index", when=[valid for _, valid in found] == [True], seen=found)
    effects = case.database.rows(
        "SELECT part, count(*) FROM effects GROUP BY 1 ORDER BY 1"
    )
    holds("each part once", when=effects == [(1, 1), (2, 1)], seen=effects)


def _left_alone(case: Case, form: str) -> None:
    """Somebody's INVALID index is refused by name, or passed by; it is never dropped."""
    case.database.psql(_DUPLICATE)
    with contextlib.suppress(RuntimeError):
        case.database.psql(form)
    case.database.psql(_MENDED)
    ((theirs, valid),) = case.database.rows(_INDEXES)
    holds("it is INVALID", when=not valid)
    run = case.run()
    found = {row[0]: row[1] for row in case.database.rows(_INDEXES)}
    named = "CONCURRENTLY ON" not in form
    holds("theirs is still there", when=found.pop(theirs, None) is False, seen=run)
    if named:
        told = (run.exit, run.outcome["error"])
        holds("it is refused by name", when=told == (8, "invalid-index"), seen=run)
    else:
        built = run.exit == 0 and list(found.values()) == [True]
        holds("ours is built beside it", when=built, seen=(run, found))
    case.database.psql(
        "DROP INDEX "
        + str(case.database.rows(f"SELECT {theirs}::regclass::text")[0][0])
    )
    again = case.run()
    holds("the next run succeeds", when=again.exit == 0, seen=again)
