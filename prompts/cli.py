"""The command line, ``python -m prompts``: what a person does, in text or in JSON.

A face: it reads arguments and the environment, calls ``catalogue`` and ``export``, and
prints. It decides nothing. Exit: 0 done, 2 usage, 3 refused, 6 no connection, 7 the
server said no.
"""

import argparse
import contextlib
import difflib
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from prompts import catalogue, export
from prompts.builtin import PROMPTS
from prompts.errors import PromptError, RefusedError
from prompts.service import QUERIES
from prompts.store import Link, Row, Source

ANSWER_MS = 30_000
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


Command = Callable[[Source, argparse.Namespace], Told]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    if not arguments.database_url:
        build_parser().error("give --database-url or set DATABASE_URL")
    try:
        source = Link(
            arguments.database_url, answer_ms=ANSWER_MS, retries=0, cool_down_s=0
        )
        with contextlib.closing(source):
            told = arguments.run(source, arguments)
    except PromptError as error:
        _tell(f"prompts: {error}", sys.stderr)
        return error.exit_code
    if arguments.output == "json":
        _tell(json.dumps(told.value, ensure_ascii=False, default=str), sys.stdout)
    else:
        _tell(told.text, sys.stdout)
    return 0


def _tell(text: str, stream: TextIO) -> None:
    if text:
        print(text, file=stream)


# --- the commands ---------------------------------------------------------------------


def _list(source: Source, _: argparse.Namespace) -> Told:
    columns = "name version category purpose active hash executions activated_at"
    rows = source.rows(QUERIES["list"])
    value = _named(columns, rows)
    for row in value:  # only what is served can differ from what the code would serve
        own = PROMPTS.get(row["name"])
        drifts = (
            own is not None and row["active"] and own.content_hash != row.pop("hash")
        )
        row["code"] = "differs" if drifts else "same" if own and row["active"] else ""
        row.pop("hash", None)
    return Told(_table(value), value)


def _show(source: Source, arguments: argparse.Namespace) -> Told:
    row = catalogue.details(source, arguments.name, arguments.version)
    head = row._asdict()
    texts = {key: head.pop(key) for key in ("system_prompt", "template_text")}
    lines = [f"{key:<15} {_cell(value)}" for key, value in head.items()]
    if texts["system_prompt"]:
        lines += ["", "--- system prompt", texts["system_prompt"]]
    return Told("\n".join([*lines, "", "--- text", row.template_text]), row._asdict())


def _diff(source: Source, arguments: argparse.Namespace) -> Told:
    name = arguments.name
    old, new = (
        catalogue.details(source, name, v) for v in (arguments.old, arguments.new)
    )
    lines = [
        line
        for part in ("system_prompt", "template_text")
        for line in difflib.unified_diff(
            (getattr(old, part) or "").split("\n"),
            (getattr(new, part) or "").split("\n"),
            f"{name} v{old.version} {part}",
            f"{name} v{new.version} {part}",
            lineterm="",
        )
    ]
    return Told("\n".join(lines), {"old": old._asdict(), "new": new._asdict()})


def _create(source: Source, arguments: argparse.Namespace) -> Told:
    text = sys.stdin.read() if arguments.file == "-" else _read(arguments.file)
    system = arguments.system_file and _read(arguments.system_file)
    names = ("category", "purpose", "description", "model_config", "note", "activate")
    fields = {name: getattr(arguments, name) for name in names}
    version = catalogue.create(
        source,
        arguments.name,
        text,
        {**fields, "system_prompt": system},
        arguments.actor,
    )
    state = "active" if arguments.activate else "not active yet"
    return _moved(
        arguments.name, version, f"created {arguments.name} v{version}, {state}"
    )


def _activate(source: Source, arguments: argparse.Namespace) -> Told:
    name, version = arguments.name, arguments.version
    catalogue.activate(source, name, version, arguments.actor)
    return _moved(
        name, version, f"{name} v{version} is active; caches follow in a minute"
    )


def _deactivate(source: Source, arguments: argparse.Namespace) -> Told:
    catalogue.deactivate(source, arguments.name)
    told = f"{arguments.name} has no active version: the code's own prompt is served"
    return _moved(arguments.name, None, told)


def _rollback(source: Source, arguments: argparse.Namespace) -> Told:
    version = catalogue.rollback(source, arguments.name, arguments.actor)
    return _moved(arguments.name, version, f"{arguments.name} is back at v{version}")


def _guardrails(source: Source, _: argparse.Namespace) -> Told:
    rows = source.rows(QUERIES["all_guardrails"])
    value = _named("name type applies_to severity action active", rows)
    return Told(_table(value), value)


def _set_guardrail(source: Source, arguments: argparse.Namespace) -> Told:
    catalogue.set_guardrail(source, arguments.name, arguments.action)
    value = {"name": arguments.name, "action": arguments.action}
    return Told(f"{arguments.name} now answers with {arguments.action}", value)


def _rehearse(source: Source, arguments: argparse.Namespace) -> Told:
    rows = catalogue.rehearse(source, arguments.name, arguments.days)
    value = _named("prompt calls would_be_blocked", rows)
    return Told(_table(value), value)


def _start(source: Source, arguments: argparse.Namespace) -> Told:
    catalogue.start(source, vars(arguments))
    name = arguments.name
    return Told(f"experiment {name} runs", {"name": name, "status": "running"})


def _stop(source: Source, arguments: argparse.Namespace) -> Told:
    catalogue.stop(source, arguments.name, arguments.winner)
    value = {"name": arguments.name, "winner": arguments.winner}
    return Told(f"experiment {arguments.name} has ended", value)


def _report(source: Source, arguments: argparse.Namespace) -> Told:
    report = catalogue.report(source, arguments.name)
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
    return Told("\n".join(lines), {**value, "both": report.both, **verdict._asdict()})


def _export(source: Source, arguments: argparse.Namespace) -> Told:
    row = catalogue.details(source, arguments.name, arguments.version)
    prompt = catalogue.as_prompt(row)
    sql = export.migration(prompt, row.change_note, activate=arguments.activate)
    path = export.write(arguments.dir, prompt, sql)
    return Told(f"wrote {path}", {"file": str(path), "hash": prompt.content_hash})


def _stats(source: Source, _: argparse.Namespace) -> Told:
    value = {view: _named(VIEWS[view], source.rows(QUERIES[view])) for view in VIEWS}
    parts = [f"{view}\n{_table(rows) or '(none)'}" for view, rows in value.items()]
    return Told("\n\n".join(parts), value)


# --- in and out -----------------------------------------------------------------------


def _moved(name: str, version: int | None, text: str) -> Told:
    return Told(text, {"name": name, "version": version})


def _named(columns: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [dict(zip(columns.split(), row, strict=True)) for row in rows]


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
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


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"cannot read {file}: {error}") from error


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the documentation's table is made from it."""
    parser = argparse.ArgumentParser(
        prog="python -m prompts", description="Look after prompts."
    )
    url = os.environ.get("DATABASE_URL")
    parser.add_argument("--database-url", default=url, help="default: DATABASE_URL")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument(
        "--actor", default=_person(), help="who is written into the log of activations"
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(group: Any, name: str, run: Command, about: str, *names: str) -> Any:
        command = group.add_parser(name, help=about, description=about)
        command.set_defaults(run=run)
        for argument in names:
            kind = int if argument in {"VERSION", "OLD", "NEW"} else str
            command.add_argument(argument.lower(), metavar=argument, type=kind)
        return command

    verb(verbs, "list", _list, "every version, and whether the code has the same")
    show = verb(verbs, "show", _show, "one version", "NAME")
    show.add_argument("version", nargs="?", type=int, help="default: the active one")
    verb(
        verbs, "diff", _diff, "what changed between two versions", "NAME", "OLD", "NEW"
    )
    new = verb(verbs, "create", _create, "add the next version", "NAME")
    new.add_argument("--file", required=True, help="the text; - is standard input")
    for option in ("system-file", "category", "purpose", "description", "note"):
        new.add_argument(f"--{option}")
    new.add_argument("--model-config", type=json.loads, metavar="JSON")
    new.add_argument("--activate", action="store_true", help="serve it at once")
    verb(verbs, "activate", _activate, "serve a version", "NAME", "VERSION")
    verb(
        verbs, "deactivate", _deactivate, "serve the code's own prompt instead", "NAME"
    )
    verb(
        verbs, "rollback", _rollback, "serve the version that was active before", "NAME"
    )

    rails = verbs.add_parser("guardrails", help="every guardrail")
    rails.set_defaults(run=_guardrails)
    rail = rails.add_subparsers(metavar="COMMAND")
    about = "how many logged calls a block would have stopped"
    verb(rail, "rehearse", _rehearse, about, "NAME").add_argument(
        "--days", type=int, default=7
    )
    change = verb(rail, "set", _set_guardrail, "change what a guardrail does", "NAME")
    change.add_argument("action", choices=("log", "warn", "redact", "block"))

    trials = verbs.add_parser("experiment", help="start, stop and report experiments")
    trial = trials.add_subparsers(required=True, metavar="COMMAND")
    begin = verb(trial, "start", _start, "compare two versions", "NAME", "PROMPT")
    begin.add_argument("--control", type=int, required=True, metavar="VERSION")
    begin.add_argument("--treatment", type=int, required=True, metavar="VERSION")
    begin.add_argument("--percent", type=float, default=50, help="share of treatment")
    begin.add_argument("--metric", default="success_rate", choices=METRICS)
    begin.add_argument("--min-subjects", type=int, default=1000, help="in each arm")
    begin.add_argument("--hypothesis", default="")
    end = verb(trial, "stop", _stop, "end an experiment", "NAME")
    end.add_argument("--winner", choices=("control", "treatment", "none"))
    verb(trial, "report", _report, "what an experiment shows today", "NAME")

    ship = verb(
        verbs, "export", _export, "write a version as a migration", "NAME", "VERSION"
    )
    ship.add_argument("--dir", type=Path, default=Path("migrations"))
    ship.add_argument("--activate", action="store_true", help="and make it active")
    verb(verbs, "stats", _stats, "the four views")
    return parser


METRICS = ("success_rate", "latency_ms", "cost")


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have a number and no name
        return str(os.getuid())
