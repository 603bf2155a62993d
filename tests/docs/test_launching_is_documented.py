"""Every verb, option, key, variable, error, exit code and event of ``jobs`` has its place."""

import re

import pytest

from docs._generate import launching
from docs._generate.meanings import LAUNCH_CODES
from docs._generate.pages import CHECKOUT
from jobs import events
from jobs.errors import LaunchCode
from jobs.settings import KEYS
from jobs.verbs import VERBS

REFERENCE = CHECKOUT / "docs/reference"
#: How the code asks for a variable of its environment.
ASKED = re.compile(
    r"""(?:(?<!image\.)environment|os\.environ)(?:\.get\(|\[)\s*"([A-Z_]+)"|_variable\("([A-Z_]+)"\)"""
)
#: Variables of Google's own programs, which its documentation explains.
GOOGLES = {"CLOUDSDK_CONFIG", "GCE_METADATA_HOST", "GRPC_VERBOSITY"}


def page(name):
    """Return the text of a page of the reference."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def test_every_verb_has_a_section_with_its_arguments():
    """In the order of the help; each argument is explained."""
    text = page("launch-command-line")
    listed = re.findall(r"^## ([a-z]+)$", text, re.MULTILINE)
    lost = [
        (verb, action.dest)
        for verb, parser in launching.parsers().items()
        for action in launching.own_arguments(parser)
        if not action.help
        or action.help not in text.partition(f"## {verb}\n")[2].partition("\n## ")[0]
    ]

    assert [verb.name for verb in VERBS] == listed
    assert [] == lost


@pytest.mark.parametrize("key", KEYS, ids=[key.name for key in KEYS])
def test_every_key_is_documented_where_it_stands(key):
    """And in the table that is made from there."""
    said = dict(launching.documented())
    rows = page("launch-settings").splitlines()

    assert said[key.name]
    assert any(f"`{key.name}`" in row.split(" | ")[0] for row in rows)


def test_every_error_has_a_section_under_its_exit_code():
    """The code of an error is a heading, below the right number."""
    found = []
    number = -1
    for line in page("launch-errors").splitlines():
        if heading := re.match(r"## Exit (\d+)", line):
            number = int(heading[1])
        elif line.startswith("### "):
            found.append((line.removeprefix("### "), number))

    assert found == [(k.code, int(k.exit_code)) for k in launching.errors()]


def test_every_exit_code_says_what_is_true_and_what_to_do():
    """In a row of its own, below those of the engine."""
    text = page("exit-codes").partition("## Of a launch")[2]
    rows = re.findall(r"^\| \*\*(\d+)\*\* \|", text, re.MULTILINE)

    assert set(LAUNCH_CODES) == set(LaunchCode)
    assert [int(code) for code in LaunchCode] == [int(row) for row in rows]


def test_every_event_is_in_the_table():
    """With every field of it."""
    rows = page("launch-command-line").splitlines()
    for kind in events.Event.__args__:
        (row,) = [r for r in rows if r.startswith(f"| `{kind.__name__}` |")]

        assert [] == [name for name in kind._fields if f"`{name}`" not in row]


def test_every_variable_is_explained():
    """What the code asks of its environment, and nothing that it does not ask."""
    texts = [
        path.read_text(encoding="utf-8") for path in (CHECKOUT / "jobs").rglob("*.py")
    ]
    asked = {a or b for text in texts for a, b in ASKED.findall(text)} - GOOGLES
    table = (
        page("launch-command-line").partition("## Variables")[2].partition("\n## ")[0]
    )
    listed = {
        name
        for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }

    assert {"JOBS_SUBMITTER", "NO_COLOR", "GOOGLE_CLOUD_EMULATOR"} <= asked
    assert asked <= listed
