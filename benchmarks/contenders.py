"""Who is measured: ours, psql, the bare minimum, and peers whose programs are installed.

Called by `__main__` and `measure`. Each contender has a command for each action it takes
part in, and a query that counts its history; it makes the files it needs from the
workload's, before the clock starts.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.minimum import HISTORY
from benchmarks.workloads import Workload

_CHECKOUT = Path(__file__).resolve().parent.parent
_MINIMUM = _CHECKOUT / "benchmarks" / "minimum.py"
_COUNT = "SELECT count(*) FROM {}"


class Command(NamedTuple):
    """A process to measure. ``{url}`` in it stands for the database's address."""

    arguments: tuple[str, ...]
    directory: Path = _CHECKOUT


class Contender(NamedTuple):
    """One way to do the work. ``command`` returns None where it takes no part."""

    name: str
    command: Callable[[Workload, Path], Command | None]
    history: str


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


# --- peers ------------------------------------------------------------------------------


def _converted(workload: Workload, scratch: Path, up: str, name: str) -> Path:
    """Write the files once more, with the line that a peer wants at their head."""
    directory = scratch / f"{name}-{workload.directory.name}"
    if not directory.exists():
        directory.mkdir()
        for file in workload.directory.iterdir():
            (directory / file.name).write_text(f"{up}\n{file.read_text()}")
    return directory


def _dbmate(workload: Workload, scratch: Path) -> Command | None:
    verb = {"noop": "migrate", "separate": "migrate", "batched": "migrate"}
    verb["status"] = "status"
    if workload.action not in verb:
        return None
    directory = _converted(workload, scratch, "-- migrate:up", "dbmate")
    common = ("dbmate", "--url", "{url}?sslmode=disable", "--no-dump-schema")
    return Command((*common, "-d", str(directory), verb[workload.action]))


def _goose(workload: Workload, scratch: Path) -> Command | None:
    verb = {"noop": "up", "separate": "up", "status": "status"}
    if workload.action not in verb:
        return None
    directory = _converted(workload, scratch, "-- +goose Up", "goose")
    common = ("goose", "-dir", str(directory), "postgres", "{url}?sslmode=disable")
    return Command((*common, verb[workload.action]))


def _yoyo(workload: Workload, scratch: Path) -> Command | None:
    verb = {"noop": "apply", "separate": "apply", "status": "list"}
    if workload.action not in verb:
        return None
    directory = _converted(workload, scratch, "", "yoyo")
    common = ("yoyo", verb[workload.action], "--no-config-file", "-b")
    return Command((*common, "-d", "{url}", str(directory)))


_PEERS = (
    Contender("dbmate", _dbmate, _COUNT.format("schema_migrations")),
    Contender(
        "goose", _goose, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"
    ),
    Contender("yoyo", _yoyo, _COUNT.format("_yoyo_migration")),
)


def contenders(psql: str, *, peers: bool) -> list[Contender]:
    """Return who takes part on this machine; the minimum first, then psql, then ours."""
    ours = _COUNT.format("schema_migrations")
    bare = _COUNT.format("history")
    found = [
        Contender("minimum", _minimum, bare),
        Contender("psql", _psql(psql), bare),
        Contender("ours", _ours, ours),
        Contender("ours, the default", _ours_separate, ours),
    ]
    if peers:
        found += [peer for peer in _PEERS if shutil.which(peer.name)]
    return found
