"""Run a ``.down.sql`` and take its migration out of the history.

Called by the worker, for ``rollback``. One transaction where that can be; where it cannot,
statement by statement, and nothing counts them: another try begins at the first.
"""

from migrate.faults import (
    HiddenSetting,
    Interrupted,
    SessionLost,
    StatementFailed,
    StoppedMidway,
)
from migrate.migration import Mode, Script
from migrate.places import apart
from migrate.postgres.batches import opened
from migrate.postgres.session import OWN_PATH
from migrate.postgres.stepwise import Stepper
from migrate.postgres.traits import Traits
from migrate.postgres.transaction import apply_together
from migrate.postgres.work import Work
from migrate.refusals import ConnectionLost

_AT_FAULT = (StatementFailed, HiddenSetting)


def undo(work: Work, script: Script) -> None:
    """Undo one migration; the work's recorder erases its entry.

    Raises what `transaction` raises; `StoppedMidway`, with the statements done, where
    there is no transaction; `SessionLost` when the session was lost, whose entry then tells
    whether the step was undone.
    """
    try:
        if script.mode is Mode.TRANSACTIONAL:
            apply_together(work, [script], "COMMIT")
        else:
            _undo_stepwise(work, script)
            work.session.run(f"{OWN_PATH}{work.recorder.record(script, Traits())}")
    except ConnectionLost as lost:
        file = script.migration.file
        raise SessionLost(file=file, reason=lost.reason) from lost


def _undo_stepwise(work: Work, script: Script) -> None:
    stepper = Stepper(work, script)
    done = 0
    try:
        with opened(script) as (statements, _):
            for number, statement in enumerate(apart(statements), start=1):
                stepper.look(statement)
                stepper.run(statement.text, statement)
                if not work.session.in_transaction:  # else a failure takes it back
                    done = number
    except (*_AT_FAULT, Interrupted, ConnectionLost) as failure:
        raise StoppedMidway(
            failure=str(failure),
            done=done,
            total=script.statements,
            version=script.migration.version,
            at_fault=isinstance(failure, _AT_FAULT),
            undo=script.migration.file,
        ) from failure
    finally:
        work.sweep()
