"""Nothing that a search_path puts in front of the server's own names reaches our statements."""

import pytest

from tests.faults.shadows import FILES, USED, VERBS, shadow, words_of_the_engine

POOLED = [("apply",), ("rollback", "--to", "0", "--yes")]


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.mark.parametrize(
    ("mode", "verbs"), [("", VERBS), ("transaction", POOLED)], ids=["direct", "pooled"]
)
def test_our_statements_see_no_shadow(project, pgbouncer, mode, verbs):
    """Functions, operators, types, catalogs and a history of the same names in a schema
    that stands first in the path: no verb uses any of them, with or without a pooler.
    """
    shadow(project.database, "evil", words_of_the_engine())
    project.write(FILES)
    address = pgbouncer(project.database, mode).url if mode else project.database.url

    runs = {verb: project(*verb, env={"DATABASE_URL": address}) for verb in verbs}

    said = {verb: run.err for verb, run in runs.items()}
    assert not [verb for verb, text in said.items() if USED in text], said
    assert dict.fromkeys(verbs, 0) == {verb: r.exit for verb, r in runs.items()}, said
