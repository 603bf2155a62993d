"""``make rehearse CONTAINERS=1``: the whole pipeline in containers, from the command line."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fix_cli import CHECKOUT, process_environment
from tests.fix_contained import SECONDS, variables
from tests.machine import scratch_directory

pytestmark = pytest.mark.timeout(900)
PARTS = (
    *("Makefile", "jobs", "migrate", "emulator", "requirements", "environments"),
    *("migrations", "Dockerfile.migrate", "cloudbuild.migrate.yaml", "pyproject.toml"),
)
RECORDED = CHECKOUT / "tests/golden/containers/rehearsal.txt"
VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12,64}\b", "ID"),
    (r"-[a-z0-9]{5}$", "-RUN"),
    (r"\b\d+ min \d+ s\b|\b\d+(?:\.\d+)? m?s\b", "TIME"),
    (r"\d+ files, \d+ KiB", "SIZE"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r" +", " "),
)


def steady(text):
    """Return the lines with what differs from run to run made equal."""
    lines = [line for line in text.splitlines() if not line.startswith("… waiting")]
    for pattern, replacement in VARYING:
        lines = [re.sub(pattern, replacement, line) for line in lines]
    return lines


#: Told when somebody looks, while the job's own lines come as they are written.
LOOKED_UP = re.compile(r" (job \S+|\S+@sha256:ID|execution \S+)")


def in_order(lines):
    """Return what has an order, and then, sorted, what has none."""
    free = [line for line in lines if LOOKED_UP.fullmatch(line)]
    return [line for line in lines if line not in free], sorted(free)


@pytest.fixture
def directory(runner_image, orchestrator_image, registry_data):
    """A checkout after ``make setup``, whose registry has the base image already.

    Not below pytest's own directory: the embedded server runs as another user, and every
    new run of pytest shuts that directory to others.
    """
    tmp_path = scratch_directory("rehearsal-")
    for name in PARTS:
        (tmp_path / name).symlink_to(CHECKOUT / name)
    (tmp_path / ".rehearsal").mkdir()
    (tmp_path / ".rehearsal/registry").symlink_to(registry_data)
    (tmp_path / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (tmp_path / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (tmp_path / ".venv/.complete").touch()
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_rehearsal_in_containers_ends_with_the_seeds_banner(
    directory, engine, contained, request
):
    """The same banner and timeline; it says what is real; nothing of it is left.

    What it prints is what docs/how-to/rehearse.md shows (``--update-golden`` records it).
    """
    ran = subprocess.run(
        ["make", "--no-print-directory", "rehearse", "CONTAINERS=1", "ARGS=--fresh"],
        cwd=directory,
        env=process_environment(directory, variables()),
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    if request.config.option.update_golden:
        RECORDED.write_text(ran.stdout, encoding="utf-8")
    recorded = in_order(steady(RECORDED.read_text(encoding="utf-8")))
    assert recorded == in_order(steady(ran.stdout))
    assert "steps and tasks are real containers of the engine at unix://" in ran.stderr
    assert "Host: /cloudsql/rehearsal-project:us-central1:rehearsal" in ran.stdout
    assert "  ✓ prompt_templates" in ran.stdout
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in ran.stdout
    assert "    cleanup-migration-job" in ran.stdout
    assert "1 applied" in ran.stdout.splitlines()[-1]
    names = engine.must("images", "--format={{.Repository}}")
    assert "rehearsal-project" not in names
    labelled = "--filter=label=cloudrun-migrate.emulator"
    assert "" == engine.must("ps", "--all", "--quiet", labelled)
