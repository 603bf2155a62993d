"""A password is never printed, in any form, by any command, whatever happens."""

import json
import urllib.parse
from pathlib import Path

import psutil
import pytest

from tests.observing import until_running

PASSWORD = "geh@im:wö/rt?#%41 'q\"\\"
FORMS = {
    "as it is": PASSWORD,
    "encoded": urllib.parse.quote(PASSWORD, safe=""),
    "loosely encoded": urllib.parse.quote(PASSWORD),
    "quoted": PASSWORD.replace("\\", "\\\\").replace("'", "\\'"),
    "in SQL": PASSWORD.replace("'", "''"),
    "in JSON": json.dumps(PASSWORD)[1:-1],
    "in JSON, unicode": json.dumps(PASSWORD, ensure_ascii=False)[1:-1],
    "in Python": repr(PASSWORD)[1:-1],
    "its beginning": "geh@im",
    "its beginning, encoded": "geh%40im",
}
FILES = {
    "0001_good.sql": "CREATE TABLE good (n int);",
    "0001_good.down.sql": "DROP TABLE good;",
    "0002_bad.sql": "SELECT wrong;",
}
COMMANDS = [
    ("status",),
    ("plan",),
    ("apply", "--to", "0001"),
    ("apply",),
    ("apply", "--dry-run"),
    ("verify",),
    ("doctor",),
    ("rollback", "--yes"),
    ("baseline", "0001", "--yes"),
    ("repair", "0001", "--forget", "--yes"),
    ("unlock", "--yes"),
]


@pytest.fixture
def guest(blank_database):
    """A role that owns the database and needs its password."""
    role = f"keeper_of_{blank_database.name}"
    blank_database.psql(
        f"CREATE ROLE {role} LOGIN PASSWORD '{FORMS['in SQL']}';"
        f"ALTER DATABASE {blank_database.name} OWNER TO {role};"
        f"GRANT ALL ON SCHEMA public TO {role}"
    )
    return role


def shown(text):
    """Return the forms of the password that a text holds."""
    return [name for name, form in FORMS.items() if form in text]


def addresses(database, role):
    """Return the address in three forms, good and bad."""
    server = database.server
    place = f"{server.host}:{server.port}/{database.name}"
    encoded, quoted = FORMS["encoded"], FORMS["quoted"]
    pairs = f"host={server.host} port={server.port} user={role} dbname={database.name}"
    return {
        "good": f"postgresql://{role}:{encoded}@{place}",
        "good pairs": f"{pairs} password='{quoted}'",
        "wrong role": f"postgresql://nobody:{encoded}@{place}",
        "refused": f"postgresql://{role}:{encoded}@127.0.0.1:1/d?connect_timeout=2",
        "no host": f"postgresql://{role}:{encoded}@no-such-host.invalid/d",
        "socket": f"postgresql://{role}:{encoded}@/d?host=/cloudsql/p:r:i",
        "unreadable pairs": f"{pairs} password='{quoted}",
        "unreadable url": f"postgresql://{role}:{PASSWORD}@[::1/d",
        "bad scheme": f"mysql://{role}:{encoded}@{place}",
        "bad option": f"postgresql://{role}:{encoded}@{place}?no_such=1",
        "bad port": f"postgresql://{role}:{encoded}@h:port/d",
    }


@pytest.mark.parametrize(("output", "form"), [("text", "good"), ("json", "good pairs")])
def test_no_command_shows_it(
    blank_database, guest, run_migrate, a_directory, *, output, form
):
    """Every verb, working and failing, in both output formats."""
    url = addresses(blank_database, guest)[form]
    directory = a_directory(FILES)

    said = {}
    for command in COMMANDS:
        run = run_migrate(
            *command,
            *("--dir", directory, "--output", output, "--wait", "0"),
            env={"DATABASE_URL": url, "CLOUD_RUN_JOB": "j"},
        )
        assert run.exit != 1, run.err
        assert run.exit != 6, run.err
        said[command] = shown(run.out + run.err)

    assert {command: [] for command in COMMANDS} == said


@pytest.mark.parametrize(("output", "command"), [("json", "apply"), ("text", "doctor")])
def test_no_failing_connection_shows_it(
    blank_database, guest, run_migrate, a_directory, *, output, command
):
    """Every way in which an address can be wrong, in both output formats."""
    bad = {
        name: url
        for name, url in addresses(blank_database, guest).items()
        if not name.startswith("good")
    }
    directory = a_directory(FILES)

    said, codes = {}, {}
    for name, url in bad.items():
        run = run_migrate(
            *(command, "--dir", directory, "--output", output, "--wait", "0"),
            env={"DATABASE_URL": url},
        )
        said[name] = shown(run.out + run.err)
        codes[name] = run.exit

    assert {name: [] for name in bad} == said
    assert {2, 6} >= set(codes.values()), codes


def test_flag_is_told_no_more_than_the_variable(
    blank_database, guest, run_migrate, a_directory
):
    """--database-url, too: an address that cannot be read is not quoted."""
    url = addresses(blank_database, guest)["unreadable pairs"]

    run = run_migrate("apply", "--dir", a_directory(FILES), "--database-url", url)

    assert 2 == run.exit, run.err
    assert [] == shown(run.out + run.err)


def test_it_stands_in_no_argument_list(
    blank_database, guest, start_migrate, a_directory, tmp_path
):
    """While a run works, no process of it has the password in its arguments, the
    server's list of sessions does not show it, and no file holds it.
    """
    directory = a_directory({"0001_long.sql": "SELECT pg_sleep(60);"})
    url = addresses(blank_database, guest)["good"]
    process = start_migrate("apply", "--dir", directory, env={"DATABASE_URL": url})
    until_running(blank_database, "pg_sleep(60)")

    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    arguments = " ".join(" ".join(each.cmdline()) for each in family)
    sessions = str(blank_database.rows("SELECT * FROM pg_stat_activity"))
    opened = [Path(each.path) for each in family[0].open_files()]
    files = [p.read_bytes() for p in [*opened, *tmp_path.rglob("*")] if p.is_file()]

    assert [] == shown(arguments)
    assert [] == shown(sessions)
    assert not [text for text in files if FORMS["encoded"].encode() in text]


def test_error_of_a_statement_that_holds_it_is_the_servers_word(
    blank_database, guest, run_migrate, a_directory
):
    """What the history keeps of a run does not hold the address."""
    url = addresses(blank_database, guest)["good"]

    run = run_migrate(
        *("apply", "--dir", a_directory(FILES), "--to", "0001"),
        env={"DATABASE_URL": url},
    )

    assert 0 == run.exit, run.err
    assert [] == shown(str(blank_database.rows("SELECT * FROM schema_migrations")))
