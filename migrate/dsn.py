"""A database address in any form libpq takes, with its password hidden by type.

Called by `config` and `postgres.session`. Follows the connection string rules of
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING, and accepts
one thing more: characters in a URL's password that should have been percent-encoded.
Never connects, never reads the environment.
"""

import re
from collections.abc import Mapping

from migrate.errors import BadDatabaseUrl

_HOSTS = r"(?:\[[^][/?#@,\s]+\]|[^][/?#@:,\s]*)(?::[0-9]*)?"
_QUERY = r"[A-Za-z_]+=[^&]*(?:&[A-Za-z_]+=[^&]*)*&?"
# Compiled when they are needed, and kept by `re`: an address has one form.
_AFTER_USER = rf"(?s:{_HOSTS}(?:,{_HOSTS})*(?:/[^?/@]*)?(?:\?(?:{_QUERY})?)?)\Z"
_PAIR = r"([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(?!')((?:[^\s\\]|\\.|\\\Z)*))\s*"

#: Every keyword of libpq up to 18: the driver would refuse another one, less politely.
KEYWORDS = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname
    fallback_application_name gssdelegation gssencmode gsslib host hostaddr keepalives
    keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts
    max_protocol_version min_protocol_version oauth_client_id oauth_client_secret
    oauth_issuer oauth_scope options passfile password port replication require_auth
    requirepeer scram_client_key scram_server_key service servicefile
    ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression
    sslcrl sslcrldir sslkey sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert
    sslsni target_session_attrs tcp_user_timeout user
    """.split()  # noqa: SIM905 - a list of words reads best as words
)

#: Which libpq variable stands behind which keyword, as far as we show or judge them.
VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "service": "PGSERVICE",
}


class Dsn:
    """Connection parameters by libpq keyword. ``str`` and ``repr`` hide the secrets."""

    __slots__ = ("parameters",)

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Keep the parameters as they are; empty values mean libpq's default."""
        self.parameters = {k: v for k, v in parameters.items() if v != ""}

    @classmethod
    def parse(cls, text: str) -> "Dsn":
        """Return the address written in ``text``.

        Raises `BadDatabaseUrl`, which never quotes the text: it may hold a password.
        """
        if not _is_text(text):
            raise BadDatabaseUrl(reason="it is not UTF-8")
        scheme, mark, rest = text.strip().partition("://")
        if mark and scheme in {"postgresql", "postgres"}:
            found = _parse_url(rest)
        elif mark and "=" not in scheme:
            raise BadDatabaseUrl(
                reason="its scheme is neither postgresql:// nor postgres://"
            )
        else:
            found = _parse_pairs(text.lstrip())
        for key in found:
            if key not in KEYWORDS:
                raise BadDatabaseUrl(reason=_unknown(key))
        if any("\0" in value for value in found.values()):
            raise BadDatabaseUrl(reason="it holds a NUL character")
        return cls(found)

    def with_defaults(self, environment: Mapping[str, str]) -> "Dsn":
        """Return the address as libpq completes it from its ``PG*`` variables."""
        known = {k: environment[v] for k, v in VARIABLES.items() if environment.get(v)}
        return Dsn({**known, **self.parameters})

    def merged(self, **parameters: str) -> "Dsn":
        """Return a copy with some parameters replaced."""
        return Dsn({**self.parameters, **parameters})

    @property
    def hosts(self) -> list[str]:
        """Host names, addresses or socket directories, in the order libpq tries them."""
        value = self.parameters.get("host") or self.parameters.get("hostaddr", "")
        return value.split(",") if value else []

    @property
    def password(self) -> str | None:
        """The password, for the driver alone."""
        return self.parameters.get("password")

    def shown(self, keyword: str) -> str:
        """Return a parameter for people; never the password."""
        fallback = {"host": "local socket", "port": "5432"}
        return self.parameters.get(keyword) or fallback.get(keyword, "(default)")

    def __str__(self) -> str:
        """Return ``user@host:port/dbname``."""
        return "{}@{}:{}/{}".format(
            *map(self.shown, ("user", "host", "port", "dbname"))
        )

    def __repr__(self) -> str:
        """Return the same, marked as an address."""
        return f"<Dsn {self}>"

    def __eq__(self, other: object) -> bool:
        """Two addresses are equal when all their parameters are."""
        return isinstance(other, Dsn) and self.parameters == other.parameters

    __hash__ = None  # type: ignore[assignment]


def _parse_url(rest: str) -> dict[str, str]:
    """Take ``user:password@hosts/dbname?parameters`` apart."""
    userinfo, after = _split_userinfo(rest)
    found: dict[str, str] = {}
    if userinfo is not None:
        user, colon, password = userinfo.partition(":")
        found["user"] = _decode(user)
        if colon:
            found["password"] = _decode(password)
    after, _, query = after.partition("?")
    hosts, _, dbname = after.partition("/")
    names, ports = zip(*map(_split_host, hosts.split(",")), strict=True)
    if any(names):
        found["host"] = ",".join(names)
    if any(ports):
        found["port"] = ",".join(ports)
    if dbname:
        found["dbname"] = _decode(dbname)
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if (key, value) == ("ssl", "true"):
            key, value = "sslmode", "require"
        found[key] = _decode(value)
    return found


def _split_userinfo(rest: str) -> tuple[str | None, str]:
    """Cut at the first ``@`` that what follows allows: a password may hold ``@/?#``."""
    # With an ``@`` before the first slash there is a user, as libpq reads it.
    if "@" not in rest.partition("/")[0] and re.match(_AFTER_USER, rest):
        return None, rest
    at = -1
    while (at := rest.find("@", at + 1)) >= 0:
        if re.match(_AFTER_USER, rest[at + 1 :]):
            return rest[:at], rest[at + 1 :]
    raise BadDatabaseUrl(
        reason="what follows user and password is not HOST:PORT/DATABASE?KEY=VALUE"
    )


def _split_host(spec: str) -> tuple[str, str]:
    """Return (host, port) of ``host:port``, ``[v6]:port`` or a percent-encoded directory."""
    if spec.startswith("["):
        host, _, port = spec[1:].partition("]")
        return _decode(host), port.removeprefix(":")
    host, _, port = spec.partition(":")
    return _decode(host), port


def _decode(text: str) -> str:
    """Undo percent-encoding; a ``%`` that encodes nothing stands for itself."""
    if "%" not in text:
        return text
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("utf-8")
    )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        # Not `from` it: that error carries the text it could not decode.
        raise BadDatabaseUrl(reason="its percent-encoding is not UTF-8") from None


def _is_text(text: str) -> bool:
    """Whether the text has UTF-8: a variable of other bytes holds lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _unknown(key: str) -> str:
    """Say that a keyword is unknown, without quoting it: it may be half a password."""
    import difflib  # noqa: PLC0415 - 2 ms that only a mistake pays

    near = difflib.get_close_matches(key.lower(), sorted(KEYWORDS), n=1)
    cure = f" (did you mean {near[0]}?)" if near else ""
    return f"it holds a parameter that libpq does not know{cure}"


def _parse_pairs(text: str) -> dict[str, str]:
    """Take ``key=value key='quoted value'`` apart."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = re.compile(_PAIR, re.DOTALL | re.ASCII).match(text, at)
        if not match:
            raise BadDatabaseUrl(
                reason=f"it is neither a URL nor key=value pairs (character {at + 1})"
            )
        value = match[2] if match[2] is not None else match[3]
        found[match[1]] = re.sub(r"\\(.|\Z)", r"\1", value, flags=re.DOTALL)
        at = match.end()
    return found
