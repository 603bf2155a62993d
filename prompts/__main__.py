"""``python -m prompts``: a line that calls the command line."""

import signal
import sys

from prompts.cli import main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is no reason for a traceback
    sys.exit(main())
