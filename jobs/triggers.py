"""The build trigger of an environment, as Cloud Build is to have it. Pure.

Called by `upkeep`. Made from the section ``launch`` of the environment file, so that what a
push starts is what ``python -m jobs launch`` submits: the same build file, the same
substitutions, the same service account.
"""

import re
from collections.abc import Mapping
from typing import Any

from jobs.config import Target
from jobs.errors import TargetFileWrong
from jobs.spec import TAG, Launch, env_tag, substitutions

#: A push starts a migration when it changes one of these.
INCLUDED = ("migrations/**",)
_SECOND = re.compile(
    r"projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+\Z"
)
_FIRST = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+)\Z")


def name_of(target: Target) -> str:
    """Return the trigger's name: one for each environment."""
    return f"{target.name}-{target.env}"


def body(target: Target) -> Mapping[str, Any]:
    """Return the trigger as its REST JSON. Raises `TargetFileWrong`."""
    trigger = target.trigger
    if not trigger.repository or not trigger.branch:
        raise _wrong(target, "`trigger` needs repository and branch")
    try:
        re.compile(trigger.branch)
    except re.error as error:
        raise _wrong(target, f"branch is no regular expression: {error}") from None
    push = {"branch": trigger.branch}
    if _SECOND.match(trigger.repository):
        source: Mapping[str, Any] = {
            "repositoryEventConfig": {"repository": trigger.repository, "push": push}
        }
    elif first := _FIRST.match(trigger.repository):
        source = {"github": {"owner": first[1], "name": first[2], "push": push}}
    else:
        raise _wrong(
            target,
            "repository is OWNER/NAME (GitHub, connected in the console), or "
            "projects/P/locations/L/connections/C/repositories/R",
        )
    given: dict[str, Any] = {
        "name": name_of(target),
        "description": f"Migrates {target.env}; made by python -m jobs trigger apply",
        "filename": target.build_file,
        "includedFiles": list(INCLUDED),
        "substitutions": substitutions(target, Launch(id="", submitter="trigger"), ""),
        "tags": [TAG, env_tag(target.env)],
        **source,
    }
    if target.build_service_account:
        account = target.build_service_account
        given["serviceAccount"] = f"projects/{target.project}/serviceAccounts/{account}"
    if trigger.approval:
        given["approvalConfig"] = {"approvalRequired": True}
    return given


def _wrong(target: Target, reason: str) -> TargetFileWrong:
    line = target.lines.get("trigger", 1)
    return TargetFileWrong(file=target.file, line=line, reason=f"trigger: {reason}")


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that are not as wanted."""
    return sorted(
        name
        for name, value in wanted.items()
        if found.get(name, type(value)()) != value
    ) + sorted(
        name
        for name in ("approvalConfig", "github", "repositoryEventConfig", "disabled")
        if found.get(name) and name not in wanted
    )
