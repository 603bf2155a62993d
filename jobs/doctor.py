"""Every check over what was looked at: the findings, and how they are told.

`preflight` is called by `commands` before a launch, `as_text` and `as_json` by the verb
``doctor`` in `upkeep`. Decides nothing that a check has not decided.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs import preflight as preflight_cloud
from jobs import preflight_access, preflight_files
from jobs.config import Target
from jobs.facts import Facts
from jobs.findings import Finding, Preflight, Weight, fatal
from jobs.looking import look
from jobs.ports import Cloud

_MARKS = {Weight.FINE: "✓", Weight.WARNING: "!", Weight.FATAL: "✗"}
#: The variable that names checks which may not forbid a launch; ``all`` names every one.
IGNORE = "JOBS_IGNORE"
#: All but the first, which decides whether the others are worth asking.
CHECKS = (*preflight_cloud.CHECKS, *preflight_files.CHECKS, *preflight_access.CHECKS)


def judged(
    target: Target, facts: Facts, ignored: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Return every finding; one that is to be ignored is a warning at most.

    Without a project the answers about what is in it would all say the same.
    """
    found = preflight_cloud.project(target, facts)
    if fatal(found):
        others: Sequence[preflight_cloud.Check] = preflight_files.CHECKS
    else:
        others = CHECKS
    found += [finding for check in others for finding in check(target, facts)]
    return tuple(
        f._replace(weight=Weight.WARNING)
        if f.weight is Weight.FATAL and ("all" in ignored or f.check in ignored)
        else f
        for f in found
    )


def preflight(
    target: Target, cloud: Cloud, environment: Mapping[str, str]
) -> Preflight:
    """Return what `orchestrator` runs before it submits anything."""
    ignored = environment.get(IGNORE, "").replace(",", " ").split()

    def looks() -> Sequence[Finding]:
        return judged(target, look(target, cloud, Path(), environment), ignored)

    return looks


def as_json(env: str, findings: Sequence[Finding], *, quiet: bool) -> str:
    """Return one object a finding, and one for the end."""
    lines = [
        {**f._asdict(), "weight": f.weight.value, "event": "Finding"}
        for f in findings
        if not (quiet and f.weight is Weight.FINE)
    ]
    end = {"event": "Examined", "env": env, "findings": len(findings)}
    lines.append({**end, "forbid": len(fatal(findings))})
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def as_text(env: str, findings: Sequence[Finding], *, quiet: bool) -> str:
    """Return a line for each finding, what would happen without its cure, and the cure."""
    lines: list[str] = []
    for finding in findings:
        if quiet and finding.weight is Weight.FINE:
            continue
        lines.append(f"{_MARKS[finding.weight]} {finding.check}: {finding.what}")
        if finding.why:
            lines.append(f"    without a cure: {finding.why}")
        if finding.cure:
            lines.append(f"    → {finding.cure}")
    wrong = len(fatal(findings))
    end = f"{wrong} of {len(findings)} findings would make a launch of {env} fail"
    lines.append(end if wrong else f"nothing keeps {env} from being launched")
    return "\n".join(lines)
