"""`make plan-pull-request`: what a change does to a database that is where its base is."""

import shutil
import subprocess
import sys

import pytest

from tests.fix_cli import CHECKOUT, process_environment
from tests.machine import scratch_directory

BASE = {"0001_users.sql": "CREATE TABLE users (id int);\n"}


@pytest.fixture
def planned(tmp_path):
    """Give a function: add files to a repository, and return exit code and the Markdown."""
    root, scratch = tmp_path / "repository", scratch_directory("plan-")
    (root / "scripts").mkdir(parents=True)
    (root / "migrations").mkdir()
    for name in ("throwaway_database.sh", "plan_pull_request.sh"):
        shutil.copy(CHECKOUT / "scripts" / name, root / "scripts")

    def put(files):
        for name, text in files.items():
            (root / "migrations" / name).write_text(text, encoding="utf-8")

    put(BASE)
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "base")):
        subprocess.run(["git", *words], cwd=root, check=True)

    def run(files):
        put(files)
        more = {"BASE": "HEAD", "PYTHON": sys.executable, "TMPDIR": str(scratch)}
        ran = subprocess.run(
            ["scripts/throwaway_database.sh", "scripts/plan_pull_request.sh"],
            cwd=root,
            env={**process_environment(root, more), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert [] == list(scratch.iterdir())
        return ran.returncode, ran.stdout

    yield run
    scratch.rmdir()


def test_what_the_base_has_is_applied_and_the_rest_is_planned_and_tried(planned):
    """The plan names the new file alone, and all of it is run; nothing is left of it."""
    code, told = planned({"0002_more.sql": "ALTER TABLE users ADD COLUMN name text;\n"})
    wrong, why = planned({"0003_bad.sql": "SELECT 1/0;\n"})

    assert 0 == code, told
    assert "to a database that is at `HEAD`" in told
    assert "0002  more  1 statements, transactional\n1 pending." in told
    assert "1 would apply; everything was rolled back" in told
    assert 7 == wrong
    assert "0003_bad.sql:1:1: division by zero" in why
