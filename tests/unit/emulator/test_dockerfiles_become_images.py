"""Pseudo images: what a Dockerfile copies and starts, without an engine."""

from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from emulator.dockerfile import BuildFailed, build_image
from emulator.registry import command_of, parse_reference


@pytest.fixture
def build(tmp_path):
    """Build an image from a Dockerfile and files: ``build("FROM x", {"a": "text"})``."""
    made: list[Path] = []

    def run(text, files=None, **more):
        context = tmp_path / f"context-{len(made)}"
        made.append(context)
        for name, content in {"Dockerfile": text, **(files or {})}.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return build_image(
            context,
            context / "Dockerfile",
            tmp_path / f"image-{len(made)}",
            arguments=more.get("arguments", {}),
            target=more.get("target"),
            say=lambda _line: None,
        )

    return run


def inside(image, path):
    """Read a file of an image."""
    return Path(image.inside(path)).read_text()


def test_files_lie_where_they_were_copied_to(build):
    """A file, several files, a directory, and a name of its own."""
    image = build(
        "FROM x\nWORKDIR /app\nCOPY a b ./\nCOPY dir/ dir/\nCOPY a /etc/other\n",
        {"a": "A", "b": "B", "dir/deep/c": "C"},
    )

    assert "A" == inside(image, "/app/a") == inside(image, "/etc/other")
    assert "C" == inside(image, "/app/dir/deep/c")
    assert "/app/absent" == image.inside("/app/absent")


def test_what_is_not_in_the_context_fails_the_build(build):
    """The name of what is missing is in the error."""
    with pytest.raises(BuildFailed, match=r"absent\.sql"):
        build("FROM x\nCOPY absent.sql /app/\n")


def test_ignored_files_are_not_there(build):
    """.dockerignore is obeyed, exceptions included."""
    files = {".dockerignore": "*.log\n!keep.log\nsecret\n", "a.log": "", "keep.log": "k",
             "secret": "s", "b": "B"}  # fmt: skip

    image = build("FROM x\nCOPY . /app/\n", files)

    assert "k" == inside(image, "/app/keep.log")
    assert "/app/a.log" == image.inside("/app/a.log")
    assert "/app/secret" == image.inside("/app/secret")


def test_an_allow_list_lets_through_what_it_names(build):
    """Everything is ignored but a directory, and some files of another."""
    files = {".dockerignore": "*\n!whole\n!part/*.sql\n", "whole/deep/a": "A",
             "part/b.sql": "B", "part/b.key": "k", "other": "o"}  # fmt: skip

    image = build("FROM x\nCOPY whole/ /w/\nCOPY part/ /p/\nCOPY . /all/\n", files)

    assert "A" == inside(image, "/w/deep/a") == inside(image, "/all/whole/deep/a")
    assert "B" == inside(image, "/p/b.sql")
    assert "/p/b.key" == image.inside("/p/b.key")
    assert "/all/other" == image.inside("/all/other")


def test_digest_is_of_the_content(build):
    """The same content has the same digest, other content another."""
    text = "FROM x\nCOPY a /a\n"
    digests = [build(text, {"a": content}).digest for content in ("1", "1", "2")]

    assert digests[0] == digests[1] != digests[2]
    assert digests[0].startswith("sha256:")


def test_stages_arguments_and_targets(build):
    """A stage may build on another, copy from it, or be the one that is asked for."""
    text = (
        "ARG BASE=x\nFROM ${BASE} AS base\nARG V=1\nENV A=$V B='two words'\nWORKDIR /app\n"
        'COPY a .\nFROM base AS one\nCMD ["x"]\n'
        'FROM base AS two\nCOPY --from=one /app/a /copied\nENTRYPOINT ["y"]\n'
    )

    two = build(text, {"a": "A"}, arguments={"V": "2"})
    one = build(text, {"a": "A"}, target="one")

    assert (("y",), {"A": "2", "B": "two words"}) == (two.entrypoint, two.environment)
    assert "A" == inside(two, "/copied")
    assert ((), ("x",), "/app") == (one.entrypoint, one.cmd, one.workdir)
    with pytest.raises(BuildFailed, match="absent"):
        build(text, {"a": "A"}, target="absent")


def test_continued_lines_and_comments(build):
    """A line that ends in a backslash goes on, over comments too."""
    image = build("FROM x\n# one\nENV A=1 \\\n# two\n    B=2\n")

    assert {"A": "1", "B": "2"} == image.environment


def test_shell_form_runs_in_a_shell(build):
    """An entrypoint without brackets is a line of shell."""
    assert ("/bin/sh", "-c", "echo hi") == build(
        "FROM x\nENTRYPOINT echo hi\n"
    ).entrypoint


def test_command_points_into_the_image(build):
    """Absolute paths of the image become paths of this machine."""
    image = build(
        'FROM x\nWORKDIR /app\nCOPY a /app/a\nENV F=/app/a\nENTRYPOINT ["cat", "/app/a"]\n',
        {"a": "A"},
    )

    command = command_of(
        image, entrypoint=(), args=["--f=/app/a"], environment={"X": "y"}
    )

    assert [
        "cat",
        image.inside("/app/a"),
        f"--f={image.inside('/app/a')}",
    ] == command.argv
    assert (image.inside("/app/a"), "y") == (
        command.environment["F"],
        command.environment["X"],
    )


@pytest.mark.parametrize(
    ("text", "name", "tag", "repository"),
    [
        ("x", "x", "latest", ""),
        ("h:5000/x:1", "h:5000/x", "1", ""),
        ("europe-docker.pkg.dev/p/r/a/b", "europe-docker.pkg.dev/p/r/a/b", "latest",
         "projects/p/locations/europe/repositories/r"),
        ("us-east1-docker.pkg.dev/p/r/i@sha256:" + "0" * 64,
         "us-east1-docker.pkg.dev/p/r/i", "",
         "projects/p/locations/us-east1/repositories/r"),
    ],
)  # fmt: skip
def test_references_are_taken_apart(text, name, tag, repository):
    """Host, port, repository, tag and digest."""
    reference = parse_reference(text)

    assert (name, tag, repository) == (
        reference.name,
        reference.tag,
        reference.repository(),
    )


def test_the_python_of_an_image_is_compiled(build):
    """Once and for all, and a traceback names the image's own file; a text that is no
    Python is left to whoever starts it.
    """
    image = build("FROM x\nCOPY . /app/\n", {"m.py": "x = 1\n", "bad.py": "("})
    module = Path(image.inside("/app/m.py"))

    module.write_text("x = 2\n")
    compiled = SourceFileLoader("m", str(module)).get_code("m")

    assert compiled is not None
    assert 1 in compiled.co_consts
    assert str(module) == compiled.co_filename
    assert [module.stem] == [
        path.name.partition(".")[0] for path in module.parent.glob("__pycache__/*")
    ]
