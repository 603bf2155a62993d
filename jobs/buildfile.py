"""Read ``cloudbuild.migrate.yaml`` as it stands: what gcloud and a trigger would submit.

Called by `commands` and `looking`; `preflight_files` compares its times with those of an
environment.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.config import Target
from jobs.errors import BuildFileWrong

#: The steps the verdict rests on, in this order.
STEPS = ("build-image", "push-image", "run-migration", "cleanup-migration-job")


def load(path: str) -> Mapping[str, Any]:
    """Return the file's document. Raises `BuildFileWrong`."""
    import yaml  # noqa: PLC0415 - 10 ms that --help need not pay

    try:
        found = yaml.safe_load(Path(path).read_bytes())
    except OSError as error:
        raise BuildFileWrong(file=path, reason=error.strerror or str(error)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        reason = f"{line}it is not YAML: {getattr(error, 'problem', None) or error}"
        raise BuildFileWrong(file=path, reason=reason) from None
    if not isinstance(found, dict) or not isinstance(found.get("steps"), list):
        raise BuildFileWrong(file=path, reason="it has no list of steps")
    ids = [s.get("id", "") for s in found["steps"] if isinstance(s, dict)]
    if missing := [step for step in STEPS if step not in ids]:
        reason = f"it has no step {', '.join(missing)}"
        raise BuildFileWrong(file=path, reason=reason)
    return found


# --- its times ------------------------------------------------------------------------

_SECONDS = re.compile(r"([0-9]+)(?:\.[0-9]+)?s\Z")
#: What Cloud Build takes where a file says nothing.
_DEFAULT_S = 3600


def seconds(holder: Mapping[str, Any], name: str) -> int:
    """Return a duration of the file, of the build or of one step."""
    found = _SECONDS.match(str(holder.get(name, "")))
    return int(found[1]) if found else _DEFAULT_S


def differing_times(
    document: Mapping[str, Any], target: Target
) -> list[tuple[str, int, str, int]]:
    """Return (name in the file, its seconds, name in the environment, its seconds).

    Nothing of the file is overridden when it is submitted, because a trigger could not do
    the same; so both must say the same.
    """
    pairs = (
        ("timeout", "build_timeout", target.build_timeout_s),
        ("queueTtl", "queue_timeout", target.queue_timeout_s),
    )
    return [
        (name, found, key, asked)
        for name, key, asked in pairs
        if (found := seconds(document, name)) != asked
    ]


def step_is_short(
    document: Mapping[str, Any], target: Target
) -> tuple[int, int] | None:
    """Return (what the run step has, what it needs) in seconds, if that is more."""
    step = next(s for s in document["steps"] if s.get("id") == STEPS[2])
    has = seconds(step if "timeout" in step else document, "timeout")
    return (has, target.step_s) if has < target.step_s else None
