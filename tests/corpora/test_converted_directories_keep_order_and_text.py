"""Each format's directory becomes our file names, in that tool's own order."""

import pytest

from tests.corpora.convert import Substitution, TemplatedError, convert


def converted(style, tree, tmp_path, **options):
    root, target = tmp_path / "theirs", tmp_path / "ours"
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode())
    convert(style, root, target, **options)
    return {path.name: path.read_bytes().decode() for path in sorted(target.iterdir())}


CASES = {
    "diesel: dashes do not count, and metadata.toml may refuse a transaction": (
        "diesel",
        {
            "2020-01-02-000000_b/up.sql": "b;",
            "2020-01-02-000000_b/down.sql": "no b;",
            "2020-01-02-000000_b/metadata.toml": "run_in_transaction = false\n",
            "00000000000000_a/up.sql": "a;",
        },
        {
            "00000000000000_a.sql": "a;",
            "20200102000000_b.sql": "-- migrate: transaction=false\nb;",
            "20200102000000_b.down.sql": "no b;",
        },
    ),
    "sqlx: only the very first text is a directive": (
        "sqlx",
        {"2_b.sql": "-- no-transaction\nb;", "10_c.sql": " -- no-transaction\nc;"},
        {
            "0001_b.sql": "-- migrate: transaction=false\n-- no-transaction\nb;",
            "0002_c.sql": " -- no-transaction\nc;",
        },
    ),
    "golang-migrate: numbers as numbers, and a down may be named otherwise": (
        "golang-migrate",
        {
            "9_a.up.sql": "a;\r\n",
            "10_b.up.sql": "b;",
            "10_undo.down.sql": "no b;",
            "11_only.down.sql": "x;",
        },
        {"0001_a.sql": "a;\r\n", "0002_b.sql": "b;", "0002_b.down.sql": "no b;"},
    ),
    "goose: two sections of one file": (
        "goose",
        {
            "00001_a.sql": "-- +goose Up\na;\n-- +goose Down\nno a;\n",
            "00002_b.sql": "-- +goose NO TRANSACTION\n-- +goose up\nb;\n",
        },
        {
            "0001_a.sql": "a;\n",
            "0001_a.down.sql": "no a;\n",
            "0002_b.sql": "-- migrate: transaction=false\nb;\n",
        },
    ),
    "dbmate: a direction may refuse a transaction": (
        "dbmate",
        {"20200102030405_a.sql": "-- migrate:up transaction:false\na;\n"},
        {"20200102030405_a.sql": "-- migrate: transaction=false\na;\n"},
    ),
    "Prisma: repeated stamps are numbered anew": (
        "Prisma",
        {
            "20200102030405_a/migration.sql": "a;",
            "20200102030405_B c/migration.sql": "b;",
            "migration_lock.toml": "",
        },
        {"0001_b_c.sql": "b;", "0002_a.sql": "a;"},
    ),
    "Flyway: dotted versions as numbers, repeatables last": (
        "Flyway",
        {
            "V1.10__b.sql": "b;",
            "V1_9__a.sql": "a;",
            "V1.10__b.sql.conf": "executeInTransaction=false",
            "R__views.sql": "v;",
        },
        {
            "0001_a.sql": "a;",
            "0002_b.sql": "-- migrate: transaction=false\nb;",
            "R__views.sql": "v;",
        },
    ),
    "Sqitch: the plan's order, and the older script of a reworked change": (
        "Sqitch",
        {
            "sqitch.plan": "%project=x\n\nt/b 2020 me\na 2020 me\n@v1 2020 me\n"
            "@v2 2020 me\na [a@v1] 2020 me\n",
            "deploy/t/b.sql": "b;",
            "deploy/a@v1.sql": "old a;",
            "deploy/a.sql": "a;",
            "revert/a.sql": "no a;",
        },
        {
            "0001_t_b.sql": "b;",
            "0002_a.sql": "old a;",
            "0003_a.sql": "a;",
            "0003_a.down.sql": "no a;",
        },
    ),
    "numbered: names as text": (
        "numbered",
        {"00.01.00_02_b.sql": "b;", "00.01.00_01_a.sql": "a;"},
        {"0001_01_a.sql": "a;", "0002_02_b.sql": "b;"},
    ),
}


@pytest.mark.parametrize(("style", "theirs", "ours"), CASES.values(), ids=CASES)
def test_directory_is_converted(style, theirs, ours, tmp_path):
    """A directory of each tool comes out in its order, with its text untouched."""
    tree = theirs

    found = converted(style, tree, tmp_path)

    assert ours == found


def test_placeholder_of_the_tool_is_refused_unless_it_is_filled_in(tmp_path):
    """A templated file is refused by name and line, and a substitution cures it."""
    tree = {"001.sql": "select 1;\ncreate table :SCHEMA.t ();"}

    with pytest.raises(TemplatedError) as refusal:
        converted("numbered", tree, tmp_path)
    cured = converted(
        "numbered", tree, tmp_path, substitutions=[Substitution(":SCHEMA", "s")]
    )

    words = "001:2: :SCHEMA is filled in by the tool, not by us"
    filled = {"0001_001.sql": "select 1;\ncreate table s.t ();"}
    assert words == str(refusal.value)
    assert filled == cured


def test_foreign_bytes_survive(tmp_path):
    """A file that is not UTF-8 is passed on byte for byte; refusing it is our job."""
    root = tmp_path / "theirs"
    root.mkdir()
    latin1 = b"select '\xe9';\r\n"
    (root / "1_a.sql").write_bytes(latin1)

    convert("sqlx", root, tmp_path / "ours")

    assert latin1 == (tmp_path / "ours" / "0001_a.sql").read_bytes()
