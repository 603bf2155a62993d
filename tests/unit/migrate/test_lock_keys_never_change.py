"""The advisory lock's key: two releases must agree on it, or both would be at work."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrate.postgres.lease import lease_table
from migrate.postgres.lock import lock_key

NAME = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
)


@pytest.mark.parametrize(
    ("database", "schema", "table", "expected"),
    [
        ("vividly", "public", "schema_migrations", -7275123594859141204),
        ("postgres", "public", "schema_migrations", -6082362548796219796),
        ("shop", "ops", "history", -1438628900261893496),
        ("größe", "Öffentlich", 'a "table"', -6608135001921076894),
    ],
)
def test_a_history_has_this_key(database, schema, table, expected):
    """Computed once; a release that computes another would not exclude this one."""
    key = lock_key(database, schema, table)

    assert expected == key


@given(NAME, NAME, NAME)
def test_a_key_fits_a_bigint(database, schema, table):
    """It is signed, with 64 bits, as ``pg_advisory_lock`` takes it."""
    key = lock_key(database, schema, table)

    assert -(2**63) <= key < 2**63


@given(st.tuples(NAME, NAME, NAME), st.tuples(NAME, NAME, NAME))
def test_names_cannot_run_together(one, other):
    """Two histories share a key only if they are one."""
    keys = lock_key(*one), lock_key(*other)

    assert (one == other) == (keys[0] == keys[1])


def test_where_one_name_ends_and_the_next_begins_counts():
    """a.bc is not ab.c."""
    keys = {
        lock_key("a", "bc", "d"),
        lock_key("ab", "c", "d"),
        lock_key("a", "b", "cd"),
    }

    assert 3 == len(keys)


@given(NAME)
@example("名" * 21)
@example("x" * 63)
def test_a_lease_is_another_table_than_its_history(table):
    """However many bytes its letters have, the server need not cut the lease's name."""
    lease = lease_table("public", table).removeprefix('"public".')[1:-1]

    assert 63 >= len(lease.replace('""', '"').encode())
    assert lease.endswith("_lease")
