"""Every way to name a server leads to it; a server that comes late is waited for."""

import contextlib
import http.server
import json
import threading
import time

import pytest

from tests.machine import LOOPBACK, free_port
from tests.observing import finish, until_said, versions
from tests.proxy import proxying

FILES = {"0001_t.sql": "CREATE TABLE t (n int);"}
PASSWORD = "p@ss:w/rd?#%41 'q\"\\é&=+"
ENCODED = "p%40ss%3Aw%2Frd%3F%23%2541%20%27q%22%5C%C3%A9%26%3D%2B"
RAW = "p@ss:w/rd?#%2541 'q\"\\é&=+"  # only the percent sign must be encoded
QUOTED = "p@ss:w/rd?#%41 \\'q\"\\\\é&=+"


@pytest.fixture
def guest(blank_database):
    """A role that owns the database and needs its password over TCP."""
    role = f"guest_of_{blank_database.name}"
    quoted = PASSWORD.replace("'", "''")
    blank_database.psql(
        f"CREATE ROLE {role} LOGIN PASSWORD '{quoted}';"
        f"ALTER DATABASE {blank_database.name} OWNER TO {role};"
        f"GRANT ALL ON SCHEMA public TO {role}"
    )
    yield role
    with contextlib.closing(blank_database.connect()) as session:
        with session.cursor() as cursor:
            cursor.execute(
                f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}"
            )
            cursor.execute(f"DROP ROLE {role}")
        session.commit()


def refused_port():
    """Return a port on which nobody listens."""
    return free_port()


def forms(database, role):
    """Return every form, by name: (address, variables)."""
    server, name = database.server, database.name
    host, port, where = server.host, server.port, server.socket_dir
    tcp = f"{host}:{port}/{name}"
    libpq = {"PGHOST": host, "PGPORT": str(port), "PGUSER": role, "PGDATABASE": name}
    pairs = f"host={host} port={port} user={role} dbname={name}"
    return {
        "url, encoded": (f"postgresql://{role}:{ENCODED}@{tcp}", {}),
        "url, raw": (f"postgres://{role}:{RAW}@{tcp}", {}),
        "url, password in the query": (
            f"postgresql://{host}:{port}/{name}?user={role}&password={ENCODED}",
            {},
        ),
        "url, PGPASSWORD": (f"postgresql://{role}@{tcp}", {"PGPASSWORD": PASSWORD}),
        "pairs": (f"{pairs} password='{QUOTED}'", {}),
        "variables": ("", {**libpq, "PGPASSWORD": PASSWORD}),
        "variables and half a url": (
            f"postgresql:///{name}",
            {**libpq, "PGPASSWORD": PASSWORD},
        ),
        "ipv6": (f"postgresql://{role}:{ENCODED}@[::1]:{port}/{name}", {}),
        "several hosts": (
            f"postgresql://{role}:{ENCODED}@{host}:{refused_port()},{host}:{port}/{name}",
            {},
        ),
        "socket directory": (
            f"postgresql://{role}@/{name}?host={where}&port={port}",
            {},
        ),
        "socket directory, encoded": (
            f"postgresql://{role}@{str(where).replace('/', '%2F')}:{port}/{name}",
            {},
        ),
    }


FORMS = [
    "url, encoded",
    "url, raw",
    "url, password in the query",
    "url, PGPASSWORD",
    "pairs",
    "variables",
    "variables and half a url",
    "ipv6",
    "several hosts",
    "socket directory",
    "socket directory, encoded",
]


@pytest.mark.parametrize("form", FORMS)
def test_form_reaches_the_server(blank_database, guest, run_migrate, a_directory, form):
    """Whatever libpq takes, and any character in a password, arrives."""
    url, variables = forms(blank_database, guest)[form]
    environment = {**variables, **({"DATABASE_URL": url} if url else {})}

    run = run_migrate("apply", "--dir", a_directory(FILES), env=environment)

    assert 0 == run.exit, run.err
    assert f"User: {guest}" in run.out
    assert [(guest,)] == blank_database.rows(
        "SELECT executed_by FROM schema_migrations"
    )


def test_server_that_comes_late_is_waited_for(
    blank_database, start_migrate, a_directory
):
    """--wait: the port opens after the first refusals, and the run succeeds."""
    server = blank_database.server
    with proxying(server.host, server.port) as proxy:
        url = f"postgresql://postgres@{LOOPBACK}:{proxy.port}/{blank_database.name}"
        process = start_migrate(
            "apply", "--dir", a_directory(FILES), env={"DATABASE_URL": url}
        )
        until_said(process, "Still connecting")
        proxy.open()

        ended = finish(process)

    assert 0 == ended.exit, ended.err
    assert ["0001"] == versions(blank_database)


def test_wait_runs_out(run_migrate, a_directory):
    """A server that never comes: exit 6 once --wait has passed, and not much later."""
    began = time.monotonic()

    run = run_migrate(
        *("apply", "--dir", a_directory(FILES), "--wait", "1s"),
        env={"DATABASE_URL": f"postgresql://u@{LOOPBACK}:{free_port()}/d"},
    )

    assert 6 == run.exit, run.err
    assert 1 <= time.monotonic() - began <= 6


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"password": "wrong"}, "password authentication"),
        ({"name": "no_such"}, "does not"),
    ],
    ids=["password", "database"],
)
def test_refusal_that_waiting_cannot_cure_is_told_at_once(
    blank_database, guest, run_migrate, a_directory, *, change, code
):
    """A wrong password, or database, is not tried again for a minute."""
    given = {"name": blank_database.name, "password": PASSWORD, **change}
    url = blank_database.server.url(
        given["name"], user=guest, password=given["password"]
    )
    began = time.monotonic()

    run = run_migrate("apply", "--dir", a_directory(FILES), env={"DATABASE_URL": url})

    assert 6 == run.exit, run.err
    assert code in run.err
    assert 10 > time.monotonic() - began
    assert "Still connecting" not in run.out


def test_session_is_set_up_as_promised(blank_database, run_migrate, a_directory):
    """A migration finds our application_name, check interval and limits."""
    names = [
        "application_name",
        "client_connection_check_interval",
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
    ]
    columns = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    directory = a_directory(
        {"0001_seen.sql": f"CREATE TABLE seen AS SELECT {columns};"}
    )

    run = run_migrate(
        *("apply", "--dir", directory, "--statement-timeout", "50s"),
        *("--lock-timeout", "4s"),
        env={"DATABASE_URL": blank_database.url, "CLOUD_RUN_EXECUTION": "job-x7k2p"},
    )

    assert 0 == run.exit, run.err
    ((name, *others),) = blank_database.rows("SELECT * FROM seen")
    assert name.startswith("cloudrun-migrate ")
    assert name.endswith(" job-x7k2p")
    assert ["5s", "4s", "50s", "5min"] == others


def test_own_options_of_an_address_are_kept(blank_database, run_migrate, a_directory):
    """``options`` in the address stand beside ours."""
    directory = a_directory(
        {"0001_seen.sql": "CREATE TABLE seen AS SELECT current_setting('work_mem');"}
    )
    url = f"{blank_database.url}?options=-c%20work_mem%3D7MB"

    run = run_migrate("apply", "--dir", directory, env={"DATABASE_URL": url})

    assert 0 == run.exit, run.err
    assert [("7MB",)] == blank_database.rows("SELECT * FROM seen")


# --- login with a token ---------------------------------------------------------------


@contextlib.contextmanager
def metadata_server(status, body):
    """Serve one answer, as the metadata server would; yields its URL and what was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Metadata-Flavor")))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with http.server.HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}", asked
        server.shutdown()
        thread.join()


def token_environment(database, role, metadata):
    """Return variables for a login of the role with a token."""
    # The test's server has no TLS, which token logins ask for by themselves.
    place = f"{LOOPBACK}:{database.server.port}/{database.name}"
    return {
        "DATABASE_URL": f"postgresql://{role}@{place}?sslmode=disable",
        "MIGRATE_IAM_AUTH": "true",
        "MIGRATE_METADATA_URL": metadata,
    }


def test_token_of_the_metadata_server_logs_in(
    blank_database, guest, run_migrate, a_directory
):
    """IAM login: the token is fetched with Google's header and used as the password."""
    body = json.dumps({"access_token": PASSWORD, "expires_in": 3599}).encode()

    with metadata_server(200, body) as (metadata, asked):
        run = run_migrate(
            *("apply", "--dir", a_directory(FILES)),
            env=token_environment(blank_database, guest, metadata),
        )

    assert 0 == run.exit, run.err
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert (path, "Google") == asked[0]
    assert PASSWORD not in run.out + run.err


@pytest.mark.parametrize(
    ("status", "body"), [(403, b"forbidden"), (200, b"<html>"), (200, b"{}")]
)
def test_failing_token_server_is_told(
    blank_database, guest, run_migrate, a_directory, *, status, body
):
    """No token: exit 6, with what is needed for one; nothing is waited for."""
    with metadata_server(status, body) as (metadata, _):
        run = run_migrate(
            *("apply", "--dir", a_directory(FILES)),
            env=token_environment(blank_database, guest, metadata),
        )

    assert 6 == run.exit, run.err
    assert "gave no token" in run.err
    assert "roles/cloudsql.instanceUser" in run.err


def test_token_login_without_tls_is_refused(
    blank_database, guest, run_migrate, a_directory
):
    """A token never travels in the clear: without TLS there is no session."""
    body = json.dumps({"access_token": PASSWORD}).encode()

    with metadata_server(200, body) as (metadata, _):
        environment = token_environment(blank_database, guest, metadata)
        url = environment["DATABASE_URL"].partition("?")[0]
        run = run_migrate(
            *("apply", "--dir", a_directory(FILES), "--wait", "0"),
            env={**environment, "DATABASE_URL": url},
        )

    assert 6 == run.exit, run.err
    assert "SSL" in run.err
