"""An address that cannot be reached from the job forbids the launch, and the cure is told."""

import pytest

from jobs.address import Address
from jobs.findings import Weight
from jobs.settings import Egress
from tests.preflighted import DIRECT, a_target, judged

SEEDS_SOCKET = "/cloudsql/vividly-dev-rich:us-central1:dev-vividly-db"


def address(text, target=None, **facts):
    """Judge an address alone."""
    target = target or a_target()
    found = judged(target, address=Address.parse(text), **facts)
    return [f for f in found if f.check == "address"]


def test_the_seeds_url_is_caught():
    """The socket form where no socket is mounted: build #4b, before it is submitted."""
    (found,) = address(f"postgresql://vividly:s3cret@/vividly?host={SEEDS_SOCKET}")

    assert Weight.FATAL is found.weight
    assert f'on socket "{SEEDS_SOCKET}/.s.PGSQL.5432" failed: No such file' in found.why
    assert (
        "cloudsql_instance: vividly-dev-rich:us-central1:dev-vividly-db" in found.what
    )
    assert (
        "python -m jobs secret set-url dev --connection connector --host PRIVATE_IP"
        == found.cure
    )
    assert "s3cret" not in "".join(map(str, found))


MOUNTED = {"cloudsql_instance": "p:r:i"}
FINE, WARNING, FATAL = Weight.FINE, Weight.WARNING, Weight.FATAL
ADDRESSES = [
    ("postgresql://u:p@/v?host=/cloudsql/p:r:i", MOUNTED, {}, FINE),
    (
        "postgresql://u:p@/v?host=/cloudsql/p:r:i",
        {**MOUNTED, "egress": Egress.ALL_TRAFFIC},
        {},
        WARNING,
    ),
    ("postgresql://u:p@/v?host=/cloudsql/p:r:other", MOUNTED, {}, FATAL),
    ("postgresql://u:p@/v?host=/var/run/postgresql", {}, {}, FATAL),
    ("postgresql://u:p@/v?host=/tmp", {}, {"here": True}, FATAL),
    (
        "postgresql://u@/v?host=/tmp",
        {},
        {"here": True, "sockets": frozenset({"/tmp/.s.PGSQL.5432"})},
        FINE,
    ),
    ("postgresql://u:p@/v", {}, {}, FATAL),
    ("postgresql://u:p@/v", {"variables": {"PGHOST": "10.0.0.3"}}, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", {}, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", DIRECT, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", {"connector": ""}, {}, FATAL),
    ("postgresql://u:p@127.0.0.1/v", {}, {}, FATAL),
    ("postgresql://u:p@127.0.0.1/v", {}, {"here": True}, FINE),
    ("postgresql://u:p@db.example.com/v", {}, {}, FINE),
    ("postgresql://u:p@db.example.com/v", MOUNTED, {}, WARNING),
]


@pytest.mark.parametrize(("text", "settings", "facts", "weight"), ADDRESSES)
def test_an_address_must_fit_the_network(text, settings, facts, weight):
    """Each form needs something of the job; without it the launch would fail."""
    (found,) = address(text, a_target(**settings), **facts)

    assert weight is found.weight
    assert bool(found.why and found.cure) is (weight is FATAL)


def test_a_socket_path_may_be_too_long():
    """Linux takes 107 bytes: long names of project, region and instance exceed them."""
    instance = "p:r:" + "i" * 99

    (found,) = address(
        f"postgresql://u:p@/v?host=/cloudsql/{instance}",
        a_target(cloudsql_instance=instance),
    )

    assert "is too long" in found.why


def test_an_address_without_a_password_is_told():
    """Unless a token is used."""
    text = "postgresql://u@10.0.0.3/v"
    token = a_target(variables={"MIGRATE_IAM_AUTH": "true"})

    assert [FINE, WARNING] == [f.weight for f in address(text)]
    assert [FINE] == [f.weight for f in address(text, token)]
