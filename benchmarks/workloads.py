"""What is measured: files that are generated, the same ones every time.

Called by `__main__`. Writes directories of migrations and says what must stand in the
database afterwards; knows no contender.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_COPY_LINE_BYTES = 256
_GIGABYTE = 1 << 30
_STATEMENTS = 20_000


class Workload(NamedTuple):
    """A directory of migrations, what is done with it, and what it must leave behind.

    ``action`` is what every contender has a command for. ``applied``: the migrations are
    in the database before the clock starts.
    """

    name: str
    action: str
    directory: Path
    tables: int
    migrations: int
    rounds: int
    applied: bool = False


def _tiny(number: int) -> str:
    """Return one migration of W1: three statements in five or six lines."""
    table = f"app_{number:05}"
    before = f"app_{number - 1:05}"
    lines = [
        f"CREATE TABLE {table} (",
        "    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,",
        "    name text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());",
    ]
    if number % 2:
        lines.append(f"CREATE INDEX {table}_name ON {table} (name);")
    else:
        lines += [
            f"ALTER TABLE {before}",
            "    ADD COLUMN note text NOT NULL DEFAULT 'none';",
        ]
    lines.append(f"INSERT INTO {table} (name) VALUES ('first'), ('second');")
    return "\n".join(lines) + "\n"


def _write_tiny(directory: Path, count: int) -> None:
    directory.mkdir()
    for number in range(1, count + 1):
        file = directory / f"{number:05}_add_app_{number:05}.sql"
        file.write_text(_tiny(number))


def _mixed() -> Iterator[str]:
    """Yield the statements of W3, each on a line of its own."""
    for number in range(_STATEMENTS):
        table = f"app_{number // 100:05}"
        turn = number % 100
        if turn == 0:
            yield f"CREATE TABLE {table} (id int PRIMARY KEY, name text, note text);"
        elif turn == 1:
            yield f"CREATE INDEX {table}_name ON {table} (name) WHERE note IS NOT NULL;"
        elif turn == 2:  # noqa: PLR2004 - the turns are the mixture
            yield f"ALTER TABLE {table} ADD COLUMN size numeric(12, 2) DEFAULT 0.0;"
        elif turn == 3:  # noqa: PLR2004
            yield (
                f"CREATE FUNCTION {table}_size(wanted int) RETURNS numeric LANGUAGE sql"
                f" AS $body$ SELECT size FROM {table} WHERE id = wanted; $body$;"
            )
        elif turn == 4:  # noqa: PLR2004
            yield f"COMMENT ON TABLE {table} IS 'the {turn}th; it''s made by a machine';"
        elif turn % 10 == 5:  # noqa: PLR2004
            yield (
                f"UPDATE {table} SET note = E'changed\\tby {number}', size = {turn}.5"
                f" WHERE id = {turn - 1};"
            )
        else:
            yield (
                f"INSERT INTO {table} (id, name, note) VALUES ({turn}, 'name of {number}',"
                f" 'some words; with a semicolon, for row {turn} of it');"
            )


def _write_mixed(directory: Path) -> None:
    directory.mkdir()
    (directory / "00001_mixed.sql").write_text("\n".join(_mixed()) + "\n")


def _write_copy(directory: Path, size: int) -> None:
    """Write a COPY with about ``size`` bytes of data, never holding them."""
    directory.mkdir()
    filler = "x" * (_COPY_LINE_BYTES - 12)
    thousand = 1000
    with (directory / "00001_rows.sql").open("w") as stream:
        stream.write("CREATE TABLE app_rows (id int, filler text);\n")
        stream.write("COPY app_rows FROM stdin;\n")
        for first in range(0, size // _COPY_LINE_BYTES, thousand):
            rows = range(first, first + thousand)
            stream.write("".join(f"{row:010}\t{filler}\n" for row in rows))
        stream.write("\\.\n")


def _w1(base: Path, counts: tuple[int, ...]) -> Iterator[Workload]:
    for count in counts:
        directory = base / f"w1-{count}"
        _write_tiny(directory, count)
        name, rounds = f"W1: {count}", 5 if count >= _THOUSAND else 9
        yield Workload(name, "separate", directory, count, count, rounds)
        if count > 1:
            name = f"W1: {count}, one transaction"
            yield Workload(name, "together", directory, count, count, rounds)


def _w2(base: Path, counts: tuple[int, ...]) -> Iterator[Workload]:
    for count in counts:
        directory = base / f"w2-{count}"
        _write_tiny(directory, count)
        for action in ("noop", "status"):
            name = f"W2: {action}, {count} applied"
            yield Workload(name, action, directory, count, count, 15, applied=True)


def _w3(base: Path, _: tuple[int, ...]) -> Iterator[Workload]:
    directory = base / "w3"
    _write_mixed(directory)
    name = f"W3: {_STATEMENTS} statements"
    yield Workload(name, "batched", directory, _STATEMENTS // 100, 1, 7)


def _memory(base: Path, counts: tuple[int, ...]) -> Iterator[Workload]:
    for count in counts:
        directory = base / f"memory-{count}"
        _write_copy(directory, count * _GIGABYTE // 1000)
        yield Workload(f"memory: {count} MB of COPY", "copy", directory, 1, 1, 1)


def _start(base: Path, _: tuple[int, ...]) -> Iterator[Workload]:
    yield Workload("start: --help", "start", base, 0, 0, 15)


_THOUSAND = 1000
#: Name: what makes the workloads, and the sizes that are measured unless others are asked.
GROUPS: dict[
    str, tuple[Callable[[Path, tuple[int, ...]], Iterator[Workload]], tuple[int, ...]]
] = {
    "start": (_start, ()),
    "W1": (_w1, (10, 100, 1000)),
    "W2": (_w2, (100, 1000)),
    "W3": (_w3, ()),
    "memory": (_memory, (1000,)),
}


def make(group: str, base: Path, counts: tuple[int, ...]) -> Iterator[Workload]:
    """Write the files of a group one workload at a time, and yield each."""
    build, usual = GROUPS[group]
    return build(base, counts or usual)
