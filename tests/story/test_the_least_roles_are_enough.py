"""A launch with exactly the least roles, from the preflight to the record of it."""

import json

DOWN = {"at": "rpc", "do": "error", "code": "INTERNAL"}


def test_a_launch_succeeds_with_exactly_the_least_roles(
    story, blank_database, run_migrate
):
    """Every principal has the table's rows and nothing else, and the emulator enforces it."""
    made = story.checkout("least", blank_database.url)

    launched = made.jobs("launch", made.env, "--commit", "c0ffee" * 6)
    recorded = made.jobs("history", made.env, "--output", "json")
    (made.root / "migrations/0002_more.sql").write_text("SELECT 1;\n", encoding="utf-8")
    by_hand = run_migrate(
        "apply", cwd=made.root, env={"DATABASE_URL": blank_database.url}
    )
    whole = made.inside("history", made.env)
    story.emulator.faults({**DOWN, "method": "LoggingServiceV2.*"})
    unlogged = made.inside("history", made.env)
    story.emulator.faults({**DOWN, "method": "SecretManagerService.*"})
    cloud_alone = made.inside("history", made.env, "--no-database")
    story.emulator.faults()

    assert 0 == launched.exit, launched.out + launched.err
    assert "✓ MIGRATION COMPLETED SUCCESSFULLY" in launched.out
    assert [("public", "users")] == blank_database.rows(
        "SELECT schemaname, tablename FROM pg_tables WHERE tablename = 'users'"
    )
    (run,) = map(json.loads, recorded.out.splitlines())
    assert ("build", "succeeded", 0) == (run["kind"], run["verdict"], run["exit_code"])
    assert ["0001"] == run["applied"]
    assert "c0ffee" * 6 == run["commit"]
    assert run["by"]
    assert run["seconds"] > 0
    assert 0 == by_hand.exit
    assert "database 0002" in whole.out.splitlines()[0]
    assert "applied 0001" in whole.out
    assert "what was applied is not known" in unlogged.err
    assert "applied 0001" in unlogged.out
    assert "database" not in cloud_alone.out
    assert "applied 0001" in cloud_alone.out
