"""What a person does to prompts, guardrails and experiments: one function per command.

Called by ``cli`` with a connection that is not retried. Each function sends one message,
so it happened or it did not; a refusal names the reason.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from prompts.errors import RefusedError, StatementFailedError, UnknownPromptError
from prompts.experiments import CONTROL, TREATMENT, Arm, Verdict, judge
from prompts.prompt import PLACEHOLDER, Prompt, make, slips
from prompts.service import QUERIES
from prompts.store import Row, Source

# What the constraints that a person meets mean. The database decides: it cannot be raced.
_REASONS = {
    "prompt_templates_name_check": "a name is made of a to z, 0 to 9 and _, a letter first",
    "prompt_templates_template_text_check": "a text has 1 to 200,000 characters",
    "prompt_templates_model_config_check": "the model configuration is a JSON object",
    "idx_ab_test_experiments_active": "prompt {prompt!r} has a live experiment: stop that first",
    "ab_test_experiments_name_key": "there was an experiment {name!r} already: choose another name",
    "ab_test_experiments_arms_differ": "the two arms are one version",
    "ab_test_experiments_treatment_percent_check": "the share of treatment is between 0 and 100",
    "ab_test_experiments_min_subjects_check": "an arm needs a subject at least",
    # Deleted since we looked.
    "ab_test_experiments_control_exists": "version {control} does not exist",
    "ab_test_experiments_treatment_exists": "version {treatment} does not exist",
}


class Version(NamedTuple):
    """A row of ``prompt_templates``, as a person looks at it."""

    name: str
    version: int
    category: str
    purpose: str
    description: str
    system_prompt: str | None
    template_text: str
    variables: list[str]
    model_config: dict[str, Any]
    is_active: bool
    created_by: str
    change_note: str
    created_at: str
    activation_log: list[dict[str, str]]
    content_hash: str


def details(source: Source, name: str, version: int | None = None) -> Version:
    """Return one version; without a number the active one, else the newest."""
    rows = source.rows(QUERIES["details"], {"name": name, "version": version})
    if not rows:
        raise UnknownPromptError(name, version)
    return Version._make(rows[0])


def as_prompt(row: Version) -> Prompt:
    """Return a version as the service would use it."""
    return make(row[:9])


def create(
    source: Source, name: str, text: str, fields: Mapping[str, Any], actor: str
) -> int:
    """Add the next version of a prompt and return its number.

    What is not said is taken from the version before. The variables are those of the
    text; a placeholder that is nearly one is refused, for it would be sent as it stands.
    """
    text = text.replace("\r\n", "\n").removesuffix("\n")
    if found := slips(text):
        raise RefusedError(f"{', '.join(found)} is no placeholder: write {{{{name}}}}")
    try:
        before = details(source, name)._asdict()
    except UnknownPromptError:
        before = {"system_prompt": None, "model_config": {}, "description": ""}
    row = {
        **before,
        **{key: value for key, value in fields.items() if value is not None},
    }
    missing = [key for key in ("category", "purpose") if not row.get(key)]
    if missing:
        raise RefusedError(f"a new prompt needs {' and '.join(missing)}")
    used = dict.fromkeys(PLACEHOLDER.findall(text))
    row |= {"name": name, "template_text": text, "variables": json.dumps(list(used))}
    row |= {"model_config": json.dumps(row["model_config"]), "actor": actor}
    row.setdefault("activate", False)
    row.setdefault("note", "")
    [(version,)] = _send(source, "create", row)
    return int(version)


def activate(source: Source, name: str, version: int, actor: str) -> None:
    """Make a version the one that is served. One that is inconsistent is refused."""
    as_prompt(details(source, name, version))
    source.rows(QUERIES["activate"], {"name": name, "version": version, "actor": actor})


def deactivate(source: Source, name: str) -> None:
    """Serve no version: the prompt in the code takes over. The kill switch."""
    if not source.rows(QUERIES["deactivate"], {"name": name}):
        raise RefusedError(f"prompt {name!r} has no active version")


def rollback(source: Source, name: str, actor: str) -> int:
    """Go back to the version that was active before, and return its number."""
    rows = source.rows(QUERIES["rollback"], {"name": name, "actor": actor})
    if not rows:
        raise RefusedError(f"prompt {name!r} has no earlier version that was active")
    return int(rows[0][0])


def set_guardrail(source: Source, name: str, action: str) -> None:
    """Change what a guardrail does when it finds something."""
    if not source.rows(QUERIES["set_guardrail"], {"name": name, "action": action}):
        raise RefusedError(f"there is no guardrail {name!r}")


def rehearse(source: Source, name: str, days: int) -> list[Row]:
    """Return, by prompt, the logged calls and how many a block would have stopped."""
    if name not in {row[0] for row in source.rows(QUERIES["all_guardrails"])}:
        raise RefusedError(f"there is no guardrail {name!r}")
    if days < 1:
        raise RefusedError("rehearse a day at least")
    return source.rows(QUERIES["rehearse"], {"name": name, "days": days})


def start(source: Source, row: Mapping[str, Any]) -> None:
    """Start an experiment on two versions of one prompt."""
    arms = [as_prompt(details(source, row["prompt"], row[arm])) for arm in _ARMS]
    if extra := arms[1].used - arms[0].used:
        raise RefusedError(
            f"version {row[TREATMENT]} needs {', '.join(sorted(extra))}, which callers of"
            f" version {row[CONTROL]} do not give"
        )
    _send(source, "experiment_start", row)


def _send(source: Source, statement: str, row: Mapping[str, Any]) -> list[Row]:
    try:
        return source.rows(QUERIES[statement], row)
    except StatementFailedError as error:
        if reason := _REASONS.get(error.constraint):
            raise RefusedError(reason.format_map(row)) from error
        raise


_ARMS = (CONTROL, TREATMENT)


class Report(NamedTuple):
    """An experiment today."""

    experiment: Row
    arms: dict[str, Arm]
    both: int
    verdict: Verdict


def report(source: Source, name: str) -> Report:
    """Return what an experiment shows today; looking often does no harm."""
    rows = source.rows(QUERIES["experiment"], {"name": name})
    if not rows:
        raise RefusedError(f"there is no experiment {name!r}")
    _, _, _, _, percent, _, metric, min_subjects, _ = rows[0]
    found = {
        arm: Arm(*figures)
        for arm, *figures in source.rows(QUERIES["arms"], {"name": name})
    }
    control, treatment = (found.get(arm, Arm()) for arm in _ARMS)
    verdict = judge(
        control, treatment, percent=percent, min_subjects=min_subjects, metric=metric
    )
    arms = dict(zip(_ARMS, (control, treatment), strict=True))
    return Report(rows[0], arms, found.get("both", Arm()).seen, verdict)


def stop(source: Source, name: str, winner: str | None) -> None:
    """End an experiment. A winner is written down only if the figures name it."""
    if winner in _ARMS:
        verdict = report(source, name).verdict
        if verdict.winner != winner:
            raise RefusedError(f"{winner} is not the winner: {verdict.reason}")
    if not source.rows(QUERIES["experiment_stop"], {"name": name, "winner": winner}):
        raise RefusedError(f"there is no live experiment {name!r}")
