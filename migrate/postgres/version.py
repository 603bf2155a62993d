"""The version of this package, which every entry of the history names.

Called by `worker` and the runner's repairs. Reads the names of directories, nothing else.
"""

import contextlib
import os
import sys

_PACKAGE = "cloudrun_migrate-"


def tool_version() -> str:
    """Return the version of this package, as installed.

    Read from the name of the directory that says so: importlib.metadata would take longer
    to load than everything else that is ours.
    """
    for place in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(place or "."):
                if name.startswith(_PACKAGE) and name.endswith(".dist-info"):
                    return name.removeprefix(_PACKAGE).removesuffix(".dist-info")
    return "0+unknown"
