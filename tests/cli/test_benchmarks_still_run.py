"""``python -m benchmarks`` works, so that it can be trusted when somebody needs it."""

import subprocess
import sys

from tests.fix_cli import CHECKOUT, process_environment


def bench(tmp_path, server, *arguments):
    """Run the benchmarks on a test's server."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    command += ["--server", server.url("postgres"), "--no-peers", "--rounds", "1"]
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env=process_environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contender_finishes_the_smallest_workload(postgres_server, tmp_path):
    """Ten tiny migrations are measured for the minimum, psql and ours, in both modes."""
    left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'benchmark%'"

    ran = bench(tmp_path, postgres_server, "W1", "--size", "10", "--most", "0.01")
    rows = [line.split(" | ")[0] for line in ran.stdout.splitlines() if " MB |" in line]

    assert 1 == ran.returncode, ran.stderr  # nobody is a hundred times the minimum
    assert "W1: 10: ours takes " in ran.stderr
    assert ran.stderr.endswith("times the minimum, more than 0.01\n")
    assert "### W1: 10\n" in ran.stdout
    assert "### W1: 10, one transaction\n" in ran.stdout
    assert [
        "| minimum",
        "| psql",
        "| ours",
        "| minimum",
        "| psql",
        "| ours",
        "| ours, the default",
    ] == rows
    assert "0\n" == postgres_server.psql("postgres", left)


def test_a_contender_that_fails_is_not_measured(postgres_server, tmp_path):
    """The measurement ends with 1, and says which process failed and what it said."""
    # An empty directory: the minimum and psql have nothing to do, ours refuses it.
    ran = bench(tmp_path, postgres_server, "W1", "--size", "0")

    assert 1 == ran.returncode
    assert "W1: 0: exit 3: " in ran.stderr
    assert "there is no migration" in ran.stderr
    assert "| ours |" not in ran.stdout
