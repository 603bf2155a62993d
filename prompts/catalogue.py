"""What a person does to prompts, guardrails and experiments: one function per command.

Called by ``cli`` with a connection that is not retried, and with what was given, under the
names of the command line. Each function sends one message that changes something, so it
happened or it did not; a refusal names the reason. What it returns is the answer.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from prompts.builtin import PROMPTS
from prompts.errors import RefusedError, StatementFailedError, UnknownPromptError
from prompts.experiments import ARMS, CONTROL, TREATMENT, Arm, judge
from prompts.prompt import PLACEHOLDER, make, slips
from prompts.service import QUERIES
from prompts.store import Link, Row

Given = Mapping[str, Any]

VIEWS = ("performance", "errors", "violations", "experiments")
# What it means that a constraint refuses, or that a statement finds nothing. The database
# decides: it cannot be raced.
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
    # Statements.
    "deactivate": "prompt {name!r} has no active version",
    "rollback": "prompt {name!r} has no earlier version that was active",
    "one_guardrail": "there is no guardrail {name!r}",
    "set_guardrail": "there is no guardrail {name!r}",
    "experiment": "there is no experiment {name!r}",
    "experiment_stop": "there is no live experiment {name!r}",
}


def _one(link: Link, statement: str, given: Given) -> Row:
    """Return the row that a statement answers with, or say why it does not."""
    try:
        for row in link.rows(QUERIES[statement], given):
            return row
        reason, cause = _REASONS[statement], None
    except StatementFailedError as error:
        if error.constraint not in _REASONS:
            raise
        reason, cause = _REASONS[error.constraint], error
    raise RefusedError(reason.format_map(given)) from cause


# --- prompts --------------------------------------------------------------------------


def versions(link: Link, _: Given) -> list[Row]:
    """Return every version, and whether the code would serve the same."""
    rows = link.rows(QUERIES["list"])
    for row in rows:
        own, content = PROMPTS.get(row["name"]), row.pop("content_hash")
        row["code"] = ""
        if row["active"] and own is not None:
            row["code"] = "same" if own.content_hash == content else "differs"
    return rows


def details(link: Link, given: Given) -> Row:
    """Return one version; without a number the active one, else the newest."""
    asked = {"name": given["name"], "version": given.get("version")}
    for row in link.rows(QUERIES["details"], asked):
        return row
    raise UnknownPromptError(asked["name"], asked["version"])


def both(link: Link, given: Given) -> dict[str, Row]:
    """Return two versions to compare."""
    return {v: details(link, {**given, "version": given[v]}) for v in ("old", "new")}


def create(link: Link, given: Given) -> Row:
    """Add the next version of a prompt and return its number.

    What is not said is taken from the version before. The variables are those of the
    text; a placeholder that is nearly one is refused, for it would be sent as it stands.
    """
    text = given["template_text"].replace("\r\n", "\n").removesuffix("\n")
    if found := slips(text):
        raise RefusedError(f"{', '.join(found)} is no placeholder: write {{{{name}}}}")
    try:
        before = details(link, {"name": given["name"]})
    except UnknownPromptError:
        before = {"system_prompt": None, "model_config": {}, "description": ""}
    row = before | {key: said for key, said in given.items() if said is not None}
    missing = [key for key in ("category", "purpose") if not row.get(key)]
    if missing:
        raise RefusedError(f"a new prompt needs {' and '.join(missing)}")
    used = list(dict.fromkeys(PLACEHOLDER.findall(text)))
    row |= {"template_text": text, "variables": json.dumps(used)}
    row |= {"model_config": json.dumps(row["model_config"])}
    return _one(link, "create", {"activate": False, "note": "", **row})


def activate(link: Link, given: Given) -> Row:
    """Make a version the one that is served. One that is inconsistent is refused."""
    make(details(link, given))
    return _one(link, "activate", given)


def deactivate(link: Link, given: Given) -> Row:
    """Serve no version: the prompt in the code takes over. The kill switch."""
    return _one(link, "deactivate", given)


def rollback(link: Link, given: Given) -> Row:
    """Go back to the version that was active before."""
    return _one(link, "rollback", given)


# --- guardrails, figures --------------------------------------------------------------


def guardrails(link: Link, _: Given) -> list[Row]:
    """Return every guardrail."""
    return link.rows(QUERIES["all_guardrails"])


def set_guardrail(link: Link, given: Given) -> Row:
    """Change what a guardrail does when it finds something."""
    return _one(link, "set_guardrail", given)


def rehearse(link: Link, given: Given) -> list[Row]:
    """Return, by prompt, the logged calls and how many a block would have stopped."""
    _one(link, "one_guardrail", given)
    if given["days"] < 1:
        raise RefusedError("rehearse a day at least")
    return link.rows(QUERIES["rehearse"], given)


def stats(link: Link, _: Given) -> dict[str, list[Row]]:
    """Return the four views."""
    return {view: link.rows(QUERIES[view]) for view in VIEWS}


# --- experiments ----------------------------------------------------------------------


def start(link: Link, given: Given) -> Row:
    """Start an experiment on two versions of one prompt."""
    asked = [{"name": given["prompt"], "version": given[arm]} for arm in ARMS]
    control, treatment = (make(details(link, version)) for version in asked)
    if extra := treatment.used - control.used:
        raise RefusedError(
            f"version {treatment.version} needs {', '.join(sorted(extra))}, which callers"
            f" of version {control.version} do not give"
        )
    return _one(link, "experiment_start", given)


def report(link: Link, given: Given) -> Row:
    """Return what an experiment shows today; looking often does no harm."""
    experiment = _one(link, "experiment", given)
    rows = link.rows(QUERIES["arms"], given)
    found = {CONTROL: Arm(), TREATMENT: Arm(), "both": Arm()}
    found |= {row.pop("arm"): Arm(**row) for row in rows}
    terms = {key: experiment[key] for key in ("percent", "min_subjects", "metric")}
    verdict = judge(found[CONTROL], found[TREATMENT], **terms)
    said = {
        key: None
        if value in {math.inf, -math.inf}
        else value  # JSON has no word for it
        for key, value in verdict._asdict().items()
    }
    arms = [
        {"arm": arm, "version": experiment[arm], **found[arm]._asdict()} for arm in ARMS
    ]
    return {**experiment, "arms": arms, "both": found["both"].seen, **said}


def stop(link: Link, given: Given) -> Row:
    """End an experiment. A winner is written down only if the figures name it."""
    if given["winner"] in ARMS:
        shown = report(link, given)
        if shown["winner"] != given["winner"]:
            told = f"{given['winner']} is not the winner: {shown['reason']}"
            raise RefusedError(told)
    return _one(link, "experiment_stop", given)
