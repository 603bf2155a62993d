"""A thread beside the main one, which sits in libpq while the server works.

Names who blocks us, reports progress, keeps a lease alive. Started by the runner when
there is work. Opens a second session of its own, and only when it is needed. It may hang
in a network that is gone; so nothing waits for it, and signals are not its business.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from migrate.faults import concealed
from migrate.postgres.session import Session
from migrate.stop import Stop

_TICK_S = 0.2
#: Where the lock timeout is short, ticks are as well, or its end might come before the look.
_SHORTEST_TICK_S = 0.02
#: How long the end of a run waits for the look that is under way.
_LAST_LOOK_S = 2.0
#: A statement at work for this long is worth a look for blockers and progress.
_LOOK_AFTER_S = 0.4
#: Where the lock timeout is short, after this share of it.
_LOOK_SHARE = 0.3

_BLOCKERS = """
SELECT b.pid, coalesce(nullif(b.application_name, ''), '?'), coalesce(b.usename, '?'),
       coalesce(b.state, '?'),
       coalesce(extract(epoch FROM clock_timestamp() - b.xact_start), 0)::float8,
       left(regexp_replace(coalesce(b.query, '?'), '\\s+', ' ', 'g'), 80)
  FROM pg_stat_activity w
 CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS p(pid)
  JOIN pg_stat_activity b ON b.pid = p.pid
 WHERE w.application_name = %s AND w.datname = current_database() AND w.state = 'active'
 ORDER BY b.xact_start
"""

_INDEX_PROGRESS = """
SELECT p.phase, greatest(p.blocks_done, p.tuples_done), greatest(p.blocks_total, p.tuples_total)
  FROM pg_stat_progress_create_index p
  JOIN pg_stat_activity w ON w.pid = p.pid
 WHERE w.application_name = %s
"""


class Watch:
    """Looks after one session from a thread of its own."""

    def __init__(
        self,
        stop: Stop,
        observer: Callable[[], Session],
        *,
        on_blocked: Callable[[tuple[str, ...], Session], None],
        on_progress: Callable[[str, int, int], None] | None,
    ) -> None:
        """Prepare; `start` begins. ``observer`` opens the second session.

        ``on_blocked`` is given it as well, and may ask more of it.
        """
        self._stop = stop
        self._open_observer = observer
        self._on_blocked = on_blocked
        self._on_progress = on_progress
        self._observer: Session | None = None
        self._heartbeat: Callable[[Session], None] | None = None
        self._heartbeat_every_s = 0.0
        self._since: float | None = None
        self._told: tuple[str, ...] = ()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._look_after_s = _LOOK_AFTER_S
        self.application_name = ""
        #: Who was seen blocking the statement last guarded; survives its end.
        self.blockers: tuple[str, ...] = ()

    def start(self, lock_timeout_ms: int) -> None:
        """Start the thread; see `hurry`."""
        self.hurry(lock_timeout_ms)
        self._thread.start()

    def close(self) -> None:
        """End the thread and its session."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_LAST_LOOK_S)
        if self._observer and self._thread.is_alive():
            # To close a session waits for what runs in it.
            self._observer.cut()
        elif self._observer:
            self._observer.close()

    def hurry(self, lock_timeout_ms: int) -> None:
        """Look for blockers early enough to see them before a lock timeout strikes.

        Called for each migration: who was seen by one try may have been missed by the last.
        """
        self.blockers = ()
        in_time = lock_timeout_ms / 1000 * _LOOK_SHARE or _LOOK_AFTER_S
        self._look_after_s = min(in_time, _LOOK_AFTER_S)

    def keep(self, heartbeat: Callable[[Session], None], every_s: float) -> None:
        """Call ``heartbeat`` with the second session from now on."""
        self._heartbeat_every_s = every_s
        self._heartbeat = heartbeat

    @contextlib.contextmanager
    def over(self, session: Session) -> Iterator[None]:
        """While inside, a signal cancels what the session runs, and we look after it."""
        with self._stop.over(session):
            self._since = time.monotonic()
            try:
                yield
            finally:
                self._since = None

    def _work(self) -> None:
        beaten = time.monotonic()
        while not self._closing.wait(
            max(min(_TICK_S, self._look_after_s), _SHORTEST_TICK_S)
        ):
            now = time.monotonic()
            if self._heartbeat and now - beaten >= self._heartbeat_every_s:
                beaten = now
                self._with_observer(self._heartbeat)
            if self._look_after_s < _LOOK_AFTER_S and not self._observer:
                self._with_observer(lambda _: None)  # there will be no time to connect
            since = self._since
            if since is not None and now - since > self._look_after_s:
                self._with_observer(self._look)

    def _with_observer(self, task: Callable[[Session], None]) -> None:
        # Watching must never hurt the work: a failure here means no news, not an end.
        with contextlib.suppress(Exception):
            if self._observer is None or self._observer.lost:
                self._observer = self._open_observer()
            task(self._observer)

    def _look(self, observer: Session) -> None:
        rows = observer.rows(_BLOCKERS, self.application_name)
        if rows:
            found = tuple(
                f"pid {pid} ({name}, user {user}, {state} for {age:.0f} s): "
                f"{concealed(query)}"
                for pid, name, user, state, age, query in rows
            )
            self.blockers = found
            pids = tuple(str(row[0]) for row in rows)
            if pids != self._told:
                self._told = pids
                self._on_blocked(found, observer)
        else:
            self._told = ()
        if self._on_progress:
            for phase, done, total in observer.rows(
                _INDEX_PROGRESS, self.application_name
            ):
                self._on_progress(phase, done, total)
