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
from migrate.migration import Script
from migrate.postgres.diagnose import RETRIED, diagnose
from migrate.postgres.sweep import sweep
from migrate.postgres.transaction import whole_message
from migrate.postgres.work import Work


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
