"""A missing privilege, a read-only server, a full disk: said, and nothing half-done."""

import pytest

from tests.fix_postgres import Database
from tests.observing import finish, holding, until_running
from tests.postgres_process import running

BLOCKED, FAILED, NEEDS_REPAIR = 4, 7, 8
FILES = {"0001_a.sql": "CREATE TABLE a ();"}


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.fixture
def guest(blank_database):
    """Give (role, address) of a login that owns nothing; removed at the end."""
    name = f"guest_{blank_database.name}"
    blank_database.psql(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    yield (
        name,
        blank_database.server.url(blank_database.name, user=name, password="pw"),
    )
    blank_database.psql(f"DROP OWNED BY {name}; DROP ROLE {name}")


def as_guest(project, guest, *arguments):
    """Run a verb as the guest."""
    return project(*arguments, env={"DATABASE_URL": guest[1]})


def test_no_right_to_make_the_history(project, guest):
    """The privilege and the GRANT are named; with that GRANT it works."""
    project.write(FILES)
    project.database.psql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    refused = as_guest(project, guest, "apply")
    tables = project.tables()
    grant = f'GRANT CREATE ON SCHEMA "public" TO "{guest[0]}";'

    assert BLOCKED == refused.exit
    assert f"role {guest[0]} lacks CREATE on schema" in refused.err
    assert grant in refused.err
    assert [] == tables
    project.database.psql(grant)
    assert 0 == as_guest(project, guest, "apply").exit


def test_no_right_to_make_the_historys_schema(project, guest):
    """Where the schema is missing too, it is the database's CREATE that is named."""
    project.write(FILES)

    refused = as_guest(project, guest, "apply", "--schema", "ops")

    grant = f'GRANT CREATE ON DATABASE "{project.database.name}" TO "{guest[0]}";'
    assert BLOCKED == refused.exit
    assert grant in refused.err
    assert [] == project.tables()


def test_no_right_to_read_or_write_the_history(project, guest):
    """Another role's history is not touched; the GRANT is named, and works."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.write({"0002_b.sql": "SELECT 1;"})

    refused = as_guest(project, guest, "apply")

    grant = next(
        line.partition("owner: ")[2]
        for line in refused.err.splitlines()
        if "GRANT" in line
    )
    assert BLOCKED == refused.exit
    assert "lacks SELECT, INSERT, UPDATE, DELETE on table" in refused.err
    assert [("0001", "applied")] == project.history()
    project.database.psql(grant)
    assert 0 == as_guest(project, guest, "apply").exit


@pytest.mark.parametrize("verb", ["apply", "status", "verify"])
def test_no_right_to_enter_the_historys_schema(project, guest, verb):
    """Without USAGE of the schema even looking is refused, with both GRANTs."""
    project.write(FILES)
    assert 0 == project("apply", "--schema", "ops").exit

    refused = project(verb, "--schema", "ops", env={"DATABASE_URL": guest[1]})

    assert BLOCKED == refused.exit
    assert f'GRANT USAGE ON SCHEMA "ops" TO "{guest[0]}";' in refused.err
    assert f'ON "ops"."schema_migrations" TO "{guest[0]}";' in refused.err


#: what the guest's file tries: (statement, what is named)
DENIED = {
    "another's schema": (
        "CREATE TABLE theirs.x ();",
        'GRANT USAGE, CREATE ON SCHEMA "theirs" TO "{}";',
    ),
    "another's rows": (
        "INSERT INTO orders VALUES (1);",
        'GRANT INSERT ON TABLE "orders" TO "{}";',
    ),
    "another's table": (
        "ALTER TABLE orders ADD COLUMN x int;",
        'ALTER TABLE "orders" OWNER TO "{}";',
    ),
    "the database": (
        "CREATE SCHEMA mine;",
        'GRANT CREATE ON DATABASE "{database}" TO "{}";',
    ),
    "a function": (
        "SELECT secret();",
        'GRANT EXECUTE ON FUNCTION "secret" TO "{}";',
    ),
}


@pytest.mark.parametrize("what", DENIED)
def test_a_migration_without_the_right(project, guest, what):
    """The statement, the privilege and the GRANT are named; the file is rolled back."""
    statement, named = DENIED[what]
    project.database.psql(
        f"GRANT CREATE ON SCHEMA public TO {guest[0]}; CREATE SCHEMA theirs;"
        " CREATE TABLE orders (id int); CREATE FUNCTION secret() RETURNS int"
        " LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION secret() FROM PUBLIC;"
    )
    project.write({"0001_a.sql": f"CREATE TABLE a ();\n{statement}"})

    failed = as_guest(project, guest, "apply")

    assert FAILED == failed.exit
    assert "0001_a.sql:2:" in failed.err
    assert "SQLSTATE 42501" in failed.err
    assert named.format(guest[0], database=project.database.name) in failed.err
    assert "a" not in project.tables()
    assert [] == project.history()


#: How a file is applied, with the exit code when its history is taken away meanwhile.
MIDWAY = {
    "in one transaction": (
        {"0002_b.sql": f"CREATE TABLE b ();\nLOCK gate;\n-- {'-' * 9000}"},
        FAILED,
    ),
    "in one message with others": (
        {"0002_b.sql": "LOCK gate;", "0003_c.sql": "CREATE TABLE b ();"},
        NEEDS_REPAIR,
    ),
    "statement by statement": (
        {"0002_b.sql": "VACUUM a;\nLOCK gate;\nCREATE TABLE b ();"},
        NEEDS_REPAIR,
    ),
}


@pytest.mark.parametrize("how", MIDWAY)
def test_the_right_to_the_history_is_lost_midway(project, guest, start_migrate, how):
    """The run says what is to be granted, and with that grant the next one finishes."""
    files, code = MIDWAY[how]
    role, url = guest
    database = project.database
    database.psql(
        f"GRANT ALL ON SCHEMA public TO {role}; CREATE TABLE gate ();"
        f" GRANT ALL ON gate TO {role}"
    )
    project.write(FILES)
    assert 0 == as_guest(project, guest, "apply").exit
    database.psql("ALTER TABLE schema_migrations OWNER TO postgres")
    database.psql(f"GRANT ALL ON schema_migrations TO {role}")
    project.write(files)
    with holding(database, "LOCK gate"):
        run = start_migrate(
            *("apply", "--dir", project.directory, "--lock-timeout", "1min"),
            env={"DATABASE_URL": url},
        )
        until_running(database, "LOCK gate")
        database.psql(f"REVOKE ALL ON schema_migrations FROM {role}")
    refused = finish(run)
    left = project.tables()

    grant = 'GRANT SELECT, INSERT, UPDATE, DELETE ON "public"."schema_migrations" TO '
    assert code == refused.exit, refused.err
    assert "Traceback" not in refused.err
    assert f'{grant}"{role}";' in refused.err
    assert "b" not in left
    database.psql(f'{grant}"{role}"')
    assert 0 == as_guest(project, guest, "apply").exit
    assert "b" in project.tables()


def test_the_right_to_log_in_is_lost_midway(project, guest, start_migrate):
    """Where waiting cures nothing, the advice is what does."""
    role, url = guest
    database = project.database
    database.psql(f"GRANT ALL ON SCHEMA public TO {role}; CREATE TABLE gate ()")
    database.psql(f"GRANT ALL ON gate TO {role}")
    project.write({"0001_b.sql": "LOCK gate;\nCREATE TABLE b ();"})
    with holding(database, "LOCK gate"):
        run = start_migrate(
            *("apply", "--dir", project.directory), env={"DATABASE_URL": url}
        )
        pid = until_running(database, "LOCK gate")
        database.psql(f"ALTER ROLE {role} NOLOGIN")
        database.psql(f"SELECT pg_terminate_backend({pid})")
    refused = finish(run)
    database.psql(f"ALTER ROLE {role} LOGIN")
    after = as_guest(project, guest, "apply")

    assert NEEDS_REPAIR == refused.exit, refused.err
    assert "ALTER ROLE … LOGIN" in refused.err
    assert "then apply again: the history tells whether" in refused.err
    assert "when the server is back" not in refused.err
    assert 0 == after.exit, after.err


def test_a_history_that_somebody_holds(project):
    """A history that cannot be read in time is named, with the server's reason."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.write({"0002_b.sql": "CREATE TABLE b ();"})

    with holding(project.database, "LOCK schema_migrations"):
        refused = project("apply", "--lock-timeout", "50ms")

    assert BLOCKED == refused.exit, refused.err
    assert 'the history "public"."schema_migrations" cannot be used' in refused.err
    assert "lock timeout (SQLSTATE 55P03)" in refused.err


def test_a_schema_that_cannot_be_made(project):
    """A schema of the server's own kind of name is refused in its words."""
    project.write(FILES)

    refused = project("apply", "--schema", "pg_ours")

    assert BLOCKED == refused.exit, refused.err
    assert 'unacceptable schema name "pg_ours"' in refused.err


def test_the_lease_of_another_role(project, guest, pgbouncer):
    """Behind a pooler the lease must be written, too: what is missing is named."""
    role, database = guest[0], project.database
    pooler = pgbouncer(database, "transaction")
    project.write(FILES)
    assert 0 == project("apply", env={"DATABASE_URL": pooler.url}).exit
    database.psql(f"GRANT ALL ON schema_migrations TO {role}")
    project.write({"0002_b.sql": "SELECT 1;"})

    refused = as_guest(project, guest, "apply")

    grant = next(
        line.partition("owner: ")[2]
        for line in refused.err.splitlines()
        if "GRANT" in line
    )
    assert BLOCKED == refused.exit, refused.err
    assert '"schema_migrations_lease"' in grant
    database.psql(grant)
    assert 0 == as_guest(project, guest, "apply").exit


def test_a_role_that_is_read_only_by_default(project):
    """Exit 4 before anything is tried; the cure is named."""
    name = project.database.name
    project.database.psql(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on"
    )
    project.write(FILES)

    refused = project("apply")
    looked = project("status")

    assert BLOCKED == refused.exit
    assert "cannot write: default_transaction_read_only is on" in refused.err
    assert 0 == looked.exit
    assert [] == project.tables()


@pytest.fixture(scope="module")
def standby(pytestconfig):
    """Give a database on a server in recovery: a real standby, without a primary."""
    records = pytestconfig.cache.mkdir("servers")
    with running(pytestconfig.option.pg_version, records) as server:
        server.create_database("served")
        server.admin().close()
        server._process.terminate()
        server._process.wait(10)
        (server._data / "standby.signal").touch()
        server._process = server._start()
        server._remember()
        yield Database(server, "served")


def test_a_standby(project, standby):
    """It is named as one; looking is possible, writing is refused."""
    project.write(FILES)
    address = {"DATABASE_URL": standby.url}

    refused = project("apply", env=address)
    looked = project("status", env=address)

    assert BLOCKED == refused.exit
    assert "cannot write: the server is a standby" in refused.err
    assert "target_session_attrs=read-write" in refused.err
    assert 0 == looked.exit, looked.err
    assert "1 pending" in looked.out


def test_a_full_disk_of_the_server(project):
    """The server's own "no space left" ends the file; the earlier one stays."""
    project.write(
        {
            **FILES,
            "0002_b.sql": "CREATE TABLE b ();\n"
            "COPY (SELECT generate_series(1, 100000)) TO '/dev/full';",
        }
    )

    failed = project("apply")

    assert FAILED == failed.exit
    assert "0002_b.sql:2:1: " in failed.err
    assert "SQLSTATE 53100" in failed.err
    assert "the server's disk is full" in failed.err
    assert ["a", "schema_migrations"] == project.tables()
    assert [("0001", "applied")] == project.history()


def test_a_limit_on_temporary_files(project):
    """A resource the server limits is the statement's error, and nothing is left."""
    project.write(
        {
            "0001_a.sql": "SET temp_file_limit = '64kB'; SET work_mem = '64kB';\n"
            "CREATE TABLE a AS SELECT n FROM generate_series(1, 200000) AS n"
            " ORDER BY md5(n::text);"
        }
    )

    failed = project("apply")

    assert FAILED == failed.exit
    assert "0001_a.sql:2:1: " in failed.err
    assert "SQLSTATE 53400" in failed.err
    assert [] == project.history()


def test_a_history_of_a_newer_release(project):
    """A layout this release does not know is left alone; the number is named."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.database.psql(
        "COMMENT ON TABLE schema_migrations IS 'cloudrun-migrate history, layout 99'"
    )
    project.write({"0002_b.sql": "CREATE TABLE b ();"})

    refused = project("apply")

    assert BLOCKED == refused.exit
    assert "has layout 99; this release knows up to" in refused.err
    assert "use the release that upgraded it" in refused.err
    assert "b" not in project.tables()


def test_the_server_ends_in_the_middle(project):
    """A backend that is terminated: the server is asked, and says nothing is left."""
    project.write(
        {
            **FILES,
            "0002_b.sql": "CREATE TABLE b ();\n"
            "SELECT pg_terminate_backend(pg_backend_pid());",
        }
    )

    failed = project("apply", "--wait", "10s")

    assert FAILED == failed.exit
    assert "the session was lost while applying 0002_b.sql" in failed.err
    assert "asking the server what was committed" in failed.out
    assert ["a", "schema_migrations"] == project.tables()
    assert [("0001", "applied")] == project.history()
