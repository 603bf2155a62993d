"""``python -m jobs``: the orchestrator's command line."""

import gc
import sys

from jobs.cli import main

# Google's clients are loaded once and stay. To look through them for rubbish, again and
# again while they load and once more at the end, is a fifth of what a command costs.
gc.set_threshold(100_000)
code = main()
gc.freeze()
sys.exit(code)
