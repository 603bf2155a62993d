"""Rehearsals, experiments and statistics: from the command line, by the figures of the log."""

import pytest

from prompts.errors import GuardrailBlockedError
from tests.prompts.payload import NLU, VALUES, add_version, run

SUBJECTS = """
INSERT INTO prompt_executions
    (template_id, prompt_name, experiment_id, ab_test_group, subject_hash, status,
     error_type, latency_ms)
SELECT t.id, t.name, e.id, arm, arm || n, CASE WHEN good THEN 'success' ELSE 'error' END,
       'Timeout', CASE WHEN good THEN 40 ELSE 9000 END
FROM ab_test_experiments e
JOIN prompt_templates t ON t.name = e.template_name AND t.version = 1
CROSS JOIN (VALUES ('control', 2), ('treatment', 10)) AS a (arm, one_in)
CROSS JOIN LATERAL (SELECT n, n % one_in <> 0 AS good FROM generate_series(1, {n}) n) s
"""


def start(prompts, *more, name="shorter"):
    """Start the experiment of these tests."""
    arms = ("--control", 1, "--treatment", 2, "--min-subjects", 100)
    return prompts("experiment", "start", name, NLU, *arms, *more)


def test_rehearsal_says_what_a_block_would_have_stopped(
    database, service, prompts, told
):
    """From the log of a week under warn; then warn becomes block."""
    texts = ["clouds", "you idiot", "shut up, idiot", "rain"]
    for text in texts:
        service.log(service.render(NLU, {**VALUES, "user_input": text}))
    with pytest.raises(
        GuardrailBlockedError
    ):  # what was stopped cannot be stopped again
        service.render(NLU, {**VALUES, "user_input": "me@example.org"})

    rehearsed = told("guardrails", "rehearse", "toxic_content_filter")
    unknown = prompts("guardrails", "rehearse", "nothing")
    prompts("guardrails", "set", "toxic_content_filter", "block")
    listed = told("guardrails")

    assert [{"prompt": NLU, "calls": 4, "would_be_blocked": 2}] == rehearsed
    assert (3, "prompts: there is no guardrail 'nothing'\n") == (
        unknown.exit,
        unknown.err,
    )
    assert (
        "block"
        == {row["name"]: row["action"] for row in listed}["toxic_content_filter"]
    )


def test_experiment_is_started_reported_and_stopped(database, prompts, told):
    """A winner is named when the figures name it, and not before."""
    add_version(database, 2)
    started = start(prompts)
    again, other = start(prompts), start(prompts, name="other")
    run(database, SUBJECTS.format(n=60))
    early = prompts("experiment", "stop", "shorter", "--winner", "treatment")
    run(database, SUBJECTS.format(n=1000))

    report = told("experiment", "report", "shorter")
    text = prompts("experiment", "report", "shorter")
    stats = told("stats")
    wrong = prompts("experiment", "stop", "shorter", "--winner", "control")
    stopped = prompts("experiment", "stop", "shorter", "--winner", "treatment")

    assert "experiment shorter runs\n" == started.out
    assert "there was an experiment 'shorter' already" in again.err
    assert f"prompt '{NLU}' has a live experiment: stop that first" in other.err
    assert "treatment is not the winner: too early: 60 of 100" in early.err
    assert ("treatment", 1000, 1000) == (
        report["winner"],
        *(arm["seen"] for arm in report["arms"]),
    )
    assert abs(report["difference"] - 0.4) < 1e-9
    assert "winner: treatment (the interval leaves zero out)" in text.out
    assert [0.0] == [row["chi2"] for row in stats["experiments"]]
    assert "control is not the winner" in wrong.err
    assert (0, "experiment shorter has ended\n") == (stopped.exit, stopped.out)
    assert [("completed", "treatment")] == database.rows(
        "SELECT status, winner FROM ab_test_experiments"
    )
    assert [(0,)] == database.rows(
        "SELECT count(*) FROM prompt_templates WHERE ab_test_group IS NOT NULL"
    )


def test_experiment_that_makes_no_sense_is_refused(database, prompts):
    """An arm that is not there, that asks for more, or that is the other arm."""
    run(
        database,
        "INSERT INTO prompt_templates (name, version, category, purpose, template_text,"
        f" variables) VALUES ('{NLU}', 3, 'nlu', 'x', '{{{{mood}}}}', '[\"mood\"]')",
    )

    missing = start(prompts)
    demanding = start(prompts, "--treatment", 3)
    same = start(prompts, "--treatment", 1)
    add_version(database, 2)
    all_of_it = start(prompts, "--percent", 100)
    nobody = start(prompts, "--min-subjects", 0)

    assert f"there is not version 2 of prompt '{NLU}'" in missing.err
    assert (
        "version 3 needs mood, which callers of version 1 do not give" in demanding.err
    )
    assert [3, 3] == [missing.exit, demanding.exit]
    assert "prompts: the two arms are one version\n" == same.err
    assert "prompts: the share of treatment is between 0 and 100\n" == all_of_it.err
    assert "prompts: an arm needs a subject at least\n" == nobody.err


def test_latency_is_compared_where_there_was_an_answer(database, prompts, told):
    """How long a failure took says nothing about the version; its subject was seen."""
    add_version(database, 2)
    start(prompts, "--metric", "latency_ms")
    run(database, SUBJECTS.format(n=10))

    report = told("experiment", "report", "shorter")

    assert [(10, 5, 40.0), (10, 9, 40.0)] == [
        (arm["seen"], arm["measured"], arm["mean"]) for arm in report["arms"]
    ]


def test_subject_seen_in_both_arms_is_counted_and_left_out(database, prompts, told):
    """A broken cookie must not decide."""
    add_version(database, 2)
    start(prompts)
    run(database, SUBJECTS.format(n=5))
    run(
        database,
        "UPDATE prompt_executions SET subject_hash = 'x' WHERE subject_hash ~ '5$'",
    )

    report = told("experiment", "report", "shorter")

    assert (1, [4, 4]) == (report["both"], [arm["seen"] for arm in report["arms"]])


def test_stats_show_the_four_views(database, service, prompts, told):
    """In text for a person, in JSON for a program."""
    call = service.render(NLU, VALUES)
    service.log(call, latency_ms=80)
    service.log(
        service.render(NLU, {**VALUES, "user_input": "idiot"}),
        status="error",
        error_type="Timeout",
        latency_ms=120,
    )

    stats, text = told("stats"), prompts("stats").out

    assert ["performance", "errors", "violations", "experiments"] == list(stats)
    assert [(2, 50.0, 100.0)] == [
        (row["executions"], row["success%"], row["avg_ms"])
        for row in stats["performance"]
    ]
    assert ["Timeout"] == [row["error"] for row in stats["errors"]]
    assert "experiments\n(none)" in text
