"""What the images are made of stands in four files; they agree with each other."""

import re
import tomllib
from pathlib import Path

from emulator.dockerfile import build_image, instructions
from jobs import source
from tests.fix_cli import CHECKOUT


def dockerfile():
    """Return the instructions of Dockerfile.migrate."""
    text = (CHECKOUT / "Dockerfile.migrate").read_text(encoding="utf-8")
    return list(instructions(text))


def defaults(name):
    """Return what an argument is, wherever it is declared."""
    found = [
        rest.partition("=")[2]
        for word, rest in dockerfile()
        if word == "ARG" and rest.partition("=")[0] == name
    ]
    return set(found)


def test_the_image_has_the_version_of_the_package():
    """The history of a database says which version was at work."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")

    assert {tomllib.loads(text)["project"]["version"]} == defaults("VERSION")


def test_the_base_is_pinned_by_digest():
    """A tag moves; what was tested is what is built."""
    (base,) = defaults("BASE_IMAGE")

    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_what_is_copied_is_uploaded_and_not_ignored(tmp_path):
    """Every file that an image is made of is in the archive, and in docker's context."""
    copied = set()
    for target in ("runner", "orchestrator"):
        place = tmp_path / target
        image = build_image(
            CHECKOUT,
            CHECKOUT / "Dockerfile.migrate",
            place,
            arguments={},
            target=target,
            say=print,
        )
        app = Path(image.rootfs) / "app"
        copied |= {
            path.relative_to(app).as_posix()
            for path in app.rglob("*")
            if path.is_file() and path.suffix != ".pyc"  # the build makes these itself
        }

    assert {"migrate/postgres/history.sql", "jobs/cli.py"} <= copied
    assert "migrations/0001_enterprise_prompt_system_phase1.sql" in copied
    assert set() == copied - set(source.files(CHECKOUT))
