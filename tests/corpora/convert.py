"""Reads a directory in another tool's format and writes it under our file names.

Called by ``tests.corpora.compare`` before each comparison. One small reader a format,
each in the tool's own order. Never changes a statement; refuses templated text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

NO_TRANSACTION = "-- migrate: transaction=false\n"


class Migration(NamedTuple):
    """One migration as its tool would run it; ``version`` is None for a repeatable."""

    version: str | None
    name: str
    up: str
    down: str | None = None
    transaction: bool = True


class Substitution(NamedTuple):
    """A placeholder of the project's own, and what stands in for it."""

    placeholder: str
    value: str


class TemplatedError(Exception):
    """A file holds placeholders that only its own tool can fill."""

    def __init__(self, name: str, line: int, found: str) -> None:
        """Name the file, the line and the placeholder."""
        super().__init__(f"{name}:{line}: {found} is filled in by the tool, not by us")


def text(path: Path) -> str:
    """Return a file's text, byte for byte: CRLF and foreign bytes survive."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def optional_text(path: Path) -> str | None:
    """Return the text of a file that need not be there."""
    return text(path) if path.exists() else None


def diesel(root: Path) -> Iterator[Migration]:
    """Folders with up.sql; ordered by the part before ``_``, without dashes."""
    folders = [up.parent for up in root.glob("*/up.sql")]
    for folder in sorted(folders, key=lambda f: f.name.split("_")[0].replace("-", "")):
        version, _, name = folder.name.partition("_")
        metadata = optional_text(folder / "metadata.toml") or ""
        yield Migration(
            version.replace("-", ""),
            name or version,
            text(folder / "up.sql"),
            optional_text(folder / "down.sql"),
            transaction=not re.search(r"(?m)^run_in_transaction\s*=\s*false", metadata),
        )


def numbered_pairs(root: Path) -> Iterator[Migration]:
    """``N_name.up.sql`` or ``N_name.sql``, ordered by number; a down may be renamed."""
    pattern = re.compile(r"(\d+)_(.*?)(?:\.(up|down))?\.sql")
    ups: dict[int, tuple[str, str, str]] = {}
    downs: dict[int, str] = {}
    for path in root.iterdir():
        if match := pattern.fullmatch(path.name):
            version, name, direction = match.groups()
            if direction == "down":
                downs[int(version)] = text(path)
            else:
                ups[int(version)] = (version, name, text(path))
    for number, (version, name, up) in sorted(ups.items()):
        yield Migration(version, name, up, downs.get(number))


def golang_migrate(root: Path) -> Iterator[Migration]:
    """Numbered pairs; what is written in Go has no SQL and is passed over."""
    return numbered_pairs(root)


def sqlx(root: Path) -> Iterator[Migration]:
    """Numbered pairs or single files; ``-- no-transaction`` must be the first text."""
    for migration in numbered_pairs(root):
        plain = not migration.up.startswith("-- no-transaction")
        yield migration._replace(transaction=plain)


def goose(root: Path) -> Iterator[Migration]:
    """One file with an Up and a Down section, ordered by number."""
    marker = re.compile(r"--\s*\+goose\s+(up|down)\s*", re.IGNORECASE)
    found = [(re.match(r"(\d+)_(.*)\.sql", p.name), p) for p in root.glob("*.sql")]
    for match, path in sorted(
        ((m, p) for m, p in found if m), key=lambda pair: int(pair[0][1])
    ):
        whole = text(path)
        parts = sections(whole, marker)
        yield Migration(
            match[1],
            match[2],
            parts.get("up", ""),
            parts.get("down"),
            transaction=not re.search(r"(?mi)^--\s*\+goose\s+no transaction", whole),
        )


def dbmate(root: Path) -> Iterator[Migration]:
    """One file with an up and a down section, ordered by number as text."""
    marker = re.compile(r"--\s*migrate:(up|down)(?:\s.*)?")
    for path in sorted(root.glob("*.sql")):
        version, _, name = path.stem.partition("_")
        whole = text(path)
        parts = sections(whole, marker)
        own = re.search(r"(?m)^--\s*migrate:up\s.*transaction:false", whole)
        yield Migration(
            version, name, parts.get("up", ""), parts.get("down"), transaction=not own
        )


def prisma(root: Path) -> Iterator[Migration]:
    """Folders with migration.sql, ordered by name as text; there are no downs."""
    for path in sorted(root.glob("*/migration.sql")):
        version, _, name = path.parent.name.partition("_")
        yield Migration(version, name, text(path))


def flyway(root: Path) -> Iterator[Migration]:
    """``V1_2__name.sql`` by version as numbers, then ``R__name.sql`` by name."""
    versioned = []
    for path in root.rglob("V*__*.sql"):
        version, _, name = path.stem[1:].partition("__")
        conf = optional_text(path.with_name(path.name + ".conf")) or ""
        plain = not re.search(r"(?mi)^executeInTransaction\s*=\s*false", conf)
        order = tuple(int(part) for part in re.split(r"[._]", version))
        versioned.append(
            (order, Migration(version, name, text(path), transaction=plain))
        )
    yield from (migration for _, migration in sorted(versioned, key=lambda v: v[0]))
    for path in sorted(root.rglob("R__*.sql"), key=lambda p: p.name):
        yield Migration(None, path.stem[3:], text(path))


def sqitch(root: Path) -> Iterator[Migration]:
    """As in sqitch.plan; the older script of a reworked change is ``name@tag.sql``."""
    entries = []
    for line in text(root / "sqitch.plan").splitlines():
        words = line.split()
        if words and not line.startswith(("%", "#")):
            entries.append(words[0].lstrip("+"))
    for index, change in enumerate(entries):
        if change.startswith(("@", "-")):
            continue
        script = change
        if change in entries[index + 1 :]:
            reworked = entries.index(change, index + 1)
            between = entries[index:reworked]
            kept = (change + entry for entry in between if entry.startswith("@"))
            script = next(k for k in kept if (root / "deploy" / f"{k}.sql").exists())
        yield Migration(
            f"{index + 1}",
            change,
            text(root / "deploy" / f"{script}.sql"),
            optional_text(root / "revert" / f"{script}.sql"),
        )


def numbered(root: Path) -> Iterator[Migration]:
    """Plain files of SQL, ordered by name as text."""
    for path in sorted(root.glob("[0-9]*.sql")):
        version, _, name = path.stem.partition("_")
        yield Migration(version, name or version, text(path))


FORMATS: dict[str, Callable[[Path], Iterable[Migration]]] = {
    "diesel": diesel,
    "sqlx": sqlx,
    "golang-migrate": golang_migrate,
    "goose": goose,
    "dbmate": dbmate,
    "Prisma": prisma,
    "Flyway": flyway,
    "Sqitch": sqitch,
    "numbered": numbered,
}

# What each format's own tool would fill in or act on before the server sees the text.
TEMPLATES = {
    "goose": re.compile(r"(?mi)^--\s*\+goose\s+envsub\s+on"),
    "Flyway": re.compile(r"\$\{[^}\n]+\}"),
    "Sqitch": re.compile(r"""(?m)^\s*\\\w+|(?<![\w:]):["']\w+["']"""),
    "numbered": re.compile(r"(?<![\w:]):[A-Z][A-Z_]{3,}\b|\{\{.*?\}\}"),
}


def sections(whole: str, marker: re.Pattern[str]) -> dict[str, str]:
    """Return the text below each marker line, by the marker's lower-case name."""
    parts: dict[str, str] = {}
    current = None
    for line in whole.splitlines(keepends=True):
        if match := marker.fullmatch(line.rstrip()):
            current = match[1].lower()
            parts.setdefault(current, "")
        elif current is not None:
            parts[current] += line
    return parts


def convert(
    style: str,
    root: Path,
    target: Path,
    substitutions: Sequence[Substitution] = (),
    first: int | None = None,
) -> int:
    """Write the directory ``root`` into ``target`` and return how many ups it has."""
    migrations = []
    for migration in islice(FORMATS[style](root), first):
        for placeholder, value in substitutions:
            migration = filled(migration, placeholder, value)  # noqa: PLW2901
        refuse_templates(style, migration)
        migrations.append(migration)
    target.mkdir(parents=True)
    for stem, migration in zip(stems(migrations), migrations, strict=True):
        head = "" if migration.transaction else NO_TRANSACTION
        write(target / f"{stem}.sql", head + migration.up)
        if migration.down is not None and migration.version is not None:
            write(target / f"{stem}.down.sql", migration.down)
    return len(migrations)


def filled(migration: Migration, placeholder: str, value: str) -> Migration:
    """Return the migration with one placeholder replaced in both directions."""
    down = migration.down
    return migration._replace(
        up=migration.up.replace(placeholder, value),
        down=None if down is None else down.replace(placeholder, value),
    )


def refuse_templates(style: str, migration: Migration) -> None:
    """Raise if the up still holds something that its own tool would fill in."""
    pattern = TEMPLATES.get(style)
    if pattern and (match := pattern.search(migration.up)):
        line = migration.up.count("\n", 0, match.start()) + 1
        raise TemplatedError(migration.name, line, match[0].strip())


def stems(migrations: Sequence[Migration]) -> Iterator[str]:
    """Yield our file names: the tool's 14 digits where all have them, else numbers."""
    versions = [m.version for m in migrations if m.version is not None]
    stamps = len(set(versions)) == len(versions) and all(
        re.fullmatch(r"\d{14}", version) for version in versions
    )
    for number, migration in enumerate(migrations, 1):
        name = re.sub(r"[^a-z0-9]+", "_", migration.name.lower()).strip("_")
        if migration.version is None:
            yield f"R__{name}"
        else:
            yield f"{migration.version if stamps else f'{number:04}'}_{name}"


def write(path: Path, content: str) -> None:
    """Write the text with the very bytes it was read from."""
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
