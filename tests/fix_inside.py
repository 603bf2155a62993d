"""The command line inside the test's own process, where the process is not the point.

``migrate_inside`` is what the ring database runs, and in the ring cli the tables of cases
that differ by a file: each start of a process would cost a tenth of a second of Python's.
What belongs to a process (its streams, signals, environment, exit) is asked of a process.
"""

import gc
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from migrate.cli import main
from tests.fix_cli import Finished, process_environment


def pytest_collection_modifyitems(items):
    """End the process of a test that hangs: no signal wakes what waits in libpq."""
    for item in items:
        if "migrate_inside" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(method="thread"))


@pytest.fixture
def migrate_inside(tmp_path, monkeypatch) -> Callable[..., Finished]:
    """Run ``python -m migrate …`` as `fix_cli` does, without the process."""

    def run(
        *args: object,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str = "",  # noqa: A002 - the name subprocess gives it
    ) -> Finished:
        out, err = _stream(), _stream()
        threshold = gc.get_threshold()
        with monkeypatch.context() as patch:
            for name in set(os.environ) - {"PYTEST_CURRENT_TEST"}:
                patch.delenv(name)
            for name, value in process_environment(tmp_path, env or {}).items():
                patch.setenv(name, value)
            patch.chdir(cwd or tmp_path)
            patch.setattr("sys.stdin", io.StringIO(input))
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            try:
                code = main([str(argument) for argument in args])
            except SystemExit as exit_:  # --help
                code = int(exit_.code or 0)
        gc.set_threshold(*threshold)
        return Finished(code, _text(out), _text(err))

    return run


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
