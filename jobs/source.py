"""The build's source: an allow-list of what ``Dockerfile.migrate`` needs, packed twice alike.

Called by the orchestrator before the upload. The same files give the same bytes, so the
object is named by their digest. Reads files; never follows a link out of the directory,
never takes what is not on the list: kilobytes, whatever else lies in the checkout.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobs.errors import SourceMissing

#: What the build needs, and nothing else. A name ending in / is a directory.
ALLOWED = (
    "Dockerfile.migrate",
    "cloudbuild.migrate.yaml",
    "requirements/runner.txt",
    "requirements/cloud.txt",
    "environments/",
    "jobs/",
    "migrate/",
    "migrations/",
)
#: What the machine leaves beside them, and what of `jobs` only works in a checkout.
_LEFT_OUT = frozenset(
    {"__pycache__", ".DS_Store", ".mypy_cache", ".ruff_cache"}
    | {"rehearsal.py", "bootstrap.py", "provision.py"}
)
_PLAIN, _PROGRAM = 0o644, 0o755


class Archive(NamedTuple):
    """A packed source."""

    content: bytes
    digest: str
    files: tuple[str, ...]

    @property
    def object_name(self) -> str:
        """Where it belongs in the bucket: the same source is uploaded once."""
        return f"source/cloudrun-migrate-{self.digest[:32]}.tgz"


def files(root: Path, allowed: Sequence[str] = ALLOWED) -> tuple[str, ...]:
    """Return the files of the list, sorted. Raises `SourceMissing`."""
    found: set[str] = set()
    for name in allowed:
        path = root / name.rstrip("/")
        if name.endswith("/"):
            if not path.is_dir():
                raise SourceMissing(file=name)
            found |= {
                below.relative_to(root).as_posix()
                for below in path.rglob("*")
                if below.is_file() and _taken(below.relative_to(root))
            }
        elif path.is_file():
            found.add(name)
        else:
            raise SourceMissing(file=name)
    return tuple(sorted(found))


def _taken(path: Path) -> bool:
    return not (_LEFT_OUT & set(path.parts)) and path.suffix != ".pyc"


def pack(root: Path, allowed: Sequence[str] = ALLOWED) -> Archive:
    """Return the packed source: sorted, no owner, no time, two modes."""
    names = files(root, allowed)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            content = (root / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            executable = (root / name).stat().st_mode & 0o100
            entry.mode = _PROGRAM if executable else _PLAIN
            archive.addfile(entry, io.BytesIO(content))
    packed = gzip.compress(plain.getvalue(), mtime=0)
    return Archive(packed, hashlib.sha256(packed).hexdigest(), names)
