"""``status`` and ``plan`` look and change nothing."""

import json
import time

FILES = {
    "0001_a.sql": "CREATE TABLE a (id int);",
    "0002_b.sql": "-- migrate: description=The second\nCREATE TABLE b ();\nSELECT 1;",
    "0003_c.sql": "CREATE INDEX CONCURRENTLY a_id ON a (id);",
}


def test_check_exits_9_when_something_is_pending_and_0_when_not(project):
    """A pipeline asks one question and gets one answer."""
    project.write(FILES)
    pending = project("status", "--check")
    plain = project("status")
    assert 0 == project("apply").exit

    done = project("status", "--check")

    assert 9 == pending.exit
    assert "0 in the history, 3 pending" in pending.out
    assert 0 == plain.exit
    assert 0 == done.exit
    assert "3 in the history, 0 pending" in done.out


def test_looking_makes_no_history_table(project):
    """On an empty database status, plan and doctor leave it empty."""
    project.write(FILES)
    before = project.snapshot()

    codes = [project(verb).exit for verb in ("status", "plan", "doctor", "verify")]

    assert [0, 0, 0, 0] == codes
    assert before == project.snapshot()


def test_status_lists_every_version_with_its_state_and_drift(project):
    """Applied, failed, pending, edited and missing are told apart."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (id bigint);",
            "0004_d.sql": "-- migrate: transaction=false\nSELECT 1; SELECT 1/0;",
            "0005_e.sql": "SELECT 1;",
        }
    )
    (project.directory / "0002_b.sql").unlink()
    edited = project.write({})("status", "--output", "json", "--check")

    rows = json.loads(edited.out)

    assert 4 == edited.exit
    assert 2 == rows["pending"]
    assert [
        ("0001", "applied", "edited"),
        ("0002", "applied", "missing"),
        ("0003", "applied", ""),
        ("0004", "pending", ""),
        ("0005", "pending", ""),
    ] == [(r["version"], r["state"], r["drift"]) for r in rows["migrations"]]


def test_status_tells_what_is_recorded_of_each(project):
    """For programs: when, by whom, from which build; nothing of what is pending."""
    project.write({"0001_a.sql": "CREATE TABLE a (id int);"})
    applied = project("apply", env={"BUILD_ID": "b-7", "COMMIT_SHA": "c0ffee"})
    project.write({"0002_b.sql": "SELECT 1;"})

    found = json.loads(project("status", "--output", "json").out)["migrations"]

    assert 0 == applied.exit
    recorded = found[0]["recorded"]
    assert ("b-7", "c0ffee", None) == tuple(
        recorded[name] for name in ("build_id", "commit_sha", "execution")
    )
    assert abs(recorded["executed_at"] - time.time()) < 60
    assert recorded["executed_by"]
    assert found[1]["recorded"] is None


def test_a_migration_that_stopped_midway_is_listed_as_failed(project):
    """It is neither applied nor merely pending."""
    project.write(
        {"0001_d.sql": "-- migrate: transaction=false\nSELECT 1; SELECT 1/0;"}
    )
    assert 8 == project("apply").exit

    shown = project("status", "--check")

    assert 9 == shown.exit
    assert "failed    0001" in shown.out


def test_plan_says_for_each_file_how_it_will_be_applied(project):
    """Version, name, statements, mode and why, as text and as JSON."""
    project.write(FILES)

    text = project("plan")
    told = json.loads(project("plan", "--output", "json").out)

    assert 0 == text.exit
    assert "0002  b  2 statements, transactional" in text.out
    assert (
        "0003  c  1 statements, non-transactional: line 1: CREATE INDEX CONCURRENTLY"
        in text.out
    )
    assert "3 pending" in text.out
    assert [] == told["blocking"]
    assert {
        "version",
        "name",
        "file",
        "mode",
        "reasons",
        "statements",
        "checksum",
    } == set(told["steps"][0])
    assert [1, 2, 1] == [step["statements"] for step in told["steps"]]
    assert ["line 1: CREATE INDEX CONCURRENTLY"] == told["steps"][2]["reasons"]


def test_plan_shows_what_forbids_it(project):
    """An edited file is in the plan as what blocks it; exit 4."""
    project.write(FILES)
    assert 0 == project("apply").exit
    project.write({"0001_a.sql": "SELECT 2;"})

    blocked = project("plan", "--output", "json")

    assert 4 == blocked.exit
    assert [("edited", "0001")] == [
        (d["kind"], d["version"]) for d in json.loads(blocked.out)["blocking"]
    ]


def test_plan_and_apply_agree(project):
    """What plan lists is what apply does."""
    project.write(FILES)
    planned = [
        step["version"]
        for step in json.loads(project("plan", "--output", "json").out)["steps"]
    ]

    assert 0 == project("apply").exit

    assert planned == [version for version, _ in project.history()]
