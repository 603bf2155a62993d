"""The build's source is a short list of files, and the same files are the same bytes."""

import io
import os
import tarfile

import pytest

from jobs import source
from jobs.errors import SourceMissing

ALLOWED = ("Dockerfile.migrate", "migrations/")


@pytest.fixture
def checkout(tmp_path):
    """Make a small checkout with more in it than is needed."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "__pycache__").mkdir()
    (tmp_path / "node_modules").mkdir()
    for name in (
        "Dockerfile.migrate",
        "migrations/0001_a.sql",
        "migrations/run.sh",
        "migrations/__pycache__/x.pyc",
        "node_modules/huge.bin",
        ".env",
    ):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "migrations/run.sh").chmod(0o700)
    return tmp_path


def test_only_what_is_listed_is_taken(checkout):
    """Neither a secret beside it nor a gigabyte of something else."""
    packed = source.pack(checkout, ALLOWED)

    assert (
        "Dockerfile.migrate",
        "migrations/0001_a.sql",
        "migrations/run.sh",
    ) == packed.files


def test_the_same_files_are_the_same_bytes(checkout):
    """Whenever, and by whomever, they were written."""
    first = source.pack(checkout, ALLOWED)
    for path in checkout.rglob("*"):
        os.utime(path, (1, 1))

    second = source.pack(checkout, ALLOWED)

    assert first == second
    assert first.object_name.endswith(f"{first.digest[:32]}.tgz")


def test_entries_have_no_owner_and_no_time(checkout):
    """Two modes: plain, and executable."""
    packed = source.pack(checkout, ALLOWED)

    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        found = {m.name: (m.uid, m.mtime, m.mode) for m in archive.getmembers()}

    assert (0, 0, 0o644) == found["migrations/0001_a.sql"]
    assert (0, 0, 0o755) == found["migrations/run.sh"]


@pytest.mark.parametrize("missing", ["Makefile", "gone/"])
def test_what_is_missing_is_named(checkout, missing):
    """Before anything is uploaded."""
    with pytest.raises(SourceMissing, match=missing):
        source.pack(checkout, (missing,))
