"""What a prompt is, and how its text is filled: ``{{name}}``, one pass, nothing else.

Used by everything above it. A value is never looked into: no formatting, no attribute,
no second expansion, so that a hostile value is only text.
"""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from prompts.errors import (
    InconsistentPromptError,
    MissingVariableError,
    PromptTooLongError,
)

PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_]*)\}\}")
_ALMOST = re.compile(r"\{\{\s*\w+\s*\}\}")
MAX_CHARS = 200_000
DATABASE, FALLBACK = "database", "fallback"


class Prompt(NamedTuple):
    """One version of one prompt, ready to be filled."""

    name: str
    version: int
    category: str
    purpose: str
    description: str
    system_prompt: str | None
    template_text: str
    variables: tuple[str, ...]
    model_config: Mapping[str, Any]
    content_hash: str
    parts: tuple[str, ...]  # text, name, text, name, …, text
    source: str = FALLBACK
    template_id: str | None = None
    experiment_id: str | None = None
    arm: str | None = None

    @property
    def used(self) -> set[str]:
        """Return the variables the text asks for."""
        return set(self.parts[1::2])


def make(row: Mapping[str, Any]) -> Prompt:
    """Make a prompt of a row that has its columns; what else it has is left aside.

    Raises `InconsistentPromptError`.
    """
    text, declared = row["template_text"], tuple(row["variables"])
    made = {
        **{column: row[column] for column in Prompt._fields if column in row},
        "variables": declared,
        "model_config": MappingProxyType(dict(row["model_config"])),  # cached, shared
        "content_hash": content_hash(row["system_prompt"], text),
        "parts": tuple(PLACEHOLDER.split(text)),
    }
    prompt = Prompt(**made)
    if prompt.used != set(declared):
        raise InconsistentPromptError(
            prompt.name, prompt.version, prompt.used, declared
        )
    return prompt


def content_hash(system_prompt: str | None, template_text: str) -> str:
    """Return what the database computes in the column of this name."""
    text = f"{system_prompt or ''}\x1f{template_text}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def slips(template_text: str) -> list[str]:
    """Return what looks like a placeholder and is none: a space, a capital letter."""
    found = _ALMOST.findall(template_text)
    return [text for text in found if not PLACEHOLDER.fullmatch(text)]


def given(prompt: Prompt, values: Mapping[str, object]) -> dict[str, str]:
    """Return the values the text asks for, as text; others are left aside.

    Raises `MissingVariableError`: None is missing too, or the word would be sent.
    """
    chosen = {}
    for name in prompt.variables:
        value = values.get(name)
        if value is None:
            raise MissingVariableError(prompt.name, name)
        chosen[name] = value if type(value) is str else str(value)
    return chosen


def fill(prompt: Prompt, values: Mapping[str, object], limit: int = MAX_CHARS) -> str:
    """Return the text with its placeholders replaced.

    Raises `MissingVariableError`, and `PromptTooLongError` before anything is built.
    """
    texts = given(prompt, values)
    pieces = list(prompt.parts)
    pieces[1::2] = [texts[name] for name in pieces[1::2]]
    if (length := sum(map(len, pieces))) > limit:
        raise PromptTooLongError(prompt.name, length, limit)
    return "".join(pieces)
