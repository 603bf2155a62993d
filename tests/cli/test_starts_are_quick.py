"""A run that finds nothing to do is mostly Python's start: nothing is loaded in vain."""

import os
import re
import subprocess
import sys
from statistics import median

import pytest

from migrate.source import read_directory
from tests.fix_cli import CHECKOUT, process_environment

COUNT = 1000
MINIMUM = str(CHECKOUT / "benchmarks" / "minimum.py")
NEVER_IN_VAIN = {
    "yaml",
    "google",
    "grpc",
    "dataclasses",
    "inspect",
    "logging",
    "urllib",
}
ONLY_FOR_WORK = {"migrate.statements", "migrate.parse", "migrate.postgres.worker"}
ONLY_WITH_A_DATABASE = {"psycopg2", "ssl", "json", "hashlib"}


@pytest.fixture
def a_thousand_applied(blank_database, run_migrate, a_directory):
    """Give the environment of a project whose thousand migrations are applied."""
    files = {f"{n:04}_x.sql": f"SELECT {n};" for n in range(1, COUNT + 1)}
    directory = str(a_directory(files))
    environment = {"DATABASE_URL": blank_database.url, "MIGRATE_DIR": directory}
    assert 0 == run_migrate("apply", "--to", "1", env=environment).exit
    rows = ", ".join(
        f"('{m.version}', '{m.name}', '{m.checksum}')"
        for m in read_directory(directory)[1:]
    )
    blank_database.psql(
        f"INSERT INTO schema_migrations (version, name, checksum) VALUES {rows};"
        "CREATE TABLE history AS SELECT version, executed_at AS at FROM schema_migrations"
    )
    return environment


def start(tmp_path, environment, *arguments):
    """Start Python, uncounted by coverage; return the process."""
    clean = process_environment(tmp_path, environment)
    clean = {k: v for k, v in clean.items() if not k.startswith("COVERAGE")}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**clean, "PYTHONDONTWRITEBYTECODE": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def loaded(tmp_path, environment, *arguments, module="migrate"):
    """Return the names of all modules that a command loads, and their packages'."""
    process = start(tmp_path, environment, "-X", "importtime", "-m", module, *arguments)
    _, said = process.communicate()
    assert 0 == process.returncode, said
    names = set(re.findall(r"\| +([\w.]+)$", said, flags=re.MULTILINE))
    return names | {name.partition(".")[0] for name in names}


def cpu_seconds(tmp_path, environment, *arguments):
    """Return the processor's time of a whole process."""
    process = start(tmp_path, environment, *arguments)
    with process:
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert 0 == process.returncode
    return usage.ru_utime + usage.ru_stime


def test_help_loads_no_driver(tmp_path):
    """--help is argparse and words."""
    found = loaded(tmp_path, {}, "--help")

    assert "migrate.cli" in found
    assert set() == found & (NEVER_IN_VAIN | ONLY_FOR_WORK | ONLY_WITH_A_DATABASE)


def test_with_nothing_to_do_only_the_driver_is_loaded(tmp_path, a_thousand_applied):
    """Neither the splitter nor YAML, nor anything of Google."""
    found = loaded(tmp_path, a_thousand_applied, "apply")

    assert "psycopg2" in found
    assert set() == found & (NEVER_IN_VAIN | ONLY_FOR_WORK)


@pytest.mark.parametrize("verb", ["apply", "status"])
def test_nothing_to_do_takes_little_more_than_reading_the_history(
    tmp_path, a_thousand_applied, verb
):
    """At most 1.7 times the bare script, with a thousand applied, by the processor's time.

    Medians: on a busy machine the best of a few is luck, and the bare script's would count.
    """
    ours, bare = [], []
    for _ in range(40):
        ours.append(cpu_seconds(tmp_path, a_thousand_applied, "-m", "migrate", verb))
        bare.append(cpu_seconds(tmp_path, a_thousand_applied, MINIMUM, "history", "-"))
        if len(ours) > 2 and median(ours) <= 1.7 * median(bare):
            break

    assert median(ours) <= 1.7 * median(bare)


def test_help_takes_less_than_a_tenth_of_a_second(tmp_path):
    """Whole process, the processor's time."""
    spent = []
    for _ in range(8):
        spent.append(cpu_seconds(tmp_path, {}, "-m", "migrate", "--help"))
        if min(spent) < 0.1:
            break

    assert min(spent) < 0.1


def test_the_emulator_loads_the_types_of_google_and_no_client(tmp_path):
    """A client is there for each transport of each service, and takes a second."""
    found = loaded(tmp_path, {}, "--help", module="emulator")

    assert "google.cloud.run_v2.types" in found
    assert [] == [x for x in found if x.startswith("google.") and ".services" in x]
