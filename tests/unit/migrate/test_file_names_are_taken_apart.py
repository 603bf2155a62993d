"""The name of a file says version, name, kind and role; any other name is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import BadFileName
from migrate.filenames import FileName, parse_file_name
from migrate.migration import Kind


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("0001_users.sql", ("0001", "users", Kind.VERSIONED, "")),
        ("0001_users.down.sql", ("0001", "users", Kind.VERSIONED, "down")),
        ("0001_users.verify.sql", ("0001", "users", Kind.VERSIONED, "verify")),
        (
            "20251106222400_add-email_2.sql",
            ("20251106222400", "add-email_2", Kind.VERSIONED, ""),
        ),
        ("7_x.sql", ("7", "x", Kind.VERSIONED, "")),
        ("R__views.sql", ("R__views", "views", Kind.REPEATABLE, "")),
        ("R__views.verify.sql", ("R__views", "views", Kind.REPEATABLE, "verify")),
    ],
)
def test_a_name_is_taken_apart(file, expected):
    """Version, name, kind and role all stand in the name."""
    found = parse_file_name(file)

    assert FileName(*expected) == found


@pytest.mark.parametrize(
    "file",
    [
        "users.sql",
        "0001.sql",
        "0001_.sql",
        "0001-users.sql",
        "V1__users.sql",
        "_users.sql",
        "0001_users.up.sql",
        "0001_users.verify.down.sql",
        "0001_users.down.verify.sql",
        "0001_users..sql",
        "0001_us ers.sql",
        "0001_üsers.sql",
        "٠٠٠١_users.sql",
        "1234567890123456789_users.sql",
        "R__views.down.sql",
        "R_views.sql",
        "r__views.sql",
        "R__.sql",
        ".sql",
        "0001_users\n.sql",
    ],
)
def test_any_other_name_is_refused(file):
    """A file that is nearly a migration must not be left out in silence."""
    with pytest.raises(BadFileName) as raised:
        parse_file_name(file)

    assert file == raised.value.file


@given(
    st.from_regex(r"[0-9]{1,18}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    st.sampled_from(["", "down", "verify"]),
)
def test_a_name_put_together_is_taken_apart_again(version, name, role):
    """Nothing is lost or normalised on the way."""
    file = f"{version}_{name}.{role}.sql".replace("..", ".")

    found = parse_file_name(file)

    assert (version, name, Kind.VERSIONED, role) == found
