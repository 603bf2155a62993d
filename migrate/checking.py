"""``plan --check-files``: read a directory as a run would, and ask no database.

Called by the faces; by the image's build, so that a wrong or missing file ends the build
and not the job; and by the orchestrator's preflight, in a process of its own.
"""

import contextlib
from collections.abc import Sequence

from migrate.config import Settings
from migrate.errors import EmptyFile
from migrate.migration import Migration, Script
from migrate.parse import parse_script
from migrate.plan import Selection, make_plan
from migrate.runner import load_scripts
from migrate.source import open_file, read_directory


def check_files(settings: Settings, selection: Selection) -> list[Script]:
    """Return what stands in the directory, every file read: migrations, undos, checks.

    What only a history can tell is not judged: which of them are pending, and whether a
    required version older than all that is here was applied before. Raises `SourceError`,
    and `UnknownVersion` when the selection names nothing in the directory.
    """
    migrations = read_directory(settings.dir)
    make_plan(migrations, (), selection)
    numbers = [int(m.version) for m in migrations if m.version.isdigit()]
    scripts = load_scripts(migrations, (), unknown_below=min(numbers, default=0))
    _read_undos(migrations)
    return scripts


def _read_undos(migrations: Sequence[Migration]) -> None:
    for migration in migrations:
        if migration.undo_path is not None:
            undo = migration._replace(path=migration.undo_path)
            # One without a statement stops no run: rollback says that nothing is undone.
            with contextlib.suppress(EmptyFile), open_file(undo.path) as stream:
                parse_script(undo, stream)
