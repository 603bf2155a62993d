"""Which way an address connects, what that way needs on Cloud Run, what is missing."""

import pytest

from migrate.doctor import explain_address
from migrate.dsn import Dsn
from migrate.errors import ExitCode

SOCKET = "/cloudsql/rich:us-central1:dev-db"


def explained(address: str, *existing: str):
    return explain_address(Dsn.parse(address), lambda path: path in existing)


@pytest.mark.parametrize(
    ("address", "what", "needs"),
    [
        (
            "postgresql://u@10.240.0.3/d",
            "the private address 10.240.0.3",
            "VPC connector",
        ),
        (
            "postgresql://u@172.16.0.1/d",
            "the private address 172.16.0.1",
            "VPC connector",
        ),
        (
            "postgresql://u@192.168.1.1/d",
            "the private address 192.168.1.1",
            "VPC connector",
        ),
        (
            "postgresql://u@100.64.0.9/d",
            "the private address 100.64.0.9",
            "VPC connector",
        ),
        ("postgresql://u@[fd00::1]/d", "the private address fd00::1", "VPC connector"),
        (
            "postgresql://u@[fe80::1%25eth0]/d",
            "the private address fe80::1%eth0",
            "VPC connector",
        ),
        ("postgresql://u@34.1.2.3/d", "the public address 34.1.2.3", "nothing more"),
        (
            "postgresql://u@[2600:1900::1]/d",
            "the public address 2600:1900::1",
            "nothing more",
        ),
        ("postgresql://u@db.example/d", "the host name db.example", "nothing more"),
        ("postgresql://u@127.0.0.1/d", "127.0.0.1, on this machine", ""),
        ("postgresql://u@[::1]/d", "::1, on this machine", ""),
        ("hostaddr=10.0.0.3 dbname=d", "the private address 10.0.0.3", "VPC connector"),
    ],
)
def test_a_tcp_address_says_what_it_needs(address, what, needs):
    """Nothing is wrong with it; on Cloud Run something may have to be set up."""
    (found,) = explained(address)

    assert found.good
    assert f"connects by TCP to {what}" == found.what
    assert needs in found.cure
    assert bool(needs) == bool(found.cure)


def test_the_seeds_socket_address_is_explained_with_both_cures():
    """The fourth failed build of the seeds: named before anything is submitted."""
    (found,) = explained(f"postgresql://vividly:pw@/vividly?host={SOCKET}")

    assert not found.good
    assert ExitCode.UNREACHABLE is found.exit_code
    assert f"{SOCKET}/.s.PGSQL.5432" in found.what
    assert "--set-cloudsql-instances rich:us-central1:dev-db" in found.cure
    assert "postgresql://USER:PASSWORD@PRIVATE_IP:5432/DATABASE" in found.cure
    assert "pw" not in found.what + found.cure


def test_a_socket_that_is_there_is_good():
    """A mounted instance needs nothing more."""
    (found,) = explained(f"postgresql://u@/d?host={SOCKET}", f"{SOCKET}/.s.PGSQL.5432")

    assert found.good
    assert f"connects by the Unix socket {SOCKET}/.s.PGSQL.5432" == found.what
    assert "" == found.cure


def test_the_port_is_part_of_a_sockets_name():
    """Another port is another socket."""
    (found,) = explained("host=/run/pg port=6543", "/run/pg/.s.PGSQL.5432")

    assert not found.good
    assert "/run/pg/.s.PGSQL.6543" in found.what


def test_each_of_several_hosts_is_explained_with_its_own_port():
    """An empty port is the default one, an empty host the default socket."""
    found = explained("host=/a,/b,,10.0.0.3 port=1,,3,4", "/a/.s.PGSQL.1")

    assert [
        "connects by the Unix socket /a/.s.PGSQL.1",
        "the address names the Unix socket /b/.s.PGSQL.5432, and there is none",
        "the address names the Unix socket /var/run/postgresql/.s.PGSQL.3, and there is none",
        "connects by TCP to the private address 10.0.0.3",
    ] == [one.what for one in found]


def test_one_port_is_every_hosts():
    """That is libpq's rule."""
    found = explained("host=/a,/b port=7", "/a/.s.PGSQL.7", "/b/.s.PGSQL.7")

    assert [True, True] == [one.good for one in found]


def test_an_abstract_socket_is_a_socket():
    """Its name begins with an at sign."""
    (found,) = explained("host=@pg")

    assert not found.good
    assert "Unix socket @pg" in found.what


def test_without_a_host_the_machine_decides():
    """On a laptop there is a local socket, in a container there is none."""
    (laptop,) = explained("dbname=d", "/var/run/postgresql")
    (container,) = explained("dbname=d")

    assert laptop.good
    assert not container.good
    assert "names no host" in container.what
    assert "postgresql://USER:PASSWORD@HOST:5432/DATABASE" in container.cure
