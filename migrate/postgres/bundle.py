"""Send several small migrations in one message, each in a transaction of its own.

Called by the runner through `worker`. What a message costs is then paid once for many,
and nothing else changes: each migration still commits together with its entry, before the
next begins. Whatever goes wrong ends the message at the migration that met it; the history
tells which ones committed before, and the rest go one by one, with everything that
`transaction` knows about retrying and pointing.
"""

import contextlib
from collections.abc import Sequence

import psycopg2

from migrate.events import Notice
from migrate.migration import Script, span
from migrate.postgres.diagnose import RETRIED, diagnose
from migrate.postgres.history import REFUSALS, History, Spent, spent
from migrate.postgres.session import OWN_PATH
from migrate.postgres.sql import literal
from migrate.postgres.sweep import sweep
from migrate.postgres.transaction import whole_message
from migrate.postgres.work import Work
from migrate.refusals import ConnectionLost


def apply_bundle(work: Work, scripts: Sequence[Script]) -> tuple[Spent, str]:
    """Apply them; return which are committed: all, or those before one that failed.

    And what the next one met, if that was a lock timeout or the like: it has had a try.

    Raises `ConnectionLost` when the session is gone, and `Interrupted`; `OutcomeUnknown`
    when the history may not be asked any more.
    """
    with work.history.explained():
        work.recorder.get_ready()
    messages = [whole_message(work, script) for script in scripts]
    # How long each took comes back with the answer: no clock of ours can tell them apart.
    message = b"\n".join([*messages, _question(work.history, scripts)])
    try:
        with work.watch.over(work.session):
            rows = work.session.results(message) or []
    except psycopg2.Error as failure:
        return _look_back(work, scripts, failure)
    except ConnectionLost:
        work.tell_notices(span(scripts))
        raise
    work.tell_notices(span(scripts))
    return spent(rows), ""


def _question(history: History, scripts: Sequence[Script]) -> bytes:
    listed = ", ".join(literal(script.migration.version) for script in scripts)
    return (OWN_PATH + history.text("spent", versions=f"ARRAY[{listed}]")).encode()


def _look_back(
    work: Work, scripts: Sequence[Script], failure: psycopg2.Error
) -> tuple[Spent, str]:
    """Ask how far a message came that failed."""
    said, reached = work.session.take_notices(), scripts
    try:
        work.session.roll_back()
        work.session.run(sweep(work.key))
        work.recorder.prepare_again()
        done = work.ask(scripts, lambda: work.history.spent(scripts))
        reached = scripts[: len(done) + 1]
        if not done:
            said = []  # the first file's, which is sent again and says it again
    finally:
        for text in said:
            work.tell(Notice(file=span(reached), text=text))
    met = diagnose(failure)
    return done, met.message if met.sqlstate in RETRIED else ""


def waiting(history: History, scripts: Sequence[Script]) -> str:
    """Return the file at work, as another session sees it: the first not committed."""
    with contextlib.suppress(psycopg2.Error, ConnectionLost, *REFUSALS):
        done = history.committed(scripts)
        return scripts[min(done, len(scripts) - 1)].migration.file
    return span(scripts)
