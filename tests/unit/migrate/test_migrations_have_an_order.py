"""Versions sort as numbers, repeatable migrations come last, and names become words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.migration import Directives, Mode, Script, order
from tests.factories import a_migration

VERSIONS = st.one_of(
    st.from_regex(r"[0-9]{1,18}", fullmatch=True),
    st.from_regex(r"R__[A-Za-z0-9_-]{1,9}", fullmatch=True),
)


def test_numbers_sort_as_numbers_and_repeatables_last():
    """Neither leading zeros nor the number of digits decides."""
    versions = ["R__b", "20240101000000", "R__a", "10", "0009", "1"]

    found = sorted(versions, key=order)

    assert ["1", "0009", "10", "20240101000000", "R__a", "R__b"] == found


@given(VERSIONS, VERSIONS)
def test_every_two_versions_can_be_compared(one, other):
    """The order is total: equal keys belong to equal versions alone."""
    first, second = order(one), order(other)

    assert (first < second) + (second < first) + (one == other) == 1


def test_a_migration_knows_its_file_name():
    """The path is how it was found, the file is what it is called."""
    migration = a_migration(path="deep/down/0001_users.sql")

    assert "0001_users.sql" == migration.file
    assert "0001_users.sql" == a_migration(path="0001_users.sql").file


@pytest.mark.parametrize(
    ("words", "expected"),
    [("All about users", "All about users"), (None, "add user email")],
)
def test_a_description_is_the_directive_or_the_name(words, expected):
    """Without a directive the file's name is read as words."""
    script = Script(
        migration=a_migration(name="add_user_email"),
        directives=Directives(description=words),
        mode=Mode.TRANSACTIONAL,
        reasons=(),
        statements=1,
        wrapped=False,
    )

    assert expected == script.description
