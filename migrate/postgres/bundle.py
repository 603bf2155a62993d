"""Send several small migrations in one message, each in a transaction of its own.

Called by the runner through `worker`. What a message costs is then paid once for many,
and nothing else changes: each migration still commits together with its entry, before the
next begins. Whatever goes wrong ends the message at the migration that met it; the history
tells which ones committed before, and the rest go one by one, with everything that
`transaction` knows about retrying and pointing.
"""

from collections.abc import Sequence

import psycopg2

from migrate.events import Notice
from migrate.migration import Mode, Script
from migrate.postgres.diagnose import RETRIED, diagnose
from migrate.postgres.sweep import may_stay, sweep
from migrate.postgres.traits import may_lock
from migrate.postgres.transaction import whole_message
from migrate.postgres.work import Work

_MOST = 16
_SMALL_BYTES = 8 << 10


def bundled(scripts: Sequence[Script]) -> list[list[Script]]:
    """Return the migrations in order, small neighbours together."""
    groups: list[list[Script]] = []
    for script in scripts:
        small = _is_small(script)
        if small and groups and len(groups[-1]) < _MOST and _is_small(groups[-1][-1]):
            groups[-1].append(script)
        else:
            groups.append([script])
    return groups


def _is_small(script: Script) -> bool:
    """Whether it fits one message with others: short, plain, nothing to run in between."""
    migration = script.migration
    if script.mode is not Mode.TRANSACTIONAL or script.held is None:
        return False
    if migration.size > _SMALL_BYTES or migration.verify_path is not None:
        return False
    texts = b" ".join(s.text for s in script.held).lower()
    rescanned = any(s.rescan or s.copy for s in script.held)
    # What ends a LISTEN counts only when the transaction after it has ended.
    stays = may_lock(texts) or may_stay(texts) or b"listen" in texts
    return not (rescanned or stays)


def apply_bundle(work: Work, scripts: Sequence[Script]) -> tuple[int, str]:
    """Apply them; return how many are committed: all, or those before one that failed.

    And what the next one met, if that was a lock timeout or the like: it has had a try.

    Raises `ConnectionLost` when the session is gone, and `Interrupted`; `OutcomeUnknown`
    when the history may not be asked any more.
    """
    with work.history.explained():
        work.recorder.get_ready()
    message = b"\n".join(whole_message(work, script) for script in scripts)
    try:
        with work.watch.over(work.session):
            work.session.run(message)
    except psycopg2.Error as failure:
        work.session.roll_back()
        work.session.run(sweep(work.key))
        work.recorder.prepare_again()
        done = work.ask(scripts, lambda: work.history.committed(scripts))
        met = diagnose(failure)
        return done, met.message if met.sqlstate in RETRIED else ""
    for text in work.session.take_notices():
        work.tell(Notice(file=scripts[-1].migration.file, text=text))
    return len(scripts), ""
