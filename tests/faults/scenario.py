"""The migrations that every fault meets: of all kinds, each counting its own effect.

Called by `bench`. A variant is a number: it chooses how many files of which kind stand
in which order. Each file writes rows into ``effects``, which has no key: what was applied
twice is there twice. Touches nothing.
"""

import random
from collections.abc import Callable, Mapping

#: What stands in every database before the first run.
TEMPLATE = """
CREATE TABLE effects (version text NOT NULL, part int NOT NULL);
CREATE TABLE base (n int NOT NULL, word text NOT NULL);
INSERT INTO base SELECT n, 'word ' || n FROM generate_series(1, 200) n;
CREATE INDEX base_n ON base (n);
CREATE PROCEDURE commits(version text, part int) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO effects VALUES (version, part); COMMIT; END $$;
"""

VARIANTS = 12

Files = dict[str, str]
Kind = Callable[[str], Files]


def _counts(version: str, part: int = 1) -> str:
    return f"INSERT INTO effects VALUES ('{version}', {part});\n"


def _plain(version: str) -> Files:
    text = f"CREATE TABLE t{version} (n int PRIMARY KEY);\n{_counts(version)}"
    return {f"{version}_plain.sql": text}


def _wrapped(version: str) -> Files:
    table = f"CREATE TABLE t{version} (n int);\nCREATE VIEW v{version} AS TABLE base;\n"
    return {f"{version}_wrapped.sql": f"BEGIN;\n{table}{_counts(version)}COMMIT;\n"}


def _checked(version: str) -> Files:
    text = f"CREATE TABLE t{version} (n int);\n{_counts(version)}"
    checks = (
        f"-- it counts\nSELECT count(*) = 1 FROM effects WHERE version = '{version}';\n"
    )
    checks += f"-- it is there\nSELECT to_regclass('t{version}') IS NOT NULL;\n"
    return {f"{version}_checked.sql": text, f"{version}_checked.verify.sql": checks}


def _copied(version: str) -> Files:
    rows = "".join(f"{n}\tword {n}\n" for n in range(40))
    text = f"CREATE TABLE t{version} (n int, word text);\n"
    text += f"COPY t{version} FROM stdin;\n{rows}\\.\n{_counts(version)}"
    return {f"{version}_copied.sql": text}


def _indexed(version: str) -> Files:
    build = f"CREATE INDEX CONCURRENTLY i{version} ON base (word);\n"
    text = f"{_counts(version)}{build}{_counts(version, 2)}"
    return {f"{version}_indexed.sql": text}


def _vacuumed(version: str) -> Files:
    text = (
        f"SET work_mem = '8MB';\n{_counts(version)}VACUUM base;\n{_counts(version, 2)}"
    )
    return {f"{version}_vacuumed.sql": text}


def _reindexed(version: str) -> Files:
    text = f"REINDEX INDEX CONCURRENTLY base_n;\n{_counts(version)}"
    return {f"{version}_reindexed.sql": text}


def _dropped(version: str) -> Files:
    text = f"CREATE INDEX CONCURRENTLY j{version} ON base (n);\n"
    text += f"DROP INDEX CONCURRENTLY j{version};\n{_counts(version)}"
    return {f"{version}_dropped.sql": text}


def _called(version: str) -> Files:
    """Only a person can tell whether a CALL that commits took effect."""
    text = f"CALL commits('{version}', 1);\n{_counts(version, 2)}"
    return {f"{version}_called.sql": text}


def _several(version: str) -> Files:
    """Transactions of the file's own."""
    one = f"BEGIN;\nCREATE TABLE t{version} (n int);\n{_counts(version)}COMMIT;\n"
    two = f"BEGIN;\n{_counts(version, 2)}ROLLBACK;\n{_counts(version, 3)}"
    return {f"{version}_several.sql": one + two}


def _copied_stepwise(version: str) -> Files:
    text = f"VACUUM base;\nCREATE TABLE t{version} (n int);\n"
    text += f"COPY t{version} FROM stdin;\n1\n2\n3\n\\.\n{_counts(version)}"
    return {f"{version}_copied_stepwise.sql": text}


#: One of each stands in every variant: transactional, checked, COPY, non-transactional.
_ALWAYS: tuple[Kind, ...] = (_plain, _plain, _checked, _copied, _indexed)
_SOMETIMES: tuple[Kind, ...] = (
    _wrapped,
    _vacuumed,
    _reindexed,
    _dropped,
    _called,
    _several,
    _copied_stepwise,
    _plain,
)


#: From this number on, a variant alters a table that others write to.
ALTERING = 1000
#: What takes a lock that keeps writers out. The first four conflict with a reader as well.
ALTERATIONS = (
    "ALTER TABLE base ADD COLUMN m int;",
    "ALTER TABLE base ADD COLUMN m int NOT NULL DEFAULT 7;",
    "ALTER TABLE base ADD CONSTRAINT small CHECK (n < 1000);",
    "DROP INDEX base_n;\nCREATE INDEX base_n ON base (n, word);",
    "CREATE INDEX base_word ON base (word);",
    """CREATE TRIGGER same BEFORE UPDATE ON base FOR EACH ROW
    EXECUTE FUNCTION suppress_redundant_updates_trigger();""",
)
_SHAPES: tuple[Callable[[str], Files], ...] = (
    lambda sql: {"0002_alters.sql": f"{sql}\n{_counts('0002')}"},
    lambda sql: {"0002_alters.sql": f"BEGIN;\n{sql}\n{_counts('0002')}COMMIT;\n"},
    lambda sql: {
        "0002_alters.sql": f"{_counts('0002')}{sql}\n",
        "0002_alters.verify.sql": "-- it is there\nSELECT count(*) > 0 FROM base;\n",
    },
    lambda sql: {"0002_alters.sql": f"COPY effects FROM stdin;\n0002\t1\n\\.\n{sql}\n"},
    lambda sql: {"0002_alters.sql": f"{_counts('0002')}VACUUM effects;\n{sql}\n"},
)
SHAPES = len(_SHAPES)


def _altering(variant: int) -> Files:
    """Return a directory whose second file alters, between two that do not."""
    alteration, shape = divmod(variant - ALTERING, SHAPES)
    made = _SHAPES[shape](ALTERATIONS[alteration])
    return {**_plain("0001"), **made, **_plain("0003")}


def files(variant: int) -> Mapping[str, str]:
    """Return the directory of a variant."""
    if variant >= ALTERING:
        return _altering(variant)
    chance = random.Random(variant)
    kinds = [*_ALWAYS, *chance.sample(_SOMETIMES, 2)]
    chance.shuffle(kinds)
    found: Files = {}
    for number, kind in enumerate(kinds, start=1):
        found |= kind(f"{number:04}")
    view = "CREATE OR REPLACE VIEW again AS SELECT count(*) FROM base;\n"
    return {**found, "R__view.sql": view + _counts("R__view")}
