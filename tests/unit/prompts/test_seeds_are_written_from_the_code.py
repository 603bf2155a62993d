"""The seed section of the shipped migration is written from the code, to the letter."""

import re

import pytest

from prompts import export
from prompts.errors import RefusedError
from prompts.prompt import make
from tests.fix_cli import CHECKOUT

MIGRATION = CHECKOUT / "migrations" / "0001_enterprise_prompt_system_phase1.sql"


def shipped(name="greeting", text="Hello {{who}}"):
    """Make a prompt to export."""
    words = {"category": "c", "purpose": "p", "description": "", "system_prompt": None}
    rest = {"template_text": text, "variables": ("who",), "model_config": {}}
    return make({"name": name, "version": 3, **words, **rest})


def test_seed_section_is_what_the_code_says():
    """One source: to change a seed, change seeds.toml and write the section again."""
    sql = MIGRATION.read_text("utf-8")

    section = re.search(
        r"^-- seeds: begin\n(.*)^-- seeds: end$", sql, re.MULTILINE | re.DOTALL
    )

    assert section is not None
    assert export.seeds() == section.group(1)


def test_export_is_numbered_after_the_newest_file(tmp_path):
    """As wide as the numbers already there, time stamps included."""
    files: list[str] = []
    for newest in ("", "0009_x.sql", "0041_x.down.sql", "20260102030405_y.sql"):
        if newest:
            (tmp_path / newest).touch()
        prompt = shipped(f"p{len(files)}")
        files.append(export.write(tmp_path, prompt, "SELECT 1;\n").name)

    assert [
        "0001_prompt_p0_v3.sql",
        "0010_prompt_p1_v3.sql",
        "0011_prompt_p2_v3.sql",
        "20260102030406_prompt_p3_v3.sql",
    ] == files


def test_version_is_exported_once(tmp_path):
    """A second file would say nothing new."""
    export.write(tmp_path, shipped(), "SELECT 1;\n")

    with pytest.raises(RefusedError, match="greeting_v3"):
        export.write(tmp_path, shipped(), "SELECT 1;\n")


def test_text_with_our_quotes_in_it_is_quoted_otherwise():
    """Whatever a text holds, the quotes around it are not in it."""
    sql = export.migration(
        shipped(text="$prompt$ $prompt_1$ {{who}}"), "", activate=False
    )

    assert "$prompt_2$$prompt$ $prompt_1$ {{who}}$prompt_2$" in sql
