"""docs/prompts.md: its example runs, and its commands are commands."""

import re
import shlex

from prompts.cli import build_parser
from prompts.service import PromptTemplateService
from tests.fix_cli import CHECKOUT
from tests.prompts.payload import counters

PAGE = (CHECKOUT / "docs" / "prompts.md").read_text("utf-8")


def test_example_runs_and_is_logged(database):
    """The first code a reader sees does what it says."""
    [example] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names = {
        "database_url": database.dsn,
        "secret_key": "a key",
        "ask_the_model": lambda *_: "It scatters blue light.",
    }

    exec(example, names)

    assert isinstance(names["service"], PromptTemplateService)
    names["service"].close()
    assert [(1, 1)] == counters(database)


def test_commands_on_the_page_are_commands():
    """Every line that begins with ``python -m prompts`` is understood."""
    lines = re.findall(r"^python -m prompts (.+)$", PAGE, re.MULTILINE)

    understood = [build_parser().parse_args(shlex.split(line)) for line in lines]

    assert len(understood) >= 10
