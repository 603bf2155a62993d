"""The command line: parse, carry out one verb, return its exit code. No decisions.

``python -m jobs`` and the console script ``cloudrun-jobs``. The verbs are rows of `verbs`;
Google's libraries are loaded inside them: ``--help`` loads neither them nor YAML.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from jobs import interrupts
from jobs.errors import LaunchCode
from jobs.verbs import VERBS, Call
from migrate.errors import ExplainedError, masked


class _Parser(argparse.ArgumentParser):
    """Does not quote what may be an address in the wrong place."""

    def error(self, message: str) -> NoReturn:
        super().error(masked(message))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the reference page is made from it."""
    parser = _Parser(
        prog="python -m jobs",
        description="Launch a migration as an ephemeral Cloud Run Job, and watch it.",
    )
    common = _Parser(add_help=False)
    common.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        metavar="FORMAT",
        help="text, or json: one object per line",
    )
    loud = common.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="trouble and the end alone")
    loud.add_argument(
        "--verbose", action="store_true", help="also the build's lines and progress"
    )
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, prog=parser.prog
    )
    for verb in VERBS:
        made = verbs.add_parser(
            verb.name, help=verb.summary, description=verb.summary, parents=[common]
        )
        verb.arguments(made)
        made.set_defaults(work=verb.work)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # No character that a terminal lacks may end a launch half-way.
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)

    def work() -> int:
        import importlib  # noqa: PLC0415 - the verb's own module, and no other

        module, _, function = options.work.partition(":")
        done = getattr(importlib.import_module(module), function)
        return int(done(Call(options, dict(os.environ))))

    return explained(work, options.output)


def explained(work: Callable[[], int], output: str = "text") -> int:
    """Do a command's work; a foreseen error becomes words and an exit code."""
    try:
        # A terminated launch cleans up like an interrupted one.
        with interrupts.listening():
            return work()
    except ExplainedError as error:
        _explain(error, output)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return int(LaunchCode.CANCELLED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _explain(error: ExplainedError, output: str) -> None:
    from jobs.render import explain  # noqa: PLC0415

    if output == "json":
        import json  # noqa: PLC0415

        value = {"error": error.code, "message": str(error), "advice": error.advice()}
        print(json.dumps(value, ensure_ascii=False), flush=True)
    print(explain(error), file=sys.stderr, flush=True)
