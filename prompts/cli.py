"""The command line, ``python -m prompts``: what a person does, in text or in JSON.

A face: it reads arguments and the environment, calls ``catalogue`` and ``export``, and
prints. It decides nothing. Exit: 0 done, 1 the answer could not be written, 2 usage,
3 refused, 6 no connection, 7 the server said no.
"""

import argparse
import contextlib
import difflib
import errno
import getpass
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prompts import catalogue, export
from prompts.arguments import Parser, masked
from prompts.catalogue import Given
from prompts.errors import PromptError, RefusedError
from prompts.experiments import ARMS, METRICS
from prompts.store import Link, Row

ANSWER_MS = 30_000

# --- answers in text ------------------------------------------------------------------

_WRITTEN = ("category", "purpose", "description", "variables", "model_config")
_TEXTS = ("system_prompt", "template_text")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "(none)"
    cells = [list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _page(row: Row, shown: Sequence[str] = ()) -> str:
    """Return a version: what is short first, then the two texts."""
    short = [key for key in shown or row if key not in _TEXTS]
    lines = [f"{key:<15} {_cell(row[key])}" for key in short]
    texts = [f"\n--- {key}\n{row[key] or ''}" for key in _TEXTS]
    return "\n".join([*lines, *texts])


def _difference(value: dict[str, Row]) -> str:
    old, new = (_page(value[key], _WRITTEN).split("\n") for key in ("old", "new"))
    before, after = (
        "{name} v{version}".format_map(value[key]) for key in ("old", "new")
    )
    lines = difflib.unified_diff(old, new, before, after, lineterm="")
    return "\n".join(lines) or "(no difference)"


def _created(value: Row) -> str:
    state = "active" if value["active"] else "not active yet"
    return f"created {value['name']} v{value['version']}, {state}"


_REPORT = """\
{name}: {prompt}, {metric}, {percent:g} % treatment, {status}
{table}
difference {difference:+.4g} (95 %, at every look: {low:+.4g} … {high:+.4g})
subjects seen in both arms, left out: {both}
winner: {named} ({reason})"""


def _report(value: Row) -> str:
    said = {**value, "table": _table(value["arms"])}
    said["named"] = value["winner"] or "none to name"
    for end, endless in (("low", -math.inf), ("high", math.inf)):
        said[end] = endless if value[end] is None else value[end]
    return _REPORT.format_map(said)


def _stats(value: dict[str, list[Row]]) -> str:
    return "\n\n".join(f"{view}\n{_table(rows)}" for view, rows in value.items())


# --- commands -------------------------------------------------------------------------


def _create(link: Link, given: Given) -> Row:
    files = {"template_text": given["file"], "system_prompt": given["system_file"]}
    texts = {name: file and _read(file) for name, file in files.items()}
    return catalogue.create(link, {**given, **texts})


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"cannot read {file}: {error}") from error


class Command(NamedTuple):
    """A command: small words name it, capitals are what it takes."""

    usage: str
    about: str

    @property
    def path(self) -> str:
        """Return the words that name it."""
        return " ".join(word for word in self.usage.split() if word.islower())


_TABLE = """
list                         | every version, and whether the code has the same
show NAME [VERSION]          | one version; without a number the active one
diff NAME OLD NEW            | what changed between two versions
create NAME                  | add the next version
activate NAME VERSION        | serve a version
deactivate NAME              | serve the code's own prompt instead
rollback NAME                | serve the version that was active before
guardrails                   | every guardrail
guardrails rehearse NAME     | how many logged calls a block would have stopped
guardrails set NAME ACTION   | change what a guardrail does
experiment start NAME PROMPT | compare two versions
experiment stop NAME         | end an experiment
experiment report NAME       | what an experiment shows today
export NAME VERSION          | write a version as a migration
stats                        | the four views
"""
COMMANDS = [
    Command(*map(str.strip, line.split("|"))) for line in _TABLE.strip().split("\n")
]
_OPTIONS = {
    "create": "file system_file category purpose description model_config note activate",
    "guardrails rehearse": "days",
    "experiment start": "control treatment percent metric min_subjects hypothesis",
    "experiment stop": "winner",
    "export": "dir activate",
}
_VERSION = {"type": int, "required": True, "metavar": "VERSION"}
_TAKES: dict[str, dict[str, Any]] = {
    "version": {"type": int},
    "old": {"type": int},
    "new": {"type": int},
    "action": {"choices": ("log", "warn", "redact", "block")},
    "file": {"required": True, "help": "the text; - is standard input"},
    "system_file": {"help": "the system prompt"},
    "model_config": {"type": json.loads, "metavar": "JSON"},
    "note": {"help": "why this version"},
    "activate": {"action": "store_true", "help": "serve it at once"},
    "days": {"type": int, "default": 7},
    "control": _VERSION,
    "treatment": _VERSION,
    "percent": {"type": float, "default": 50, "help": "share of treatment"},
    "metric": {"default": METRICS[0], "choices": METRICS},
    "min_subjects": {"type": int, "default": 1000, "help": "in each arm"},
    "hypothesis": {"default": ""},
    "winner": {"choices": (*ARMS, "none")},
    "dir": {"type": Path, "default": Path("migrations")},
}

# What a command does, and how a person is told.
Answer = tuple[Callable[[Link, Given], Any], Callable[[Any], str]]
_ANSWERS: dict[str, Answer] = {
    "list": (catalogue.versions, _table),
    "show": (catalogue.details, _page),
    "diff": (catalogue.both, _difference),
    "create": (_create, _created),
    "activate": (
        catalogue.activate,
        "{name} v{version} is active; caches follow in a minute".format_map,
    ),
    "deactivate": (
        catalogue.deactivate,
        "{name} has no active version: the code's own prompt is served".format_map,
    ),
    "rollback": (catalogue.rollback, "{name} is back at v{version}".format_map),
    "guardrails": (catalogue.guardrails, _table),
    "guardrails rehearse": (catalogue.rehearse, _table),
    "guardrails set": (
        catalogue.set_guardrail,
        "{name} now answers with {action}".format_map,
    ),
    "experiment start": (catalogue.start, "experiment {name} runs".format_map),
    "experiment stop": (catalogue.stop, "experiment {name} has ended".format_map),
    "experiment report": (catalogue.report, _report),
    "export": (export.ship, "wrote {file}".format_map),
    "stats": (catalogue.stats, _stats),
}

# --- in and out -----------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    # Each of these may stand before the command or after it.
    defaults = argparse.Namespace(
        database_url=os.environ.get("DATABASE_URL"), output="text", actor=_person()
    )
    given = vars(parser.parse_args(argv, defaults))
    url = given["database_url"] or parser.error(
        "give --database-url or set DATABASE_URL"
    )
    run, tell = _ANSWERS[given["path"]]
    code = 0
    try:
        link = Link(url, answer_ms=ANSWER_MS, retries=0, cool_down_s=0)
        with contextlib.closing(link):
            value = run(link, given)
        text = tell(value)
    except PromptError as error:
        said = masked(str(error))
        code, text, value = error.exit_code, "", {"error": said}
        sys.stderr.write(f"prompts: {said}\n")
    if given["output"] == "json":
        text = json.dumps(value, ensure_ascii=False, default=str)
    return _write(text) or code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--database-url", metavar="URL", help="default: DATABASE_URL")
    common.add_argument("--output", choices=("text", "json"), help="default: text")
    common.add_argument("--actor", help="who is written into the log of activations")
    parser = Parser(
        prog="python -m prompts", description="Look after prompts.", parents=[common]
    )
    verbs = {"": parser}
    groups: dict[str, Any] = {}
    for command in COMMANDS:
        above, _, word = command.path.rpartition(" ")
        if above not in verbs:  # it does nothing by itself
            verbs[above] = groups[""].add_parser(above, help=f"{above}s")
        if above not in groups:
            groups[above] = verbs[above].add_subparsers(
                required=above not in _ANSWERS, metavar="COMMAND"
            )
        about = {"help": command.about, "description": command.about}
        verb = groups[above].add_parser(word, parents=[common], **about)
        verbs[command.path] = verb
        verb.set_defaults(path=command.path)
        for word in command.usage.removeprefix(command.path).split():
            name = word.strip("[]").lower()
            count = "?" if word.startswith("[") else None
            how = _TAKES.get(name, {})
            verb.add_argument(name, metavar=name.upper(), nargs=count, **how)
        for name in _OPTIONS.get(command.path, "").split():
            verb.add_argument(f"--{name.replace('_', '-')}", **_TAKES.get(name, {}))
    return parser


def _write(text: str) -> int:
    """Print an answer; one that could not be written was not given."""
    try:
        with open(1, "wb", closefd=False) as out:
            out.write(f"{text}\n".encode(errors="backslashreplace") if text else b"")
    except OSError as error:
        if error.errno != errno.EPIPE:  # a reader that has gone had what it wanted
            sys.stderr.write(f"prompts: the answer could not be written: {error}\n")
            return 1
    return 0


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have a number and no name
        return str(os.getuid())
