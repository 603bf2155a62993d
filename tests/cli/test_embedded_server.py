"""The database of a laptop without one: made, looked into, stopped, thrown away."""

import pytest

from migrate import embedded


@pytest.fixture
def place(tmp_path_factory):
    """Give a directory for a server; whatever runs there is stopped in the end."""
    path = tmp_path_factory.mktemp("embedded") / ".postgres"
    yield path
    embedded.stop(str(path))


def test_a_server_is_made_kept_and_thrown_away(place, run_migrate, a_directory):
    """`make migrate`, `make psql`, `make stop` and `make reset`, as make calls them."""
    directory = a_directory({"0001_t.sql": "CREATE TABLE t AS SELECT 42 AS n;"})
    environment = {"DATABASE_URL": f"embedded:{place}", "MIGRATE_DIR": str(directory)}

    def server(*arguments):
        return run_migrate(*arguments, module="migrate.embedded")

    applied = run_migrate("apply", env=environment)
    seen = server("psql", place, "-XAtc", "SELECT n FROM t")
    stopped = server("stop", place)
    after_stop = server("psql", place, "-XAtc", "SELECT n FROM t")
    again = run_migrate("apply", env=environment)
    reset = server("reset", place)

    assert 0 == applied.exit, applied.err
    assert ("42\n", "42\n") == (seen.out, after_stop.out)
    assert "Nothing is pending" in again.out
    assert (0, 0) == (stopped.exit, reset.exit)
    assert not place.exists()
    assert 2 == server("restart", place).exit
