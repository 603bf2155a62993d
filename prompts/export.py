"""Prompts as migrations: SQL that ships exactly one version of one prompt.

``cli`` writes the file, the migration pipeline reviews, applies and records it. The seed
section of the shipped migration is written by the same functions, from ``builtin``.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.errors import RefusedError
from prompts.guardrails import Guardrail
from prompts.prompt import Prompt

_VERSION = re.compile(r"(\d+)_\w+\.sql")


def seeds() -> str:
    """Return the seed section of the shipped migration."""
    return "\n".join(
        [
            *(
                _insert(p, "true", "migration", "first version", f"name = '{p.name}'")
                for p in PROMPTS.values()
            ),
            *map(_insert_guardrail, GUARDRAILS),
        ]
    )


def migration(prompt: Prompt, note: str, *, activate: bool) -> str:
    """Return a migration that ships one version; applying it twice changes nothing.

    It fails if the version is there with another text, and it never takes back a pointer
    that was moved on.
    """
    key = f"name = '{prompt.name}' AND version = {prompt.version}"
    title = f"Ship prompt {prompt.name} version {prompt.version}"
    parts = [
        f"-- migrate: description={title}\n\n-- Applied again, it changes nothing.\n",
        _insert(prompt, "false", "export", note, key),
        f"""DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM prompt_templates
        WHERE {key}
          AND content_hash = '{prompt.content_hash}'
    ) THEN
        RAISE EXCEPTION '{prompt.name} version {prompt.version} is there with another text';
    END IF;
END $$;
""",
    ]
    if activate:
        parts.append(
            "-- Only if it was never active: a later rollback is somebody's decision.\n"
            "UPDATE prompt_templates SET is_active = true\n"
            f"WHERE {key} AND activation_log = '[]';\n"
        )
    return "\n".join(parts)


def write(directory: Path, prompt: Prompt, sql: str) -> Path:
    """Write a migration under the next free number. Refuses to ship a version twice."""
    if not directory.is_dir():
        raise RefusedError(f"{directory} is no directory")
    stem = f"prompt_{prompt.name}_v{prompt.version}"
    names = [path.name for path in directory.glob("*.sql")]
    for name in names:
        if name.partition("_")[2] == f"{stem}.sql":
            raise RefusedError(f"{directory / name} ships this version already")
    taken = [m.group(1) for name in names if (m := _VERSION.fullmatch(name))]
    newest = max(taken, key=int, default="0000")
    path = directory / f"{int(newest) + 1:0{len(newest)}}_{stem}.sql"
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(sql)
    except OSError as error:
        raise RefusedError(f"cannot write {path}: {error.strerror}") from error
    return path


def _insert(prompt: Prompt, active: str, author: str, note: str, guard: str) -> str:
    system = "NULL" if prompt.system_prompt is None else _text(prompt.system_prompt)
    return f"""INSERT INTO prompt_templates
    (name, version, category, purpose, description, system_prompt, template_text,
     variables, model_config, is_active, created_by, change_note)
SELECT {_line(prompt.name)}, {prompt.version}, {_line(prompt.category)}, {_line(prompt.purpose)},
{_text(prompt.description)},
{system},
{_text(prompt.template_text)},
{_json(list(prompt.variables))}, {_json(dict(prompt.model_config))},
{active}, {_line(author)}, {_line(note)}
WHERE NOT EXISTS (SELECT FROM prompt_templates WHERE {guard});
"""  # noqa: S608 - every part is quoted below


def _insert_guardrail(rule: Guardrail) -> str:
    words = [rule.guardrail_type, rule.applies_to, rule.severity, rule.action]
    listed = ", ".join(map(_line, words))
    # The longer of the two orders of lines the file was first written in.
    config = f"{_json(dict(rule.config))}, {rule.priority}"
    together = f"       {listed}, {config}"
    apart = f"       {listed},\n       {config}"
    return f"""INSERT INTO prompt_guardrails
    (name, description, guardrail_type, applies_to, severity, action, config, priority)
SELECT {_line(rule.name)}, {_line(rule.description)},
{together if len(together) <= WIDTH else apart}
WHERE NOT EXISTS (SELECT FROM prompt_guardrails WHERE name = {_line(rule.name)});
"""  # noqa: S608 - every part is quoted below


WIDTH = 92


def _text(text: str) -> str:
    """Quote a text so that a reviewer can read it, whatever it holds."""
    if "\r" in text:  # git and editors rewrite line ends, and the hash would not fit
        escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\r", "\\r")
        return f"E'{escaped}'"
    tag = next(t for t in _tags() if f"${t}" not in text)
    return f"${tag}${text}${tag}$"


def _tags() -> Iterable[str]:
    yield "prompt"
    number = 1
    while True:
        yield f"prompt_{number}"
        number += 1


def _line(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _json(value: object) -> str:
    return _line(json.dumps(value, ensure_ascii=False)) + "::jsonb"
