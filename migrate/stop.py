"""SIGTERM and SIGINT as a value one can ask, and pauses that end when they come.

Installed by the faces alone, and restored by them. Cloud Run sends SIGTERM and, some
seconds later, SIGKILL; so the first signal stops the work, and nothing waits after it.
"""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from migrate.faults import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether somebody asked us to stop. Reentrant as a context manager it is not."""

    def __init__(self) -> None:
        """Begin without a request; nothing is installed yet."""
        self.signal = ""
        self._before: dict[int, Any] = {}
        #: Becomes readable with every signal, also while the main thread sits in libpq.
        self.wake_read, self._wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(self._wake_write, False)
        # Never read: once it is readable no pause begins any more.
        self._pause_read, self._pause_write = os.pipe()

    def __enter__(self) -> Self:
        """Install the handlers (main thread only)."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
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
        for handle in (
            self.wake_read,
            self._wake_write,
            self._pause_read,
            self._pause_write,
        ):
            os.close(handle)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.signal:
            os.write(self._pause_write, b"!")
        self.signal = signal.Signals(number).name

    def check(self, file: str = "") -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal:
            raise Interrupted(signal=self.signal, file=file)

    def pause(self, seconds: float, file: str = "") -> None:
        """Sleep, but not through a signal. Raises `Interrupted`."""
        select.select([self._pause_read], [], [], max(seconds, 0))
        self.check(file)
