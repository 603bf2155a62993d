"""docs/prompts.md: its example runs. Its commands are run by tests/docs."""

import re

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
