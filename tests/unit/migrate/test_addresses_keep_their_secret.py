"""An address never shows its password, completes itself from PG*, and refuses politely."""

import contextlib
import pickle
import re
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.cli import main
from migrate.dsn import VARIABLES, Dsn
from migrate.errors import BadDatabaseUrl

SECRET = "s3cr3t-of-the-house"

WRONG = {
    "another scheme": (f"mysql://app:{SECRET}@h/d", "scheme"),
    "a forgotten scheme": (f"app:{SECRET}://@h/d", "scheme"),
    "SQLAlchemy's scheme": (f"postgresql+psycopg2://app:{SECRET}@h/d", "scheme"),
    "a port that is no number": (
        f"postgresql://app:{SECRET}@h:{SECRET}/d",
        "HOST:PORT",
    ),
    "two slashes": (f"postgresql://app:{SECRET}@h/d/{SECRET}", "HOST:PORT"),
    "a key without value": (f"postgresql://app:{SECRET}@h/d?{SECRET}", "HOST:PORT"),
    "an empty IPv6 address": (f"postgresql://app:{SECRET}@[]/d", "HOST:PORT"),
    "encoding that is not UTF-8": (f"postgresql://app:%FF{SECRET}@h/d", "not UTF-8"),
    "an encoded NUL": (f"postgresql://app:{SECRET}%00@h/d", "NUL"),
    "a NUL in a pair": (f"password={SECRET}\0", "NUL"),
    "bytes that are not UTF-8": (f"postgresql://app:\udce9{SECRET}@h/d", "not UTF-8"),
    "an unknown keyword": (f"host=h pasword={SECRET}", "did you mean password?"),
    "a keyword like no other": (f"host=h {SECRET}={SECRET}", "libpq does not know"),
    "an unknown URL parameter": (f"postgresql://h/d?sslmod={SECRET}", "mean sslmode?"),
    "ssl that is not true": (
        f"postgresql://app:{SECRET}@h/d?ssl=false",
        "does not know",
    ),
    "no pair": (SECRET, "character 1"),
    "an unclosed quote": (f"host=h password='{SECRET}", "character 8"),
    "nothing": (" ", ""),
}


@pytest.mark.parametrize(
    ("text", "says"), list(WRONG.values())[:-1], ids=list(WRONG)[:-1]
)
def test_a_wrong_address_is_explained_and_not_quoted(text, says):
    """The error says what is wrong; neither it nor its trace holds the secret."""
    with pytest.raises(BadDatabaseUrl) as raised:
        Dsn.parse(text)

    error = raised.value
    told = f"{error} {error.advice()} {vars(error)} {pickle.dumps(error)!r}"
    assert says in str(error)
    assert SECRET not in told
    assert error.__cause__ is None
    trace = traceback.format_exception(error)
    assert SECRET not in re.sub(r"^    .*$", "", "".join(trace), flags=re.MULTILINE)


@given(
    st.text(st.characters(), min_size=1), st.sampled_from(["", "postgresql://", "a="])
)
def test_any_text_is_an_address_or_a_polite_error(text, before):
    """Nothing that can stand in a variable makes the parser itself fail."""
    found = None

    with contextlib.suppress(BadDatabaseUrl):
        found = Dsn.parse(before + text)

    assert found is None or all(found.parameters.values())


def test_no_text_names_no_server():
    """An empty string holds no parameters; libpq's defaults will decide."""
    found = Dsn.parse(" \n")

    assert Dsn({}) == found


@given(st.text(min_size=6, alphabet="!$%&*XYZ"))
def test_neither_str_nor_repr_shows_the_password(password):
    """An address may be printed and logged."""
    dsn = Dsn({"user": "app", "password": password, "host": "h", "dbname": "d"})

    shown = f"{dsn} {dsn!r} {[dsn]}"

    assert password not in shown
    assert "app@h:5432/d" == str(dsn)
    assert "<Dsn app@h:5432/d>" == repr(dsn)


def test_an_empty_address_shows_what_libpq_will_do():
    """What is not said is shown as libpq's default."""
    shown = str(Dsn({}))

    assert "(default)@local socket:5432/(default)" == shown


def test_variables_fill_in_what_is_not_said():
    """``PG*`` completes an address and never overrules it."""
    variables = {name: f"of {name}" for name in VARIABLES.values()}

    dsn = Dsn.parse("host=h password=p").with_defaults({**variables, "PGUSER": ""})

    assert "h" == dsn.parameters["host"]
    assert "p" == dsn.password
    assert "of PGDATABASE" == dsn.parameters["dbname"]
    assert "user" not in dsn.parameters


def test_a_parameter_can_be_replaced_in_a_copy():
    """The address itself does not change."""
    dsn = Dsn({"host": "h", "port": "1"})

    changed = dsn.merged(port="2", sslmode="require")

    assert {"host": "h", "port": "1"} == dsn.parameters
    assert {"host": "h", "port": "2", "sslmode": "require"} == changed.parameters


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://a,b:2,[::1]/d", ["a", "b", "::1"]),
        ("host=/cloudsql/p:r:i", ["/cloudsql/p:r:i"]),
        ("hostaddr=10.0.0.1,10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("host=name hostaddr=10.0.0.1", ["name"]),
        ("dbname=d", []),
    ],
)
def test_hosts_are_listed_in_the_order_they_are_tried(text, hosts):
    """Names win over addresses, as they do where certificates are checked."""
    found = Dsn.parse(text).hosts

    assert hosts == found


def test_addresses_are_equal_by_their_parameters():
    """Two spellings of one address are one; another type is another thing."""
    one = Dsn.parse("postgresql://app@h:5432/d")
    other = Dsn.parse("user=app host=h port=5432 dbname=d")

    assert one == other
    assert one != Dsn({})
    assert one != "user=app host=h port=5432 dbname=d"


def test_an_address_is_no_key():
    """Its parameters may hold a password: it stays out of sets, dictionaries and caches."""
    dsn = Dsn({"host": "h"})

    with pytest.raises(TypeError):
        hash(dsn)


def test_an_address_without_password_says_so():
    """The driver then asks the pass file."""
    password = Dsn({"host": "h"}).password

    assert password is None


MISPLACED = [
    f"postgresql://app:{SECRET}@h/d",
    f"postgresql://app:a@b {SECRET}/@h/d?sslmode=require",
    f"postgresql://app:a\nb{SECRET}@h/d",
    f"postgresql://h/d?user=app&password={SECRET}",
    f"host=h user=app password={SECRET}",
    f"host=h PASSWORD = 'a b {SECRET}",
    f"PGPASSWORD={SECRET}",
]


@pytest.mark.parametrize("address", MISPLACED)
@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "{}"),
        ("{}",),
        ("apply", "--wait", "{}"),
        ("apply", "--output", "{}"),
        ("apply", "--env", "{}"),
        ("status", "--schema", "{}" + "x" * 64),
        ("plan", "--check-files", "--dir", "{}"),
    ],
    ids=" ".join,
)
def test_an_address_in_the_wrong_place_is_quoted_without_its_secret(
    arguments, address, capfd, monkeypatch, tmp_path
):
    """Typed where a verb, a time or a directory belongs, and told back as a mistake."""
    monkeypatch.chdir(tmp_path)

    code = main([word.replace("{}", address) for word in arguments])

    said = "".join(capfd.readouterr())
    assert code in {2, 3}
    assert said
    assert SECRET not in said
