"""``python -m jobs``: the orchestrator's command line."""

import sys

from jobs.cli import main

sys.exit(main())
