"""A directory of migrations: what counts, what is refused, and what a checksum ignores."""

import hashlib
import os
import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrate import source
from migrate.errors import (
    BadFileName,
    DuplicateVersion,
    NoMigrations,
    OrphanFile,
    UnreadableDirectory,
    UnreadableFile,
)
from migrate.filenames import parse_file_name
from migrate.migration import Kind
from migrate.source import open_file, read_directory

BLOCK = 1 << 20


def checksum(a_directory, content: bytes) -> str:
    (found,) = read_directory(str(a_directory({"0001_a.sql": content})))
    return found.checksum


def test_migrations_come_in_the_order_they_are_applied(a_directory):
    """By number, not by name; repeatables last, by name."""
    names = ["R__b.sql", "10_x.sql", "9_y.sql", "R__a.sql", "0008_z.sql"]

    found = read_directory(str(a_directory(dict.fromkeys(names, "SELECT 1;"))))

    assert ["0008", "9", "10", "R__a", "R__b"] == [m.version for m in found]
    assert [Kind.REPEATABLE] * 2 == [m.kind for m in found[3:]]


def test_a_migration_is_what_its_file_says(a_directory):
    """Size and lines are those the seeds' runner printed; companions are found."""
    directory = a_directory(
        {
            "0001_users.sql": "SELECT 1;\r\nSELECT 2;\n",
            "0001_users.down.sql": "",
            "0001_users.verify.sql": "",
            "0002_more.sql": "SELECT 3;",
        }
    )

    users, more = read_directory(str(directory))

    assert ("0001", "users", 21, 2) == (
        users.version,
        users.name,
        users.size,
        users.lines,
    )
    assert f"{directory}/0001_users.sql" == users.path
    assert f"{directory}/0001_users.down.sql" == users.undo_path
    assert f"{directory}/0001_users.verify.sql" == users.verify_path
    assert (9, 1, None, None) == (
        more.size,
        more.lines,
        more.undo_path,
        more.verify_path,
    )


def test_what_is_no_migration_is_left_alone(a_directory):
    """Other files, hidden files and directories have their own business there."""
    directory = a_directory(
        {"0001_a.sql": "", "README.md": "", ".wip.sql": "", "0002_b.sql.orig": ""}
    )
    (directory / "old.sql").mkdir()

    found = read_directory(str(directory))

    assert ["0001"] == [m.version for m in found]


@pytest.mark.parametrize(
    "second", ["1_b.sql", "001_a.sql", "0001_b.sql", "000000000000000001_a.sql"]
)
def test_one_version_stands_once(a_directory, second):
    """1 and 0001 are one version: two branches took the same number."""
    directory = a_directory({"0001_a.sql": "", second: ""})

    with pytest.raises(DuplicateVersion) as raised:
        read_directory(str(directory))

    assert {"0001_a.sql", second} == {raised.value.first, raised.value.second}


@pytest.mark.parametrize(
    "orphan",
    ["0002_a.down.sql", "0001_b.verify.sql", "01_a.down.sql", "R__a.verify.sql"],
)
def test_a_companion_needs_its_migration(a_directory, orphan):
    """The same version is not enough: a renamed file has lost its undo script."""
    directory = a_directory({"0001_a.sql": "", orphan: ""})

    with pytest.raises(OrphanFile) as raised:
        read_directory(str(directory))

    assert orphan == raised.value.file


@pytest.mark.parametrize("file", ["users.sql", "0002_b.SQL", "0001_a.down.Sql"])
def test_a_name_that_fits_no_pattern_is_refused(a_directory, file):
    """It might be a migration that would never be applied."""
    directory = a_directory({"0001_a.sql": "", file: ""})

    with pytest.raises(BadFileName) as raised:
        read_directory(str(directory))

    assert file == raised.value.file


@pytest.mark.parametrize("files", [{}, {"README.md": ""}])
def test_a_directory_without_migrations_is_refused(a_directory, files):
    """The wrong directory looks like an empty one."""
    directory = str(a_directory(files))

    with pytest.raises(NoMigrations) as raised:
        read_directory(directory)

    assert directory == raised.value.directory


def test_a_directory_that_cannot_be_read_is_refused(tmp_path):
    """Missing, or a file: the system's own reason is told."""
    (tmp_path / "file").write_text("")
    reasons = []

    for name in ("missing", "file"):
        with pytest.raises(UnreadableDirectory) as raised:
            read_directory(str(tmp_path / name))
        reasons.append(raised.value.reason)

    assert ["No such file or directory", "Not a directory"] == reasons


def test_a_file_that_cannot_be_read_is_refused(a_directory):
    """A link that leads nowhere was somebody's migration."""
    directory = a_directory({})
    (directory / "0001_a.sql").symlink_to("gone")

    with pytest.raises(UnreadableFile) as by_listing:
        read_directory(str(directory))
    with pytest.raises(UnreadableFile) as by_opening:
        open_file(f"{directory}/0001_a.sql")

    expected = (f"{directory}/0001_a.sql", "No such file or directory")
    assert expected == (by_listing.value.file, by_listing.value.reason)
    assert expected == (by_opening.value.file, by_opening.value.reason)


def test_a_pipe_is_no_migration(a_directory):
    """Opening one would wait for ever for somebody to write; a device never ends."""
    directory = a_directory({})
    os.mkfifo(directory / "0001_a.sql")
    (directory / "0001_a.verify.sql").symlink_to("/dev/zero")

    with pytest.raises(UnreadableFile, match="is no regular file"):
        read_directory(str(directory))
    with pytest.raises(UnreadableFile, match="is no regular file"):
        open_file(f"{directory}/0001_a.verify.sql")


@given(st.binary(min_size=1, max_size=30).map(os.fsdecode))
@example("\x1b[2J\n✓ MIGRATION COMPLETED SUCCESSFULLY")
@example("0001_a\n")
@example("0001_a;DROP TABLE x")
@example("R__'\"$$")
def test_a_hostile_name_is_refused_and_quoted(name):
    """Only letters, digits, _ and - make a name; another one is shown without a line end,
    a control character or half a letter of its own.
    """
    file = f"{name}.sql"
    try:
        parsed = parse_file_name(file)
        shown = parsed.version + parsed.name
    except BadFileName as refused:
        shown = str(refused)

    assert shown.isprintable()
    assert "'" in shown or re.fullmatch(r"[A-Za-z0-9_-]+", shown)


# --- checksums ------------------------------------------------------------------------


def test_the_checksum_is_the_sha256_of_the_bytes(a_directory):
    """Anybody can compute it: sha256sum says the same of a file of ours."""
    content = b"SELECT 1;\n"

    found = checksum(a_directory, content)

    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == found


PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"a", b" ", b"\0", b"\xff"]
)


def promised(content: bytes) -> str:
    """The checksum as the reference words it: no byte order mark, every CRLF an LF."""
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(1, 5))
def test_mark_and_crlf_are_ignored_and_nothing_else(tmp_path_factory, content, block):
    """Whatever the bytes and wherever the blocks are cut, the promise is kept."""
    file = tmp_path_factory.getbasetemp() / "a.sql"
    file.write_bytes(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK", block + 2)  # the mark's bytes arrive together
        found, size, lines = source._digest(str(file))

    assert promised(content) == found
    assert len(content) == size
    assert len(content.split(b"\n")) - (content[-1:] in {b"", b"\n"}) == lines


@pytest.mark.parametrize("offset", [-2, -1, 0, 1])
def test_a_crlf_across_two_blocks_is_one(a_directory, offset):
    """The border between two megabytes changes nothing."""
    unix = b"x" * (BLOCK + offset) + b"\ny" * 5
    dos = unix.replace(b"\n", b"\r\n")

    assert checksum(a_directory, unix) == checksum(a_directory, dos)


@pytest.mark.parametrize(
    "edit",
    [b"SELECT 1; \n", b"SELECT 1;", b"SELECT 1;\n\n", b"select 1;\n", b"SELECT 1;\r",
     b"-- x\nSELECT 1;\n", b"\n\xef\xbb\xbfSELECT 1;\n", b"SELECT\t1;\n"],
)  # fmt: skip
def test_any_other_edit_is_an_edit(a_directory, edit):
    """Blanks, case and comments count: a checksum does not judge what is harmless."""
    original = b"SELECT 1;\n"

    assert checksum(a_directory, original) != checksum(a_directory, edit)


def test_a_big_file_costs_no_memory(a_directory):
    """A dump of any size is read in blocks."""
    directory = a_directory({"0001_a.sql": b""})
    with (directory / "0001_a.sql").open("wb") as stream:
        stream.truncate(48 << 20)
    tracemalloc.start()

    try:
        (found,) = read_directory(str(directory))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 48 << 20 == found.size
    assert peak < 8 << 20
