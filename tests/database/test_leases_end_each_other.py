"""A lease taken again by its own run: what was sent under the one before finds it gone."""

import contextlib

import psycopg2
import pytest

from migrate.dsn import Dsn
from migrate.postgres.catalog import Identity
from migrate.postgres.lease import LOST, Lease
from migrate.postgres.session import Limits, Session, connect

RUN = Identity(run_id="0" * 32, tool_version="1")
OTHER = Identity(run_id="1" * 32, tool_version="1")
HISTORY = ("public", "schema_migrations")


@pytest.fixture
def session(blank_database):
    """A session; that it is not pooled makes no difference here."""
    limits = Limits(lock=0, statement=0, idle=0)
    made = connect(Dsn.parse(blank_database.url), limits, "test")
    with contextlib.closing(made):
        yield made


def taken(session: Session, identity: Identity, number: int) -> Lease:
    """Return a lease, which is free or the run's own."""
    lease = Lease(HISTORY, 1, identity, "somebody", number=number)
    assert lease.try_take(session)
    return lease


def test_the_next_lease_of_a_run_ends_the_one_before(session):
    """After a session was lost its last message may still arrive: it must not commit."""
    before = taken(session, RUN, 1)
    after = taken(session, RUN, 2)

    with pytest.raises(psycopg2.Error, match=LOST):
        session.run(f"BEGIN; {before.fence()} COMMIT")
    session.roll_back()
    session.run(f"BEGIN; {after.fence()} COMMIT")


def test_another_run_waits_whichever_lease_it_is(session):
    """It is free for no other run until it is given back."""
    first = taken(session, RUN, 2)
    other = Lease(HISTORY, 1, OTHER, "somebody else", number=1)

    barred = other.try_take(session)
    first.release(session)
    free = other.try_take(session)

    assert (False, True) == (barred, free)
