"""A clean environment for every test, and the hypothesis profiles.

Nothing a developer has exported (a database, a project, a time zone) may decide whether
a test passes. Never touches a file or a socket.
"""

import os
import signal
import time

import hypothesis
import pytest

OWNED = ("MIGRATE_", "PG", "CLOUD_RUN_", "GOOGLE_", "JOBS_")
OWNED_EXACTLY = ("DATABASE_URL", "ENV", "K_SERVICE", "BUILD_ID", "COMMIT_SHA")

# A shell lets what runs in its background ignore SIGINT, and every child inherits that:
# no Ctrl-C of a test would be heard.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Servers run as another account, so they are forked and not spawned. gRPC would start its
# threads again in such a child, and end it before it becomes the server.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=300, deadline=None)
hypothesis.settings.register_profile("nightly", max_examples=5000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def is_owned(name: str) -> bool:
    """Tell whether a variable could steer the program under test."""
    return name.startswith(OWNED) or name in OWNED_EXACTLY


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Remove every variable that steers the program, and stand in UTC."""
    for name in list(os.environ):
        if is_owned(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
