"""Prompts as migrations: SQL that ships exactly one version of one prompt.

Called by ``cli``, which writes the file; the migration pipeline reviews, applies and
records it. The seed section of the shipped migration is written by the same statements,
those of ``export.sql``, from ``builtin``.
"""

import json
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.catalogue import Given, details
from prompts.errors import RefusedError
from prompts.guardrails import Guardrail
from prompts.prompt import PLACEHOLDER, Prompt, make
from prompts.store import Link, Row, statements

_SQL = statements(Path(__file__).with_name("export.sql"))
_VERSION = re.compile(r"(\d+)_\w+\.sql")
LONG = 50  # a longer configuration of a guardrail stands on a line of its own


def ship(link: Link, given: Given) -> Row:
    """Write the migration that ships a version, and return its name."""
    row = details(link, given)
    prompt = make(row)
    sql = migration(prompt, row["change_note"], activate=given["activate"])
    path = write(given["dir"], prompt, sql)
    return {"file": str(path), "hash": prompt.content_hash}


def seeds() -> str:
    """Return the seed section of the shipped migration."""
    prompts = (
        _insert(p, "true", "migration", "first version", f"name = '{p.name}'")
        for p in PROMPTS.values()
    )
    return "\n".join([*prompts, *map(_insert_guardrail, GUARDRAILS)])


def migration(prompt: Prompt, note: str, *, activate: bool) -> str:
    """Return a migration that ships one version; applying it twice changes nothing.

    It fails if the version is there with another text, and it never takes back a pointer
    that was moved on.
    """
    key = f"name = '{prompt.name}' AND version = {prompt.version}"
    words = {**prompt._asdict(), "key": key}
    insert = _insert(prompt, "false", "export", note, key)
    parts = [_fill("head", words), insert, _fill("compare", words)]
    return "\n".join([*parts, *([_fill("activate", words)] if activate else [])])


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
    values = _literals(prompt._asdict()) | _literals({"author": author, "note": note})
    texts = ("description", "system_prompt", "template_text")
    values |= {name: _text(getattr(prompt, name)) for name in texts}
    return _fill("prompt", {**values, "active": active, "guard": guard})


def _insert_guardrail(rule: Guardrail) -> str:
    values = _literals(rule._asdict())
    gap = "\n       " if len(values["config"]) > LONG else " "
    return _fill("guardrail", {**values, "gap": gap})


def _fill(statement: str, words: Mapping[str, object]) -> str:
    return PLACEHOLDER.sub(lambda word: str(words[word[1]]), _SQL[statement]) + "\n"


def _literals(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _literal(value) for name, value in values.items()}


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    plain = dict(value) if isinstance(value, Mapping) else value
    return _literal(json.dumps(plain, ensure_ascii=False)) + "::jsonb"


def _text(text: str | None) -> str:
    """Quote a text so that a reviewer can read it, whatever it holds."""
    if text is None:
        return "NULL"
    if "\r" in text:  # git and editors rewrite line ends, and the hash would not fit
        return "E" + _literal(text.replace("\\", "\\\\").replace("\r", "\\r"))
    tags = (f"prompt_{n}" if n else "prompt" for n in count())
    tag = next(tag for tag in tags if f"${tag}" not in text)
    return f"${tag}${text}${tag}$"
