"""What docs/prompts.md takes from the code: the commands, and the detectors' figures.

Called by the generated parts of that page. Holds no expectation.
"""

import argparse
from collections.abc import Iterator

from prompts.cli import build_parser
from tests.prompts import labelled


def commands() -> str:
    """Return the table of commands."""
    rows = [f"| `{usage}` | {about} |" for usage, about in _verbs(build_parser())]
    return "\n".join(["| `python -m prompts …` | |", "|---|---|", *rows])


def figures() -> str:
    """Return the table of precision and recall."""
    return labelled.table()


def _verbs(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, str]]:
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for group in groups:
        for about in group._choices_actions:
            name, verb = about.dest, group.choices[about.dest]
            takes = [
                str(a.metavar or a.dest).upper() for a in verb._get_positional_actions()
            ]
            inner = [
                a for a in verb._actions if isinstance(a, argparse._SubParsersAction)
            ]
            if not inner or verb.get_default("run"):
                own = [] if inner else takes
                yield " ".join([f"{before}{name}", *own]), about.help or ""
            yield from _verbs(verb, f"{before}{name} ")
