"""SIGTERM to the container: what Cloud Run sends when a task's time is over."""

import json
import time

import pytest

GRACE = 8  # Cloud Run waits ten seconds before it kills; the engine promises eight
FAILED = 7


@pytest.fixture
def task(engine, runner_image, postgres, database, tmp_path):
    """Start a task over migrations of the test's own; give the container's name."""
    names: list[str] = []

    def start(files):
        directory = tmp_path / f"migrations{len(names)}"
        directory.mkdir(mode=0o755)
        for name, text in files.items():
            (directory / name).write_text(text)
        given = {"DATABASE_URL": postgres.url(database), "CLOUD_RUN_JOB": "a-job"}
        variables = [f"--env={name}={value}" for name, value in given.items()]
        name = engine.must(
            *("run", "--detach", "--read-only", "--cap-drop=ALL"),
            *("--security-opt=no-new-privileges", "--network", postgres.network),
            *("--volume", f"{directory}:/app/migrations:ro", *variables, runner_image),
        )
        names.append(name)
        return name

    tmp_path.chmod(0o755)
    yield start
    for name in names:
        engine.docker("rm", "--force", name)


@pytest.fixture
def ask(engine, postgres, database):
    """Ask the database: ``ask("SELECT 1")`` gives ``"1"``."""
    words = ("exec", postgres.name, "psql", "--username=postgres", "-XAtc")

    def asked(question):
        return engine.must(*words, question, database)

    return asked


def test_a_stopped_task_is_rolled_back_released_and_tells(engine, task, ask):
    """The statement is cancelled, the lock is free at once, the end marker is logged."""
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    slow = task({"0001_slow.sql": "CREATE TABLE half ();\nSELECT pg_sleep(60);"})
    deadline = time.monotonic() + 30
    while ask(f"{others} AND query LIKE '%pg_sleep(60)%'") == "0":
        assert time.monotonic() < deadline, engine.docker("logs", slow).stdout
        time.sleep(0.2)

    began = time.monotonic()
    engine.must("stop", "--time=30", slow)
    took = time.monotonic() - began
    code = engine.must("wait", slow)
    lines = [json.loads(s) for s in engine.docker("logs", slow).stdout.splitlines()]
    left = ask(others)
    after = engine.must("wait", task({"0001_slow.sql": "CREATE TABLE whole ();"}))

    assert took < GRACE
    assert str(FAILED) == code
    assert ("End", FAILED) == (lines[-1]["event"], lines[-1]["fields"]["exit_code"])
    assert list(range(1, len(lines) + 1)) == [line["seq"] for line in lines]
    assert "0" == left
    assert "0" == after
    assert "whole" == ask(
        "SELECT relname FROM pg_class WHERE relname IN ('half', 'whole')"
    )
