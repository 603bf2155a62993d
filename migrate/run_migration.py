"""What the container starts: apply, with every setting from the environment.

A thin face over the engine, ``python -m migrate.run_migration``. Under Cloud Run
(CLOUD_RUN_JOB is set) it speaks JSON lines, the last of which is the end marker; anywhere
else it prints lines for people. Its exit code is the engine's (docs/reference/exit-codes.md).
"""

import os
import sys

from migrate.cli import main as command_line
from migrate.streams import leave


def main() -> int:
    """Apply what is pending; return the exit code."""
    output = "json" if os.environ.get("CLOUD_RUN_JOB") else "text"
    chosen = os.environ.get("MIGRATE_OUTPUT") or output
    return command_line(
        ["apply", "--output", chosen, *sys.argv[1:]], in_json=output == "json"
    )


if __name__ == "__main__":
    leave(main())
