"""The build's source is a short list of files, and the same files are the same bytes."""

import io
import os
import tarfile
from pathlib import PurePosixPath

import pytest

from jobs import source
from jobs.errors import SourceMissing
from tests.fix_cli import CHECKOUT

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


def gcloud_would_take(text):
    """Return the list that a .gcloudignore lets through, in the form of ours."""
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    assert "/*" == lines[0]
    let = [line[2:] for line in lines if line.startswith("!/")]
    narrowed = {line[1:-1] for line in lines[1:] if line.endswith("/*")}
    return sorted(name for name in let if name not in narrowed)


def test_gcloud_uploads_the_same_list():
    """What `gcloud builds submit` takes of a checkout is what a launch takes."""
    text = (CHECKOUT / ".gcloudignore").read_text(encoding="utf-8")
    ignored = {line.rstrip("/") for line in text.splitlines() if line[:1] not in "#!/"}

    assert sorted(source.ALLOWED) == gcloud_would_take(text)
    assert source._LEFT_OUT | {"*.pyc"} == ignored


def test_this_repository_packs_to_some_hundred_kilobytes():
    """Nothing but what the image is built of; the seeds uploaded 1.1 GiB."""
    packed = source.pack(CHECKOUT)

    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        names = archive.getnames()

    assert list(packed.files) == names
    assert [] == [n for n in names if not n.startswith(source.ALLOWED)]
    assert {".sql", ".py", ".yaml", ".txt", ".migrate", ".typed"} == {
        PurePosixPath(name).suffix for name in names
    }
    assert len(packed.content) < 256 * 1024
    assert packed == source.pack(CHECKOUT)
