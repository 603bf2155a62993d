"""Active versions, experiments, damaged rows, the kill switch, and what is logged."""

from typing import Any

import pytest
from psycopg2.errors import ForeignKeyViolation

from prompts import service as prompts_service
from prompts.builtin import PROMPTS
from prompts.errors import (
    GuardrailBlockedError,
    InconsistentPromptError,
    UnknownPromptError,
)
from tests.prompts.payload import NLU, VALUES, add_version, run

EXPERIMENT = f"""
INSERT INTO ab_test_experiments
    (name, template_name, control_version, treatment_version, status, started_at)
VALUES ('short', '{NLU}', 1, 2, 'running', now())
"""
DAMAGED = """
INSERT INTO prompt_templates
    (name, version, category, purpose, template_text, variables, is_active)
VALUES ('{name}', 9, 'nlu', 'x', '{{{{surprise}}}}', '["expected"]', true)
"""
LOGGED = """
SELECT prompt_name, source, status, ab_test_group, subject_hash IS NULL, latency_ms,
       error_type, error_message, environment, input_variables, rendered_prompt,
       response_text, guardrail_violations
FROM prompt_executions
"""


def test_no_active_version_is_believed_at_once(database, a_service):
    """The kill switch: nothing stale is served, the code is; also to experiments."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    service = a_service(database.dsn, cache_seconds=0)
    before = service.resolve(NLU, subject="ada")

    run(database, f"UPDATE prompt_templates SET is_active = false WHERE name = '{NLU}'")
    after = service.resolve(NLU, subject="ada")

    assert ("database", "fallback") == (before.source, after.source)


def test_cache_answers_until_it_is_told_to_forget(database, a_service):
    """Within a minute the pointer is not looked up again, unless one asks for it."""
    service = a_service(database.dsn)
    service.resolve(NLU)
    add_version(database, 2, active=True)

    cached = service.resolve(NLU)
    service.forget()
    fresh = service.resolve(NLU)

    assert (1, 2) == (cached.version, fresh.version)


def test_version_asked_for_by_number_is_that_version(database, service):
    """From the database, from the code if that is the one there, or an error."""
    add_version(database, 2)

    prompt = service.resolve(NLU, version=2)

    assert ("database", 2) == (prompt.source, prompt.version)
    with pytest.raises(UnknownPromptError, match="version 7 of"):
        service.resolve(NLU, version=7)
    add_version(database, 7)
    assert 7 == service.resolve(NLU, version=7).version


def test_fork_leaves_its_parents_connection_alone(database, a_service):
    """A child opens its own: two processes on one socket would read each other's answers."""
    service = a_service(database.dsn, cache_seconds=0)
    service.resolve(NLU)
    parents = service._reads._connection

    service._reads._process = -1  # what a child finds
    prompt = service.resolve(NLU)

    assert "database" == prompt.source
    assert not parents.closed
    assert parents is not service._reads._connection
    parents.close()


def test_cache_is_bounded(database, a_service, monkeypatch):
    """Names without end do not fill the memory."""
    monkeypatch.setattr(prompts_service, "MOST_CACHED", 3)
    service = a_service(database.dsn, cache_seconds=0)

    for n in range(20):
        service.resolve(NLU)
        with pytest.raises(UnknownPromptError):
            service.resolve(f"name_{n}")
        assert NLU in service._cache  # what is asked for again is not pushed out

    assert ["name_18", NLU, "name_19"] == list(service._cache)


def test_unknown_way_of_capturing_is_refused(a_service):
    """A slip here would store what must not be stored, or nothing."""
    with pytest.raises(ValueError, match="none, redacted, full"):
        a_service("host=nowhere", capture="reducted")


def test_impossible_name_is_an_unknown_prompt(service):
    """What cannot be a name or a version is not asked for, and does no harm to others."""
    for name in ("No Such", "a" * 101, "x\0y", "\ud800", ""):
        with pytest.raises(UnknownPromptError):
            service.resolve(name)
        with pytest.raises(UnknownPromptError):
            service.resolve(name, version=1)
    for version in (-1, 2**31, 2**70):
        with pytest.raises(UnknownPromptError):
            service.resolve(NLU, version=version)

    assert ("database", None) == (service.resolve(NLU).source, service.trouble)


def test_damaged_row_is_not_served(database, service):
    """A text that disagrees with its declaration: the code's prompt, or the error."""
    for name in (NLU, "unknown_to_the_code"):
        run(database, DAMAGED.format(name=name))

    assert PROMPTS[NLU] == service.resolve(NLU)
    with pytest.raises(InconsistentPromptError, match="uses surprise undeclared"):
        service.resolve("unknown_to_the_code")
    with pytest.raises(InconsistentPromptError, match="version 9"):
        service.resolve(NLU, version=9)


def test_subject_keeps_its_arm_and_the_log_says_which(database, a_service):
    """The same on every service with the key; both arms are met; the log has a hash."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    one, other = a_service(database.dsn), a_service(database.dsn)

    arms = {
        subject: {s.resolve(NLU, subject=subject).version for s in (one, other, one)}
        for subject in map(str, range(40))
    }
    call = one.render(NLU, VALUES, subject="7")
    one.log(call)

    assert {frozenset({1}), frozenset({2})} == set(map(frozenset, arms.values()))
    assert {call.prompt.version} == arms["7"]
    arm = {1: "control", 2: "treatment"}[call.prompt.version]
    assert [(arm, False)] == [(row[3], row[4]) for row in database.rows(LOGGED)]


def test_subject_may_be_a_number(database, a_service):
    """Many applications have numbers for their users; a number and its digits are one."""
    service = a_service(database.dsn)

    calls = [service.render(NLU, VALUES, subject=subject) for subject in (7, "7")]

    assert calls[0].subject_hash == calls[1].subject_hash


def test_prompt_is_unicode_whatever_the_environment_says(
    database, a_service, monkeypatch
):
    """PGCLIENTENCODING is for others: a prompt arrives and is logged as it is."""
    smile = f"UPDATE prompt_templates SET description = '🙂' WHERE name = '{NLU}'"
    run(database, smile)
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    service = a_service(database.dsn, capture="full")

    call = service.render(NLU, {**VALUES, "user_input": "Ж"})

    assert service.log(call)
    assert "🙂" == call.prompt.description
    monkeypatch.delenv("PGCLIENTENCODING")
    assert "Ж" == database.rows(LOGGED)[0][9]["user_input"]


def test_without_subject_or_key_the_active_version_is_served(database, a_service):
    """Nobody is enrolled who cannot be told apart."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    keyless = a_service(database.dsn, secret_key="")

    prompts = [keyless.resolve(NLU, subject=str(n)) for n in range(20)]

    assert {(1, None)} == {(p.version, p.arm) for p in prompts}


def test_paused_experiment_enrols_nobody(database, service):
    """Paused, it keeps its place and its figures; everybody gets the active version."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    run(database, "UPDATE ab_test_experiments SET status = 'paused'")

    prompts = [service.resolve(NLU, subject=str(n)) for n in range(20)]

    assert {(1, None)} == {(p.version, p.arm) for p in prompts}


def test_arm_of_an_experiment_cannot_be_deleted(database):
    """The foreign key keeps it."""
    add_version(database, 2)
    run(database, EXPERIMENT)

    with pytest.raises(ForeignKeyViolation):
        run(
            database,
            f"DELETE FROM prompt_templates WHERE name = '{NLU}' AND version = 2",
        )


def test_experiment_without_its_arm_is_no_experiment(database, service):
    """Deleted by force, as a partial restore may: everybody gets the active version."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    run(
        database,
        "SET session_replication_role = replica;"
        f" DELETE FROM prompt_templates WHERE name = '{NLU}' AND version = 2",
    )

    prompts = [service.resolve(NLU, subject=str(n)) for n in range(20)]

    assert {(1, None)} == {(p.version, p.arm) for p in prompts}


def test_blocked_call_is_logged_without_what_was_found(database, a_service):
    """The row says which guardrail and which type, and no more."""
    service = a_service(database.dsn, environment="dev")
    with pytest.raises(GuardrailBlockedError):
        service.render(NLU, {**VALUES, "user_input": "me@example.org"})

    [row] = database.rows(LOGGED)

    found = {
        "guardrail": "pii_detection_basic",
        "action": "block",
        "entity_type": "email",
        "count": 1,
    }
    assert row == (
        *(NLU, "database", "blocked", None, True, 0, None, None, "dev"),
        *(None, None, None, [found]),
    )


def test_redaction_reaches_what_is_sent_and_what_comes_back(database, service):
    """The model does not see what was taken out, nor does the caller see what it says."""
    run(database, "UPDATE prompt_guardrails SET action = 'redact'")

    call = service.render(NLU, {**VALUES, "user_input": "from me@example.org"})
    call = service.check(call, "to me@example.org")

    assert "from [email]" in call.text
    assert "example.org" not in call.text
    assert ("from [email]", "to [email]") == (call.values["user_input"], call.response)
    assert ["email", "email"] == [finding.entity_type for finding in call.findings]


def test_guardrails_are_asked_in_the_order_of_their_priority(database, service):
    """Whose priority is smaller blocks first, whatever the names are."""
    run(
        database,
        "UPDATE prompt_guardrails SET action = 'block', priority = 5"
        " WHERE name = 'toxic_content_filter'",
    )

    with pytest.raises(GuardrailBlockedError, match="toxic_content_filter"):
        service.render(NLU, {**VALUES, "user_input": "me@example.org, you idiot"})


def test_answer_of_the_model_is_checked_too(database, service):
    """Personal data in an answer blocks it, and the row is written."""
    call = service.render(NLU, VALUES)

    with pytest.raises(GuardrailBlockedError, match="email"):
        service.check(call, "ask me@example.org")

    assert ["blocked"] == [row[2] for row in database.rows(LOGGED)]
    assert "" == service.check(call, None).response  # a model may say nothing


@pytest.mark.parametrize(
    ("capture", "stored"),
    [("redacted", "from [email]"), ("full", "from me@example.org")],
)
def test_texts_are_stored_only_when_asked_for(database, a_service, capture, stored):
    """By default none; else with what we recognise taken out; or all."""
    run(database, "UPDATE prompt_guardrails SET action = 'warn'")
    for mode in ("none", capture):
        service = a_service(database.dsn, capture=mode)
        call = service.render(NLU, {**VALUES, "user_input": "from me@example.org"})
        service.log(service.check(call, "to me@example.org"), latency_ms=1)

    nothing, texts = database.rows(LOGGED + " ORDER BY created_at")

    assert (None, None, None) == nothing[9:12]
    assert stored == texts[9]["user_input"]
    assert stored in texts[10]
    assert stored.replace("from", "to") == texts[11]


def test_row_holds_what_the_caller_says_as_far_as_it_fits(database, a_service):
    """Half characters, zero bytes, endless messages and odd numbers are made to fit."""
    service = a_service(database.dsn, capture="full")
    call = service.render(NLU, {**VALUES, "user_input": "a\0b \ud800 c"})

    written = service.log(
        call,
        status="error",
        latency_ms=12.6,
        model="m" * 500,
        cost_usd=float("nan"),
        error_type="T" * 500,
        error_message=OSError("me@example.org " + "x" * 10_000_000),
        trace_id="t" * 500,
    )

    [row] = database.rows(LOGGED)
    assert written
    assert (13, "T" * 100) == row[5:7]
    assert row[7].startswith("[email] xxx")
    assert "ab ? c" == row[9]["user_input"]


def test_latency_is_made_to_fit(database, service):
    """A clock that went backwards, one that never stopped: the row is kept."""
    for latency in (-5, 1e15):
        assert service.log(service.render(NLU, VALUES), latency_ms=latency)

    assert {0, 2**31 - 1} == {row[5] for row in database.rows(LOGGED)}


NONSENSE: list[dict[str, Any]] = [
    {"latency_ms": "soon"},
    {"latency_ms": None},
    {"latency_ms": float("nan")},
    {"status": "fine"},
    {"input_tokens": -1},
    {"cost_usd": object()},
]


def test_nonsense_is_dropped_counted_and_never_raised(service):
    """Whatever the caller passes; and the next row is written."""
    call = service.render(NLU, VALUES)

    written = [service.log(call, **wrong) for wrong in NONSENSE]

    assert [False] * len(NONSENSE) == written
    assert len(NONSENSE) == service.dropped
    assert service.log(call)


def test_error_without_a_type_has_one_all_the_same(database, service):
    """The table asks for it, and a caller may not know."""
    service.log(service.render(NLU, VALUES), status="error")

    assert ["unknown"] == [row[6] for row in database.rows(LOGGED)]
