"""``python -m prompts``: one line that calls the command line."""

import sys

from prompts.cli import main

if __name__ == "__main__":
    sys.exit(main())
