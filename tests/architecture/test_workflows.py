"""The workflows do what their page says: pinned, with few rights, each job a make target."""

import json
import os
import re
import runpy
import subprocess
import sys

import pytest
import yaml

from tests.fix_cli import CHECKOUT

DIRECTORY = CHECKOUT / ".github/workflows"
FILES = sorted(DIRECTORY.glob("*.yml"))
SUMMARY = CHECKOUT / "scripts/summarise_checks.py"
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def workflow(name):
    """Return a workflow; `on` is not the YAML 1.1 word for true."""
    text = (DIRECTORY / name).read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)


def checks():
    """Return the checks that the summary knows, with their minutes."""
    text = SUMMARY.read_text(encoding="utf-8")
    found = re.findall(r'^    "([a-z-]+)": (\d+),$', text, re.MULTILINE)
    return {name: int(minutes) for name, minutes in found}


def summary(**results):
    """Let the summary judge what jobs said; return its exit code and its words."""
    needs = {name: {"result": results.get(name, "success")} for name in checks()}
    ran = subprocess.run(
        [sys.executable, SUMMARY],
        env={"PATH": os.environ["PATH"], "NEEDS": json.dumps(needs)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_to_a_commit(file):
    """A tag may move; the version behind it is for people."""
    lines = file.read_text(encoding="utf-8").splitlines()
    used = [line for line in lines if re.search(r"\buses:", line)]

    assert used
    assert [] == [line for line in used if not PINNED.search(line)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_workflow_knows_a_secret_or_trusts_a_fork(file):
    """Workload identity needs none; a fork's code never runs with rights of ours."""
    text = file.read_text(encoding="utf-8")
    found = workflow(file.name)

    assert "secrets." not in text
    assert "credentials_json" not in text
    assert "pull_request_target" not in found["on"]
    assert [] == [
        step
        for job in found["jobs"].values()
        for step in job["steps"]
        if "${{" in step.get("run", "")
    ]


def test_each_job_of_a_migration_has_the_rights_it_needs():
    """What runs a stranger's code may read; what may write runs nobody's code."""
    found = workflow("migrate.yml")
    jobs = found["jobs"]

    assert {} == found["permissions"]
    assert {
        "plan": {"contents": "read"},
        "comment": {"pull-requests": "write"},
        "launch": {"contents": "read", "id-token": "write"},
    } == {name: job["permissions"] for name, job in jobs.items()}
    assert "checkout" not in json.dumps(jobs["comment"])
    assert "github.event_name != 'pull_request'" == jobs["launch"]["if"]
    assert "environment" in jobs["launch"]
    assert "false" == jobs["launch"]["concurrency"]["cancel-in-progress"]


def test_the_six_jobs_are_make_targets_with_their_minutes():
    """The five checks, as long as they were planned, and the summary of all of them."""
    jobs = workflow("verify-prompt-system.yml")["jobs"]
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")

    assert [*checks(), "summary"] == list(jobs)
    assert checks() == {n: int(jobs[n]["timeout-minutes"]) for n in checks()}
    assert [10, 15, 20, 30, 10] == list(checks().values())
    assert list(checks()) == jobs["summary"]["needs"]
    assert "always()" == jobs["summary"]["if"]
    for name, job in jobs.items():
        assert f"make --no-print-directory {name}" == job["steps"][-1]["run"]
        assert f"\n{name}:" in makefile


def test_the_summary_fails_unless_every_check_succeeded():
    """A check that was skipped or cancelled has not succeeded."""
    assert 0 == summary()[0]
    for result in ("failure", "cancelled", "skipped"):
        code, said = summary(**{"verify-schema": result})
        assert 1 == code
        assert f"| verify-schema | {result} |" in said


def test_the_summary_runs_the_checks_where_nobody_has(tmp_path, monkeypatch):
    """On a laptop: each as a make target, and the first that fails is not the last."""
    program = tmp_path / "make"
    program.write_text(
        "#!/bin/sh\n[ $2 != verify-monitoring ] || exit 2\n", encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("NEEDS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))

    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SUMMARY))

    told = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert ended.value.code
    assert "| verify-monitoring | failure, exit code 2 |" in told
    assert 4 == told.count("| success, 0 s |")
