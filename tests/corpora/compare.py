"""Applies a converted directory with psql and with us, and compares what is left.

Called by ``python -m tests.corpora``. psql, one session a file, is the truth. Compared
are the schema as pg_dump writes it, the roles, and the number of rows of every table.
Never repairs: a file that psql cannot apply is reported, and both must stop at it.
"""

import difflib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.corpora.catalogue import Project
from tests.corpora.server import Cluster, Installation, cluster

ROOT = Path(__file__).resolve().parents[2]
ENGINE = (
    *(sys.executable, "-m", "migrate", "apply"),
    *("--dir", "{dir}", "--database-url", "{url}"),
)
# Our history, in whatever schema it lands, is what a comparison must not see.
ROW_COUNTS = """
SET search_path = '';
SELECT format('SELECT %L, count(*) FROM %s', oid::regclass, oid::regclass)
FROM pg_catalog.pg_class
WHERE relkind IN ('r', 'p', 'm') AND relispopulated AND relname <> :'history'
AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
ORDER BY oid::regclass::text
\\gexec
"""
SCHEMA_MIGRATIONS = "schema_migrations"
UNVERIFIED = "exit 10\n"


class Left(NamedTuple):
    """What one side left behind, and how it went."""

    error: str
    seconds: float
    statements: int
    schema: str
    roles: str
    rows: str


class Comparison(NamedTuple):
    """Both sides on one server; ``differences`` is empty when they agree."""

    version: int
    files: int
    psql: Left
    ours: Left
    differences: dict[str, str]

    @property
    def verdict(self) -> str:
        """One word or two for the table."""
        if self.psql.error and self.ours.error and "schema" not in self.differences:
            return "both stop"
        if self.psql.error:
            return "psql stops"
        if self.ours.error.startswith(UNVERIFIED) and not self.differences:
            return "same, exit 10"
        if self.ours.error:
            return "OURS STOPS"
        if self.differences:
            return "DIFFERENT " + ", ".join(self.differences)
        return "same"


def ups(directory: Path) -> list[Path]:
    """Return the files to apply, in order: versions as numbers, then repeatables."""
    files = [p for p in directory.glob("*.sql") if not p.name.endswith(".down.sql")]
    return sorted(files, key=lambda p: (p.name.startswith("R__"), p.name))


def by_psql(running: Cluster, directory: Path, project: Project) -> str:
    """Apply every file in a psql session of its own; return the first failure."""
    strict = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
    for path in ups(directory):
        whole = any(path.stem.endswith(name) for name in project.one_transaction)
        options = (*strict, "--single-transaction") if whole else strict
        done = running.run("psql", *options, f"--file={path}", running.url)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").splitlines()
            errors = [line for line in lines if "ERROR:" in line or "error:" in line]
            return (errors or lines or ["no message"])[0].replace(f"{directory}/", "")
    return ""


def by_command(running: Cluster, directory: Path, command: Sequence[str]) -> str:
    """Apply the directory with one run of the engine; return its complaint."""
    words = [word.format(dir=directory, url=running.url) for word in command]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    done = subprocess.run(
        words,
        capture_output=True,
        check=False,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
    )
    if not done.returncode:
        return ""
    said = (done.stdout + done.stderr).decode(errors="replace").rstrip()
    return f"exit {done.returncode}\n{said[-4000:]}"


def dump(running: Cluster, history: str) -> str:
    """Return the schema without our history and without the run's random key."""
    done = running.run(
        "pg_dump",
        *("--schema-only", "--no-owner", f"--exclude-table=*.{history}"),
        running.url,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    lines = done.stdout.decode().splitlines()
    return "\n".join(
        line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict "))
    )


def roles(running: Cluster) -> str:
    """Return the cluster's roles and the settings of its databases."""
    done = running.run("pg_dumpall", "--roles-only", f"--dbname={running.url}")
    lines = done.stdout.decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith("\\"))


def rows(running: Cluster, scratch: Path, history: str) -> str:
    """Return the number of rows of every table, matviews included."""
    script = scratch / "rows.sql"
    script.write_text(ROW_COUNTS)
    name = f"--set=history={history}"
    done = running.run("psql", "-XAtq", name, f"--file={script}", running.url)
    return (done.stdout + done.stderr).decode()


def side(
    installation: Installation,
    directory: Path,
    scratch: Path,
    project: Project,
    command: Sequence[str] | None,
) -> Left:
    """Apply the directory on a fresh cluster, with psql when no command is given."""
    with cluster(installation, scratch) as running:
        ready = ("-Xq", "--set=ON_ERROR_STOP=1", f"--command={project.prepare}")
        done = running.run("psql", *ready, running.url)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        before = running.messages("psql")
        start = time.perf_counter()
        if command is None:
            error = by_psql(running, directory, project)
        else:
            error = by_command(running, directory, command)
        seconds = time.perf_counter() - start
        statements = running.messages("psql") - before
        return Left(
            error=error,
            seconds=seconds,
            statements=statements,
            schema=dump(running, project.history),
            roles=roles(running),
            rows=rows(running, scratch, project.history),
        )


def compare(
    installation: Installation,
    directory: Path,
    scratch: Path,
    project: Project,
    command: Sequence[str] = ENGINE,
) -> Comparison:
    """Apply one converted directory both ways on one version and compare."""
    if project.history != SCHEMA_MIGRATIONS and command is ENGINE:
        command = (*command, "--table", project.history)
    psql = side(installation, directory, scratch, project, None)
    ours = side(installation, directory, scratch, project, command)
    differences = {}
    for what in ("schema", "roles", "rows"):
        expected, actual = getattr(psql, what), getattr(ours, what)
        if expected != actual:
            differences[what] = difference(expected, actual)
    return Comparison(
        installation.version, len(ups(directory)), psql, ours, differences
    )


def difference(expected: str, actual: str) -> str:
    """Return a unified diff from psql's result to ours."""
    return "\n".join(
        difflib.unified_diff(
            expected.splitlines(), actual.splitlines(), "psql", "ours", lineterm="", n=4
        )
    )
