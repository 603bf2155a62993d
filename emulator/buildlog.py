"""A line of a build's log as an entry of Cloud Logging. Called for each line."""

from google.cloud.devtools.cloudbuild_v1.types import Build

from emulator.entries import Entry
from emulator.filters import SEVERITIES
from emulator.moments import now_ns


def log_entry(build: Build, text: str, severity: str, step: str) -> Entry:
    """A line of a build's log."""
    return Entry(
        log_name=f"projects/{build.project_id}/logs/cloudbuild",
        resource_type="build",
        resource_labels={
            "project_id": build.project_id,
            "build_id": build.id,
            "build_trigger_id": build.build_trigger_id,
        },
        timestamp=now_ns(),
        severity=SEVERITIES[severity],
        insert_id="",
        payload=text,
        labels={"build_step": step} if step else {},
    )
