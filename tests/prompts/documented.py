"""What docs/reference/prompts.md takes from the code: commands, detectors' figures.

Called by the generated parts of that page. Holds no expectation.
"""

from prompts.cli import COMMANDS
from tests.prompts import labelled


def commands() -> str:
    """Return the table of commands."""
    rows = [f"| `{command.usage}` | {command.about} |" for command in COMMANDS]
    return "\n".join(["| `python -m prompts …` | |", "|---|---|", *rows])


def figures() -> str:
    """Return the table of precision and recall."""
    return labelled.table()
