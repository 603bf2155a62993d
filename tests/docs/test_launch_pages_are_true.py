"""The pages about launching name the checks, commands and roles that there are."""

import re
import shlex

import pytest

from docs._generate.pages import CHECKOUT, blocks, pages
from jobs import triggers
from jobs.cli import build_parser
from jobs.config import target_from, trigger_from
from jobs.roles import LEAST
from tests.preflighted import a_target

TROUBLE = CHECKOUT / "docs/troubleshooting.md"
FIRST = CHECKOUT / "docs/how-to/first-launch.md"
CHECK = re.compile(r'(?:wrong|fine|unasked|Finding)\(\s*"([a-z-]+)"')
COMMAND = re.compile(r"python -m jobs ([^`>|;\n]+)")


def checks_of_the_code():
    """Return the names of the checks, as the modules of the preflight say them."""
    modules = (CHECKOUT / "jobs").glob("preflight*.py")
    return {c for m in modules for c in CHECK.findall(m.read_text(encoding="utf-8"))}


def test_every_check_is_in_the_table():
    """A finding's name leads to its row; no row is left over."""
    text = TROUBLE.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| ", text, re.MULTILINE)

    assert len(listed) == len(set(listed))
    assert checks_of_the_code() == set(listed)


def test_every_cause_names_a_check_that_there_is():
    """The last column of the causes, and of the four builds."""
    text = TROUBLE.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    named = {
        name for row in rows if len(row) == 4 for name in re.findall(r"`(.+?)`", row[3])
    }

    assert {"address", "connector", "image", "build-file", "role"} <= named
    assert named <= checks_of_the_code()


def commands():
    """Return every ``python -m jobs …`` of the pages, up to a pipe or the next command."""
    return sorted(
        {
            command.strip()
            for page in (TROUBLE, FIRST, CHECKOUT / "docs/reference/iam.md")
            for command in COMMAND.findall(page.read_text(encoding="utf-8"))
        }
    )


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_pages_can_be_typed(command):
    """Verb and options are those of the command line."""
    options = build_parser().parse_args(shlex.split(command))

    assert options.verb


def test_the_environment_of_the_first_launch_can_be_read():
    """The files of the page are an environment and a trigger."""
    found = blocks(FIRST.read_text(encoding="utf-8"))
    first, push = ["\n".join(b.lines).encode() for b in found if b.language == "yaml"]

    target = target_from(first, "dev", "environments/dev.yaml")
    trigger = trigger_from(push, "prod", "triggers/prod.yaml")

    assert "acme-dev" == target.project
    assert triggers.body(target, trigger)["approvalConfig"]["approvalRequired"]


def test_every_role_is_on_the_page():
    """What the code needs, somebody can read."""
    text = (CHECKOUT / "docs/reference/iam.md").read_text(encoding="utf-8")

    assert [] == [need.role for need in LEAST if f"`{need.role}`" not in text]
    assert a_target().env == "dev"
    assert TROUBLE in pages()
