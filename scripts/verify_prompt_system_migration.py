"""Verify the prompt system's migration. Exit: 0 right, 1 wrong, 2 no connection."""

import os
import signal
import sys
from errno import EBADF, EPIPE
from pathlib import Path

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C does not wait for the server
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a bare checkout

from prompts import arguments, errors  # noqa: E402 (the lines above come first)
from verification import report  # noqa: E402


def main() -> int:
    """Print the report on one database."""
    parser = arguments.Parser(description=__doc__)
    url = os.environ.get("DATABASE_URL")
    parser.add_argument("--database-url", default=url, required=not url)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    try:
        sections = report.verify(given.database_url)
    except errors.ConnectionFailedError as error:
        print(error, file=sys.stderr)
        return 2
    told = report.as_json if given.json else report.as_text
    try:
        with open(1, "w", encoding="utf-8", closefd=False) as out:
            out.write(told(sections) + "\n")
    except OSError as error:
        if error.errno not in {EPIPE, EBADF}:  # the reader left: the verdict stands
            raise
    return 0 if all(section.passed for section in sections) else 1


if __name__ == "__main__":
    sys.exit(main())
