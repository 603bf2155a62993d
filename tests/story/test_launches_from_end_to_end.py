"""``python -m jobs launch`` as a person types it: emulator, build, engine, a real database."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.fix_cli import CHECKOUT, process_environment

GOOD = "CREATE TABLE users (id int PRIMARY KEY);\n"
SLOW = "SELECT pg_sleep(300);\n"


def test_a_launch_applies_and_cleans_up(checkout):
    """Exit 0, the seeds' banner, the timeline, no job left; a second time nothing pends."""
    checkout.migration("0001_users.sql", GOOD)

    first, said = checkout.jobs("launch", "rehearsal")
    second, said_again = checkout.jobs("launch", "rehearsal", "--output", "json")

    assert 0 == first, said
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in said
    assert "[Verification] Created tables:\n  ✓ users" in said
    assert "    cleanup-migration-job" in said
    assert "rehearsal: succeeded in" in said.splitlines()[-1]
    assert [] == checkout.left()
    assert 0 == second, said_again
    last = json.loads(said_again.splitlines()[-1])
    assert ("LaunchEnded", 0) == (last["event"], last["done"])
    row = checkout.database.rows(
        "SELECT build_id IS NOT NULL, execution IS NOT NULL FROM schema_migrations"
    )
    assert [(True, True)] == row


def test_seven_stays_seven_through_all_layers(checkout):
    """Process, task, step, build, launch; and the failing line is shown."""
    checkout.migration("0001_users.sql", GOOD + "SELECT 1/0;\n")

    code, said = checkout.jobs("launch", "rehearsal")

    assert 7 == code, said
    assert "0001_users.sql:2:1: division by zero" in said
    assert "✗ MIGRATION FAILED" in said
    assert [] == checkout.left()


def until_line(process, wanted):
    """Read a process's output up to a line; return what was read."""
    read = []
    for line in process.stdout:
        read.append(line)
        if wanted in line:
            return read
    pytest.fail("".join(read))


def test_what_a_killed_launch_left_can_be_cancelled(checkout):
    """Its build goes on without it, until somebody cancels it; then one launches again."""
    checkout.migration("0001_slow.sql", GOOD + SLOW)
    process = checkout.start("launch", "rehearsal")
    until_line(process, "Executing SQL migration")
    process.kill()
    process.communicate()
    build = next(b["id"] for b in checkout.emulator.state()["builds"])
    standing = checkout.left()
    cancelled, said = checkout.jobs("cancel", "rehearsal")

    code, told = checkout.next_launch()

    assert 1 == len(standing)
    assert 0 == cancelled, said
    assert build in said
    assert 21 == code, told
    assert [] == checkout.left()


def test_without_credentials_the_cure_is_named_at_once(checkout, tmp_path):
    """In under two seconds, with the two commands."""
    environment = process_environment(tmp_path, {"GCE_METADATA_HOST": "127.0.0.1:1"})
    text = (CHECKOUT / "environments/dev.yaml").read_text(encoding="utf-8")
    (checkout.directory / "environments/dev.yaml").write_text(text, encoding="utf-8")

    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "jobs", "launch", "dev"],
        cwd=checkout.directory,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    spent = time.monotonic() - began

    assert 6 == ran.returncode
    assert "→ gcloud auth application-default login\n" in ran.stderr
    assert "→ gcloud auth application-default set-quota-project acme-mig" in ran.stderr
    assert spent < 2
    assert os.sep not in ran.stdout
