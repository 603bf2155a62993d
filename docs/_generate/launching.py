"""Markdown made from the declarations in ``jobs``: verbs, keys, errors, codes, events.

Called by cog, from the comments in the pages that say so. What a key of an environment
file means is taken from environments/dev.yaml, where it is documented in its place.
"""

import argparse
import enum
import re
from collections.abc import Iterator

from docs._generate.meanings import LAUNCH_CODES
from docs._generate.pages import CHECKOUT
from docs._generate.reference import (
    _bare_help,
    _error,
    _spelled,
    _title,
    _usage,
    code,
    sentence,
    table,
)
from jobs import events, provision, rehearsal
from jobs.cli import build_parser
from jobs.config import Target
from jobs.errors import LaunchCode, LaunchError
from jobs.settings import KEYS
from jobs.verbs import VERBS

__all__ = [
    "launch_codes",
    "launch_errors",
    "launch_events",
    "launch_keys",
    "launch_options",
    "launch_verbs",
]

#: Errors live in three modules; naming two here has them defined.
_HOMES = (provision, rehearsal)
_COMMON = {"help", "output", "quiet", "verbose"}
_KEY = re.compile(r"  (\w+):(?: |$)")
_SECONDS = re.compile(r"(.+)_s\Z")


# --- verbs ----------------------------------------------------------------------------


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb."""
    for action in build_parser()._actions:  # noqa: SLF001 - argparse lists them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    raise LookupError("the command line has no verbs")


def own_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return what a verb takes besides what all of them take."""
    return [a for a in parser._actions if a.dest not in _COMMON]  # noqa: SLF001


def spelled(action: argparse.Action) -> str:
    """Return an argument as it is typed: one of few words is those words."""
    if not action.option_strings and action.choices:
        return "|".join(map(str, action.choices))
    return _spelled(action)


def launch_options() -> str:
    """Return the options that every verb takes."""
    first = next(iter(parsers().values()))
    rows = [
        (code(_spelled(a)), a.help or "")
        for a in first._actions  # noqa: SLF001
        if a.dest in _COMMON - {"help"}
    ]
    return table(("option", "what it does"), rows)


def launch_verbs() -> str:
    """Return one section for each verb: what it does, how it is written, its arguments."""
    parts = []
    for verb in VERBS:
        own = own_arguments(parsers()[verb.name])
        choices = {_spelled(a): spelled(a) for a in own}
        words = [choices.get(word, word) for word in _usage(parsers()[verb.name], own)]
        written = " ".join(["python -m jobs", verb.name, *words])
        summary = verb.summary[0].upper() + verb.summary[1:] + "."
        rows = [(code(spelled(a)), a.help or _bare_help(a)) for a in own]
        lines = [f"## {verb.name}", "", summary, "", "```text", written, "```", ""]
        lines.append(table(("argument", "what it does"), rows))
        parts.append("\n".join(lines))
    return "\n".join(parts)


# --- keys -----------------------------------------------------------------------------


def launch_keys() -> str:
    """Return every key of the section `launch`: its default, and what dev.yaml says."""
    said = dict(documented())
    rows: list[tuple[list[str], str]] = []
    for key in KEYS:
        default = Target._field_defaults.get(key.field, "")
        shown = _shown(key.field, default)
        name = code(key.name) + (f" ({shown})" if shown else "")
        if rows and rows[-1][1] == said[key.name]:
            rows[-1][0].append(name)
        else:
            rows.append(([name], said[key.name]))
    told = [(", ".join(names), text.replace("<", "&lt;")) for names, text in rows]
    return table(("key, and its default", "what it is"), told)


def _shown(field: str, default: object) -> str:
    if field not in Target._field_defaults:
        return "required"
    if not default:
        return ""
    if _SECONDS.match(field):
        seconds = int(str(default))
        return code(f"{seconds // 60}min" if seconds % 60 == 0 else f"{seconds}s")
    if isinstance(default, enum.Enum):
        return code(str(default.value).lower().replace("_", "-"))
    return code(str(default))


def documented() -> Iterator[tuple[str, str]]:
    """Yield each key of environments/dev.yaml with the comment above it.

    Neighbours without a comment of their own share the one above the first.
    """
    text = (CHECKOUT / "environments/dev.yaml").read_text(encoding="utf-8")
    comment: list[str] = []
    fresh = True
    for line in text.partition("\nlaunch:\n")[2].splitlines():
        if line and not line.startswith(" "):
            return
        bare = line.strip()
        if bare.startswith("#"):
            comment = [bare[1:].strip()] if fresh else [*comment, bare[1:].strip()]
            fresh = False
        elif found := _KEY.match(line):
            fresh = True
            yield found[1], " ".join(comment)


# --- errors, exit codes, events -------------------------------------------------------


def errors() -> list[type[LaunchError]]:
    """Return every error of the orchestrator, by exit code."""
    return sorted(LaunchError.all(), key=lambda kind: int(kind.exit_code))


def launch_errors() -> str:
    """One short section for each error."""
    parts = []
    number = -1
    for kind in errors():
        if int(kind.exit_code) != number:
            number = int(kind.exit_code)
            parts.append(f"## Exit {number}: {_title(kind.exit_code)}\n")
        parts.append(_error(kind))
    return "\n".join(parts)


def launch_codes() -> str:
    """Return the exit codes that only the orchestrator has: what is true, what to do."""
    rows = []
    for number in LaunchCode:
        true, act = LAUNCH_CODES[number]
        named = ", ".join(
            f"[`{k.code}`](launch-errors.md#{k.code})"
            for k in errors()
            if k.exit_code is number
        )
        title = number.name.lower().replace("_", " ")
        rows.append((f"**{int(number)}**", title, true, act, named))
    return table(("exit", "name", "what is true", "what to do", "errors"), rows)


def launch_events() -> str:
    """Return every event of `--output json`: when it is told, and its fields."""
    rows = [
        (
            code(kind.__name__),
            sentence(kind.__doc__ or ""),
            ", ".join(map(code, kind._fields)),
        )
        for kind in events.Event.__args__
    ]
    return table(("`event`", "when", "fields"), rows)
