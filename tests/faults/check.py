"""What must be true after a fault: the first run told the truth, and the next one finishes.

Called by every fault that ends in a database. Raises `Broken`, which names the promise
that does not hold. Runs the command line once more; where the run asks a person, it does
what the run's advice says, and no more.
"""

import re

from tests.faults.bench import Case, Ended
from tests.faults.catalogs import Standing, standing
from tests.observing import OURS, until

_LOCKS = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SESSIONS = f"""
SELECT count(*) FROM pg_stat_activity
 WHERE {OURS} AND datname = current_database()
"""
_LEASES = "SELECT to_regclass('schema_migrations_lease') IS NOT NULL"
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
#: A file has at most so many statements that a person must be asked about.
_ASKED = 3


class Broken(AssertionError):
    """A promise does not hold."""


def holds(promise: str, *, when: bool, seen: object = "") -> None:
    """Raise `Broken` unless the promise holds."""
    if not when:
        raise Broken(f"{promise}\n{seen}")


def afterwards(case: Case, first: Ended | None) -> None:
    """Check the first run's word, run once more without faults, check what is left."""
    if first is not None:
        told_the_truth(case, first)
    finishes(case)
    left_nothing(case)


# --- the exit code --------------------------------------------------------------------


def told_the_truth(case: Case, run: Ended) -> None:
    """The exit code and the outcome agree with the database."""
    holds("no traceback", when="Traceback" not in run.err, seen=run)
    if run.exit < 0:  # it was killed, and says nothing
        return
    found = standing(case.database)
    outcome = run.outcome
    holds("the run ends with its outcome", when=outcome != {}, seen=run)
    holds("the outcome has the exit code", when=outcome["exit_code"] == run.exit)
    done = {entry["version"] for entry in outcome["done"]}
    holds("what is told as done is applied", when=done <= found.applied, seen=run)
    rest = set(outcome["not_tried"]) & set(found.entries)
    holds("what was not tried is not there", when=not rest, seen=(rest, run.said))
    claims = {
        0: _all_is_applied,
        5: _nothing_was_done,
        6: _nothing_was_at_work,
        7: _nothing_of_it_is_left,
        8: _something_is_left_to_do,
    }
    holds("the exit code is one of a lost run's", when=run.exit in claims, seen=run)
    claims[run.exit](case, run, found)


def _all_is_applied(case: Case, run: Ended, found: Standing) -> None:
    wanted = set(case.bench.undisturbed(case.variant).versions)
    holds("exit 0: all is applied", when=found.applied == wanted, seen=run.said)


def _nothing_was_done(_case: Case, run: Ended, _found: Standing) -> None:
    holds("exit 5: nothing was done", when=not run.outcome["done"], seen=run.said)
    holds("exit 5: the holder is named", when="pid" in run.said, seen=run.said)


def _nothing_was_at_work(_case: Case, run: Ended, found: Standing) -> None:
    counted = {version for version, _ in found.effects}
    stray = counted - found.applied
    holds("exit 6: nothing was at work", when=not stray, seen=(stray, run.said))
    holds("exit 6: no entry is half-way", when=_midway(found) == set(), seen=run.said)


def _nothing_of_it_is_left(_case: Case, run: Ended, found: Standing) -> None:
    file = run.outcome["failed"]
    version = version_of(file) if file else ""
    holds("exit 7: it is not entered", when=version not in found.entries, seen=run.said)
    holds("exit 7: nothing of it is left", when=not found.of(version), seen=run.said)


def _something_is_left_to_do(_case: Case, run: Ended, found: Standing) -> None:
    if run.outcome["error"] in {"outcome-unknown", "commit-lost"}:
        return
    file = run.outcome["failed"]
    holds("exit 8: the file is named", when=bool(file), seen=run.said)
    version = version_of(file)
    holds(
        "exit 8: its entry is half-way",
        when=version in _midway(found),
        seen=(found, run.said),
    )
    told = re.search(r"statements 1 to (\d+) of", run.outcome["message"])
    number = int(told[1]) if told else 0
    if run.outcome["error"] == "stopped-midway":
        holds(
            "exit 8: the statements told are those recorded",
            when=number == found.entries[version].done,
            seen=(found, run.said),
        )


def _midway(found: Standing) -> set[str]:
    return {v for v, e in found.entries.items() if e.state in {"running", "failed"}}


def version_of(file: str) -> str:
    """Return the history's key of a file."""
    name = file.rpartition("/")[2].removesuffix(".sql")
    return name if name.startswith("R__") else name.partition("_")[0]


# --- the next run ---------------------------------------------------------------------


def finishes(case: Case) -> None:
    """Run once more; answer what only a person can tell; everything is as undisturbed."""
    run = case.run()
    for _ in range(_ASKED):
        if run.exit != 8:
            break
        _be_asked(case, run)
        run = case.run()
    holds("the next run succeeds", when=run.exit == 0, seen=run)
    wanted, found = case.bench.undisturbed(case.variant).state, case.state()
    holds(
        "catalogs, rows, history and effects are those of an undisturbed run",
        when=wanted == found,
        seen=wanted.difference(found),
    )


def _be_asked(case: Case, run: Ended) -> None:
    """Look whether the statement took effect, and say so, as the advice asks."""
    told = [line["fields"] for line in run.lines if line.get("event") == "Error"]
    holds("a person is asked about a statement alone", when=bool(told), seen=run)
    fields = told[-1]
    holds("a person is asked", when=fields["code"] == "in-doubt", seen=run)
    version, statement = fields["version"], fields["statement"]
    text = (case.directory / fields["file"]).read_text()
    holds("the statement is named exactly", when=statement in text, seen=run)
    part = int(statement.rstrip(");").rpartition(",")[2])
    took = standing(case.database).effects.get((version, part), 0)
    action = "--statement-done" if took else "--statement-again"
    advice = f"repair {version} --statement-done (it did) or --statement-again"
    holds("the advice names the command", when=advice in run.said, seen=run)
    mended = case.run("repair", version, action, "--yes")
    holds("repair answers for it", when=mended.exit == 0, seen=mended)


def left_nothing(case: Case) -> None:
    """No session, lock, lease or broken index of ours is on the server."""
    rows = case.database.rows
    until(lambda: rows(_SESSIONS) == [(0,)], "a session of ours is still there")
    holds("no lock is left", when=rows(_LOCKS) == [(0,)])
    if rows(_LEASES) == [(True,)]:
        left = rows("SELECT * FROM schema_migrations_lease")
        holds("no lease is left", when=left == [], seen=left)
    broken = rows(_INVALID)
    holds("no INVALID index is left", when=broken == [], seen=broken)
