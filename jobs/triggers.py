"""The build trigger of an environment, as Cloud Build is to have it. Pure.

Called by `upkeep`. What is built is said by the environment's file, what starts it by the
trigger's: so a push starts what ``python -m jobs launch`` submits, the same build file with
the same substitutions and the same service account.
"""

from collections.abc import Mapping
from typing import Any

from jobs.config import Target
from jobs.settings import FIRST_GENERATION, Trigger
from jobs.spec import TAG, Launch, env_tag, substitutions

#: What must not be there when it is not wanted.
_OPTIONAL = (
    "approvalConfig", "disabled", "github", "ignoredFiles", "repositoryEventConfig",
)  # fmt: skip


def name_of(target: Target) -> str:
    """Return the trigger's name: one for each environment."""
    return f"{target.name}-{target.env}"


def body(target: Target, trigger: Trigger) -> Mapping[str, Any]:
    """Return the trigger as its REST JSON."""
    given: dict[str, Any] = {
        "name": name_of(target),
        "description": f"Migrates {target.env}; made by python -m jobs trigger apply",
        "filename": target.build_file,
        "includedFiles": list(trigger.included_files),
        "substitutions": substitutions(target, Launch(id="", submitter="trigger"), ""),
        "tags": [TAG, env_tag(target.env)],
        **_source(trigger),
    }
    if trigger.ignored_files:
        given["ignoredFiles"] = list(trigger.ignored_files)
    if target.build_service_account:
        account = target.build_service_account
        given["serviceAccount"] = f"projects/{target.project}/serviceAccounts/{account}"
    if trigger.approval:
        given["approvalConfig"] = {"approvalRequired": True}
    if not trigger.enabled:
        given["disabled"] = True
    return given


def _source(trigger: Trigger) -> Mapping[str, Any]:
    push = {"branch": trigger.branch}
    if first := FIRST_GENERATION.match(trigger.repository):
        return {"github": {"owner": first[1], "name": first[2], "push": push}}
    return {"repositoryEventConfig": {"repository": trigger.repository, "push": push}}


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that are not as wanted."""
    return sorted(
        name
        for name, value in wanted.items()
        if found.get(name, type(value)()) != value
    ) + sorted(name for name in _OPTIONAL if found.get(name) and name not in wanted)
