"""``lock_timeout`` and ``statement_timeout``: the setting, the directive, and their end."""

import contextlib
import time

import pytest

SHOW = (
    "CREATE TABLE {} AS SELECT current_setting('lock_timeout') AS lock,"
    " current_setting('statement_timeout') AS statement;"
)


def test_a_directive_holds_for_its_file_alone(project):
    """The next file has the run's own limits again."""
    project.write(
        {
            "0001_a.sql": "-- migrate: lock_timeout=750ms\n"
            "-- migrate: statement_timeout=2min\n" + SHOW.format("a"),
            "0002_b.sql": SHOW.format("b"),
            "0003_c.sql": "-- migrate: lock_timeout=0\n"
            "-- migrate: transaction=false\n" + SHOW.format("c"),
        }
    )

    finished = project("apply", "--lock-timeout", "3s", "--statement-timeout", "1h")
    seen = {
        table: project.database.rows(f"SELECT lock, statement FROM {table}")[0]
        for table in "abc"
    }

    assert 0 == finished.exit, finished.err
    assert {"a": ("750ms", "2min"), "b": ("3s", "1h"), "c": ("0", "1h")} == seen


def test_the_defaults_are_five_seconds_for_locks_and_none_for_statements(project):
    """Traffic is protected without anybody asking for it."""
    project.write({"0001_a.sql": SHOW.format("a")})

    assert 0 == project("apply").exit

    assert [("5s", "0")] == project.database.rows("SELECT lock, statement FROM a")


def test_a_statement_that_runs_too_long_is_cancelled_and_rolled_back(project):
    """The error names the statement; nothing is left."""
    project.write(
        {
            "0001_a.sql": "-- migrate: statement_timeout=100ms\n"
            "CREATE TABLE a ();\nSELECT pg_sleep(30);\n"
        }
    )

    failed = project("apply")

    assert 7 == failed.exit
    assert "0001_a.sql:3:1: canceling statement due to statement timeout" in failed.err
    assert "SQLSTATE 57014" in failed.err
    assert ["schema_migrations"] == project.tables()


@pytest.mark.parametrize("mode", ["", "-- migrate: transaction=false\n"])
def test_a_lock_that_does_not_come_ends_the_wait_and_names_the_blocker(project, mode):
    """After its tries the run gives up, says who held the lock, and leaves nothing."""
    project.database.psql("CREATE TABLE busy (id int)")
    project.write(
        {
            "0001_a.sql": f"-- migrate: lock_timeout=600ms\n{mode}"
            "ALTER TABLE busy ADD COLUMN x int;"
        }
    )
    with contextlib.closing(project.database.connect(application_name="shop")) as other:
        other.cursor().execute("SELECT * FROM busy")
        began = time.monotonic()

        failed = project("apply", "--lock-tries", "1")

        elapsed = time.monotonic() - began

    assert (8 if mode else 7) == failed.exit
    assert "SQLSTATE 55P03" in failed.err
    assert "(shop, user postgres, idle in transaction" in failed.err
    assert 0.6 <= elapsed < 5
    assert [] == project.database.rows(
        "SELECT 1 FROM pg_attribute WHERE attname = 'x' AND attrelid = 'busy'::regclass"
    )
