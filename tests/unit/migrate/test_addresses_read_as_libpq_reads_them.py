"""Every form of address that libpq takes means to us what it means to libpq.

The oracle is libpq's own parser, which the driver carries: nothing is connected to.
"""

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from migrate.dsn import KEYWORDS, Dsn

ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORD = st.text(ANY, min_size=1, max_size=12)
HOST_NAME = st.from_regex(r"[a-z][a-z0-9.-]{0,11}[a-z0-9]", fullmatch=True)
V6 = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
SOCKET = st.from_regex(r"/[A-Za-z0-9/:._-]{1,20}", fullmatch=True)
HOST = st.one_of(
    HOST_NAME,
    st.ip_addresses(v=4).map(str),
    V6,
    V6.map(lambda address: address.replace("]", "%25eth0]")),
    SOCKET.map(lambda path: quote(path, safe="")),
    st.just(""),
)
PORT = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))
LIBPQ_KNOWS = ("sslmode", "application_name", "options", "host", "port", "password")


def encoded(text: str) -> str:
    return quote(text, safe="")


@st.composite
def urls(draw):
    """Draw a URL in which whatever must be percent-encoded is."""
    url = draw(st.sampled_from(["postgresql://", "postgres://"]))
    if draw(st.booleans()):
        url += encoded(draw(st.one_of(st.just(""), WORD)))
        if draw(st.booleans()):
            url += ":" + encoded(draw(st.one_of(st.just(""), WORD)))
        url += "@"
    hosts = draw(st.lists(st.tuples(HOST, PORT).map("".join), min_size=1, max_size=3))
    url += ",".join(hosts)
    if draw(st.booleans()):
        url += "/" + encoded(draw(st.one_of(st.just(""), WORD)))
    if draw(st.booleans()):
        pairs = draw(st.dictionaries(st.sampled_from(LIBPQ_KNOWS), WORD, max_size=3))
        url += "?" + "&".join(f"{key}={encoded(value)}" for key, value in pairs.items())
    return url


@st.composite
def pairs(draw):
    """Draw key=value pairs, quoted and escaped in every way there is."""
    blank = st.text(" \t\n\r\f\v", max_size=2)
    text = draw(blank)
    for key in draw(st.lists(st.sampled_from(LIBPQ_KNOWS), max_size=4)):
        value = draw(st.one_of(st.just(""), WORD))
        escaped = re.sub(r"(['\\])", r"\\\1", value)
        if draw(st.booleans()) and value:
            value = re.sub(r"([ \t\n\r\f\v'])", r"\\\1", value.replace("\\", "\\\\"))
            end = " "
        else:
            value, end = f"'{escaped}'", ""
        text += f"{key}{draw(blank)}={draw(blank)}{value}{end}{draw(blank)}"
    return text


def meant(parameters: dict[str, str]) -> dict[str, str]:
    """Leave out what says nothing: an empty value, or an empty port for every host."""
    return {
        key: value
        for key, value in parameters.items()
        if value.strip("," if key in {"host", "port"} else "")
    }


@given(urls())
def test_a_url_means_what_it_means_to_libpq(url):
    """A well-formed URL gives the parameters that libpq takes from it."""
    oracle = parse_dsn(url)

    ours = Dsn.parse(url)

    assert meant(oracle) == meant(ours.parameters)


@given(pairs())
def test_pairs_mean_what_they_mean_to_libpq(text):
    """A string of key=value pairs gives the parameters that libpq takes from it."""
    oracle = parse_dsn(text)

    ours = Dsn.parse(text)

    assert meant(oracle) == meant(ours.parameters)


FORMS = {
    "the seeds' private address": "postgresql://vividly:pw@10.240.0.3:5432/vividly",
    "the seeds' socket": "postgresql://vividly:pw@/vividly?host=/cloudsql/rich:us:dev-db",
    "the short scheme": "postgres://h/d",
    "nothing but the scheme": "postgresql://",
    "only a database": "postgresql:///shop",
    "only a user": "postgresql://app@",
    "no user": "postgresql://h:5432/d",
    "an empty password": "postgresql://app:@h/d",
    "IPv6": "postgresql://app@[2001:db8::1]:5433/d",
    "IPv6 with a zone": "postgresql://[fe80::1%25eth0]:5433/d",
    "several hosts": "postgresql://a:1,b:2,[::1]:3/d?target_session_attrs=read-write",
    "several hosts, some with a port": "postgresql://a,b:2/d",
    "an encoded socket directory": "postgresql://%2Fvar%2Frun%2Fpostgresql:5433/d",
    "an encoded password": "postgresql://app:p%40ss%2Fw%3Ard%25@h/d",
    "an encoded database": "postgresql://h/a%2Fb%20c",
    "a plus sign is one": "postgresql://app:a+b@h/d",
    "letters beyond ASCII": "postgresql://jürgen:pässwörd@h/größe",
    "a question mark and an equals sign in a password": "postgresql://u:5?a=b@h/d",
    "the question mark alone": "postgresql://h/d?",
    "a closing ampersand": "postgresql://h/d?user=app&",
    "ssl=true": "postgresql://h/d?ssl=true",
    "a parameter wins over its place": "postgresql://u:p@h:1/d?host=/x&port=2&user=v",
    "pairs": "host=h port=5432 user=app password=pw dbname=d",
    "quoted pairs": r"host='h' password='a b\'c\\d'",
    "quoted pairs without blanks": "host='h'port='5432'",
    "escaped pairs": r"password=a\ b\'c host=h",
    "a quote inside a value": "password=a'b host=h",
    "blanks about the sign": " host = h\n\tport = 5432 ",
    "an address in a password": "password=postgresql://x host=h",
    "the last of two counts": "host=a host=b",
    "a backslash at the end": "host=h password=x\\",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_known_forms(text):
    """The forms people write are read as libpq reads them."""
    oracle = parse_dsn(text)

    ours = Dsn.parse(text)

    assert meant(oracle) == meant(ours.parameters)


#: Where a raw password would itself be the rest of an address, only encoding helps.
AN_ADDRESS_ITSELF = re.compile(
    r"(?:^[0-9]*|@[^][/?#@:,\s]*(?:[:,].*)?)(?:/[^?/@]*)?\?[A-Za-z_]+=", re.DOTALL
)


@given(password=st.text(ANY, min_size=1), user=st.sampled_from(["app", "sa@p.iam"]))
def test_any_character_may_stand_raw_in_a_password(password, user):
    """Nobody has to know what a password generator should have percent-encoded."""
    assume(not re.search(r"%[0-9A-Fa-f]{2}", password))
    assume(not AN_ADDRESS_ITSELF.search(password))
    url = f"postgresql://app:{password}@10.0.0.3:5432/shop?sslmode=require"

    ours = Dsn.parse(url)

    assert password == ours.password
    assert ["10.0.0.3"] == ours.hosts
    assert "shop" == ours.parameters["dbname"]
    assert "require" == ours.parameters["sslmode"]


@pytest.mark.parametrize(
    "password",
    ["p@ss", "a/b", "a#b", "a?b", "[x]", "a:b", "100%", "50%ab off"[:4], " ", "a@b/c"],
)
def test_the_characters_people_forget_to_encode(password):
    """Each reserved character of a URL is only a character in a password."""
    ours = Dsn.parse(f"postgresql://app:{password}@h:5432/d")

    assert password == ours.password
    assert ["h"] == ours.hosts


def test_an_iam_user_may_hold_an_at_sign():
    """A service account's name needs no encoding."""
    ours = Dsn.parse("postgresql://runner@project.iam@10.0.0.3/shop")

    assert "runner@project.iam" == ours.shown("user")
    assert ["10.0.0.3"] == ours.hosts


def test_a_url_may_end_in_a_line_end():
    """A secret made with echo ends in a line end: it is not part of the address."""
    ours = Dsn.parse("\n postgresql://app@h/d\n")

    assert Dsn({"user": "app", "host": "h", "dbname": "d"}) == ours


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_each_known_keyword_is_taken(keyword):
    """What libpq knows is no unknown parameter."""
    ours = Dsn.parse(f"{keyword}=x")

    assert {keyword: "x"} == ours.parameters
