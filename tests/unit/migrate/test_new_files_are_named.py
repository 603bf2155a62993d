"""``new`` makes files that the engine itself reads, and never writes over one."""

import pytest

from migrate.errors import BadFileName, EmptyFile, UnreadableDirectory
from migrate.parse import parse_directives, parse_script
from migrate.scaffold import new_migration, next_version
from migrate.source import open_file, read_directory

NOON = 1_762_430_400.0  # 2025-11-06 12:00 UTC


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "0001"),
        (["0001_a.sql"], "0002"),
        (["0009_a.sql", "0010_b.sql"], "0011"),
        (["9_a.sql", "10_b.sql"], "11"),
        (["099_a.sql"], "100"),
        (["9999_a.sql"], "10000"),
        (["0001_a.sql", "0002_b.down.sql"], "0003"),
        (["R__view.sql"], "0001"),
        (["20240101000000_a.sql"], "20251106120000"),
        (["0001_a.sql", "20240101000000_b.sql"], "20251106120000"),
        (["20991231235959_a.sql"], "20991231235960"),
        (["20251106120000_a.sql"], "20251106120001"),
    ],
)
def test_the_next_version_follows_the_newest_in_its_style(files, expected):
    """Numbers count on; times are now, but never older than what is there."""
    found = next_version(files, NOON)

    assert expected == found


def test_a_new_migration_is_a_migration(tmp_path):
    """The directory is made, the name becomes a file's, the words a description."""
    directory = f"{tmp_path}/sql/migrations"

    (path,) = new_migration(directory, "Add the users' e-mail!", (), NOON)

    (found,) = read_directory(directory)
    assert f"{directory}/0001_add_the_users_e_mail.sql" == path == found.path
    with open_file(path) as stream:
        assert (
            "Add the users' e-mail!" == parse_directives(stream.read(), "").description
        )


def test_companions_belong_to_it(tmp_path):
    """The undo script and the checks carry its version and name."""
    paths = new_migration(str(tmp_path), "users", ("down", "verify"), NOON)

    (found,) = read_directory(str(tmp_path))
    assert [found.path, found.undo_path, found.verify_path] == paths


def test_a_new_migration_holds_no_statement_yet(tmp_path):
    """Forgetting to write one is found by ``plan``."""
    new_migration(str(tmp_path), "users", (), NOON)
    (found,) = read_directory(str(tmp_path))

    with open_file(found.path) as stream, pytest.raises(EmptyFile):
        parse_script(found, stream)


def test_words_on_several_lines_are_one_description(tmp_path):
    """What follows a line end in a name must not become SQL."""
    (path,) = new_migration(str(tmp_path), "a\nDROP TABLE users;", (), NOON)

    with open_file(path) as stream:
        lines = stream.read().decode().split()

    assert "-- migrate: description=a DROP TABLE users;" == " ".join(lines)


@pytest.mark.parametrize("name", ["", " ", "!?", "öß", "日本"])
def test_a_name_without_a_letter_for_a_file_is_refused(name, tmp_path):
    """A file name is ASCII; the description may be anything."""
    with pytest.raises(BadFileName):
        new_migration(str(tmp_path), name, (), NOON)

    assert [] == list(tmp_path.iterdir())


def test_an_address_is_no_name(tmp_path):
    """Typed in the wrong place: neither a file's name nor its text holds the password."""
    with pytest.raises(BadFileName) as raised:
        new_migration(str(tmp_path), "postgresql://u:s3cret@h/d", (), NOON)

    assert "s3cret" not in str(raised.value)
    assert [] == list(tmp_path.iterdir())


def test_hidden_files_and_others_are_left_alone(tmp_path):
    """What the engine does not read does not count."""
    (tmp_path / ".draft.sql").write_text("")
    (tmp_path / "notes.txt").write_text("")

    (path,) = new_migration(str(tmp_path), "users", (), NOON)

    assert path.endswith("/0001_users.sql")


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    """The reason is the system's."""
    place = tmp_path / "migrations"
    place.write_text("")

    with pytest.raises(UnreadableDirectory) as raised:
        new_migration(str(place), "users", (), NOON)

    assert str(place) == raised.value.directory
    assert raised.value.reason
