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
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prompts import catalogue, export
from prompts.builtin import PROMPTS
from prompts.errors import PromptError, RefusedError
from prompts.service import QUERIES
from prompts.store import Link, Row, Source

ANSWER_MS = 30_000
_ENDLESS = (float("-inf"), float("inf"))
METRICS = ("success_rate", "latency_ms", "cost")
VIEWS = {
    "performance": "name version active executions success% avg_ms 7d p50_7d p95_7d cost_7d",
    "errors": "at prompt version source error message ms",
    "violations": "guardrail severity action active found calls blocked prompts last_seen",
    "experiments": "name prompt status control treatment percent subjects_c subjects_t chi2",
}


class Told(NamedTuple):
    """What a command answers: the same for a person and for a program."""

    text: str
    value: object


Given = argparse.Namespace
Run = Callable[[Source, Given], Told]


class Command(NamedTuple):
    """A command: how it is called, what it is for, what else it takes."""

    usage: str
    about: str
    options: dict[str, dict[str, Any]]
    run: Run


COMMANDS: list[Command] = []


def command(usage: str, about: str, **options: dict[str, Any]) -> Callable[[Run], Run]:
    """Make a function a command; small words name it, capitals are what it takes."""

    def register(run: Run) -> Run:
        COMMANDS.append(Command(usage, about, options, run))
        return run

    return register


# --- prompts --------------------------------------------------------------------------


@command("list", "every version, and whether the code has the same")
def _list(source: Source, _: Given) -> Told:
    columns = "name version category purpose active hash executions activated_at"
    value = _named(columns, source.rows(QUERIES["list"]))
    for row in value:  # only what is served can differ from what the code would serve
        own, content = PROMPTS.get(row["name"]), row.pop("hash")
        served = own is not None and row["active"]
        same = own is not None and own.content_hash == content
        row["code"] = ("same" if same else "differs") if served else ""
    return Told(_table(value), value)


@command("show NAME [VERSION]", "one version; without a number the active one")
def _show(source: Source, given: Given) -> Told:
    row = catalogue.details(source, given.name, given.version)
    return Told("\n".join(_page(row._asdict())), row._asdict())


@command("diff NAME OLD NEW", "what changed between two versions")
def _diff(source: Source, given: Given) -> Told:
    versions = given.old, given.new
    old, new = (catalogue.details(source, given.name, v)._asdict() for v in versions)
    before, after = (_page({key: row[key] for key in _WRITTEN}) for row in (old, new))
    one, other = (f"{given.name} v{version}" for version in versions)
    lines = difflib.unified_diff(before, after, one, other, lineterm="")
    return Told("\n".join(lines) or "(no difference)", {"old": old, "new": new})


@command(
    "create NAME",
    "add the next version",
    file={"required": True, "help": "the text; - is standard input"},
    system_file={"help": "the system prompt"},
    category={},
    purpose={},
    description={},
    note={"help": "why this version"},
    model_config={"type": json.loads, "metavar": "JSON"},
    activate={"action": "store_true", "help": "serve it at once"},
)
def _create(source: Source, given: Given) -> Told:
    names = ("category", "purpose", "description", "model_config", "note", "activate")
    fields = {name: getattr(given, name) for name in names}
    fields["system_prompt"] = given.system_file and _read(given.system_file)
    text = _read(given.file)
    version = catalogue.create(source, given.name, text, fields, given.actor)
    state = "active" if given.activate else "not active yet"
    return _moved(given, version, f"created {given.name} v{version}, {state}")


@command("activate NAME VERSION", "serve a version")
def _activate(source: Source, given: Given) -> Told:
    catalogue.activate(source, given.name, given.version, given.actor)
    told = f"{given.name} v{given.version} is active; caches follow in a minute"
    return _moved(given, given.version, told)


@command("deactivate NAME", "serve the code's own prompt instead")
def _deactivate(source: Source, given: Given) -> Told:
    catalogue.deactivate(source, given.name)
    told = f"{given.name} has no active version: the code's own prompt is served"
    return _moved(given, None, told)


@command("rollback NAME", "serve the version that was active before")
def _rollback(source: Source, given: Given) -> Told:
    version = catalogue.rollback(source, given.name, given.actor)
    return _moved(given, version, f"{given.name} is back at v{version}")


# --- guardrails, experiments ----------------------------------------------------------


@command("guardrails", "every guardrail")
def _guardrails(source: Source, _: Given) -> Told:
    rows = source.rows(QUERIES["all_guardrails"])
    value = _named("name type applies_to severity action active", rows)
    return Told(_table(value), value)


@command(
    "guardrails rehearse NAME",
    "how many logged calls a block would have stopped",
    days={"type": int, "default": 7},
)
def _rehearse(source: Source, given: Given) -> Told:
    rows = catalogue.rehearse(source, given.name, given.days)
    value = _named("prompt calls would_be_blocked", rows)
    return Told(_table(value), value)


@command("guardrails set NAME ACTION", "change what a guardrail does")
def _set_guardrail(source: Source, given: Given) -> Told:
    catalogue.set_guardrail(source, given.name, given.action)
    value = {"name": given.name, "action": given.action}
    return Told(f"{given.name} now answers with {given.action}", value)


@command(
    "experiment start NAME PROMPT",
    "compare two versions",
    control={"type": int, "required": True, "metavar": "VERSION"},
    treatment={"type": int, "required": True, "metavar": "VERSION"},
    percent={"type": float, "default": 50, "help": "share of treatment"},
    metric={"default": METRICS[0], "choices": METRICS},
    min_subjects={"type": int, "default": 1000, "help": "in each arm"},
    hypothesis={"default": ""},
)
def _start(source: Source, given: Given) -> Told:
    catalogue.start(source, vars(given))
    value = {"name": given.name, "status": "running"}
    return Told(f"experiment {given.name} runs", value)


@command(
    "experiment stop NAME",
    "end an experiment",
    winner={"choices": ("control", "treatment", "none")},
)
def _stop(source: Source, given: Given) -> Told:
    catalogue.stop(source, given.name, given.winner)
    value = {"name": given.name, "winner": given.winner}
    return Told(f"experiment {given.name} has ended", value)


@command("experiment report NAME", "what an experiment shows today")
def _report(source: Source, given: Given) -> Told:
    report = catalogue.report(source, given.name)
    name, prompt, *versions, percent, status, metric, _, _ = report.experiment
    verdict = report.verdict
    rows = [
        {"arm": arm, "version": version, **figures._asdict()}
        for version, (arm, figures) in zip(versions, report.arms.items(), strict=True)
    ]
    interval = f"{verdict.low:+.4g} … {verdict.high:+.4g}"
    lines = [
        f"{name}: {prompt}, {metric}, {percent:g} % treatment, {status}",
        _table(rows),
        f"difference {verdict.difference:+.4g} (95 %, at every look: {interval})",
        f"subjects seen in both arms, left out: {report.both}",
        f"winner: {verdict.winner or 'none to name'} ({verdict.reason})",
    ]
    value = {"name": name, "status": status, "metric": metric, "arms": rows}
    for key, said in {"both": report.both, **verdict._asdict()}.items():
        value[key] = None if said in _ENDLESS else said  # JSON has no word for it
    return Told("\n".join(lines), value)


# --- migrations, figures --------------------------------------------------------------


@command(
    "export NAME VERSION",
    "write a version as a migration",
    dir={"type": Path, "default": Path("migrations")},
    activate={"action": "store_true", "help": "and make it active"},
)
def _export(source: Source, given: Given) -> Told:
    row = catalogue.details(source, given.name, given.version)
    prompt = catalogue.as_prompt(row)
    sql = export.migration(prompt, row.change_note, activate=given.activate)
    path = export.write(given.dir, prompt, sql)
    return Told(f"wrote {path}", {"file": str(path), "hash": prompt.content_hash})


@command("stats", "the four views")
def _stats(source: Source, _: Given) -> Told:
    value = {view: _named(VIEWS[view], source.rows(QUERIES[view])) for view in VIEWS}
    parts = [f"{view}\n{_table(rows)}" for view, rows in value.items()]
    return Told("\n\n".join(parts), value)


# --- in and out -----------------------------------------------------------------------

_WRITTEN = [
    *("category", "purpose", "description", "variables", "model_config"),
    *("system_prompt", "template_text"),
]
_TAKES: dict[str, dict[str, Any]] = {
    "version": {"type": int},
    "old": {"type": int},
    "new": {"type": int},
    "action": {"choices": ("log", "warn", "redact", "block")},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    # Each of these may stand before the command or after it.
    given = argparse.Namespace(
        database_url=os.environ.get("DATABASE_URL"), output="text", actor=_person()
    )
    given = parser.parse_args(argv, given)
    if not given.database_url:
        parser.error("give --database-url or set DATABASE_URL")
    code = 0
    try:
        link = Link(given.database_url, answer_ms=ANSWER_MS, retries=0, cool_down_s=0)
        with contextlib.closing(link):
            told = given.run(link, given)
    except PromptError as error:
        code, told = error.exit_code, Told("", {"error": str(error)})
        sys.stderr.write(f"prompts: {error}\n")
    if given.output == "json":
        told = Told(json.dumps(told.value, ensure_ascii=False, default=str), None)
    return _write(told.text) or code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--database-url", metavar="URL", help="default: DATABASE_URL")
    common.add_argument("--output", choices=("text", "json"), help="default: text")
    common.add_argument("--actor", help="who is written into the log of activations")
    parser = argparse.ArgumentParser(
        prog="python -m prompts", description="Look after prompts.", parents=[common]
    )
    made = {"": parser}
    groups: dict[str, Any] = {}
    for usage, about, options, run in COMMANDS:
        path = " ".join(word for word in usage.split() if word.islower())
        above, _, name = path.rpartition(" ")
        if above and above not in made:
            made[above] = groups[""].add_parser(above, help=f"{above}s")
        if above not in groups:
            required = made[above].get_default("run") is None
            groups[above] = made[above].add_subparsers(
                required=required, metavar="COMMAND"
            )
        verb = groups[above].add_parser(
            name, help=about, description=about, parents=[common]
        )
        verb.set_defaults(run=run)
        made[path] = verb
        for word in usage.split()[path.count(" ") + 1 :]:
            dest = word.strip("[]").lower()
            count = "?" if word.startswith("[") else None
            verb.add_argument(
                dest, metavar=dest.upper(), nargs=count, **_TAKES.get(dest, {})
            )
        for option, how in options.items():
            verb.add_argument(f"--{option.replace('_', '-')}", **how)
    return parser


def _moved(given: Given, version: int | None, text: str) -> Told:
    return Told(text, {"name": given.name, "version": version})


def _named(columns: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [dict(zip(columns.split(), row, strict=True)) for row in rows]


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "(none)"
    cells = [list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _page(row: dict[str, Any]) -> list[str]:
    """Return the lines of a version: what is short first, then the two texts."""
    texts = {key: row.pop(key) or "" for key in ("system_prompt", "template_text")}
    lines = [f"{key:<15} {_cell(value)}" for key, value in row.items()]
    for name, text in texts.items():
        lines += ["", f"--- {name}", *text.split("\n")]
    return lines


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"cannot read {file}: {error}") from error


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
