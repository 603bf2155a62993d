"""requirements/ and pyproject.toml agree, and the locks can be trusted anywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.fix_cli import CHECKOUT

LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))
WHERE_IT_MAY_NOT_SAY = re.compile(
    r"https?://|file:|--(extra-)?index|--find-links|git\+"
)


def project() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> dict[str, str]:
    """Return package and version of each entry."""
    text = lock.read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def asked_for(lock: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in one set."""
    given = project()
    asked = list(given["project"]["dependencies"])
    extras = given["project"]["optional-dependencies"]
    if lock in {"cloud", "dev"}:
        asked += extras["cloud"]
    if lock == "dev":
        asked += extras["embedded"]
        asked += given["dependency-groups"]["dev"] + given["build-system"]["requires"]
    return [Requirement(text) for text in asked]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_satisfies_pyproject(lock):
    """Each requirement is pinned to a version it allows; else: ``make lock``."""
    pinned = pins(lock)

    wrong = [
        str(requirement)
        for requirement in asked_for(lock.stem)
        if not requirement.specifier.contains(
            pinned.get(canonicalize_name(requirement.name), "0")
        )
    ]

    assert [] == wrong


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_has_hashes_and_no_index(lock):
    """Every entry carries hashes, and no line names a place to download from."""
    text = lock.read_text(encoding="utf-8")
    entries = [
        entry for entry in re.split(r"\n(?=\S)", text) if re.match(r"[A-Za-z]", entry)
    ]

    assert len(entries) == len(pins(lock))
    assert [] == [entry for entry in entries if "--hash=sha256:" not in entry]
    assert [] == WHERE_IT_MAY_NOT_SAY.findall(text)


def test_runner_has_two_dependencies():
    """What goes into the container is psycopg2-binary and PyYAML, nothing else."""
    assert {"psycopg2-binary", "pyyaml"} == set(
        pins(CHECKOUT / "requirements/runner.txt")
    )


def test_sets_agree():
    """A package in two sets has one version."""
    runner, dev = (
        pins(CHECKOUT / f"requirements/{name}.txt") for name in ("runner", "dev")
    )

    assert runner == {name: dev[name] for name in runner}
