"""Our programs as processes that do not each load Python and its libraries anew.

`python` is ``subprocess.Popen([sys.executable, …])``, and does just that where coverage is
counted, as in CI. Otherwise a program of this project is forked from an interpreter that
has loaded its modules and run nothing of them (tests/fork_server.py): a process with its
own number, environment, directory, streams, signals and exit code, for a fraction of what
its start costs. A test of how a program starts, or of what it loads, starts it itself.
"""

import functools
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
#: Which programs share an interpreter: Google's libraries are a weight for the others.
SERVED = {
    "migrate": "engine",
    "migrate.run_migration": "engine",
    "prompts": "engine",
    "jobs": "jobs",
    "emulator": "emulator",
}
#: What is decided while Python starts, and how it has been decided in a fork server.
DECIDED = {"LANG": "C.UTF-8", "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
_NUMBER = struct.Struct("i")


def python(
    *words: object, env: Mapping[str, str], **options: Any
) -> "subprocess.Popen[str]":
    """Start ``python …`` with the options of `subprocess.Popen`."""
    arguments = [sys.executable, *map(str, words)]
    kind = Forked if _can_be_forked(arguments, env) else subprocess.Popen
    return kind(arguments, env=env, encoding="utf-8", **options)


def _can_be_forked(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    if "COVERAGE_PROCESS_CONFIG" in env or arguments[1] != "-m":
        return False
    early = [name for name in env if name.startswith(("PYTHON", "LANG", "LC_"))]
    decided = all(env[name] == DECIDED.get(name) for name in early)
    return decided and arguments[2] in SERVED


class Forked(subprocess.Popen[str]):
    """A process that a fork server made, and whose end it tells through a pipe.

    What is private here is so in `subprocess` of Python 3.11 to 3.14 alike.
    """

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:
        cwd, env = rest[4:6]
        stdin, _, _, stdout, _, stderr = pipes = rest[9:15]
        streams = [
            given if given >= 0 else own
            for own, given in enumerate((stdin, stdout, stderr))
        ]
        self._ended, end = os.pipe()
        try:
            self.pid = _server(SERVED[args[2]]).fork(
                {"module": args[2], "args": args[3:], "cwd": str(cwd), "env": env},
                [*streams, end],
            )
        finally:
            os.close(end)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        wait = lambda _, flags: self._try_wait(flags)  # noqa: E731
        code: int | None = super()._internal_poll(_deadstate, _waitpid=wait)  # type: ignore[misc]
        return code

    def _try_wait(self, flags: int) -> tuple[int, int]:
        wait = 0 if flags & os.WNOHANG else None
        if not select.select([self._ended], [], [], wait)[0]:
            return 0, 0
        told = os.read(self._ended, _NUMBER.size)
        os.close(self._ended)
        if not told:
            raise RuntimeError("the fork server ended before its process")
        return self.pid, _NUMBER.unpack(told)[0]


class _Server:
    """A fork server of this process, and the line to it."""

    def __init__(self, name: str) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", name, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={**os.environ, **DECIDED},
                pass_fds=[theirs.fileno()],
            )

    def fork(self, what: Mapping[str, Any], fds: Sequence[int]) -> int:
        """Have a process made; return its number."""
        with self._turn:
            socket.send_fds(self._line, [json.dumps(what).encode()], fds)
            told = self._line.recv(_NUMBER.size)
        if not told:
            raise RuntimeError("the fork server has ended")
        number: int = _NUMBER.unpack(told)[0]
        return number


_server = functools.cache(_Server)
