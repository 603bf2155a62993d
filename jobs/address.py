"""A database address as a secret holds it: taken apart, judged by its form, rebuilt. Pure.

Called by `preflight`, which asks what the address needs of the network, and by `vault`,
which rebuilds it. Both forms of libpq are read, the URL and ``key=value``; characters of a
password that should have been percent-encoded are accepted, and encoded when written. The
password leaves only through `Address.url`; `str` and `repr` hide it.
"""

import enum
import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from jobs.errors import BadAddress

#: Where Cloud Run mounts the sockets of Cloud SQL instances, and what libpq appends.
MOUNT, SOCKET = "/cloudsql/", "/.s.PGSQL.5432"
#: The longest path of a Unix socket on Linux, without the closing NUL.
LONGEST_SOCKET = 107
DEFAULT_SOCKET = "/var/run/postgresql/.s.PGSQL.5432"
DEFAULT_PORT = "5432"

_HOST = r"(?:\[[^][/?#@,\s]+\]|[^][/?#@:,\s]*)(?::[0-9]*)?"
# What may follow ``user:password@``; a password's own ``@`` is followed by less orderly text.
_PLACE = re.compile(
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<dbname>[^/?@]*))?"
    r"(?:\?(?P<query>(?:\w+=[^&]*)?(?:&\w+=[^&]*)*))?",
    re.ASCII,
)
_PAIR = re.compile(
    r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s'](?:[^\s\\]|\\.)*|)", re.DOTALL
)

#: Every keyword of libpq, as the engine knows them: another may be half a password.
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
_SECRETS = ("password", "secret", "_key")


class Form(enum.Enum):
    """Which way an address leads to the database."""

    PRIVATE = "a private IP address"
    LOOPBACK = "the machine itself"
    NAME = "a host name or public address"
    CLOUD_SQL = "a Cloud SQL socket"
    SOCKET = "a Unix socket"
    DEFAULT = "libpq's default socket: there is no host in it"


class Address:
    """An address; what is not user, password, host, port and database is kept as it is."""

    __slots__ = ("database", "hosts", "options", "password", "ports", "user")

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Take libpq's parameters."""
        rest = {name: value for name, value in parameters.items() if value}
        self.user = rest.pop("user", "")
        self.password = rest.pop("password", "")
        self.database = rest.pop("dbname", "")
        named = rest.pop("host", "") or rest.get("hostaddr", "")
        self.hosts = tuple(named.split(",")) if named else ()
        self.ports = tuple(rest.pop("port", DEFAULT_PORT).split(","))
        self.options: Mapping[str, str] = rest

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read either form. Raises `BadAddress`, which never quotes the text."""
        scheme, mark, rest = text.strip().partition("://")
        if mark and scheme in {"postgresql", "postgres"}:
            found = _url(rest)
        elif mark and "=" not in scheme:
            raise BadAddress(
                reason="it begins with neither postgresql:// nor postgres://"
            )
        else:
            found = _pairs(text)
        if not found.keys() <= KEYWORDS:
            raise BadAddress(reason="it holds a parameter that libpq does not know")
        return cls(found)

    @property
    def form(self) -> Form:
        """Which way the first host leads."""
        # With a `hostaddr` libpq goes there, and `host` is only what the certificate names.
        host = self.options.get("hostaddr", ",".join(self.hosts)).split(",")[0]
        if not host:
            return Form.DEFAULT
        if host.startswith(MOUNT):
            return Form.CLOUD_SQL
        if host.startswith(("/", "@")):
            return Form.SOCKET
        if host == "localhost":
            return Form.LOOPBACK
        try:
            number = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return Form.NAME
        if number.is_loopback:
            return Form.LOOPBACK
        return Form.PRIVATE if _is_private(number) else Form.NAME

    @property
    def instance(self) -> str:
        """The Cloud SQL instance whose socket is used, or nothing."""
        found = self.hosts[0] if self.form is Form.CLOUD_SQL else ""
        return found.removeprefix(MOUNT).strip("/")

    @property
    def socket(self) -> str:
        """The path of the socket, or nothing where there is a network address."""
        if self.form is Form.DEFAULT:
            return DEFAULT_SOCKET
        if self.form in {Form.CLOUD_SQL, Form.SOCKET}:
            return self.hosts[0].rstrip("/") + SOCKET.replace("5432", self.ports[0])
        return ""

    def at(self, host: str, port: str = DEFAULT_PORT) -> "Address":
        """Return the same database over TCP."""
        kept = {k: v for k, v in self.options.items() if k != "hostaddr"}
        return self._with(kept, host=host, port=port)

    def through(self, instance: str) -> "Address":
        """Return the same database through the socket of a Cloud SQL instance.

        TLS settings go: the proxy behind the socket encrypts, libpq does not.
        """
        kept = {
            k: v
            for k, v in self.options.items()
            if k != "hostaddr" and not k.startswith("ssl")
        }
        return self._with(kept, host=MOUNT + instance)

    def with_password(self, password: str) -> "Address":
        """Return the same address with another password."""
        hosts, ports = ",".join(self.hosts), ",".join(self.ports)
        return self._with(self.options, host=hosts, port=ports, password=password)

    def named(self, database: str) -> "Address":
        """Return the same server with another database."""
        hosts, ports = ",".join(self.hosts), ",".join(self.ports)
        return self._with(self.options, host=hosts, port=ports, dbname=database)

    def _with(self, options: Mapping[str, str], **changed: str) -> "Address":
        own = {"user": self.user, "password": self.password, "dbname": self.database}
        return Address({**options, **own, **changed})

    def url(self) -> str:
        """Return the address as a URL with its password: for Secret Manager alone."""
        return (
            self.written(quote(self.password, safe="")) if self.password else str(self)
        )

    def written(self, password: str) -> str:
        """Return the URL with this, encoded already, in the place of the password."""
        who = quote(self.user, safe="")
        if password:
            who += f":{password}"
        options, where = dict(self.options), ""
        if any(host.startswith(("/", "@")) for host in self.hosts):
            options = {"host": ",".join(self.hosts)} | options
            if self.ports != (DEFAULT_PORT,):
                options["port"] = ",".join(self.ports)
        else:
            ports = self.ports * (len(self.hosts) if len(self.ports) == 1 else 1)
            where = ",".join(
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                for host, port in zip(self.hosts, ports, strict=False)
            )
        query = "&".join(f"{k}={quote(v, safe='/:,*')}" for k, v in options.items())
        at = f"{who}@" if who else ""
        return f"postgresql://{at}{where}/{quote(self.database, safe='')}" + (
            f"?{query}" if query else ""
        )

    def __str__(self) -> str:
        """Return the URL with ``***`` for the password, and for any other secret."""
        hidden = {
            name: "***" if any(word in name for word in _SECRETS) else value
            for name, value in self.options.items()
        }
        shown = self._with(
            hidden, host=",".join(self.hosts), port=",".join(self.ports), password=""
        )
        return shown.written("***" if self.password else "")

    def __repr__(self) -> str:
        """Return the same, marked as an address."""
        return f"<Address {self}>"

    def __eq__(self, other: object) -> bool:
        """Two addresses are equal when they lead the same way with the same password."""
        return isinstance(other, Address) and self.url() == other.url()

    __hash__ = None  # type: ignore[assignment]


class Means(enum.Enum):
    """How a job is to reach the database; the values of ``--connection``."""

    PRIVATE_IP = "private-ip"
    SOCKET = "socket"
    CONNECTOR = "connector"


class Change(NamedTuple):
    """What ``secret set-url`` was asked for; empty: as it is now."""

    means: Means
    host: str = ""
    port: str = DEFAULT_PORT
    instance: str = ""
    database: str = ""


def rebuilt(address: Address, change: Change) -> Address:
    """Return the address for a connection method. Raises `BadAddress`.

    A connector and Direct VPC egress lead to the same private address; what differs is
    the environment file, not the URL.
    """
    if change.database:
        address = address.named(change.database)
    if change.means is Means.SOCKET:
        instance = change.instance or address.instance
        if not instance:
            raise BadAddress(
                reason="the socket form needs --instance PROJECT:REGION:NAME"
            )
        made = address.through(instance)
        if len(made.socket.encode()) > LONGEST_SOCKET:
            reason = (
                f"the socket's path {made.socket} has {len(made.socket.encode())} bytes; "
                f"{LONGEST_SOCKET} are the most: use the private IP"
            )
            raise BadAddress(reason=reason)
        return made
    host = change.host or ("" if address.socket else address.hosts[0])
    if not host:
        raise BadAddress(reason="the private address is not known: name it with --host")
    return address.at(host, change.port)


def _is_private(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # 100.64.0.0/10 is shared address space, which ipaddress does not call private; VPCs use it.
    shared = ipaddress.ip_network("100.64.0.0/10")
    return number.is_private or (number.version == shared.version and number in shared)


def _url(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at, place = -1, None if "@" in rest else _PLACE.fullmatch(rest)
    while place is None:
        at = rest.find("@", at + 1)
        if at < 0:
            reason = (
                "what follows user and password is not HOST:PORT/DATABASE?KEY=VALUE"
            )
            raise BadAddress(reason=reason)
        place = _PLACE.fullmatch(rest, at + 1)
    if at >= 0:
        user, colon, password = rest[:at].partition(":")
        found |= {"user": _plain(user)} | (
            {"password": _plain(password)} if colon else {}
        )
    hosts, ports = [], []
    for spec in place["hosts"].split(","):
        host, port = _host(spec)
        hosts.append(_plain(host))
        ports.append(port)
    if any(hosts):
        found["host"] = ",".join(hosts)
    if any(ports):
        found["port"] = ",".join(port or DEFAULT_PORT for port in ports)
    if place["dbname"]:
        found["dbname"] = _plain(place["dbname"])
    for pair in filter(None, (place["query"] or "").split("&")):
        name, _, value = pair.partition("=")
        if (name, value) == ("ssl", "true"):
            name, value = "sslmode", "require"
        found[name] = _plain(value)
    return found


def _host(spec: str) -> tuple[str, str]:
    if spec.startswith("["):
        host, _, port = spec[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = spec.partition(":")
    return host, port


def _plain(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        # Not `from` it: that error carries the text.
        raise BadAddress(reason="its percent-encoding is not UTF-8") from None


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _PAIR.match(text, at, end)
        if match is None:
            reason = f"it is neither a URL nor key=value pairs (character {at + 1})"
            raise BadAddress(reason=reason)
        value = match[2]
        bare = value[1:-1] if value.startswith("'") else value
        found[match[1]] = re.sub(r"\\(.)", r"\1", bare, flags=re.DOTALL)
        at = match.end()
    if not found:
        raise BadAddress(reason="it is empty")
    return found
