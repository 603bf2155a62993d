"""What the tests take of the machine: ports, an account for servers, room for their data.

Called wherever a server is started. Leaves nothing running.
"""

import contextlib
import os
import pwd
import socket
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import psutil

LOOPBACK = "127.0.0.1"
MEMORY, ROOM = Path("/dev/shm"), 3 << 30


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class Account(NamedTuple):
    """Who runs servers: the caller, or ``nobody`` where the caller is root.

    PostgreSQL and pgbouncer both refuse to run as root.
    """

    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """Return the arguments with which ``subprocess`` changes to this account."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a file or directory to this account."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def account() -> Account:
    """Choose the account for servers."""
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
    return Account(entry.pw_uid, entry.pw_gid)


def scratch_directory(prefix: str, inside: Path | None = None) -> Path:
    """Make a short directory that the servers' account can enter (sockets live in it).

    Not pytest's ``tmp_path``: closed to other accounts, and too long for a socket.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=inside))
    path.chmod(0o755)
    account().own(path)
    return path


def roomy() -> Path | None:
    """Return where data are kept: in memory where there is plenty, else where TMPDIR says.

    A database is three hundred files, made and deleted for each test: a disk takes ten
    times as long, and twenty times the processor where it is fragmented.
    """
    with contextlib.suppress(OSError):
        free = os.statvfs(MEMORY)
        room = min(free.f_bavail * free.f_frsize, psutil.virtual_memory().available)
        if room >= ROOM and os.access(MEMORY, os.W_OK | os.X_OK):
            return MEMORY
    return None
