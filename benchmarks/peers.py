"""Other programs that apply SQL files, each called as its manual says.

Used by `contenders`. A peer takes part where its program is on the PATH; docs/benchmarks.md
says where to get them.
"""

from pathlib import Path

from benchmarks.contender import COUNT, Command, Contender
from benchmarks.workloads import Workload

#: The slow ones apply no more than this many migrations, or a round takes minutes.
_SLOW_MOST = 100


def _verb(workload: Workload, apply: str, status: str | None, single: str = "") -> str:
    """Return the peer's word for what is asked, or nothing where it has none."""
    verbs = {"noop": apply, "separate": apply, "status": status, "batched": single}
    return verbs.get(workload.action) or ""


def _too_many(workload: Workload) -> bool:
    return workload.migrations > _SLOW_MOST and not workload.applied


def _converted(
    workload: Workload,
    base: Path,
    up: str = "",
    down: str = "",
    name: str = "{version}_{name}",
) -> Path:
    """Write the files once more, named, begun and ended as a peer wants them."""
    directory = base / workload.directory.name
    if not directory.exists():
        directory.mkdir(parents=True)
        for file in workload.directory.iterdir():
            version, _, rest = file.name.partition("_")
            text = f"{up}\n{file.read_text()}{down}\n"
            (directory / name.format(version=version, name=rest)).write_text(text)
    return directory


def _dbmate(workload: Workload, scratch: Path) -> Command | None:
    if not (verb := _verb(workload, "migrate", "status", "migrate")):
        return None
    directory = _converted(
        workload, scratch / "dbmate", "-- migrate:up", "-- migrate:down"
    )
    common = ("dbmate", "--url", "{url}?sslmode=disable", "--no-dump-schema")
    return Command((*common, "-d", str(directory), verb))


def _goose(workload: Workload, scratch: Path) -> Command | None:
    if not (verb := _verb(workload, "up", "status", "up")):
        return None
    directory = _converted(workload, scratch / "goose", "-- +goose Up")
    common = ("goose", "-dir", str(directory), "postgres", "{url}?sslmode=disable")
    return Command((*common, verb))


def _sql_migrate(workload: Workload, scratch: Path) -> Command | None:
    if not (verb := _verb(workload, "up", "status", "up")):
        return None
    directory = _converted(workload, scratch / "sql-migrate", "-- +migrate Up")
    settings = scratch / f"sql-migrate-{workload.directory.name}.yml"
    settings.write_text(
        "bench:\n  dialect: postgres\n  datasource: ${DATABASE_URL}?sslmode=disable\n"
        f"  dir: {directory}\n  table: gorp_migrations\n"
    )
    return Command(("sql-migrate", verb, f"-config={settings}", "-env=bench"))


def _node_pg_migrate(workload: Workload, scratch: Path) -> Command | None:
    if not (verb := _verb(workload, "up", None, "up")):
        return None
    directory = _converted(workload, scratch / "node", "-- Up Migration")
    return Command(("node-pg-migrate", verb, "-m", str(directory)))


def _pgmigrate(workload: Workload, scratch: Path) -> Command | None:
    verb = _verb(workload, "migrate", "info")
    if not verb or _too_many(workload):
        return None
    files = _converted(workload, scratch / "pgmigrate", name="V{version}__{name}")
    base = scratch / "pgmigrate-bases" / workload.directory.name
    if not base.exists():
        base.mkdir(parents=True)
        (base / "migrations").symlink_to(files)
    common = ("pgmigrate", "-c", "{url}", "-d", str(base), "-t", "latest")
    return Command((*common, "--ungroup", verb))


def _yoyo(workload: Workload, scratch: Path) -> Command | None:
    verb = _verb(workload, "apply", "list")
    if not verb or _too_many(workload):
        return None
    directory = _converted(workload, scratch / "yoyo")
    common = ("yoyo", verb, "--no-config-file", "-b")
    return Command((*common, "-d", "{url}", str(directory)))


PEERS = (
    Contender("dbmate", _dbmate, COUNT.format("schema_migrations")),
    Contender(
        "goose", _goose, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"
    ),
    Contender("sql-migrate", _sql_migrate, COUNT.format("gorp_migrations")),
    Contender("node-pg-migrate", _node_pg_migrate, COUNT.format("pgmigrations")),
    Contender("pgmigrate", _pgmigrate, COUNT.format("schema_version")),
    Contender("yoyo", _yoyo, COUNT.format("_yoyo_migration")),
)
