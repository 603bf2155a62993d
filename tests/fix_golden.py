"""Golden files: what was printed once, read by a person, must be printed again.

``golden(actual, "cli/status.txt")`` compares with ``tests/golden/cli/status.txt``;
``pytest --update-golden`` writes it instead, except in CI. What varies between runs (a
clock, an id) is fixed by the caller, never replaced here.
"""

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parent / "golden"


def pytest_addoption(parser):
    """Let a developer accept what is printed now."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden/ anew; read the difference before you commit it",
    )


def pytest_configure(config):
    """Refuse to rewrite the expectations where nobody reads the difference."""
    if config.option.update_golden and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused while CI is set")


@pytest.fixture
def golden(request) -> Callable[[str, str], None]:
    """Compare text with a golden file, named relative to ``tests/golden``."""

    def compare(actual: str, name: str) -> None:
        file = GOLDEN / name
        if request.config.option.update_golden:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(actual.encode())
            return
        expected = file.read_bytes().decode() if file.exists() else ""
        if expected == actual:
            return
        difference = difflib.unified_diff(
            expected.splitlines(keepends=True),
            actual.splitlines(keepends=True),
            f"golden/{name}",
            "printed now",
        )
        pytest.fail("".join(difference), pytrace=False)

    return compare
