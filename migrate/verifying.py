"""Prove that what was applied is still there, and whole.

Called by the runner's faces: ``verify``, and the end of ``apply``. Reads the catalogs and
runs views and checks; whatever a check writes is rolled back.
"""

from migrate.config import Settings
from migrate.events import CheckPassed, Listener
from migrate.faults import CheckFailed, NotAsApplied
from migrate.migration import Migration, State
from migrate.plan import Selection, make_plan
from migrate.postgres.checks import read_checks, run_check
from migrate.postgres.diagnose import diagnose
from migrate.postgres.history import LAYOUT
from migrate.postgres.inventory import expected_things, find_problems
from migrate.postgres.session import Session
from migrate.runner import Reading, read, refuse_drift


def verify(settings: Settings, tell: Listener) -> int:
    """Check files against history, catalogs against history, and every ``.verify.sql``.

    Returns how many things and checks held. Raises `DriftBlocks` for drift, and
    `NotAsApplied` with everything that is wrong.
    """
    reading = read(settings, tell)
    try:
        drift = make_plan(reading.migrations, reading.entries, Selection()).drift
        refuse_drift(drift)
        if not reading.facts.layout:
            return 0
        things: list[str] = []
        if reading.facts.layout == LAYOUT:  # an older one did not keep what was created
            things = expected_things(reading.history.execute("created"))
        problems = find_problems(reading.session, things)
        checked = _run_checks(reading, tell, problems)
        if problems:
            raise NotAsApplied(problems=tuple(problems))
        return len(things) + checked
    finally:
        reading.session.close()


def _run_checks(reading: Reading, tell: Listener, problems: list[str]) -> int:
    applied = {e.version for e in reading.entries if e.state is State.APPLIED}
    count = 0
    for migration in reading.migrations:
        if migration.verify_path and migration.version in applied:
            count += _run_file(reading.session, migration, tell, problems)
    return count


def _run_file(
    session: Session, migration: Migration, tell: Listener, problems: list[str]
) -> int:
    """Run one file's checks, each in a transaction that is rolled back."""
    count = 0
    for check in read_checks(str(migration.verify_path)):
        session.run("BEGIN")
        try:
            run_check(session, check, lambda error: diagnose(error).message)
        except CheckFailed as failure:
            problems.append(str(failure))
        else:
            tell(CheckPassed(file=check.file, check=check.name))
        finally:
            session.roll_back()
        count += 1
    return count
