"""The fixtures themselves: a test that trusts a broken fixture proves nothing."""

import os
import shlex
import subprocess
import sys

import psycopg2
import pytest

from tests.fix_cli import process_environment

FAILING_TEST = """
def test_it(blank_database):
    blank_database.psql("CREATE TABLE evidence AS SELECT 42 AS n")
    raise OSError
"""
NOT_DURABLE = [("fsync", "off"), ("full_page_writes", "off")]


def test_server_is_of_the_version_it_says(any_version_database):
    """A server of each supported version really is of that version."""
    server = any_version_database.server

    answer = any_version_database.psql("SHOW server_version_num")

    assert server.version == int(answer) // 10000


def test_server_is_reached_over_socket_and_tcp(blank_database):
    """Both ways lead to the same empty database."""
    count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"

    over_socket = psycopg2.connect(blank_database.dsn)
    over_tcp = psycopg2.connect(blank_database.url)
    answers = []
    for session in (over_socket, over_tcp):
        with session.cursor() as cursor:
            cursor.execute(f"SELECT inet_client_addr() IS NULL, ({count})")
            answers.append(cursor.fetchone())
        session.close()

    assert [(True, 0), (False, 0)] == answers


def test_server_is_fast_and_not_durable(blank_database):
    """Nothing is flushed to disk: tests are quick and their data worthless."""
    names = ", ".join(f"'{name}'" for name, _ in NOT_DURABLE)
    sql = f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"

    assert sorted(NOT_DURABLE) == sorted(blank_database.rows(sql))


def test_role_needs_its_password_over_tcp(blank_database):
    """Over TCP every role but the superuser must know its password."""
    server = blank_database.server
    role = f"guest_of_{blank_database.name}"
    blank_database.psql(f"CREATE ROLE {role} LOGIN PASSWORD 'p@ss:w/rd%$'")

    right = server.url(blank_database.name, user=role, password="p@ss:w/rd%$")
    wrong = server.url(blank_database.name, user=role, password="guess")

    psycopg2.connect(right).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication"):
        psycopg2.connect(wrong)


@pytest.mark.parametrize(
    ("mode", "backends"), [("session", 1), ("transaction", 2), ("statement", 2)]
)
def test_pooler_shares_backends_as_its_mode_says(
    blank_database, pgbouncer, mode, backends
):
    """In session mode a client keeps one backend; in the others it may change.

    A second client takes the idle backend while the first one rests.
    """
    pooler = pgbouncer(blank_database, mode)
    first = psycopg2.connect(pooler.dsn)
    second = psycopg2.connect(pooler.dsn)
    first.autocommit = second.autocommit = True
    pids = []

    for session in (first, second):
        with session.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone())
    first.close()
    second.close()

    shared = pids[0] == pids[1]
    assert (backends == 2) == shared


def test_environment_of_a_developer_does_not_reach_the_program(monkeypatch, tmp_path):
    """A database somebody exported is not seen by a process under test."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/precious")
    monkeypatch.setenv("PGHOST", "somewhere")

    environment = process_environment(tmp_path, {"ASKED": "for"})

    assert "for" == environment["ASKED"]
    assert not {"DATABASE_URL", "PGHOST"} & set(environment)


def test_tests_start_in_a_clean_environment():
    """No variable that steers the program is set when a test begins."""
    assert [] == [name for name in os.environ if name.startswith(("PG", "MIGRATE_"))]
    assert "UTC" == os.environ["TZ"]


def test_failing_tests_database_is_kept_until_the_next_run(tmp_path):
    """A failed test leaves its database and says how to look into it; the next run,
    whatever it does, clears it away.
    """
    (tmp_path / "test_a.py").write_text(FAILING_TEST)
    (tmp_path / "test_b.py").write_text("def test_it():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.fix_postgres"]
    command += ["-p", "no:randomly", "-o", f"cache_dir={tmp_path}/cache"]
    environment = process_environment(tmp_path, {"CI": ""})

    def run(command):
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    report = run([*command, "test_a.py"])
    line = next(ln for ln in report.splitlines() if "dbname=" in ln)
    while_kept = run([*shlex.split(line), "-XAtc", "SELECT n FROM evidence"])
    run([*command, "test_b.py"])

    assert "42\n" == while_kept
    with pytest.raises(psycopg2.OperationalError, match="No such file"):
        psycopg2.connect(shlex.split(line)[1])
