"""Every command the pages show is run, and prints what the pages say it prints."""

import difflib

import pytest

from docs._generate.pages import CHECKOUT, blocks, pages
from docs._generate.transcripts import VERSION, Stage, steady

PAGES = [
    page.relative_to(CHECKOUT).as_posix()
    for page in pages()
    if any(b.language == "console" for b in blocks(page.read_text(encoding="utf-8")))
]


@pytest.fixture
def stage(server_of):
    """Give a stage on the worker's own server."""
    return Stage(server_of(VERSION))


@pytest.mark.parametrize("page", PAGES)
def test_the_page_prints_what_it_says(stage, page):
    """Run again, each command prints the same but for times and ids."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")

    now = stage.perform(text)

    difference = difflib.unified_diff(
        text.splitlines(), now.splitlines(), page, "printed now", lineterm=""
    )
    assert now == text, "run: make docs\n" + "\n".join(difference)


def test_a_transcript_that_is_not_true_is_noticed(stage):
    """The comparison above can fail: on output, and on an exit code."""
    page = """
```console
$ python -m migrate plan; echo "exit $?"
1 pending.
exit 0
```
"""

    now = stage.perform(page)

    assert "error: migrations directory 'migrations' cannot be read" in now
    assert "exit 3" in now
    assert "exit 0" not in now


def test_only_what_varies_is_put_aside():
    """Times, clocks and ids may differ; a name, a number or a code may not."""
    assert steady(["1 applied in 96 ms"]) == steady(["1 applied in 2.3 s"])
    assert steady(["pid 17 (psql)"]) == steady(["pid 4 (psql)"])
    assert steady(['"run_id": "0af3", "seq": 2']) == steady(['"run_id": "9", "seq": 2'])
    assert steady(["2 applied in 96 ms"]) != steady(["1 applied in 96 ms"])
    assert steady(["exit 7"]) != steady(["exit 8"])


def test_what_looks_like_a_transcript_is_one():
    """A command with its output stands in a block that is run."""
    unrun = [
        (page.name, block.lines[0])
        for page in pages()
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language != "console" and any(s.startswith("$ ") for s in block.lines)
    ]

    assert [] == unrun
