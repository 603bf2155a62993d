"""A secret in every way in which a program is told the address of a database.

Used by the fault of secrets. Writes the files that some of them need, nothing else.
"""

import contextlib
import http.server
import json
import random
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import yaml


class Place(NamedTuple):
    """Where the server is, and as whom it is entered."""

    host: str
    port: int
    socket: str
    database: str
    user: str


class Given(NamedTuple):
    """What the program is given: variables and arguments."""

    env: dict[str, str]
    args: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address that is written out, if one is."""
        return self.env.get("DATABASE_URL", "")


Form = Callable[[str, Place, Path], Given]


def _encoded(secret: str) -> str:
    return urllib.parse.quote(secret, safe="")


def _quoted(secret: str) -> str:
    return "'" + secret.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _url(secret: str, at: Place, _: Path) -> Given:
    where = f"{at.host}:{at.port}/{at.database}"
    return Given({"DATABASE_URL": f"postgresql://{at.user}:{_encoded(secret)}@{where}"})


def _url_encoded_loosely(secret: str, at: Place, _: Path) -> Given:
    where = f"{at.host}:{at.port}/{at.database}"
    loose = secret.replace("%", "%25")
    return Given({"DATABASE_URL": f"postgres://{at.user}:{loose}@{where}"})


def _url_parameters(secret: str, at: Place, _: Path) -> Given:
    asked = f"host={at.host}&port={at.port}&user={at.user}&password={_encoded(secret)}"
    return Given({"DATABASE_URL": f"postgresql:///{at.database}?{asked}"})


def _url_of_several_hosts(secret: str, at: Place, _: Path) -> Given:
    hosts = f"{at.host}:{at.port},[::1]:{at.port}"
    who = f"{at.user}:{_encoded(secret)}"
    return Given({"DATABASE_URL": f"postgresql://{who}@{hosts}/{at.database}"})


def _url_of_a_socket(secret: str, at: Place, _: Path) -> Given:
    socket = at.socket if at.host == "127.0.0.1" else f"/cloudsql/{at.host}"
    asked = f"host={_encoded(socket)}&port={at.port}"
    who = f"{at.user}:{_encoded(secret)}"
    return Given({"DATABASE_URL": f"postgresql://{who}@/{at.database}?{asked}"})


def _with_a_newline(secret: str, at: Place, scratch: Path) -> Given:
    """As a secret is that was made by echo."""
    return Given({"DATABASE_URL": _url(secret, at, scratch).address + "\n"})


def _pairs(secret: str, at: Place, _: Path) -> Given:
    where = f"host={at.host} port={at.port} user={at.user} dbname={at.database}"
    return Given({"DATABASE_URL": f"{where} password={_quoted(secret)}"})


def _pairs_of_several_hosts(secret: str, at: Place, _: Path) -> Given:
    hosts = f"host={at.host},::1 port={at.port},{at.port}"
    who = f"password = {_quoted(secret)} user={at.user}"
    return Given({"DATABASE_URL": f"{who} {hosts} dbname={at.database}"})


def _flag(secret: str, at: Place, scratch: Path) -> Given:
    return Given({}, ("--database-url", _url(secret, at, scratch).address))


def _variables(secret: str, at: Place, _: Path) -> Given:
    return Given({**_open(at), "PGPASSWORD": secret})


def _address_and_variable(secret: str, at: Place, scratch: Path) -> Given:
    bare = _url("x", at, scratch).address.replace(":x@", "@")
    return Given({"DATABASE_URL": bare, "PGPASSWORD": secret})


def _password_file(secret: str, at: Place, scratch: Path) -> Given:
    file = scratch / "passwords"
    written = secret.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"*:*:*:*:{written}\n", newline="")
    file.chmod(0o600)
    return Given({**_open(at), "PGPASSFILE": str(file)})


def _service_file(secret: str, at: Place, scratch: Path) -> Given:
    file = scratch / "services"
    where = f"host={at.host}\nport={at.port}\ndbname={at.database}\nuser={at.user}\n"
    file.write_text(f"[own]\n{where}password={secret}\n", newline="")
    return Given({"PGSERVICE": "own", "PGSERVICEFILE": str(file)})


def _environment_file(secret: str, at: Place, scratch: Path) -> Given:
    (scratch / "environments").mkdir()
    engine = {"engine": {"database_url": _pairs(secret, at, scratch).address}}
    (scratch / "environments" / "own.yaml").write_text(yaml.safe_dump(engine))
    return Given({"MIGRATE_ENV": "own"})


def _open(at: Place) -> dict[str, str]:
    return {
        "PGHOST": at.host,
        "PGPORT": str(at.port),
        "PGDATABASE": at.database,
        "PGUSER": at.user,
    }


#: Those with an address of their own can be spoiled; prompts/ and jobs/ take no others.
WRITTEN: tuple[Form, ...] = (
    _url,
    _url_encoded_loosely,
    _url_parameters,
    _url_of_several_hosts,
    _url_of_a_socket,
    _with_a_newline,
    _pairs,
    _pairs_of_several_hosts,
)
ELSEWHERE: tuple[Form, ...] = (
    _flag,
    _variables,
    _address_and_variable,
    _password_file,
    _service_file,
    _environment_file,
)


def carries(form: Form, secret: str) -> bool:
    """Whether libpq can be given this secret like that."""
    if form in {_password_file, _service_file}:
        return "\n" not in secret and "\r" not in secret and secret == secret.strip()
    return form is not _url_encoded_loosely or secret == secret.strip()


def spoiled(address: str, chance: random.Random) -> str:
    """Return an address that is wrong somewhere: a slip of the hand or of a script."""
    at = chance.randrange(len(address))
    while address[at] == ":":  # nobody knows where a name ends and a password begins
        at = chance.randrange(len(address))
    ways = (
        lambda: address[:at] + address[at + 1 :],
        lambda: address[:at] + chance.choice("'\"@:/?#[]% =\\&\n") + address[at:],
        lambda: address[:at],
        lambda: address[at:],
        lambda: address.replace("@", "@[", 1),
        lambda: address.replace("postgres", "mysql", 1),
        lambda: address.replace("://", ":/", 1),
        lambda: address.replace(":", ";"),
        lambda: address.replace("password", "pasword", 1).replace("user", "usr", 1),
        lambda: address + ("&" if "?" in address else "?") + chance.choice(_ODD),
        lambda: address + " " + chance.choice(_ODD),
        lambda: f'"{address}"',
        lambda: f"DATABASE_URL={address}",
        lambda: urllib.parse.quote(address, safe=""),
        lambda: address * 2,
    )
    return chance.choice(ways)()


_ODD = (
    *("no_such=1", "sslmode=nonsense", "port=99999999", "connect_timeout=soon"),
    *("options=-c%20nonsense", "options='-c nonsense=1'", "hostaddr=nonsense"),
    *("target_session_attrs=nonsense", "replication=database", "client_encoding=no"),
    *("sslcert=/nothing&sslmode=require", "service=nothing", "passfile=/"),
    *("sslrootcert=system", "channel_binding=require", "require_auth=none"),
    *("gssencmode=nonsense", "max_protocol_version=9.9", "load_balance_hosts=often"),
    *("scram_client_key=nonsense", "oauth_issuer=nonsense", "keepalives=maybe"),
)


@contextlib.contextmanager
def metadata_server(secret: str, way: int) -> Iterator[Given]:
    """A metadata server whose token is the secret; some of its answers are none."""
    answers = (
        (200, json.dumps({"access_token": secret, "expires_in": 3599})),
        (200, json.dumps({"token": secret})),
        (200, json.dumps(secret)),
        (200, secret),
        (403, json.dumps({"access_token": secret})),
    )
    status, body = answers[way % len(answers)]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        url = f"http://127.0.0.1:{port}"
        yield Given({"MIGRATE_IAM_AUTH": "true", "MIGRATE_METADATA_URL": url})
        server.shutdown()
