"""What the pages take from the code is what the code says now."""

import hashlib
import re

import pytest

from docs._generate.pages import CHECKOUT, cog, pages

PAGES = [page.relative_to(CHECKOUT).as_posix() for page in pages()]
FILE_FORMAT = CHECKOUT / "docs/reference/file-format.md"
HISTORY = CHECKOUT / "docs/reference/history-table.md"


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_part_made_again_is_the_same(page):
    """`make docs` would change nothing."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")

    assert cog(text) == text, "run: make docs"


def test_a_stale_part_is_noticed():
    """The comparison above can fail."""
    text = (CHECKOUT / "docs/reference/settings.md").read_text(encoding="utf-8")
    stale = text.replace("MIGRATE_LOCK_TRIES", "MIGRATE_LOCK_ATTEMPTS")

    assert stale != text
    assert text == cog(stale)


def test_checksum_vectors_follow_the_rule_on_the_page():
    """SHA-256 without the byte order mark, CRLF as LF, and nothing else."""
    row = re.compile(
        r"^\| (.+) \| `([0-9a-f ]+)` \| `(sha256:[0-9a-f]{64})` \|$", re.MULTILINE
    )
    vectors = row.findall(FILE_FORMAT.read_text(encoding="utf-8"))

    by_hand = [
        (what, listed, f"sha256:{hashlib.sha256(normal(listed)).hexdigest()}")
        for what, listed, _ in vectors
    ]

    assert len(vectors) >= 6
    assert by_hand == vectors


def normal(listed):
    """Return the bytes of a row as the page says they are normalised."""
    text = bytes.fromhex(listed)
    return text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def test_the_columns_on_the_page_are_those_of_the_table(project):
    """What is documented is what a run creates, in that order."""
    project.write({"0001_one.sql": "SELECT 1;"})
    columns = """
        SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = 'schema_migrations'::regclass AND attnum > 0 ORDER BY attnum
    """

    assert 0 == project("apply").exit
    page = HISTORY.read_text(encoding="utf-8").partition("## Columns")[2]
    listed = re.findall(r"^\| `([a-z_]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    short = {"varchar": "character varying", "timestamptz": "timestamp with time zone"}

    documented = [
        (name, re.sub(r"^\w+", lambda word: short.get(word[0], word[0]), kind))
        for name, kind in listed
    ]
    assert project.database.rows(columns) == documented
