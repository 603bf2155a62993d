"""``plan --check-files``: what a directory says by itself, without any database."""

import pytest

SOURCE, USAGE = 3, 2
UP = "CREATE TABLE a ();"


def test_a_good_directory_is_listed_and_nothing_is_contacted(run_migrate, a_directory):
    """No address is needed, and the embedded server of an environment stays down."""
    home = a_directory({"0001_a.sql": UP, "0001_a.down.sql": "DROP TABLE a;"}).parent
    a_directory(
        {"local.yaml": "engine:\n  database_url: embedded:pg\n"}, "environments"
    )

    checked = run_migrate("plan", "--check-files", "--env", "local")

    assert 0 == checked.exit, checked.err
    assert "0001  a  1 statements, transactional" in checked.out
    assert "migrations: 1 read, nothing wrong; no database was asked" in checked.out
    assert {"migrations", "environments"} == {path.name for path in home.iterdir()}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("0001_a.sql", "SELECT '", "0001_a.sql:1:8: quoted string begins here"),
        ("0001_a.down.sql", "DROP '", "0001_a.down.sql:1:6: quoted string begins"),
        ("0001_a.verify.sql", "COMMIT;", "0001_a.verify.sql:1"),
        ("0002_b.down.sql", "SELECT 1;", "0002_b.down.sql belongs to no migration"),
    ],
)
def test_a_wrong_file_is_named(run_migrate, a_directory, file, text, said):
    """The migration, its undo and its checks are read, whatever a run would need."""
    a_directory({"0001_a.sql": UP, file: text})

    refused = run_migrate("plan", "--check-files")

    assert SOURCE == refused.exit
    assert said in refused.err


def test_a_missing_migration_is_named_where_another_requires_it(
    run_migrate, a_directory
):
    """A gap is found; what is older than all that is here may be in the history."""
    head = "-- migrate: requires={}\nSELECT 1;"
    a_directory({"0002_b.sql": head.format("0001"), "0004_d.sql": head.format("0003")})

    refused = run_migrate("plan", "--check-files")

    assert SOURCE == refused.exit
    assert "0004_d.sql requires version 0003" in refused.err


def test_a_selection_of_nothing_is_refused(run_migrate, a_directory):
    """``--only`` and ``--to`` must name what is in the directory."""
    a_directory({"0001_a.sql": UP})

    refused = run_migrate("plan", "--check-files", "--only", "0007")

    assert USAGE == refused.exit
    assert "'0007'" in refused.err
