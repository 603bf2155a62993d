"""A full disk or a closed output stops no work, and hides no result."""

import json
import subprocess
import sys

import pytest

from tests.fix_cli import process_environment

FILES = {f"000{n}_t{n}.sql": f"CREATE TABLE t{n} ();" for n in range(1, 4)}
ALL = ["schema_migrations", "t1", "t2", "t3"]


def run(project, tmp_path, redirection, *arguments):
    """Run ``python -m migrate`` in a shell with its output redirected."""
    environment = process_environment(
        tmp_path,
        {
            "DATABASE_URL": project.database.url,
            "MIGRATE_DIR": str(project.directory),
            "PYTHON": sys.executable,
        },
    )
    command = f'"$PYTHON" -m migrate {" ".join(arguments)} {redirection}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
    ids=["a full disk", "closed"],
)
def test_the_work_is_done_and_the_loss_is_said(
    project, tmp_path, redirection, reason, output
):
    """Everything is applied, exit 0; one warning on the error stream, no traceback."""
    project.write(FILES)

    ran = run(project, tmp_path, redirection, "apply", "--output", output)

    assert ALL == project.tables()
    assert 3 == len(project.history())
    assert 0 == ran.returncode, ran.stderr
    assert "output ended early" in ran.stderr
    assert reason in ran.stderr
    assert "the run went on to its end" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert 1 == len(ran.stderr.splitlines())


def test_a_reader_that_hangs_up_stops_nothing(project, tmp_path):
    """``apply | head -1``: the reader has gone, the migrations are applied all the same."""
    project.write(FILES)

    ran = run(project, tmp_path, "| head -1", "apply")

    assert "[Migration] Connecting to database...\n" == ran.stdout
    assert ALL == project.tables()
    assert "Traceback" not in ran.stderr


def test_a_failure_keeps_its_exit_code_without_any_output(project, tmp_path):
    """Both streams closed: the exit code is all there is, and it is right."""
    project.write({**FILES, "0002_t2.sql": "SELECT 1/0;"})

    ran = run(project, tmp_path, ">&- 2>&-", "apply")

    assert 7 == ran.returncode
    assert [("0001", "applied")] == project.history()


@pytest.mark.parametrize(
    "verb", ["status", "plan", "verify", "doctor", "status --check"]
)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true"])
def test_verbs_whose_answer_is_their_output_do_not_crash(
    project, tmp_path, verb, redirection
):
    """Where the answer cannot be written there is no traceback, nor a false success."""
    project.write(FILES)

    ran = run(project, tmp_path, redirection, verb)

    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    if redirection == ">/dev/full":
        assert ran.returncode == (9 if "--check" in verb else 7)
        assert "the answer could not be written" in ran.stderr


def test_the_end_marker_is_the_last_line_even_of_a_failure(project):
    """The last JSON line says how it ended; every line before it has its number."""
    project.write({**FILES, "0002_t2.sql": "SELECT 1/0;"})

    failed = project("apply", "--output", "json")
    lines = [json.loads(line) for line in failed.out.splitlines()]

    assert "End" == lines[-1]["event"]
    assert 7 == lines[-1]["fields"]["exit_code"]
    assert list(range(1, len(lines) + 1)) == [line["seq"] for line in lines]
    assert 1 == len({line["run_id"] for line in lines})


def test_a_narrow_locale_does_not_garble_or_stop_it(project, tmp_path):
    """What the terminal cannot show is written as its number, and nothing is lost."""
    project.write({"0001_a.sql": "DO $$ BEGIN RAISE NOTICE 'größer ✓'; END $$;"})
    environment = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}

    ran = project("apply", env={**environment, "PYTHONCOERCECLOCALE": "0"})

    assert 0 == ran.exit, ran.err
    assert "gr\\xf6\\xdfer \\u2713" in ran.out
    assert "\\u2713 MIGRATION COMPLETED SUCCESSFULLY" in ran.out
    assert "" == ran.err
