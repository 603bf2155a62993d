"""A real standby of a server, cut off from it and promoted: a failover that came too early.

Called by `server_lost`. It follows by streaming; what is committed after `cut_off` it does
not have.
"""

import subprocess
from pathlib import Path

from tests.machine import account
from tests.observing import until
from tests.postgres_process import Server


class Standby(Server):
    """A server that was copied from another one, and follows it."""

    def __init__(self, primary: Server, records: Path) -> None:
        """Copy and start it."""
        self._primary = primary
        super().__init__(primary.version, records)

    def _initialise(self) -> None:
        """Copy instead of making an empty cluster; it begins as a standby."""
        command = [self.bin / "pg_basebackup", "--pgdata", self._data, "--no-sync"]
        command += ["--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream"]
        command += ["--dbname", self._primary.dsn("postgres")]
        ran = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            cwd=self._base,
            check=False,
            **account().popen(),
        )
        if ran.returncode:
            raise RuntimeError(f"pg_basebackup: {ran.stderr}")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"unix_socket_directories = '{self.socket_dir}'\n")

    def cut_off(self) -> None:
        """Receive all that is committed by now, and nothing after it."""
        reached = self._primary.psql("postgres", "SELECT pg_current_wal_flush_lsn()")
        has = f"SELECT pg_last_wal_replay_lsn() >= '{reached.strip()}'"
        until(lambda: self.psql("postgres", has).strip() == "t", "it does not follow")
        alone = "ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf();"
        self.psql("postgres", alone)
        stopped = "SELECT count(*) = 0 FROM pg_stat_wal_receiver"
        until(lambda: self.psql("postgres", stopped).strip() == "t", "it still follows")

    def promote(self) -> None:
        """Make it a primary, with what it has."""
        self.psql("postgres", "SELECT pg_promote()")
