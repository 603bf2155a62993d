"""``new`` makes files that can be applied; ``doctor`` explains an address."""

import re

import pytest


def test_new_makes_the_next_version_with_its_companions(project):
    """The number follows the newest; names become words with underscores."""
    project.write({"0007_old.sql": "SELECT 1;"})

    made = project("new", "Add users & teams", "--down", "--checks")

    names = sorted(path.name for path in project.directory.iterdir())
    assert 0 == made.exit, made.err
    assert [
        "0007_old.sql",
        "0008_add_users_teams.down.sql",
        "0008_add_users_teams.sql",
        "0008_add_users_teams.verify.sql",
    ] == names
    assert 3 == len(made.out.splitlines())
    text = (project.directory / "0008_add_users_teams.sql").read_text()
    assert text.startswith("-- migrate: description=Add users & teams\n")


def test_new_follows_time_stamps_where_they_are_used(project):
    """A directory of time stamps gets the next time stamp."""
    project.write({"20200101000000_old.sql": "SELECT 1;"})

    made = project("new", "later")

    assert 0 == made.exit
    assert re.search(r"/20[2-9]\d{11}_later\.sql$", made.out.strip())


def test_new_in_an_empty_directory_begins_with_one(project, tmp_path):
    """The directory is made if it is not there; no database is needed."""
    made = project(
        "new", "first", "--dir", tmp_path / "fresh", env={"DATABASE_URL": ""}
    )

    assert 0 == made.exit, made.err
    assert (tmp_path / "fresh" / "0001_first.sql").exists()


def test_a_new_file_without_statements_is_refused_by_apply(project):
    """A file that was made and never written does not count as applied."""
    assert 0 == project("new", "empty").exit

    refused = project("apply")

    assert 3 == refused.exit
    assert "0001_empty.sql holds no statement" in refused.err
    assert [] == project.tables()


def test_a_name_of_signs_alone_is_refused(project):
    """There must be a letter or digit in it."""
    refused = project("new", "!!!")

    assert 3 == refused.exit
    assert [] == list(project.directory.iterdir())


def test_doctor_finds_everything_in_order(project):
    """Directory, way, server, history and lock are each looked at."""
    project.write({"0001_a.sql": "SELECT 1;"})

    told = project("doctor")

    assert 0 == told.exit, told.out
    assert "✓ 1 migrations in " in told.out
    assert "✓ connects by TCP to 127.0.0.1, on this machine" in told.out
    assert "✓ connected to PostgreSQL" in told.out
    assert "does not exist yet; postgres may write it" in told.out
    assert "✓ the lock is free" in told.out
    assert "✗" not in told.out


SOCKET = "/cloudsql/acme-prod:europe-west1:main"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:pw@/vividly?host={SOCKET}",
        f"host={SOCKET} dbname=vividly user=app password=pw",
    ],
)
def test_doctor_explains_a_socket_that_is_not_there(project, url):
    """The socket is named, with both cures, and the password is not."""
    project.write({"0001_a.sql": "SELECT 1;"})

    told = project("doctor", env={"DATABASE_URL": url})

    assert 6 == told.exit
    assert f"the Unix socket {SOCKET}/.s.PGSQL.5432, and there is none" in told.out
    assert "--set-cloudsql-instances acme-prod:europe-west1:main" in told.out
    assert "PRIVATE_IP" in told.out
    assert "pw" not in told.out.replace("pwd", "")


def test_doctor_names_a_missing_privilege_and_the_grant(project):
    """What the role may not do is found before it is tried."""
    database, role = project.database, f"guest_{project.database.name}"
    database.psql(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    project.write({"0001_a.sql": "SELECT 1;"})

    told = project(
        "doctor",
        env={
            "DATABASE_URL": database.server.url(database.name, user=role, password="pw")
        },
    )

    database.psql(f"DROP ROLE {role}")
    assert 4 == told.exit
    assert f"✗ role {role} lacks CREATE on schema" in told.out
    assert f'GRANT CREATE ON SCHEMA "public" TO "{role}";' in told.out
