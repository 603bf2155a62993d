"""The command line: parse, call one verb, render, exit. No decisions.

``python -m migrate`` and the console script ``cloudrun-migrate``. What takes time to
import is imported by the command that needs it: ``--help`` loads neither driver nor YAML.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from migrate import errors, streams
from migrate.config import OPTIONS, Output, Settings, load
from migrate.errors import BadArguments, ExplainedError

# argparse asks for translations of its words, which nobody has made, at every word.
vars(argparse)["_"] = str

#: Verbs in the order of the help: (name, summary, fenced).
VERBS = (
    ("status", "list what is applied and what is pending", False),
    ("plan", "show what apply would do, and how", False),
    ("apply", "apply what is pending, verified, each in its transaction", False),
    ("up", "the same as apply", False),
    ("verify", "prove that what was applied is still there and whole", False),
    ("new", "make the files of a new migration", False),
    ("doctor", "explain the database address and what this role may do", False),
    ("rollback", "undo by .down.sql, newest first", True),
    ("baseline", "declare that an existing database stands at a version", True),
    ("repair", "change an entry of the history, never the schema", True),
    ("unlock", "end the session that holds the lock", True),
)


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; the reference page is made from it.

    ``only`` a verb, for a command that names it: the options of ten others take longer to
    describe than a look at the database.
    """
    parser = _Parser(
        prog="python -m migrate",
        description="Versioned SQL, applied to PostgreSQL safely.",
        epilog="Verbs marked * undo work or change what is recorded: they ask, or need --yes.",
    )
    common = _Parser(add_help=False)
    group = common.add_argument_group(
        "settings (also as variables, or in environments/NAME.yaml)"
    )
    group.add_argument(
        "--env", metavar="NAME", help="read environments/NAME.yaml [MIGRATE_ENV]"
    )
    for option in OPTIONS:
        default = f"; default {option.default}" if option.default is not None else ""
        group.add_argument(
            option.flag,
            dest=option.name,
            metavar=option.metavar,
            help=f"{option.help} [{option.variable}{default}]",
        )
    # With its name given, argparse need not lay out a usage line to find it.
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, prog=parser.prog
    )
    for name, summary, fenced in VERBS:
        if only not in {None, name}:
            continue
        mark = " *" if fenced else ""
        verb = verbs.add_parser(
            name, help=summary + mark, description=summary + mark, parents=[common]
        )
        if name in _ARGUMENTS:
            _ARGUMENTS[name](verb)
        if fenced:
            verb.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _selection_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--to", metavar="VERSION", help="stop after this version")
    verb.add_argument("--only", metavar="FILE", help="apply this one alone")
    verb.add_argument(
        "--out-of-order",
        action="store_true",
        help="allow a version older than one that is applied",
    )


def _plan_arguments(verb: argparse.ArgumentParser) -> None:
    _selection_arguments(verb)
    verb.add_argument(
        "--check-files",
        action="store_true",
        help="read every file of the directory and ask no database",
    )


def _apply_arguments(verb: argparse.ArgumentParser) -> None:
    _selection_arguments(verb)
    how = verb.add_mutually_exclusive_group()
    how.add_argument(
        "--dry-run",
        action="store_true",
        help="run everything in one transaction on the target and roll it back",
    )
    how.add_argument(
        "--single-transaction",
        action="store_true",
        help="all or nothing, in one transaction",
    )


def _status_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--check", action="store_true", help="exit with 9 when something is pending"
    )


def _new_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="what it does, in words")
    verb.add_argument("--down", action="store_true", help="also make the .down.sql")
    verb.add_argument("--checks", action="store_true", help="also make the .verify.sql")


def _rollback_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--to",
        metavar="VERSION",
        help="undo everything newer; 0: everything (default: one step)",
    )


def _version_argument(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("version", metavar="VERSION")


def _repair_arguments(verb: argparse.ArgumentParser) -> None:
    _version_argument(verb)
    action = verb.add_mutually_exclusive_group(required=True)
    for name, text in (
        ("accept-edit", "take the file's present text for the one that was applied"),
        ("forget", "remove the entry"),
        ("statement-done", "the statement in doubt took effect"),
        ("statement-again", "the statement in doubt did not take effect: run it again"),
    ):
        action.add_argument(
            f"--{name}", dest="action", action="store_const", const=name, help=text
        )


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "status": _status_arguments,
    "plan": _plan_arguments,
    "apply": _apply_arguments,
    "up": _apply_arguments,
    "new": _new_arguments,
    "rollback": _rollback_arguments,
    "baseline": _version_argument,
    "repair": _repair_arguments,
}


def settings_for(
    options: argparse.Namespace, environment: Mapping[str, str]
) -> Settings:
    """Return the settings of a command; starts the embedded server if one is needed."""
    flags = {option.name: getattr(options, option.name) for option in OPTIONS}
    settings = load(flags, environment, options.env)
    url = settings.database_url or ""
    if url.startswith("embedded:") and not getattr(options, "check_files", False):
        from migrate import embedded  # noqa: PLC0415

        address = embedded.address(url.removeprefix(embedded.SCHEME))
        settings = settings._replace(database_url=address)
    return settings


class _Help(argparse.HelpFormatter):
    """As wide as the terminal. argparse would load shutil to ask: 3 ms of every run."""

    def __init__(self, prog: str) -> None:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() else 0
        if not width:
            try:
                width = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
            except (AttributeError, ValueError, OSError):
                width = 80
        super().__init__(prog, width=(width or 80) - 2)


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print: the container must say it in JSON."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **settings})

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        raise BadArguments(reason=message, usage=usage)


def main(arguments: Sequence[str] | None = None, *, in_json: bool = False) -> int:
    """Run one command; return its exit code.

    ``in_json``: what goes wrong before the settings are known is told in JSON.
    """
    streams.make_ready()
    return streams.flushed(_main(arguments, in_json=in_json))


def _main(arguments: Sequence[str] | None, *, in_json: bool) -> int:
    # What one run makes it keeps to its end: looking for rubbish finds none, for 5 ms.
    gc.set_threshold(100_000)
    environment = dict(os.environ)
    given = sys.argv[1:] if arguments is None else arguments
    named = next((name for name, _, _ in VERBS if given[:1] == [name]), None)
    output = Output.JSON if in_json else Output.TEXT
    try:
        options = build_parser(named).parse_args(given)
        settings = settings_for(options, environment)
        output = settings.output
        from migrate import commands  # noqa: PLC0415 - the driver is loaded here

        return int(commands.run(options, settings))
    except ExplainedError as error:
        from migrate.render import explain  # noqa: PLC0415

        if output is Output.JSON and named in {"apply", "up"}:
            from migrate.render import JsonListener, Printer  # noqa: PLC0415

            run_id = os.urandom(8).hex()
            JsonListener(Printer(sys.stdout), run_id, environment).refused(error)
        elif output is Output.JSON:
            import json  # noqa: PLC0415

            line = {
                "error": error.code,
                "message": str(error),
                "advice": error.advice(),
            }
            _last_words(json.dumps(line, ensure_ascii=False), sys.stdout)
        else:
            _last_words(explain(error), sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        _last_words("error: stopped by SIGINT", sys.stderr)
        return int(errors.ExitCode.FAILED)
    except OSError as error:
        return streams.lost(error)


def _last_words(text: str, stream: object) -> None:
    """Write where it can be written; a closed stream hides no exit code."""
    import contextlib  # noqa: PLC0415

    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(text, file=stream, flush=True)  # type: ignore[call-overload]
