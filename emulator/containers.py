"""Real containers: made, started, listened to, signalled, removed.

The counterpart of `processes` for a container engine. Called by `container_mode`. A
container ends with its first process; what it wrote is read from the engine as it comes.
"""

import contextlib
import http.client
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emulator.dockerd import Dockerd, EngineProblem, lost
from emulator.processes import GRACE, CannotStart, Ending, LineListener

#: On every container of ours: the process id of the emulator that made it.
LABEL = "cloudrun-migrate.emulator"
_HEAD = 8
_STREAMS = {1: "stdout", 2: "stderr"}
#: What `docker run` itself exits with when the engine fails.
_ENGINE_FAILED = 125
_SIGNALLED, _KILL, _TERM = range(129, 160), 9, 15


class Recipe(NamedTuple):
    """A container to be: empty entrypoint and arguments are the image's own."""

    name: str
    image: str
    environment: Mapping[str, str]
    entrypoint: Sequence[str] = ()
    args: Sequence[str] = ()
    directory: str = ""
    mounts: Mapping[str, str] = {}
    host: Mapping[str, Any] = {}

    def body(self) -> dict[str, Any]:
        """The request that makes it."""
        made: dict[str, Any] = {
            "Image": self.image,
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "Labels": {LABEL: str(os.getpid())},
            "HostConfig": {
                # Emulator, registry and database listen on this machine's loopback.
                "NetworkMode": "host",
                # Lines go to the emulator alone; the engine keeps none.
                "LogConfig": {"Type": "none"},
                "Mounts": [
                    {"Type": "bind", "Source": source, "Target": target}
                    for target, source in self.mounts.items()
                ],
                **self.host,
            },
        }
        if self.entrypoint:
            made["Entrypoint"] = list(self.entrypoint)
        if self.args:
            made["Cmd"] = list(self.args)
        if self.directory:
            made["WorkingDir"] = self.directory
        return made


class Container:
    """One container from its start to its removal."""

    def __init__(self, engine: Dockerd, recipe: Recipe, listener: LineListener) -> None:
        self._engine = engine
        self._over = threading.Event()
        self._stopped = threading.Event()
        self._code = _ENGINE_FAILED
        try:
            made = engine.ask(
                "POST", "/containers/create", recipe.body(), name=recipe.name
            )
        except EngineProblem as error:
            raise CannotStart(str(error)) from error
        self._path = f"/containers/{made['Id']}"
        try:
            # Attached before it starts, so that its first line is not missed.
            told = engine.stream(
                "POST", f"{self._path}/attach", stream=1, stdout=1, stderr=1
            )
            self._reader = threading.Thread(
                target=_listen, args=(told, listener), daemon=True
            )
            self._reader.start()
            engine.ask("POST", f"{self._path}/start")
        except EngineProblem as error:
            self._remove()
            raise CannotStart(str(error)) from error
        threading.Thread(target=self._watch, args=(listener,), daemon=True).start()

    def _watch(self, listener: LineListener) -> None:
        try:
            told = self._engine.ask_long("POST", f"{self._path}/wait")
            self._code = int(told["StatusCode"])
        except EngineProblem as error:
            listener("stderr", f"emulator: the container engine is lost: {error}")
        finally:
            self._over.set()

    def wait(self, timeout: float | None) -> Ending:
        """Wait for the end; past the timeout stop it. Then it is removed."""
        timed_out = not self._over.wait(timeout)
        if timed_out:
            self.stop()
            self._over.wait()
        self._reader.join(GRACE)
        memory = self._out_of_memory()
        self._remove()
        # The engine does not tell a signal from an exit with its number and 128.
        signal = self._code - 128 if self._code in _SIGNALLED else 0
        return Ending(
            exit_code=self._code,
            signal=signal,
            timed_out=timed_out,
            stopped=self._stopped.is_set() and not timed_out,
            out_of_memory=memory,
        )

    def stop(self, grace: float = GRACE) -> None:
        """SIGTERM now, SIGKILL after the grace."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self.send(_TERM)
        threading.Thread(target=self._kill_later, args=(grace,), daemon=True).start()

    def _kill_later(self, grace: float) -> None:
        if not self._over.wait(grace):
            self.send(_KILL)

    def send(self, number: int) -> None:
        """Send a signal to its first process; one that has ended is fine."""
        with contextlib.suppress(EngineProblem):
            self._engine.ask("POST", f"{self._path}/kill", signal=number)

    def _out_of_memory(self) -> bool:
        with contextlib.suppress(EngineProblem):
            told = self._engine.ask("GET", f"{self._path}/json")
            return bool(told["State"]["OOMKilled"])
        return False

    def _remove(self) -> None:
        remove(self._engine, self._path)


def remove(engine: Dockerd, path: str) -> None:
    """Remove a container, whatever it is doing."""
    with contextlib.suppress(EngineProblem):
        engine.ask("DELETE", path, force=1, v=1)


def sweep(engine: Dockerd, *, ours: bool = False) -> None:
    """Remove containers of emulators that are no more; with ``ours`` our own as well."""
    filters = f'{{"label": ["{LABEL}"]}}'
    for told in engine.ask("GET", "/containers/json", all=1, filters=filters):
        owner = int(told["Labels"][LABEL])
        if (owner == os.getpid() and ours) or not _lives(owner):
            remove(engine, f"/containers/{told['Id']}")


def _lives(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def _listen(told: http.client.HTTPResponse, listener: LineListener) -> None:
    """Take the two streams apart, and each into lines."""
    pending = dict.fromkeys(_STREAMS.values(), b"")
    with contextlib.suppress(EngineProblem), lost(), contextlib.closing(told):
        while len(head := told.read(_HEAD)) == _HEAD:
            stream = _STREAMS.get(head[0], "stdout")
            *whole, pending[stream] = (
                pending[stream] + told.read(int.from_bytes(head[4:], "big"))
            ).split(b"\n")
            for line in whole:
                _tell(listener, stream, line)
    for stream, line in pending.items():
        if line:
            _tell(listener, stream, line)


def _tell(listener: LineListener, stream: str, line: bytes) -> None:
    listener(stream, line.decode("utf-8", "replace").rstrip("\r"))
