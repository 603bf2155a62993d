"""Guardrails: what is done about what the detectors find.

Called by ``service`` with the active rows in order of priority. It judges the values a
user gave and the answer of a model, never our own template. It keeps types and counts;
the matched text stays where it was.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from prompts.detectors import DETECTORS, Seen, Span, pii, replace, see
from prompts.errors import GuardrailBlockedError

INPUT, OUTPUT = "input", "output"
LONGEST = 1_000_000  # characters; more would keep the caller waiting for seconds
UNAVAILABLE = "unavailable"

Texts = dict[str, str]  # by the names of the variables


class Guardrail(NamedTuple):
    """A row of ``prompt_guardrails``."""

    name: str
    description: str
    guardrail_type: str
    applies_to: str
    severity: str
    action: str
    config: Mapping[str, Any]
    categories: Sequence[str] | None = None
    priority: int = 100


class Finding(NamedTuple):
    """What is logged of something found."""

    guardrail: str
    action: str
    entity_type: str
    found: int

    def as_row(self) -> dict[str, object]:
        """Return it under the keys the views read."""
        row = self._asdict()
        row["count"] = row.pop("found")
        return row


class Checked(NamedTuple):
    """The values to go on with, what was found, and the error if that was blocked."""

    values: Texts
    findings: tuple[Finding, ...] = ()
    blocked: GuardrailBlockedError | None = None


def check(
    guardrails: Iterable[Guardrail], category: str, direction: str, values: Texts
) -> Checked:
    """Apply the guardrails that concern a category and a direction.

    What cannot be evaluated counts as found under a guardrail that blocks or redacts,
    and is only noted under one that warns or logs.
    """
    findings: list[Finding] = []
    too_long = sum(map(len, values.values())) > LONGEST
    seen = {} if too_long else {name: see(text) for name, text in values.items()}
    for rule in guardrails:
        if rule.applies_to not in {direction, "both"}:
            continue
        if rule.categories is not None and category not in rule.categories:
            continue
        found = None if too_long else _scan(rule, seen)
        types = {UNAVAILABLE: 1} if found is None else _types(found)
        findings += [Finding(rule.name, rule.action, *item) for item in types.items()]
        blocks = rule.action == "block" or (found is None and rule.action == "redact")
        if types and blocks:
            error = GuardrailBlockedError(rule.name, tuple(types))
            return Checked(values, tuple(findings), error)
        if found and rule.action == "redact":
            clean = {n: replace(values[n], seen[n], found[n]) for n in found}
            values = {**values, **clean}
            seen.update({name: see(text) for name, text in clean.items()})
    return Checked(values, tuple(findings))


def _scan(rule: Guardrail, seen: dict[str, Seen]) -> dict[str, list[Span]] | None:
    """Return what was found in which value; None if the row cannot be evaluated."""
    try:
        detect = DETECTORS[rule.guardrail_type]
        spans = {name: list(detect(v.text, rule.config)) for name, v in seen.items()}
    except Exception:  # noqa: BLE001 - whatever is wrong with a row, the action decides
        return None
    return {name: found for name, found in spans.items() if found}


def _types(found: dict[str, list[Span]]) -> dict[str, int]:
    return Counter(span.entity_type for spans in found.values() for span in spans)


def without_pii(text: str) -> str:
    """Return a text with the personal data we can recognise replaced."""
    seen = see(text)
    return replace(text, seen, pii(seen.text, {}))
