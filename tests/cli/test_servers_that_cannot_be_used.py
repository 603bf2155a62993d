"""No session to be had: each reason its own error, exit 6, and the password in none."""

import contextlib
import socket
import struct
import threading

import pytest

from tests.machine import free_port

UNREACHABLE = 6
SECRET = "s3cr3t-w0rd"
FILES = {"0001_a.sql": "CREATE TABLE a ();"}


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.fixture
def role(blank_database):
    """Give a role with a password, removed at the end."""
    name = f"app_{blank_database.name}"
    blank_database.psql(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    yield name
    blank_database.psql(f"DROP OWNED BY {name}; DROP ROLE {name}")


def refuse(project, url, *, code=UNREACHABLE, options=()):
    """Apply with an address that cannot work; return what was said."""
    project.write(FILES)

    refused = project("apply", *options, env={"DATABASE_URL": url})

    assert code == refused.exit, refused.err
    assert SECRET not in refused.out + refused.err
    assert "  → " in refused.err
    assert [] == project.tables()
    return refused.err


def test_a_wrong_password(project, role):
    """The server's words and the account are shown, not the password."""
    server = project.database.server
    url = server.url(project.database.name, user=role, password=SECRET + "x")

    said = refuse(project, url)

    assert f'password authentication failed for user "{role}"' in said
    assert "check user and password" in said


def test_a_wrong_password_is_not_tried_again(project, role):
    """Waiting cannot cure it: --wait is not used up."""
    server = project.database.server
    url = server.url(project.database.name, user=role, password=SECRET + "x")

    said = refuse(project, url, options=["--wait", "50s"])

    assert "password authentication failed" in said


def test_no_password(project, role):
    """Where the server wants one and the address has none, that is said."""
    url = project.database.server.url(project.database.name, user=role)

    assert "no password supplied" in refuse(project, url)


def test_an_unknown_role(project):
    """A role the server does not know cannot log in."""
    url = project.database.server.url(
        project.database.name, user="nobody_here", password=SECRET
    )

    assert "nobody_here" in refuse(project, url)


def test_an_unknown_host(project):
    """The host is named."""
    said = refuse(project, f"postgresql://app:{SECRET}@no-such-host.invalid:5432/db")

    assert "no-such-host.invalid" in said
    assert "python -m migrate doctor" in said


def test_a_refused_port(project):
    """Address, port and the system's reason are shown."""
    port = free_port()

    said = refuse(project, f"postgresql://app:{SECRET}@127.0.0.1:{port}/db")

    assert str(port) in said
    assert "Connection refused" in said


def test_a_server_that_comes_up_is_waited_for(project):
    """While --wait runs, it is said that the connection is still being tried."""
    url = f"postgresql://app:{SECRET}@127.0.0.1:{free_port()}/db"
    project.write(FILES)

    refused = project("apply", "--wait", "700ms", env={"DATABASE_URL": url})

    assert UNREACHABLE == refused.exit
    assert "[Migration] Still connecting (" in refused.out
    assert SECRET not in refused.out + refused.err


def test_a_missing_database(project):
    """The database is named, and what to do."""
    url = project.database.server.url("not_there")

    said = refuse(project, url)

    assert 'database "not_there" does not exist' in said
    assert "CREATE DATABASE" in said


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{SECRET}@/db?host=/cloudsql/acme:region:main",
        f"host=/cloudsql/acme:region:main dbname=db user=app password={SECRET}",
        f"postgresql://app:{SECRET}@%2Fcloudsql%2Facme%3Aregion%3Amain/db",
    ],
)
def test_a_socket_where_none_is(project, url):
    """The socket is named with both cures, at once, however long --wait is."""
    said = refuse(project, url, options=["--wait", "50s"])

    assert "there is no socket /cloudsql/acme:region:main/.s.PGSQL.5432" in said
    assert "--set-cloudsql-instances" in said
    assert "PRIVATE_IP" in said


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://app:{SECRET}@host/db",
        f"postgresql://app:{SECRET}@[::1/db",
        f"nonsense {SECRET}",
        f"host=a password='{SECRET}",
    ],
)
def test_an_address_that_cannot_be_read(project, url):
    """Exit 2: what is wrong is said without quoting the address."""
    assert "the database address cannot be read" in refuse(project, url, code=2)


def test_no_address_at_all(project):
    """Exit 2 names the variable and the option."""
    said = refuse(project, "", code=2)

    assert "no database is named" in said
    assert "DATABASE_URL" in said
    assert "--database-url" in said


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _announce(listener, version):
    """Speak as much of the protocol as a server says before the first statement."""
    with contextlib.suppress(OSError), listener.accept()[0] as client:
        while True:
            (length,) = struct.unpack("!I", client.recv(4))
            request = client.recv(length - 4)
            if request[:4] not in {struct.pack("!I", n) for n in (80877103, 80877104)}:
                break
            client.sendall(b"N")  # neither TLS nor GSS
        settings = {
            b"server_version": version,
            b"server_encoding": b"UTF8",
            b"client_encoding": b"UTF8",
            b"DateStyle": b"ISO, MDY",
            b"standard_conforming_strings": b"on",
            b"integer_datetimes": b"on",
        }
        said = [_message(b"R", struct.pack("!I", 0))]
        said += [_message(b"S", b"%s\0%s\0" % pair) for pair in settings.items()]
        said += [_message(b"K", struct.pack("!II", 1, 1)), _message(b"Z", b"I")]
        client.sendall(b"".join(said))
        client.recv(100)


@pytest.mark.parametrize("version", [b"13.22", b"9.6.24"])
def test_a_server_that_is_too_old(project, version):
    """A release without maintenance is refused by its number, before any statement."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_announce, args=(listener, version))
        thread.start()
        port = listener.getsockname()[1]
        said = refuse(project, f"postgresql://app:{SECRET}@127.0.0.1:{port}/db")
        thread.join(5)

    assert f"it is PostgreSQL {version.decode()}" in said
    assert "PostgreSQL 14 or newer is needed" in said


def test_a_database_in_which_strings_end_elsewhere(project):
    """What its setting makes of a backslash is not what we read; the cure is named."""
    name = project.database.name
    setting = f"ALTER DATABASE {name} SET standard_conforming_strings"
    project.database.psql(f"{setting} = off")

    said = refuse(project, project.database.url)
    project.database.psql(f"{setting} = on")

    assert "in it standard_conforming_strings is off" in said
    assert "SET standard_conforming_strings = on;" in said
    assert 0 == project("apply").exit


def test_a_migration_may_set_it_off_itself(project):
    """The server and we follow it; the file after it is read as ever."""
    project.write(
        {
            "0001_a.sql": "SET standard_conforming_strings = off; CREATE TABLE a (t text);",
            "0002_b.sql": r"SET standard_conforming_strings = off;"
            r" INSERT INTO a VALUES ('it\'s; one');",
            "0003_c.sql": r"INSERT INTO a VALUES ('C:\'); INSERT INTO a VALUES (';');",
        }
    )

    applied = project("apply")

    assert 0 == applied.exit, applied.err
    assert [(";",), ("C:\\",), ("it's; one",)] == sorted(
        project.database.rows("SELECT t FROM a")
    )
