"""Traffic on a table: pgbench, and what each of its transactions waited.

Used by the fault of heavy traffic. It comes with every server. Transactions are due at a
steady rate, whether or not those before them have ended, as a service's are. It runs until
it is told to end, and then ends what it has begun.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from tests.fix_postgres import Database
from tests.observing import until

#: Writes, and leaves every row as it was.
_SCRIPT = r"""\set n random(1, 199)
UPDATE base SET word = word WHERE n = :n;
"""
_AT_MOST_S = 600
_WRITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'pgbench' AND query ~ '^UPDATE'
"""


class Waited(NamedTuple):
    """One transaction, in seconds: since it was due, and since a client began it."""

    due: float
    begun: float


class Traffic:
    """A pgbench at work. ``end`` gives what was waited."""

    def __init__(
        self, database: Database, scratch: Path, *, clients: int, rate: int
    ) -> None:
        """Start it, and wait until every client has written."""
        script = scratch / "traffic.sql"
        script.write_text(_SCRIPT)
        self._scratch = scratch
        self._process = subprocess.Popen(
            [
                *(database.server.program("pgbench"), "--no-vacuum", "--log"),
                *(f"--log-prefix={scratch / 'waited'}", f"--file={script}"),
                *(f"--client={clients}", f"--rate={rate}", f"--time={_AT_MOST_S}"),
                database.dsn,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        until(lambda: database.rows(_WRITING) == [(clients,)], "pgbench does not write")

    def end(self) -> list[Waited]:
        """Let every client end what it has begun; return all that was waited."""
        # Its own alarm, which would come when its time is over.
        self._process.send_signal(signal.SIGALRM)
        said, _ = self._process.communicate(timeout=_AT_MOST_S)
        if self._process.returncode:
            raise RuntimeError(f"pgbench: {said}")
        log = self._scratch / f"waited.{self._process.pid}"
        found = []
        for line in log.read_text().splitlines():
            _, _, waited, _, _, _, lag, *_ = map(int, line.split())
            found.append(Waited(waited / 1e6, (waited - lag) / 1e6))
        log.unlink()
        return found

    def close(self) -> None:
        """End it at once, if it still runs."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        """Give the traffic."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        self.close()


@contextlib.contextmanager
def idle_in_transaction(database: Database, statement: str) -> Iterator[int]:
    """Hold what a statement has locked, as somebody who forgot it; give the process id."""
    with contextlib.closing(
        database.connect(application_name="slow report")
    ) as session:
        with session.cursor() as cursor:
            cursor.execute(statement)
        yield session.info.backend_pid
