"""Read ``cloudbuild.migrate.yaml`` as it stands: what gcloud and a trigger would submit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
