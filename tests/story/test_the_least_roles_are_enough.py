"""A launch with exactly the least roles, from the preflight to the record of it."""

import json


def test_a_launch_succeeds_with_exactly_the_least_roles(story, blank_database):
    """Every principal has the table's rows and nothing else, and the emulator enforces it."""
    made = story.checkout("least", blank_database.url)

    launched = made.jobs("launch", made.env, "--commit", "c0ffee" * 6)
    recorded = made.jobs("history", made.env, "--output", "json")

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
