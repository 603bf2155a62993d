"""Decide which migrations are carried out together.

Called by the runner. Touches no database: it only tells what a dry run leaves out.
"""

import enum
from collections.abc import Sequence

from migrate.events import LeftOut, Listener
from migrate.migration import Mode, Script
from migrate.refusals import NotTogether


class Manner(enum.Enum):
    """How a plan is carried out."""

    SEPARATE = "each migration in its own transaction"
    TOGETHER = "all in one transaction"
    DRY = "all in one transaction that is rolled back"


def grouped(
    scripts: list[Script], manner: Manner, tell: Listener
) -> list[list[Script]]:
    """Return what is carried out together. Raises `NotTogether`."""
    if manner is Manner.SEPARATE:
        from migrate.postgres.batches import bundled  # noqa: PLC0415 - see `runner.apply`

        return bundled(scripts)
    if manner is Manner.DRY:
        kept = _leave_out(scripts, tell)
        return [kept] if kept else []
    _refuse_apart(scripts)
    return [scripts] if scripts else []


def _refuse_apart(scripts: Sequence[Script]) -> None:
    """All or nothing: raise `NotTogether` for the first that needs to be apart."""
    for script in scripts:
        if reasons := _apart(script, scripts):
            migration = script.migration
            raise NotTogether(
                file=migration.file, version=migration.version, reason=reasons[0]
            )


def _leave_out(scripts: list[Script], tell: Listener) -> list[Script]:
    """A dry run is one transaction and cannot hold everything; say what it leaves out."""
    could = [script for script in scripts if script.mode is Mode.TRANSACTIONAL]
    kept = []
    for script in scripts:
        if reasons := _apart(script, could):
            tell(LeftOut(file=script.migration.file, reasons=reasons))
        else:
            kept.append(script)
    return kept


def _apart(script: Script, scripts: Sequence[Script]) -> tuple[str, ...]:
    """Return why it cannot share a transaction with the others, if it cannot.

    What a BEGIN asks for (an isolation level, READ ONLY) is asked of the whole transaction:
    in one that is shared it would be lost, or forced upon the others.
    """
    if script.mode is not Mode.TRANSACTIONAL:
        return script.reasons
    return (script.modes,) if script.modes and script.wrapped and scripts[1:] else ()
