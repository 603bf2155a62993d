"""SIGTERM and SIGINT as a value one can ask, and what ends when they come.

Installed by the faces alone, and restored by them. Cloud Run sends SIGTERM and, some
seconds later, SIGKILL; so the first signal stops the work, and nothing waits after it: not
a pause, not an attempt to connect (it is left behind), not a statement (it is cancelled),
and not a network that answers nothing any more (its sessions are cut). A thread sees to
that, since the main one may sit in libpq.
"""

import _thread  # what threading is made of: a run with nothing to do loads no more
import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol, Self, TypeVar

from migrate.faults import Interrupted

_Made = TypeVar("_Made")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: A cancel may come too early for the statement it is meant for: so often it is repeated.
_TICK_S = 0.2
#: After this long without an end the sessions are cut: we promise to be gone 8 s after
#: SIGTERM (Cloud Run kills at 10 s).
_CUT_AFTER_S = 4.0


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """While inside, SIGINT ends the process where it stands, as SIGTERM does.

    For what only reads and has nothing to put in order: Python's own handler has its turn
    when libpq returns, from a silent host after five seconds, from a long check never.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Endable(Protocol):
    """A session with a server. Both deeds are for another thread."""

    @property
    def lost(self) -> bool:
        """Whether it is gone already."""

    def cancel(self) -> None:
        """Ask the server to end what runs; may wait for the network, may fail."""

    def cut(self) -> None:
        """End it at this side; never waits, never raises."""


class Stop:
    """Whether somebody asked us to stop. Reentrant as a context manager it is not."""

    def __init__(self, cut_after_s: float = _CUT_AFTER_S) -> None:
        """Begin without a request; nothing is installed yet."""
        self.signal = ""
        self._cut_after_s = cut_after_s
        self._before: dict[int, Any] = {}
        #: Readable with every signal, also while the main thread sits in libpq.
        self._wake_read, self._wake_write = os.pipe()
        self._end_read, self._end_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        # Never read: once it is readable no pause begins any more.
        self._pause_read, self._pause_write = os.pipe()
        self._sessions: list[Endable] = []
        self._at_work: Endable | None = None
        self._guard = _thread.allocate_lock()
        self._cancelling = False
        self._listening = _thread.allocate_lock()

    def __enter__(self) -> Self:
        """Install the handlers (main thread only)."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        self._listening.acquire()
        _thread.start_new_thread(self._listen, ())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the handlers back."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._end_write)
        with self._listening:  # the thread is over
            pass
        for handle in (
            self._end_read,
            self._wake_read,
            self._wake_write,
            self._pause_read,
            self._pause_write,
        ):
            os.close(handle)

    def _on_signal(self, number: int, _frame: FrameType | None = None) -> None:
        """Note it. Also for the thread: the kernel may have woken another than the main one."""
        if not self.signal:
            self.signal = signal.Signals(number).name
            os.write(self._pause_write, b"!")

    # --- asked by the work ------------------------------------------------------------

    def check(self, file: str = "") -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal:
            raise Interrupted(signal=self.signal, file=file)

    def pause(self, seconds: float, file: str = "") -> None:
        """Sleep, but not through a signal. Raises `Interrupted`."""
        select.select([self._pause_read], [], [], max(seconds, 0))
        self.check(file)

    def unless_asked(self, make: Callable[[], _Made], file: str = "") -> _Made:
        """Return what is made; what a signal cannot end is left behind when one comes.

        To connect takes five seconds for each host that is silent. It is done in a thread
        of its own; whatever that still makes afterwards is dropped. Raises `Interrupted`,
        and what ``make`` raises.
        """
        made: list[_Made] = []
        failures: list[BaseException] = []
        over_read, over_write = os.pipe()

        def work() -> None:
            try:
                made.append(make())
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                failures.append(error)
            finally:
                os.close(over_write)

        _thread.start_new_thread(work, ())
        try:
            select.select([over_read, self._pause_read], [], [])
        finally:
            os.close(over_read)
        self.check(file)
        if failures:
            raise failures[0]
        return made[0]

    def knows(self, session: Endable) -> None:
        """Cut this session, too, when a signal came and the run does not end."""
        self._sessions = [s for s in self._sessions if not s.lost] + [session]

    @contextlib.contextmanager
    def over(self, session: Endable) -> Iterator[None]:
        """While inside, a signal cancels what the session runs. Raises `Interrupted`."""
        self.check()
        with self._guard:
            self._at_work = session
        try:
            yield
        finally:
            # Held while a cancel is under way, which must not hit what comes next; but it
            # may hang in a network that is gone, and then nothing may come next.
            if session.lost:
                self._at_work = None
            elif self._guard.acquire(timeout=self._cut_after_s):
                self._at_work = None
                self._guard.release()
            else:
                session.cut()

    # --- the thread -------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            self._wait_for_signals()
        finally:
            self._listening.release()

    def _wait_for_signals(self) -> None:
        signalled_at: float | None = None
        while True:
            ready, _, _ = select.select(
                [self._wake_read, self._end_read],
                *([], []),
                None if signalled_at is None else _TICK_S,
            )
            if self._end_read in ready:
                return
            now = time.monotonic()
            if self._wake_read in ready:
                for number in os.read(self._wake_read, 64):
                    if number in _SIGNALS:
                        self._on_signal(number)
                        signalled_at = signalled_at or now
            if signalled_at is not None:
                self._end(cut=now - signalled_at > self._cut_after_s)

    def _end(self, *, cut: bool) -> None:
        if cut:
            for session in self._sessions:
                session.cut()
        elif not self._cancelling:
            # In a thread of its own: the request may hang in a network that is gone.
            self._cancelling = True
            _thread.start_new_thread(self._cancel, ())

    def _cancel(self) -> None:
        with self._guard:
            if self._at_work is not None and not self._at_work.lost:
                with contextlib.suppress(Exception):
                    self._at_work.cancel()
        self._cancelling = False
