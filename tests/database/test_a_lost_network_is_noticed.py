"""A network that goes away without a word is noticed, on both sides."""

import contextlib

import pytest

from migrate.dsn import Dsn
from migrate.postgres.session import Limits, connect

KEPT_ALIVE = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


@pytest.fixture
def a_session(blank_database):
    """Open a session as every run does."""

    def start(query=""):
        limits = Limits(lock=5000, statement=0, idle=300_000)
        dsn = Dsn.parse(f"{blank_database.url}{query}")
        return contextlib.closing(connect(dsn, limits, "cloudrun-migrate test"))

    return start


def test_a_silent_connection_is_probed(a_session):
    """The kernel asks for a sign of life after half a minute, and gives up after another:
    a private network may drop a connection and tell nobody.
    """
    with a_session() as session:
        used = session._connection.info.dsn_parameters

    assert used.items() >= KEPT_ALIVE.items()


def test_the_address_may_ask_for_another_time(a_session):
    """What the address says is what is done."""
    with a_session("?keepalives_idle=7") as session:
        used = session._connection.info.dsn_parameters

    assert used.items() >= {**KEPT_ALIVE, "keepalives_idle": "7"}.items()


def test_the_server_looks_for_its_client_during_a_statement(a_session):
    """A killed run's statement does not go on for hours with nobody to hear of it."""
    with a_session() as session:
        rows = session.rows("SHOW client_connection_check_interval")

    assert [("5s",)] == rows
