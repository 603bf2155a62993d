"""The verdict in the build's workspace: what step 3 tells step 4, even when it was killed.

Written before the job is made and again at the end; read by ``cleanup``. A file that says
``created`` means: the run step did not come to its end.
"""

import json
from pathlib import Path
from typing import NamedTuple

from jobs.errors import VerdictFileMissing

CREATED = "created"


class Note(NamedTuple):
    """What the file holds. ``state`` is an `Ending`'s word, or `CREATED`."""

    state: str
    job: str
    exit_code: int = 0
    execution: str = ""
    reason: str = ""

    @property
    def told(self) -> str:
        """The verdict in a line: its word, and what it rests on."""
        return self.state + (f": {self.reason}" if self.reason else "")


def write(path: Path, note: Note) -> None:
    """Write at once or not at all: a reader never sees half a file."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(note._asdict()) + "\n", encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> Note:
    """Read the file. Raises `VerdictFileMissing`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Note(**{k: v for k, v in found.items() if k in Note._fields})
    except (OSError, ValueError, TypeError, AttributeError):
        raise VerdictFileMissing(file=str(path)) from None
