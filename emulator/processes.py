"""Real processes: a group of their own, a clean environment, lines as they come, signals.

`Running` is what executions and builds know of whatever they have started. Here it is a
process group (`LocalProcesses`). Never looks at what a program means.
"""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple, Protocol

GRACE = 10.0
LineListener = Callable[[str, str], None]


class Command(NamedTuple):
    """What to start: argv, the whole environment, and where."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str


class Ending(NamedTuple):
    """How a process ended: an exit code, or the signal that ended it."""

    exit_code: int
    signal: int = 0
    timed_out: bool = False
    stopped: bool = False
    out_of_memory: bool = False


class CannotStart(Exception):
    """The program could not be started at all (no such file, not executable)."""


class Running(Protocol):
    """A started command."""

    def wait(self, timeout: float | None) -> Ending:
        """Wait for the end; past the timeout stop it."""
        ...

    def stop(self, grace: float = GRACE) -> None:
        """Ask it to stop, and kill it after the grace. Returns at once."""
        ...

    def send(self, number: int) -> None:
        """Send a signal to the whole group."""
        ...


class LocalProcess:
    """One process group on this machine."""

    def __init__(self, command: Command, listener: LineListener) -> None:
        try:
            self._process = subprocess.Popen(
                list(command.argv),
                env=dict(command.environment),
                cwd=command.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotStart(str(error)) from error
        self._stopped = threading.Event()
        self._lines: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        pipes = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=(name, pipe), daemon=True)
            for name, pipe in pipes.items()
            if pipe is not None
        ]
        self._listening = threading.Thread(
            target=self._listen, args=(listener,), daemon=True
        )
        for thread in [*self._readers, self._listening]:
            thread.start()

    def _read(self, stream: str, pipe: IO[bytes]) -> None:
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self._lines.put((stream, line))

    def _listen(self, listener: LineListener) -> None:
        while (line := self._lines.get()) is not None:
            listener(*line)

    def wait(self, timeout: float | None) -> Ending:
        """Wait for the end; past the timeout stop it."""
        timed_out = False
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            self.stop()
            self._process.wait()
        # A grandchild may outlive the leader and hold the pipes; its group goes with it.
        self.send(signal.SIGKILL)
        for reader in self._readers:
            reader.join(2)
        self._lines.put(None)
        self._listening.join()
        code = self._process.returncode
        return Ending(
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else 0,
            timed_out=timed_out,
            stopped=self._stopped.is_set() and not timed_out,
        )

    def stop(self, grace: float = GRACE) -> None:
        """SIGTERM to the group now, SIGKILL after the grace."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self.send(signal.SIGTERM)
        threading.Thread(target=self._kill_later, args=(grace,), daemon=True).start()

    def _kill_later(self, grace: float) -> None:
        deadline = time.monotonic() + grace
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._process.poll() is None:
            self.send(signal.SIGKILL)

    def kill(self) -> None:
        """End it at once, unless it has been waited for."""
        if self._process.poll() is None:
            self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        """Send a signal to the whole group; a group that is gone is fine."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class LocalProcesses:
    """Commands as processes of this machine: no container engine is needed."""

    def __init__(self) -> None:
        self._started: weakref.WeakSet[LocalProcess] = weakref.WeakSet()

    def start(self, command: Command, listener: LineListener) -> Running:
        """Start a process group."""
        process = LocalProcess(command, listener)
        self._started.add(process)
        return process

    def close(self) -> None:
        """Kill what is still there: the emulator itself is about to end."""
        for process in list(self._started):
            process.kill()
