"""An address is taken apart as the engine takes it, judged by its form, and rebuilt."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.address import KEYWORDS, Address, Change, Form, Means, rebuilt
from jobs.errors import BadAddress
from migrate import dsn
from migrate.dsn import Dsn

SEEDS = (
    "postgresql://vividly:s3cret@/vividly"
    "?host=/cloudsql/vividly-dev-rich:us-central1:dev-vividly-db"
)
INSTANCE = "vividly-dev-rich:us-central1:dev-vividly-db"

FORMS = {
    SEEDS: Form.CLOUD_SQL,
    "postgresql://u:p@10.240.0.3:5432/v": Form.PRIVATE,
    "postgresql://u:p@100.64.1.2/v": Form.PRIVATE,
    "postgresql://u:p@[fd00::1]:5433/v": Form.PRIVATE,
    "postgresql://u@34.1.2.3/v": Form.NAME,
    "postgresql://u@[2600::1%eth0]/v": Form.NAME,
    "postgresql://db.example.com/v": Form.NAME,
    "host=db.example.com hostaddr=10.0.0.4 dbname=v": Form.PRIVATE,
    "hostaddr=10.0.0.4": Form.PRIVATE,
    "postgresql://u@localhost/v": Form.LOOPBACK,
    "postgresql://u@127.0.0.1/v": Form.LOOPBACK,
    "postgresql:///v": Form.DEFAULT,
    "postgresql://u:p@/v": Form.DEFAULT,
    "host=/tmp dbname=v": Form.SOCKET,
    "host=@abstract dbname=v": Form.SOCKET,
    "postgresql://%2Fcloudsql%2Fp%3Ar%3Ai/v": Form.CLOUD_SQL,
}


@pytest.mark.parametrize(("text", "form"), FORMS.items())
def test_the_form_says_which_way_it_leads(text, form):
    """What the network must offer is known from the address alone."""
    assert form is Address.parse(text).form


@pytest.mark.parametrize("text", FORMS)
def test_what_is_written_is_read_again(text):
    """Taking apart and writing lose nothing."""
    address = Address.parse(text)

    assert address == Address.parse(address.url())


def same_as_the_engine(text):
    """Compare with what the engine makes of the same text."""
    theirs = Dsn.parse(text).parameters
    ours = Address.parse(Address.parse(text).url())
    return (
        theirs.get("user", ""),
        theirs.get("password", ""),
        theirs.get("dbname", ""),
    )[:3] == (ours.user, ours.password, ours.database) and (
        tuple(theirs.get("host", theirs.get("hostaddr", "")).split(","))
        == (ours.hosts or ("",))
    )


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0%"), min_size=1)


@given(PASSWORDS)
def test_any_password_survives(password):
    """Written by us, it is read by the engine as it was."""
    address = Address.parse("postgresql://u:old@10.0.0.3/v").with_password(password)

    assert password == Dsn.parse(address.url()).password
    assert password == Address.parse(address.url()).password


@pytest.mark.parametrize(
    "text",
    [
        *(t for t in FORMS if "eth0" not in t and "abstract" not in t),
        "postgresql://u:p@ss:w/rd?x#y@h1:5,h2:6/v?sslmode=require&application_name=a%20b",
        "postgresql://u:p%40ss@h/v",
        r"host=h user='o\'hara' password = 'a b' dbname=v",
        "user=u password=a\\ b",
    ],
)
def test_the_engine_reads_the_same(text):
    """Two readers, one meaning."""
    assert same_as_the_engine(text)


WRONG = [
    "mysql://u:s3cret@h/v",
    "postgresql://u:s3cret@h:s3cret/v",
    "postgresql://u:%FFs3cret@h/v",
    "s3cret",
    "host=h password='s3cret",
    "",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_address_is_refused_and_not_quoted(text):
    """The error says what is wrong; it does not hold the secret."""
    with pytest.raises(BadAddress) as caught:
        Address.parse(text)

    assert "s3cret" not in f"{caught.value} {pickle.dumps(caught.value)!r}"
    assert caught.value.__cause__ is None


def test_the_password_is_hidden():
    """Neither `str` nor `repr` show it, nor another secret among the options."""
    address = Address.parse(
        "postgresql://u:s3cret@h/v?sslpassword=s3cret&sslmode=require"
    )

    assert "postgresql://u:***@h:5432/v?sslpassword=***&sslmode=require" == str(address)
    assert "s3cret" not in repr(address)
    assert "s3cret" in address.url()
    assert address != "an address"


def test_the_socket_form_becomes_the_private_form():
    """The seeds' repair: same user, password and database, another way."""
    before = Address.parse(SEEDS)

    after = rebuilt(before, Change(Means.PRIVATE_IP, host="10.240.0.3"))

    assert "postgresql://vividly:s3cret@10.240.0.3:5432/vividly" == after.url()
    assert INSTANCE == before.instance
    assert f"/cloudsql/{INSTANCE}/.s.PGSQL.5432" == before.socket
    assert ("", "") == (after.instance, after.socket)


def test_the_private_form_becomes_the_socket_form():
    """TLS settings go: libpq does not speak TLS over a socket."""
    before = Address.parse(
        "postgresql://u:p@10.0.0.3:6432/v?sslmode=require&options=-c%20a"
    )

    after = rebuilt(before, Change(Means.SOCKET, instance=INSTANCE))

    assert (
        f"postgresql://u:p@/v?host=/cloudsql/{INSTANCE}&options=-c%20a" == after.url()
    )


def test_a_connector_leads_to_the_same_address_as_direct_egress():
    """What differs is the environment file; several hosts and ports are kept apart."""
    before = Address.parse("postgresql://u@h1,h2/v")
    change = Change(Means.CONNECTOR, host="10.0.0.9", port="6432", database="other")

    assert "postgresql://u@10.0.0.9:6432/other" == rebuilt(before, change).url()
    assert "postgresql://u@h1:5432,h2:5432/v" == before.url()


def test_a_name_for_the_certificate_goes_with_its_address():
    """A `hostaddr` would win over the new host."""
    before = Address.parse("host=db hostaddr=10.0.0.4 user=u dbname=v sslmode=require")

    after = rebuilt(before, Change(Means.PRIVATE_IP, host="10.0.0.5"))

    assert "postgresql://u@10.0.0.5:5432/v?sslmode=require" == after.url()


def test_a_port_of_a_socket_is_kept():
    """The port is part of the socket's name."""
    address = Address.parse("postgresql://u@/v?host=/cloudsql/p:r:i&port=6432")

    assert "/cloudsql/p:r:i/.s.PGSQL.6432" == address.socket
    assert "postgresql://u@/v?host=/cloudsql/p:r:i&port=6432" == address.url()


@pytest.mark.parametrize(
    ("text", "change", "says"),
    [
        ("postgresql://u@10.0.0.1/v", Change(Means.SOCKET), "--instance"),
        (SEEDS, Change(Means.PRIVATE_IP), "--host"),
        (SEEDS, Change(Means.SOCKET, instance="p:r:" + "i" * 99), "107 are the most"),
    ],
)
def test_what_cannot_be_rebuilt_is_said(text, change, says):
    """An address that would not work is not made."""
    with pytest.raises(BadAddress, match=says):
        rebuilt(Address.parse(text), change)


def test_what_is_not_said_stays():
    """Without a host the present one is kept, without an instance the present one."""
    private = Address.parse("postgresql://u@10.0.0.1/v")

    assert private == rebuilt(private, Change(Means.PRIVATE_IP))
    assert Address.parse(SEEDS) == rebuilt(Address.parse(SEEDS), Change(Means.SOCKET))


#: Slips of a hand or of a script; libpq would read the secret as a name or an option.
SLIPS = [
    "DATABASE_URL=postgresql://u:s3cret@h/v",
    "postgresql://u@h/v?s3cret=x",
    "host=h password=a s3cret=b",
]


@pytest.mark.parametrize("text", SLIPS)
def test_what_libpq_does_not_know_is_refused_and_not_shown(text):
    """A line of an .env file, kept whole as the secret, would be shown with its password."""
    with pytest.raises(BadAddress) as raised:
        Address.parse(text)

    assert "s3cret" not in str(raised.value)


def test_engine_and_orchestrator_know_the_same_parameters():
    """Neither imports the other's list."""
    assert dsn.KEYWORDS == KEYWORDS
