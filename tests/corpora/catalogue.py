"""The public projects compared, and what each needs before its first migration.

Read by ``tests.corpora``. Data only: paths and facts about other people's repositories,
none of their text. A commit is the one last compared; another may need other care.
"""

from typing import NamedTuple

from tests.corpora.convert import Substitution


class Project(NamedTuple):
    """One migration directory of a public repository."""

    name: str
    repository: str
    commit: str
    path: str
    style: str
    extensions: tuple[str, ...] = ()
    prepare: str = "SELECT"  # run on the empty database, on both sides
    substitutions: tuple[Substitution, ...] = ()
    one_transaction: tuple[str, ...] = ()  # psql must be told what its tool does anyway
    history: str = "schema_migrations"  # our table; a project may use the name itself
    first: int | None = None  # only so many; the rest needs another project's objects
    note: str = ""


MEASURE = """
CREATE SCHEMA measure;
CREATE ROLE operator NOLOGIN;
CREATE ROLE reader NOLOGIN;
GRANT USAGE ON SCHEMA measure TO operator, reader;
ALTER DATABASE corpus SET search_path TO measure, "$user", public;
ALTER DEFAULT PRIVILEGES IN SCHEMA measure GRANT ALL ON TABLES TO operator;
ALTER DEFAULT PRIVILEGES IN SCHEMA measure GRANT SELECT ON TABLES TO reader;
"""

# One migration puts a trigger on its own tool's history.
LEMMY = """
CREATE TABLE __diesel_schema_migrations (
    version varchar(50) PRIMARY KEY,
    run_on timestamp NOT NULL DEFAULT current_timestamp
);
"""

PROJECTS = (
    Project(
        "crates-io",
        "rust-lang/crates.io",
        "57fa000662f511321daa61e6769f190ea0e80771",
        "migrations",
        "diesel",
        ("ltree", "pg_trgm", "pgcrypto"),
        history="cloudrun_migrations",
        note="one migration drops schema_migrations, an older tool's history",
    ),
    Project(
        "lemmy",
        "LemmyNet/lemmy",
        "439734dd638a2c06a2f907beab7dcf4646e88f86",
        "migrations",
        "diesel",
        ("ltree", "pg_trgm", "pgcrypto"),
        prepare=LEMMY,
        note="its history table is made beforehand: a migration puts a trigger on it",
    ),
    Project(
        "hatchet",
        "hatchet-dev/hatchet",
        "89d130f303c9561442804c9c32b8748e699d5139",
        "cmd/hatchet-migrate/migrate/migrations",
        "goose",
        ("btree_gist",),
        one_transaction=("v1_0_69",),
        first=181,
        note="the first 181 files of SQL; the next needs tables that a Go one makes",
    ),
    Project(
        "documenso",
        "documenso/documenso",
        "75330166cc00b29c14399bc2e391e4b4d8080c00",
        "packages/prisma/migrations",
        "Prisma",
        ("pg_trgm", "pgcrypto"),
    ),
    Project(
        "formbricks",
        "formbricks/formbricks",
        "b66c1dd978af618a0e402bd3343b456bed68594c",
        "packages/database/migration",
        "Prisma",
        ("vector",),
        note="its migrations written in TypeScript only move rows and are passed over",
    ),
    Project(
        "lakekeeper",
        "lakekeeper/lakekeeper",
        "90892e9cc1b515826fe07d2e2797a5620ec3e613",
        "crates/lakekeeper-storage-postgres/migrations",
        "sqlx",
        ("uuid-ossp", "pgcrypto", "btree_gin", "btree_gist", "pg_trgm"),
        substitutions=(
            Substitution("provider = icu", "provider = libc"),
            Substitution("'und-u-ks-level2'", "'C'"),
            Substitution("deterministic = false", "deterministic = true"),
        ),
        note="the embedded builds have no ICU: its one collation is libc's here",
    ),
    Project(
        "svix",
        "svix/svix-webhooks",
        "4fc0cfb8b426c87ef7e2b937e7d896a71d456a47",
        "server/svix-server/migrations",
        "sqlx",
    ),
    Project(
        "firefly",
        "hyperledger/firefly",
        "e3c9b8d8904cfeee1f39ba407afac23f7a49074f",
        "db/migrations/postgres",
        "golang-migrate",
        ("uuid-ossp",),
    ),
    Project(
        "concourse",
        "concourse/concourse",
        "95872ce1a3af6fc0c4ab7f23658ec81f3e778d7c",
        "atc/db/migration/migrations",
        "golang-migrate",
        ("pgcrypto",),
        note="its migrations written in Go only move rows and are passed over",
    ),
    Project(
        "measure",
        "measure-sh/measure",
        "cad4ddf454f2dd853e7b88cd1a17b8be1c926606",
        "self-host/postgres",
        "dbmate",
        prepare=MEASURE,
    ),
    Project(
        "nomulus",
        "google/nomulus",
        "7b34f3c85a1582694c356c4540de21df1754b4f4",
        "db/src/main/resources/sql/flyway",
        "Flyway",
        ("hstore",),
    ),
    Project(
        "kestra",
        "kestra-io/kestra",
        "58c1ca2d0589c888328bacc3ee65e65dc4ba0a6a",
        "jdbc-postgres/src/main/resources/migrations/postgres",
        "Flyway",
    ),
    Project(
        "cas-ciip",
        "bcgov/cas-ciip-portal",
        "230bfd6d2673215bba7d99e5d3f619a25e683e8d",
        "schema",
        "Sqitch",
        ("pgcrypto",),
        first=207,
        note="the first 207 changes; the next reads a table of another project",
    ),
    Project(
        "procrastinate",
        "procrastinate-org/procrastinate",
        "f099a753730d5492bdebdc1c1f2796ffa5cf5671",
        "procrastinate/sql/migrations",
        "numbered",
    ),
    Project(
        "graphile-worker",
        "graphile/worker",
        "abfb4cff30747ad423046d117dfb88470f03ae00",
        "sql",
        "numbered",
        prepare="CREATE SCHEMA graphile_worker;",
        substitutions=(Substitution(":GRAPHILE_WORKER_SCHEMA", "graphile_worker"),),
        one_transaction=("000011",),
    ),
)
