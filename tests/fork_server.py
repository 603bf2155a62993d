"""The interpreter that `tests.forked` forks programs from. Loads their modules, runs none.

It has one thread and no connection, so that a fork of it is whole. The forked process
leaves the loop and runs the program as this script's last act: what the program returns or
raises is then the interpreter's to handle, as after ``python -m``.
"""

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import socket
import struct
import sys
import time
from typing import Any

PACKAGES = {
    "engine": ("migrate", "prompts"),
    "jobs": ("migrate", "jobs"),
    "emulator": ("migrate", "emulator"),
}
#: Modules that do something when they are loaded, or that are themselves started.
STARTED = ("__main__", "migrate.run_migration", "migrate.embedded", "jobs.rehearsal")
GOOGLE = (
    "google.cloud.devtools.cloudbuild_v1",
    "google.cloud.logging_v2",
    "google.cloud.run_v2",
)
_LENGTH = 200_000
_NUMBER = struct.Struct("i")


def load(name: str) -> None:
    """Load what the programs of a server would load one by one."""
    if name == "emulator":
        messages = importlib.import_module("emulator.messages")
        messages.types_only()  # as its __main__ does first of all
    for package in PACKAGES[name]:
        found = importlib.import_module(package)
        for one in pkgutil.walk_packages(found.__path__, package + "."):
            if not one.name.endswith(STARTED):
                importlib.import_module(one.name)
    for module in GOOGLE if name == "jobs" else ():
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in the forked process does not copy what is shared


def serve(line: socket.socket) -> dict[str, Any]:
    """Fork for whoever asks. Return in the forked process only, what it is to run."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready, _, _ = select.select([line.fileno(), *running], [], [])
        for ended in running.keys() & ready:
            number, end = running.pop(ended)
            os.write(end, _NUMBER.pack(os.waitpid(number, 0)[1]))
            os.close(end)
            os.close(ended)
        if line.fileno() in ready:
            told, fds, _, _ = socket.recv_fds(line, _LENGTH, 4)
            if not told:
                sys.exit()
            number = os.fork()
            if not number:
                for own, given in enumerate(fds[:3]):
                    os.dup2(given, own)
                line.close()
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                asked: dict[str, Any] = json.loads(told)
                return asked
            for given in fds[:3]:
                os.close(given)
            running[os.pidfd_open(number)] = number, fds[3]
            line.send(_NUMBER.pack(number))


def become(what: dict[str, Any]) -> None:
    """Take over the environment, the directory, the arguments and the streams."""
    os.environ.clear()
    os.environ.update(what["env"])
    time.tzset()
    os.chdir(what["cwd"])
    sys.path[0] = what["cwd"]
    sys.argv[1:] = what["args"]
    at_once = "PYTHONUNBUFFERED" in os.environ
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        mode, size = ("wb" if number else "rb"), (0 if at_once and number else -1)
        made = io.TextIOWrapper(
            open(number, mode, size, closefd=False),  # noqa: SIM115 - as long as it lives
            old.encoding,
            old.errors,
            newline="\n",
            line_buffering=name == "stderr" or os.isatty(number),
            write_through=at_once,
        )
        setattr(sys, name, made)


if __name__ == "__main__":
    load(sys.argv[1])
    program = serve(socket.socket(fileno=int(sys.argv[2])))
    become(program)
    runpy.run_module(program["module"], run_name="__main__", alter_sys=True)
