"""Who is measured: ours, psql, the bare minimum, and peers whose programs are installed.

Called by `__main__`. What a contender is stands in `contender`, the peers in `peers`.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.contender import CHECKOUT, COUNT, Command, Contender
from benchmarks.minimum import HISTORY
from benchmarks.peers import PEERS
from benchmarks.workloads import Workload

_MINIMUM = CHECKOUT / "benchmarks" / "minimum.py"


# --- ours -----------------------------------------------------------------------------


def _ours(workload: Workload, _: Path) -> Command | None:
    apply = ("apply", "--dir", str(workload.directory))
    arguments = {
        "together": (*apply, "--single-transaction"),
        "status": ("status", "--dir", str(workload.directory)),
        "start": ("--help",),
    }.get(workload.action, apply)
    return Command((sys.executable, "-m", "migrate", *arguments))


def _ours_separate(workload: Workload, scratch: Path) -> Command | None:
    """Return the default where one transaction is measured: it must not be faster."""
    if workload.action != "together":
        return None
    return _ours(workload._replace(action="separate"), scratch)


# --- what is physically possible --------------------------------------------------------


def _minimum(workload: Workload, _: Path) -> Command | None:
    if workload.action == "start":
        return Command((sys.executable, "-c", "import psycopg2"))
    how = {"noop": "history", "status": "history"}.get(workload.action, workload.action)
    return Command((sys.executable, str(_MINIMUM), how, str(workload.directory)))


# --- psql -------------------------------------------------------------------------------


def _psql(program: str) -> Callable[[Workload, Path], Command | None]:
    def command(workload: Workload, scratch: Path) -> Command | None:
        if workload.action == "start":
            return Command((program, "--help"))
        quiet = (program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "{url}")
        if workload.action in {"noop", "status"}:
            return Command((*quiet, "-c", "SELECT version, at FROM history"))
        script = scratch / f"{workload.action}.sql"
        script.write_text(_psql_script(workload))
        return Command((*quiet, "-f", str(script)))

    return command


def _psql_script(workload: Workload) -> str:
    """Return one script that runs every file and records it, in transactions."""
    separate = workload.action == "separate"
    parts = [f"{HISTORY};" if separate else f"BEGIN; {HISTORY};"]
    for file in sorted(workload.directory.iterdir()):
        version = file.name.partition("_")[0]
        body = f"\\i {file}\nINSERT INTO history VALUES ('{version}', now());"
        parts.append(f"BEGIN;\n{body}\nCOMMIT;" if separate else body)
    return "\n".join([*parts, "" if separate else "COMMIT;"]) + "\n"


def contenders(psql: str, *, peers: bool) -> list[Contender]:
    """Return who takes part on this machine; the minimum first, then psql, then ours."""
    ours = COUNT.format("schema_migrations")
    bare = COUNT.format("history")
    found = [
        Contender("minimum", _minimum, bare),
        Contender("psql", _psql(psql), bare),
        Contender("ours", _ours, ours),
        Contender("ours, the default", _ours_separate, ours),
    ]
    if peers:
        found += [peer for peer in PEERS if shutil.which(peer.name)]
    return found
