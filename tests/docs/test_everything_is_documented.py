"""Every verb, option, setting, error, exit code and event has its place in the pages."""

import re

import pytest

from docs._generate.meanings import COLUMNS, EXIT_CODES
from docs._generate.pages import CHECKOUT, pages
from migrate import events, faults, misfits, refusals
from migrate.cli import VERBS
from migrate.config import OPTIONS, PLATFORM
from migrate.drift import Disagreement
from migrate.errors import ExitCode, ExplainedError
from migrate.migration import Kind, Mode, State
from migrate.parse import parse_directives
from tests.docs.test_links_resolve import anchors

REFERENCE = CHECKOUT / "docs/reference"
HOMES = (
    misfits,
    refusals,
    faults,
)  # the errors outside migrate.errors are defined there
SAYING = re.compile(r"docs/[\w/.-]+\.md")


def page(name):
    """Return the text of a page of the reference."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def words_of_the_glossary():
    """Return the words that the glossary explains."""
    text = (CHECKOUT / "docs/glossary.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| \*\*(.+?)\*\* \|", text, re.MULTILINE))


def test_every_verb_has_a_section():
    """A reader finds each verb, and no verb that is not there."""
    sections = re.findall(r"^## ([a-z]+)$", page("command-line"), re.MULTILINE)

    assert [name for name, _, _ in VERBS] == sections


def test_every_option_of_a_verb_is_in_its_section():
    """What `--help` lists stands in the page."""
    from docs._generate.reference import _own_arguments, _verb_parsers

    text = page("command-line")
    missing = [
        (verb, action.dest)
        for verb, parser in _verb_parsers().items()
        for action in _own_arguments(parser)
        if not any(
            option in text.partition(f"## {verb}\n")[2].partition("\n## ")[0]
            for option in action.option_strings or [str(action.metavar)]
        )
    ]

    assert [] == missing


@pytest.mark.parametrize("option", OPTIONS, ids=[o.name for o in OPTIONS])
def test_every_setting_is_in_the_table(option):
    """Flag, variable, key and default stand in one row."""
    rows = [line for line in page("settings").splitlines() if option.variable in line]
    row = next(line for line in rows if line.startswith("| `--"))

    assert option.flag in row
    assert f"`{option.name}`" in row
    assert option.help in row
    assert option.default is None or f"`{option.default}`" in row


def test_every_variable_of_the_platform_is_named():
    """What Cloud Run and Cloud Build tell is documented where it is kept."""
    names = [name for pair in PLATFORM.values() for name in pair]

    assert [] == [name for name in names if f"`{name}`" not in page("settings")]


def test_every_error_has_a_section_under_its_exit_code():
    """The code of an error is a heading, and it stands under the right exit code."""
    found: list[tuple[str, int]] = []
    number = -1
    for line in page("errors").splitlines():
        if heading := re.match(r"## Exit (\d+)", line):
            number = int(heading[1])
        elif line.startswith("### "):
            found.append((line.removeprefix("### "), number))

    engine = [k for k in ExplainedError.all() if k.__module__.startswith("migrate.")]
    expected = [(kind.code, int(kind.exit_code)) for kind in engine]
    assert sorted(expected) == sorted(found)


def test_every_exit_code_has_meaning_and_advice():
    """The table has a row for each code; recover.md says what to do about each."""
    table = page("exit-codes").partition("## Of a launch")[0]
    recover = (CHECKOUT / "docs/how-to/recover.md").read_text(encoding="utf-8")
    numbers = [int(code) for code in ExitCode]
    handled = {
        int(number)
        for heading in re.findall(r"^## Exit (.+)$", recover, re.MULTILINE)
        for number in re.findall(r"\d+", heading)
    }

    assert set(ExitCode) == set(EXIT_CODES)
    assert numbers == [
        int(n) for n in re.findall(r"^\| \*\*(\d+)\*\* \|", table, re.MULTILINE)
    ]
    assert set(numbers) == handled


def test_every_event_is_in_the_table():
    """Each event, and every field of it."""
    text = page("log-lines")
    for kind in events.Event.__args__:
        (row,) = [
            s for s in text.splitlines() if s.startswith(f"| `{kind.__name__}` |")
        ]

        assert [] == [name for name in kind._fields if f"`{name}`" not in row]


def test_every_column_has_a_sentence_and_no_sentence_is_left_over():
    """The sentences are those of the columns there are."""
    listed = re.findall(
        r"^\| `([a-z_]+)` \| `",
        page("history-table").split("## Columns")[1],
        re.MULTILINE,
    )

    assert list(COLUMNS) == listed


def test_every_directive_is_in_the_table():
    """The keys the parser accepts are the keys the page lists."""
    from migrate import parse

    section = page("file-format").partition("## Directives")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)

    assert list(parse._KNOWN) == listed
    assert parse_directives(b"-- migrate: description=x\n", "f") is not None


def test_the_glossary_has_the_words_of_the_code():
    """States, modes, kinds and verbs are explained under the names they have."""
    values = {str(m.value) for enum in (State, Mode, Kind) for m in enum}
    verbs = {name for name, _, _ in VERBS} - {"up", "status", "new", "doctor"}
    glossary = (CHECKOUT / "docs/glossary.md").read_text(encoding="utf-8")

    assert set() == (values | verbs) - words_of_the_glossary()
    assert [] == [d.value for d in Disagreement if f"*{d.value}*" not in glossary]


def test_the_readmes_two_commands_are_targets():
    """What a newcomer is told to type exists."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    typed = re.findall(r"^    make ([a-z-]+)", readme, re.MULTILINE)
    named = set(re.findall(r"`make ([a-z-]+)", readme)) - {"rehearse"}
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert ["migrate", "test"] == typed
    assert set() == named - targets


def test_pages_that_the_code_names_exist():
    """An error that sends its reader to a page sends to one that is there."""
    files = [
        path
        for folder in (
            "migrate",
            "prompts",
            "verification",
            "scripts",
            "environments",
            "tests",
        )
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in {".py", ".sh", ".sql", ".yaml"}
    ]
    named = {
        (path.relative_to(CHECKOUT).as_posix(), name)
        for path in files
        for name in SAYING.findall(path.read_text(encoding="utf-8", errors="replace"))
    }

    assert [] == sorted((p, n) for p, n in named if not (CHECKOUT / n).exists())
    assert "round-trips" in anchors(CHECKOUT / "docs/design.md")


def test_every_page_is_in_an_index():
    """docs/README.md leads to every page, decisions/README.md to every decision."""
    index = (CHECKOUT / "docs/README.md").read_text(encoding="utf-8")
    decisions = CHECKOUT / "docs/decisions"
    listed = (decisions / "README.md").read_text(encoding="utf-8")
    lost = [
        path.name
        for path in pages()
        if (CHECKOUT / "docs") in path.parents
        and f"({path.relative_to(CHECKOUT / 'docs').as_posix()})" not in index
        and not (path.parent == decisions and f"({path.name})" in listed)
    ]

    assert ["README.md"] == lost  # the index itself
