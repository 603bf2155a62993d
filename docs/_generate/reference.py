"""Markdown made from the declarations in ``migrate``: options, verbs, errors, events.

Called by cog, from the comments in the pages that say so. What the code knows already is
taken from there; only sentences that stand nowhere else are written here.
"""

import argparse
import inspect
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path

from docs._generate.meanings import COLUMNS, EXIT_CODES, NOT_EVENTS
from migrate import events, faults, misfits, refusals, render
from migrate.cli import VERBS, build_parser
from migrate.config import OPTIONS, PLATFORM
from migrate.errors import ExitCode, ExplainedError
from migrate.postgres.history import LAYOUT
from migrate.postgres.sql import named_statements
from migrate.source import read_directory

__all__ = [
    "checksum_vectors",
    "error_sections",
    "event_table",
    "exit_code_table",
    "history_layouts",
    "platform_table",
    "settings_table",
    "verb_list",
    "verb_sections",
]

#: The errors live in three modules; naming two here has them defined.
_HOMES = (misfits, refusals, faults)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def sentence(text: str) -> str:
    """Return a docstring as one paragraph of Markdown."""
    flat = " ".join(inspect.cleandoc(text).split())
    return flat.replace("``", "`").replace("\\\\", "\\")


def code(text: str) -> str:
    """Return text in code type."""
    return f"`{text}`"


# --- settings and verbs ---------------------------------------------------------------


def settings_table() -> str:
    """Return every setting: flag, variable, key, default, what it is."""
    rows = [("`--env NAME`", "`MIGRATE_ENV`", "", "", "read `environments/NAME.yaml`")]
    rows += [
        (
            code(f"{o.flag} {o.metavar}"),
            code(o.variable),
            code(o.name),
            code(o.default) if o.default is not None else "",
            o.help,
        )
        for o in OPTIONS
    ]
    return table(("flag", "variable", "key in the file", "default", "what it is"), rows)


def platform_table() -> str:
    """Return what the platform tells, and the column that keeps it."""
    rows = [
        (code(field), " or ".join(map(code, names)))
        for field, names in PLATFORM.items()
    ]
    return table(("column of the history", "variable, the first that is set"), rows)


def _verb_parsers() -> dict[str, argparse.ArgumentParser]:
    for action in build_parser()._actions:  # noqa: SLF001 - argparse lists them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    raise LookupError("the command line has no verbs")


def _own_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    common = {o.name for o in OPTIONS} | {"env", "help"}
    return [a for a in parser._actions if a.dest not in common]  # noqa: SLF001


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest.upper())
    value = f" {action.metavar or action.dest.upper()}" if action.nargs != 0 else ""
    return action.option_strings[-1] + value


def _usage(
    parser: argparse.ArgumentParser, own: list[argparse.Action]
) -> Iterator[str]:
    """Yield the words of a usage line; choices that exclude each other stand together."""
    grouped: set[int] = set()
    for group in parser._mutually_exclusive_groups:  # noqa: SLF001
        grouped.update(map(id, group._group_actions))  # noqa: SLF001
    for action in own:
        if id(action) not in grouped:
            needed = action.required or not action.option_strings
            yield _spelled(action) if needed else f"[{_spelled(action)}]"
            continue
        for group in parser._mutually_exclusive_groups:  # noqa: SLF001
            members = group._group_actions  # noqa: SLF001
            if members[0] is action:
                listed = " | ".join(map(_spelled, members))
                yield f"({listed})" if group.required else f"[{listed}]"


def verb_list() -> str:
    """Return the verbs in the order of the help, each with its sentence."""
    rows = [
        (f"[`{name}`](#{name})", summary, "asks, or needs `--yes`" if fenced else "")
        for name, summary, fenced in VERBS
    ]
    return table(("verb", "what it does", ""), rows)


def verb_sections() -> str:
    """Return one section for each verb: what it does, how it is written, its own options."""
    parsers = _verb_parsers()
    parts = []
    for name, summary, fenced in VERBS:
        own = _own_arguments(parsers[name])
        words = " ".join(_usage(parsers[name], own))
        written = " ".join(["python -m migrate", name, *words.split(), "[SETTINGS]"])
        lines = [f"## {name}", "", summary[0].upper() + summary[1:] + "."]
        if fenced:
            lines.append("It asks before it acts, or needs `--yes`.")
        lines += ["", "```text", written, "```", ""]
        if own:
            rows = [(code(_spelled(a)), a.help or _bare_help(a)) for a in own]
            lines.append(table(("argument", "what it does"), rows))
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _bare_help(action: argparse.Action) -> str:
    return f"a {action.dest}" if not action.option_strings else ""


# --- errors and exit codes ------------------------------------------------------------


def _families() -> list[type[ExplainedError]]:
    """Return the classes directly below `ExplainedError`, in the order of their exit code."""
    own = [c for c in ExplainedError.__subclasses__() if _is_of_the_engine(c)]
    return sorted(own, key=lambda c: c.exit_code)


def _is_of_the_engine(kind: type[ExplainedError]) -> bool:
    """Whether an error is the engine's: the orchestrator's have the same base."""
    return kind.__module__.startswith("migrate.")


def error_sections() -> str:
    """One short section for each error, by family."""
    parts = []
    for family in _families():
        members = [*([family] if family.code else []), *family.all()]
        number = int(family.exit_code)
        if not family.code:
            parts.append(f"## Exit {number}: {sentence(family.__doc__ or '')}\n")
        else:
            parts.append(f"## Exit {number}: {_title(family.exit_code)}\n")
        parts += [_error(kind) for kind in members]
    return "\n".join(parts)


def _title(exit_code: IntEnum) -> str:
    return exit_code.name.lower().replace("_", " ")


def _error(kind: type[ExplainedError]) -> str:
    fields = [n for n in inspect.get_annotations(kind) if not n.startswith("_")]
    inherited = [
        n
        for base in kind.__mro__[1:-3]
        for n in inspect.get_annotations(base)
        if n not in {"code", "exit_code", "hint"} and n not in fields
    ]
    lines = [f"### {kind.code}", "", sentence(kind.__doc__ or ""), ""]
    cures = getattr(kind, "_CURES", None)
    if cures:
        lines.append("What to do:\n")
        for what, cure in cures.items():
            lines.append(f"- *{what}*: {_advice(cure)}")
    elif kind.hint:
        lines.append(f"What to do: {_advice(kind.hint)}.")
    named = ", ".join(map(code, inherited + fields)) or "none"
    lines += ["", f"Fields: {named}.", ""]
    return "\n".join(lines)


def _advice(text: str) -> str:
    """Return a hint with its blanks in capitals, and what stands in angle brackets safe."""
    filled = re.sub(r"\{(\w*)\}", lambda m: (m[1] or "VERSION").upper(), text)
    return filled.replace("<", "&lt;")


def exit_code_table() -> str:
    """Return every exit code: what is true, what to do, which errors end with it."""
    rows = []
    for exit_code in ExitCode:
        true, act = EXIT_CODES[exit_code]
        kinds = [
            k
            for k in ExplainedError.all()
            if k.exit_code is exit_code and _is_of_the_engine(k)
        ]
        named = ", ".join(f"[`{k.code}`](errors.md#{k.code})" for k in kinds)
        rows.append((f"**{int(exit_code)}**", _title(exit_code), true, act, named))
    return table(("exit", "name", "what is true", "what to do", "errors"), rows)


# --- what is told ---------------------------------------------------------------------


def event_table() -> str:
    """Return every event: when it is told, its fields, its severity."""
    rows = []
    for kind in events.Event.__args__:
        fields = ", ".join(map(code, kind._fields))
        severity = render._SEVERITIES.get(kind, "INFO")  # noqa: SLF001 - the table is there
        if kind is events.Progress:
            severity = "DEBUG"
        rows.append(
            (code(kind.__name__), severity, sentence(kind.__doc__ or ""), fields)
        )
    rows += [(code(n), severity, text, f) for n, severity, text, f in NOT_EVENTS]
    return table(("`event`", "`severity`", "when", "`fields`"), rows)


# --- the history and the files --------------------------------------------------------

_COLUMN = re.compile(
    r"^    (?:ADD COLUMN )?([a-z_]+) +([a-z]+(?:\(\d+\))?(?:\[\])?)(.*)$"
)


def history_layouts() -> str:
    """Return the columns of the history, from the statements that make them."""
    statements = named_statements("history.sql")
    parts = []
    for layout in range(1, LAYOUT + 1):
        rows = []
        for line in statements[f"layout {layout}"].splitlines():
            if found := _COLUMN.match(line):
                rule = found[3].strip().rstrip(",;").replace("{{}}", "{}")
                rows.append(
                    (
                        code(found[1]),
                        code(found[2]),
                        code(rule) if rule else "",
                        COLUMNS[found[1]],
                    )
                )
        head = ("column", "type", "rule", "what it holds")
        parts.append(f"### Layout {layout}\n\n{table(head, rows)}")
    return "\n".join(parts)


VECTORS = (
    ("one statement and a newline", b"SELECT 1;\n"),
    ("the same with a carriage return", b"SELECT 1;\r\n"),
    ("the same after a byte order mark", b"\xef\xbb\xbfSELECT 1;\n"),
    ("the same without the newline", b"SELECT 1;"),
    ("a carriage return alone is text", b"SELECT 1;\r"),
    ("characters beyond ASCII", "SELECT 'Grüße';\n".encode()),
)


def checksum_vectors() -> str:
    """Return the bytes of some files, and the checksum the engine records for each."""
    rows = []
    for what, text in VECTORS:
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "0001_vector.sql").write_bytes(text)
            (migration,) = read_directory(directory)
        rows.append((what, code(text.hex(" ")), code(migration.checksum)))
    return table(("file", "its bytes", "checksum"), rows)
