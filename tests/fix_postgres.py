"""Servers and databases: real ones, one server of each version in a worker process.

Asked for by every test that needs a database. A database whose test failed is kept,
with its server, and the report prints the line to connect with; the next run clears
it away.
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg2
import pytest
from psycopg2.extensions import connection, libpq_version

from tests.postgres_process import TEMPLATE, Server, running, sweep
from tests.postgres_programs import binaries

VERSIONS = [
    int(number)
    for number in os.environ.get("MIGRATE_TEST_VERSIONS", "15,16,18").split(",")
]
DEFAULT_VERSION = 18
SHIPPED = (
    Path(__file__).parents[1] / "migrations/0001_enterprise_prompt_system_phase1.sql"
)

reports = pytest.StashKey[list[pytest.TestReport]]()


class Database(NamedTuple):
    """One database of a test."""

    server: Server
    name: str

    @property
    def dsn(self) -> str:
        """Connect over the server's socket."""
        return self.server.dsn(self.name)

    @property
    def url(self) -> str:
        """Connect over TCP."""
        return self.server.url(self.name)

    def connect(self, **changes: object) -> connection:
        """Open a session; the caller closes it."""
        return psycopg2.connect(self.server.dsn(self.name, **changes))

    def psql(self, sql: str) -> str:
        """Run SQL through psql and return the unaligned rows."""
        return self.server.psql(self.name, sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows of one query, in a session of its own."""
        with contextlib.closing(self.connect()) as session, session.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


def pytest_addoption(parser):
    """Let a run choose the server of ``postgres_server``."""
    parser.addoption(
        "--pg-version",
        type=int,
        default=DEFAULT_VERSION,
        help="major version of the server most tests use (default: %(default)s)",
    )


def pytest_report_header(config):
    """Say which server, driver and client library a result stands for."""
    main, others = config.option.pg_version, ", ".join(map(str, VERSIONS))
    driver = importlib.metadata.version("psycopg2-binary")
    libpq = libpq_version() // 10000
    return [
        f"PostgreSQL: {main} for most tests, {others} where versions may differ",
        f"psycopg2: {driver}, libpq {libpq}",
    ]


def pytest_configure(config):
    """Clear away what earlier runs left, once for all workers."""
    if not hasattr(config, "workerinput"):
        sweep(config.cache.mkdir("servers"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Remember how each phase of a test ended; name the database that is kept."""
    report = yield
    item.stash.setdefault(reports, []).append(report)
    if report.failed and not os.environ.get("CI"):
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Database):
                line = value.server.connect_line(value.name)
                report.sections.append(("kept until the next run", line))
    return report


@pytest.fixture(scope="session")
def server_of(request) -> Iterator[Callable[[int], Server]]:
    """Give the worker's server of one major version, started when first asked for."""
    records = request.config.cache.mkdir("servers")
    with contextlib.ExitStack() as stack:
        servers: dict[int, Server] = {}

        def server_of(version: int) -> Server:
            if version not in servers:
                servers[version] = stack.enter_context(running(version, records))
            return servers[version]

        yield server_of


@pytest.fixture(scope="session")
def postgres_server(request, server_of) -> Server:
    """Give the server most tests use."""
    server: Server = server_of(request.config.option.pg_version)
    return server


@pytest.fixture(scope="session", params=VERSIONS, ids="pg{}".format)
def any_version_server(request, server_of) -> Server:
    """Give a server of each supported version in turn; a missing one is a failure."""
    binaries(request.param)
    server: Server = server_of(request.param)
    return server


def a_database(
    server: Server, request: pytest.FixtureRequest, template: str = TEMPLATE
) -> Iterator[Database]:
    """Make a database for a test, and drop it afterwards unless the test has failed."""
    name = server.create_database(template=template)
    yield Database(server, name)
    failed = any(report.failed for report in request.node.stash.get(reports, []))
    if failed and not os.environ.get("CI"):
        server.keep = True
    else:
        server.drop_database(name)


@pytest.fixture
def blank_database(postgres_server, request) -> Iterator[Database]:
    """Give an empty database."""
    yield from a_database(postgres_server, request)


@pytest.fixture
def any_version_database(any_version_server, request) -> Iterator[Database]:
    """Give an empty database on each supported version in turn."""
    yield from a_database(any_version_server, request)


@pytest.fixture(scope="session")
def shipped(postgres_server) -> str:
    """Make a database with the shipped schema and seeds, for `a_database` to copy."""
    name: str = postgres_server.create_database()
    session = psycopg2.connect(postgres_server.dsn(name))
    with contextlib.closing(session), session, session.cursor() as cursor:
        cursor.execute(SHIPPED.read_text("utf-8"))
    return name
