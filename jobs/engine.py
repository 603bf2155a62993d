"""The engine as a program: ``python -m migrate …``, asked and not imported.

Called by `looking`, `upkeep` and `vault`. An address goes to it by its environment and
nowhere else; what it says never holds a password. Never lets it change anything.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from migrate.errors import ExitCode

#: What of our own environment it needs to start at all.
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")


class Answer(NamedTuple):
    """How it ended; ``said`` is the first line of what was wrong.

    ``late``: it was stopped when its time was over, so that nothing is known.
    """

    exit_code: int
    out: str = ""
    said: str = ""
    late: bool = False

    def json(self) -> Any:
        """Return what it printed, read; None when that is no JSON."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None


def ask(  # noqa: PLR0917 - a command, and the world it runs in
    arguments: Sequence[str],
    root: Path,
    environment: Mapping[str, str],
    url: str = "",
    variables: Mapping[str, str] | None = None,
    seconds: float = 20.0,
) -> Answer:
    """Run one command of the engine in a directory, on the database of an address."""
    given = {name: environment[name] for name in _KEPT if name in environment}
    if url:
        given |= {**(variables or {}), "DATABASE_URL": url}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "migrate", *arguments],
            cwd=root,
            env={**given, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        said = f"there was no answer within {seconds:.0f} s"
        return Answer(int(ExitCode.UNREACHABLE), "", said, late=True)
    answer = Answer(ran.returncode, ran.stdout)
    return (
        answer
        if ran.returncode == 0
        else answer._replace(said=_why(answer, ran.stderr))
    )


def _why(answer: Answer, err: str) -> str:
    """Return what was wrong: an error stands in the JSON that was asked for, or in ``err``."""
    told = answer.json()
    if isinstance(told, dict) and "message" in told:
        return str(told["message"])
    return next(iter(err.splitlines()), "it said nothing").removeprefix("error: ")
