"""Under Cloud Run every line is JSON, numbered, and the last one is the end marker."""

import json
import signal

import pytest

from tests.observing import finish, holding, until_running, until_said, versions

SEVERITIES = {"DEBUG", "INFO", "WARNING", "ERROR"}
GOOD = {"0001_good.sql": "CREATE TABLE good (n int);"}
CLOUD_RUN = {
    "CLOUD_RUN_JOB": "dev-prompt-migration-1",
    "CLOUD_RUN_EXECUTION": "dev-prompt-migration-1-x7k2p",
    "CLOUD_RUN_TASK_INDEX": "0",
    "CLOUD_RUN_TASK_ATTEMPT": "0",
}


def lines_of(run):
    """Return the lines, once what holds for every run has been checked."""
    lines = [json.loads(line) for line in run.out.splitlines()]
    assert list(range(1, len(lines) + 1)) == [line["seq"] for line in lines]
    assert SEVERITIES >= {line["severity"] for line in lines}
    assert all(line["message"] for line in lines)
    assert 1 == len({line["run_id"] for line in lines})
    end = lines[-1]
    assert "End" == end["event"]
    assert ["End"] == [line["event"] for line in lines if line["event"] == "End"]
    assert run.exit == end["fields"]["exit_code"]
    assert ("INFO" if run.exit == 0 else "ERROR") == end["severity"]
    assert "Traceback" not in run.err
    return lines


@pytest.fixture
def run_container(run_migrate):
    """Run the container's entry point as Cloud Run would."""

    def run(directory, url, *args, **more):
        environment = {**CLOUD_RUN, "MIGRATE_DIR": str(directory), **more}
        if url:
            environment["DATABASE_URL"] = url
        return run_migrate(*args, module="migrate.run_migration", env=environment)

    return run


def test_success_is_told_line_by_line(blank_database, run_container, a_directory):
    """A good run: every event a line, the end marker with what was done."""
    run = run_container(a_directory(GOOD), blank_database.url)

    lines = lines_of(run)
    assert 0 == run.exit, run.err
    assert ["Connecting", "Connected", "Executing", "Applied", "Created", "End"] == [
        line["event"] for line in lines if line["event"] != "Progress"
    ]
    assert ["0001"] == [done["version"] for done in lines[-1]["fields"]["done"]]
    labels = lines[0]["logging.googleapis.com/labels"]
    assert CLOUD_RUN["CLOUD_RUN_EXECUTION"] in labels.values()


def test_nothing_pending_is_a_success(blank_database, run_container, a_directory):
    """A run with nothing to do ends with the marker, too."""
    directory = a_directory(GOOD)
    run_container(directory, blank_database.url)

    run = run_container(directory, blank_database.url)

    assert [] == lines_of(run)[-1]["fields"]["done"]
    assert 0 == run.exit, run.err


def test_failing_statement_is_told(blank_database, run_container, a_directory):
    """A failure: an ERROR line that points into the file, then the end marker."""
    directory = a_directory({**GOOD, "0002_bad.sql": "SELECT 1;\nSELECT wrong;"})

    run = run_container(directory, blank_database.url)

    lines = lines_of(run)
    assert 7 == run.exit
    assert "0002_bad.sql:2:8" in lines[-2]["message"]
    assert "ERROR" == lines[-2]["severity"]
    assert "0002_bad.sql" == lines[-1]["fields"]["failed"]
    assert "statement-failed" == lines[-1]["fields"]["error"]


@pytest.mark.parametrize(
    ("url", "more", "code"),
    [
        ("postgresql://u:pw@127.0.0.1:1/d", {"MIGRATE_WAIT": "0"}, 6),
        ("", {}, 2),
        ("mysql://u@h/d", {}, 2),
        ("postgresql://u@h/d", {"MIGRATE_WAIT": "soon"}, 2),
        ("postgresql://u@h/d", {"MIGRATE_ENV": "nowhere"}, 2),
        ("postgresql://u@h/d", {"MIGRATE_DIR": "nowhere"}, 3),
        ("postgresql://u@h/d", {"MIGRATE_OUTPUT": "xml"}, 2),
    ],
    ids=[
        "unreachable",
        "no url",
        "bad url",
        "bad setting",
        "env",
        "directory",
        "output",
    ],
)
def test_failure_before_the_first_session_has_its_end_marker(
    run_container, a_directory, url, more, code
):
    """Whatever keeps a run from beginning is told in JSON, with the end marker."""
    run = run_container(a_directory(GOOD), url, **more)

    lines = lines_of(run)
    assert code == run.exit
    assert "ERROR" == lines[-2]["severity"]
    assert lines[-1]["fields"]["message"] in lines[-2]["message"]


def test_wrong_argument_has_its_end_marker(run_container, a_directory):
    """An argument that does not exist is told in JSON, too."""
    run = run_container(a_directory(GOOD), "", "--no-such-option")

    assert 2 == run.exit
    assert "--no-such-option" in lines_of(run)[-2]["message"]


def test_signal_has_its_end_marker(blank_database, start_migrate, a_directory):
    """SIGTERM in the middle of a statement: the last line is the end marker."""
    directory = a_directory({"0001_long.sql": "SELECT pg_sleep(60);"})
    process = start_migrate(
        module="migrate.run_migration",
        env={
            **CLOUD_RUN,
            "MIGRATE_DIR": str(directory),
            "DATABASE_URL": blank_database.url,
        },
    )
    until_running(blank_database, "pg_sleep(60)")

    process.send_signal(signal.SIGTERM)
    run = finish(process)

    assert 7 == run.exit
    assert "SIGTERM" in lines_of(run)[-1]["fields"]["message"]


def test_lines_of_two_threads_keep_their_numbers_in_order(
    blank_database, run_container, a_directory
):
    """What the watching thread tells stands in line with what the run tells."""
    blank_database.psql("CREATE TABLE busy (n int)")
    directory = a_directory({"0001_alter.sql": "ALTER TABLE busy ADD COLUMN m int;"})
    with holding(blank_database, "SELECT 1 FROM busy"):
        run = run_container(
            directory,
            blank_database.url,
            MIGRATE_LOCK_TIMEOUT="400ms",
            MIGRATE_LOCK_TRIES="2",
        )

    events = [line["event"] for line in lines_of(run)]
    assert 7 == run.exit
    assert {"Blocked", "Retrying"} <= set(events)


def test_container_on_a_laptop_prints_text(blank_database, run_migrate, a_directory):
    """Without CLOUD_RUN_JOB the same entry point prints lines for people."""
    run = run_migrate(
        module="migrate.run_migration",
        env={"MIGRATE_DIR": str(a_directory(GOOD)), "DATABASE_URL": blank_database.url},
    )

    assert 0 == run.exit, run.err
    assert run.out.startswith("[Migration] Connecting to database...")
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in run.out


def test_retried_task_cannot_apply_twice(blank_database, start_migrate, a_directory):
    """A task that is retried while its first attempt still works waits for it."""
    directory = a_directory(
        {"0001_once.sql": "CREATE TABLE once AS SELECT 1 AS n;\nSELECT FROM gate;"}
    )
    environment = {
        **CLOUD_RUN,
        "DATABASE_URL": blank_database.url,
        "MIGRATE_DIR": str(directory),
        "MIGRATE_LOCK_TIMEOUT": "0",
    }
    retry = {**environment, "CLOUD_RUN_TASK_ATTEMPT": "1"}
    module = "migrate.run_migration"

    blank_database.psql("CREATE TABLE gate ()")

    with holding(blank_database, "LOCK gate"):
        first = start_migrate(module=module, env=environment)
        until_running(blank_database, "FROM gate")
        second = start_migrate(module=module, env=retry)
        until_said(second, "WaitingForLock")

    assert 0 == finish(first).exit
    ended = finish(second)
    assert 0 == ended.exit, ended.err
    assert [] == json.loads(ended.out.splitlines()[-1])["fields"]["done"]
    assert ["0001"] == versions(blank_database)
    assert [(1,)] == blank_database.rows("SELECT count(*) FROM once")
