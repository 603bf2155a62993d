"""The table of verbs: what the command line offers, and who carries it out.

Read by `cli`. To add a verb is to add a row: its arguments are a function here or in a
light module, its work is named ``module:function`` and loaded when it is called. The
function takes a `Call` and returns the exit code.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobs import arguments


class Call(NamedTuple):
    """One command as it was typed, and the environment it was typed in."""

    options: argparse.Namespace
    environment: Mapping[str, str]


class Verb(NamedTuple):
    """One verb."""

    name: str
    summary: str
    work: str
    arguments: Callable[[argparse.ArgumentParser], None]


def environment_argument(verb: argparse.ArgumentParser) -> None:
    """Take the environment: what every verb is about."""
    verb.add_argument("env", metavar="ENV", help="reads environments/ENV.yaml")


def _live_arguments(verb: argparse.ArgumentParser) -> None:
    environment_argument(verb)
    verb.add_argument(
        "--no-tail",
        action="store_true",
        help="read the log by listing alone, every few seconds",
    )


def _launch_arguments(verb: argparse.ArgumentParser) -> None:
    _live_arguments(verb)
    verb.add_argument(
        "--dry-run",
        action="store_true",
        help="let the engine run everything and roll it back",
    )
    verb.add_argument("--commit", metavar="SHA", help="default: git's HEAD")


def _run_arguments(verb: argparse.ArgumentParser) -> None:
    _live_arguments(verb)
    image = verb.add_mutually_exclusive_group(required=True)
    image.add_argument("--image", metavar="IMAGE", help="the image, by digest")
    image.add_argument("--image-file", metavar="FILE", help="a file that holds it")
    verb.add_argument("--verdict", metavar="FILE", help="where the verdict is kept")
    verb.add_argument(
        "--keep-job", action="store_true", help="`cleanup` will delete the job"
    )
    told = {
        "--secret-version": ("N", "instead of the one the environment file names"),
        "--build-id": ("ID", "the build this is a step of: names the job"),
        "--launch-id": (
            "ID",
            "the launch that submitted the build (default: a new one)",
        ),
        "--commit": ("SHA", "for labels and history"),
        "--submitter": ("WHO", "for labels and history (default: the user)"),
    }
    for option, (metavar, text) in told.items():
        verb.add_argument(option, metavar=metavar, default="", help=text)
    verb.add_argument(
        "--dry-run",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        metavar="BOOL",
        help="let the engine run everything and roll it back",
    )


def _logs_arguments(verb: argparse.ArgumentParser) -> None:
    _live_arguments(verb)
    verb.add_argument("--follow", action="store_true", help="go on until it ends")
    verb.add_argument(
        "--hours",
        type=float,
        default=24.0,
        metavar="H",
        help="how far back (default 24)",
    )


def _cleanup_arguments(verb: argparse.ArgumentParser) -> None:
    environment_argument(verb)
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--verdict", metavar="FILE", help="what `run` has kept")
    which.add_argument("--job", metavar="NAME", help="a job by its name")
    verb.add_argument(
        "--fail-unless-succeeded",
        action="store_true",
        help="end with the exit code of the verdict",
    )


#: In the order of the help.
VERBS: tuple[Verb, ...] = (
    Verb(
        "launch",
        "build, run, judge, clean up: through Cloud Build",
        "jobs.commands:launch",
        _launch_arguments,
    ),
    Verb(
        "run",
        "the job alone, with an image that exists",
        "jobs.commands:run",
        _run_arguments,
    ),
    Verb("status", "what is going on", "jobs.commands:status", environment_argument),
    Verb("logs", "the job's log, live if asked", "jobs.commands:logs", _logs_arguments),
    Verb(
        "cancel",
        "end what is going on, and clean up",
        "jobs.commands:cancel",
        environment_argument,
    ),
    Verb(
        "cleanup",
        "delete a launch's job; the last step of the build",
        "jobs.commands:cleanup",
        _cleanup_arguments,
    ),
    Verb(
        "sweep",
        "remove what launches left that died",
        "jobs.commands:sweep",
        environment_argument,
    ),
    Verb(
        "doctor",
        "look at everything that makes launches fail",
        "jobs.upkeep:doctor",
        arguments.doctor,
    ),
    Verb(
        "history",
        "what ran, when, by whom, with which verdict",
        "jobs.upkeep:history",
        arguments.history,
    ),
    Verb(
        "secret",
        "show, set-url, rotate: the database's address",
        "jobs.upkeep:secret",
        arguments.secret,
    ),
    Verb(
        "trigger",
        "show or apply the build trigger of an environment",
        "jobs.upkeep:trigger",
        arguments.trigger,
    ),
    Verb(
        "approve",
        "approve or reject a build that waits for it",
        "jobs.upkeep:approve",
        arguments.approve,
    ),
)
