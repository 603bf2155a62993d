"""Google's message types without Google's clients: a start costs a third.

Called by `__main__` before anything of Google's is imported, in the emulator's own process
and nowhere else. The package of an API imports every client it has, for each transport;
here a package is only the place where its ``types`` are found. Never changes a type.
"""

import importlib.util
import sys
from types import ModuleType

PACKAGES = (
    "google.cloud.artifactregistry_v1",
    "google.cloud.devtools.cloudbuild_v1",
    "google.cloud.iam_admin_v1",
    "google.cloud.logging_v2",
    "google.cloud.resourcemanager_v3",
    "google.cloud.run_v2",
    "google.cloud.secretmanager_v1",
    "google.cloud.service_usage_v1",
    "google.cloud.vpcaccess_v1",
)


def types_only() -> None:
    """Put a package without content in the place of each of Google's."""
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is not None and name not in sys.modules:
            empty = ModuleType(name)
            empty.__spec__, empty.__path__ = (
                found,
                found.submodule_search_locations or [],
            )
            sys.modules[name] = empty
