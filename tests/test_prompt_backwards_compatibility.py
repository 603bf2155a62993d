"""Nothing that worked before the prompt system stops working: the 29 tests.

Runs alone against any database that DATABASE_URL names, or else against a server of the
tests' own. Everything happens in one transaction that is rolled back: a database in use
is left as it was, and one that is not migrated yet is migrated for the moment.
"""

import contextlib
import inspect
import os
from pathlib import Path

import pytest

from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.errors import (
    GuardrailBlockedError,
    MissingVariableError,
    StatementFailedError,
    UnknownPromptError,
)
from prompts.service import PromptTemplateService
from prompts.store import Link

# Read before any fixture cleans the environment.
GIVEN_URL = os.environ.get("DATABASE_URL")
SECRET_KEY = os.environ.get("SECRET_KEY", "a key for tests")

UP = (
    Path(__file__)
    .resolve()
    .parent.parent.joinpath("migrations", "0001_enterprise_prompt_system_phase1.sql")
)
SEEDS = UP.read_text("utf-8").split("-- seeds: begin")[1].split("-- seeds: end")[0]
NOBODY = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"
NLU = "nlu_topic_extraction"
CLARIFICATION = "clarification_question_generation"
SCRIPT = "educational_script_generation"
VALUES: dict[str, dict[str, object]] = {
    NLU: {"user_input": "Why is the sky blue?", "grade_level": 6},
    CLARIFICATION: {"user_input": "space stuff", "topic_candidates": "stars, rockets"},
    SCRIPT: {"topic": "gravity", "grade_level": "7", "interests": "football"},
}
PLAIN = {"subject": "cells"}
# What the first release shipped and callers have written into their code: a change here
# is a change to them.
SHIPPED = {
    "nlu_topic_extraction": (
        *("nlu", "topic_extraction", "Extract educational topics from user input"),
        ("user_input", "grade_level"),
    ),
    "clarification_question_generation": (
        *("content", "clarification", "Generate clarifying questions"),
        ("user_input", "topic_candidates"),
    ),
    "educational_script_generation": (
        *("content", "script_generation", "Create educational content scripts"),
        ("topic", "grade_level", "interests"),
    ),
}
SNAPSHOT = """
SELECT jsonb_agg(to_jsonb(t) ORDER BY t.name, t.version) FROM prompt_templates t
UNION ALL
SELECT jsonb_agg(to_jsonb(g) ORDER BY g.name) FROM prompt_guardrails g
"""


@pytest.fixture(scope="module")
def url(request):
    """Give the database of the run: the one named, or an empty one of our own."""
    if GIVEN_URL:
        yield GIVEN_URL
        return
    server = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def session(url):
    """Give a transaction on a migrated database; it is rolled back."""
    link = Link(url, answer_ms=10_000, retries=0, cool_down_s=0)
    with contextlib.closing(link) as session:
        session.rows("BEGIN")
        [found] = session.rows("SELECT to_regclass('public.prompt_templates') AS oid")
        if found["oid"] is None:
            session.rows(UP.read_text("utf-8"))
        yield session


@pytest.fixture
def service(session):
    """Give the service on that transaction; each call asks the database."""
    return PromptTemplateService(session, SECRET_KEY, cache_seconds=0)


@pytest.fixture
def fresh(session):
    """Give the transaction with the seeds as they were shipped, whoever moved them."""
    for table in ("prompt_templates", "prompt_guardrails"):
        session.rows(f"UPDATE {table} SET name = 'moved_' || name, is_active = false")
    session.rows(SEEDS)
    return session


def add(session, version, *, name="compat", active=False, text="Explain {{subject}}."):
    """Add a version of a prompt that only this transaction knows."""
    session.rows(
        "INSERT INTO prompt_templates (name, version, category, purpose, description,"
        " template_text, variables, is_active) VALUES (%(name)s, %(version)s, 'test',"
        """ 'test', 'A test', %(text)s, '["subject"]', %(active)s)""",
        {"name": name, "version": version, "text": text, "active": active},
    )


def activate(session, version, *, name="compat"):
    """Move the pointer, as a person does: one row."""
    session.rows(
        "UPDATE prompt_templates SET is_active = true"
        " WHERE name = %(name)s AND version = %(version)s",
        {"name": name, "version": version},
    )


def active(session, name="compat"):
    """Return the active versions of a prompt."""
    sql = "SELECT version FROM prompt_templates WHERE is_active AND name = %(name)s"
    return [row["version"] for row in session.rows(sql, {"name": name})]


def only_guardrail(session, action, kind="pii"):
    """Leave one guardrail active."""
    session.rows("UPDATE prompt_guardrails SET is_active = false")
    session.rows(
        "INSERT INTO prompt_guardrails (name, guardrail_type, severity, action)"
        " VALUES ('compat', %(kind)s, 'high', %(action)s)",
        {"kind": kind, "action": action},
    )


class TestHardcodedPromptsFallback:
    """The prompts in the code are there, whatever happens to the database."""

    def test_nlu_topic_extraction_hardcoded_exists(self):
        """Topic extraction stands in the code, with its two variables."""
        prompt = PromptTemplateService().resolve("nlu_topic_extraction")

        assert ("fallback", 1) == (prompt.source, prompt.version)
        assert ("user_input", "grade_level") == prompt.variables

    def test_clarification_question_hardcoded_exists(self):
        """The clarification question stands in the code, with its two variables."""
        prompt = PromptTemplateService().resolve("clarification_question_generation")

        assert ("fallback", 1) == (prompt.source, prompt.version)
        assert ("user_input", "topic_candidates") == prompt.variables

    def test_script_generation_hardcoded_exists(self):
        """Script generation stands in the code, with its three variables."""
        prompt = PromptTemplateService().resolve("educational_script_generation")

        assert ("fallback", 1) == (prompt.source, prompt.version)
        assert ("topic", "grade_level", "interests") == prompt.variables


class TestDatabasePromptRetrieval:
    """The database decides; the code stands behind it."""

    def test_get_active_prompt_by_name(self, session, service):
        """The active version is served, not the newest one."""
        add(session, 1, active=True)
        add(session, 2)

        prompt = service.resolve("compat")

        assert ("database", 1) == (prompt.source, prompt.version)

    def test_get_latest_version(self, session, service):
        """Any version can be asked for by number, the newest too."""
        add(session, 1, active=True)
        add(session, 2, text="Tell me about {{subject}}.")

        prompt = service.resolve("compat", version=2)

        assert "Tell me about {{subject}}." == prompt.template_text

    @pytest.mark.usefixtures("fresh")
    def test_prompt_has_required_metadata(self, service):
        """What callers and the log need is there."""
        for name, (*words, variables) in SHIPPED.items():
            prompt = service.resolve(name)

            assert "database" == prompt.source
            assert prompt.template_id
            assert words == [prompt.category, prompt.purpose, prompt.description]
            assert (variables, 1) == (prompt.variables, prompt.version)
            assert PROMPTS[name].content_hash == prompt.content_hash

    def test_unknown_prompt_falls_back_to_hardcoded(self, session, service):
        """A name without an active version is served from the code, or refused by name."""
        session.rows(
            "UPDATE prompt_templates SET is_active = false WHERE name = %(name)s",
            {"name": NLU},
        )

        assert PROMPTS[NLU] == service.resolve(NLU)
        with pytest.raises(UnknownPromptError, match="no_such_prompt"):
            service.resolve("no_such_prompt")

    def test_database_unavailable_falls_back_to_hardcoded(self):
        """No server: the code's own prompt, and no exception."""
        service = PromptTemplateService(NOBODY)

        assert PROMPTS[SCRIPT] == service.resolve(SCRIPT)


class TestPromptVariableSubstitution:
    """Variables are filled in, and nothing else happens to the text."""

    def test_all_declared_variables_are_replaced(self):
        """No placeholder is left, and every value is there."""
        for name, values in VALUES.items():
            text = PromptTemplateService().render(name, values).text

            assert "{{" not in text
            assert all(str(value) in text for value in values.values())

    def test_missing_variable_raises_with_its_name(self):
        """The error says which one; None is missing too."""
        for values in ({"user_input": "x"}, {"user_input": "x", "grade_level": None}):
            with pytest.raises(MissingVariableError, match="'grade_level'"):
                PromptTemplateService().render(NLU, values)

    def test_extra_variable_is_ignored(self, session, service):
        """A caller may know more than the text asks for."""
        add(session, 1, active=True)

        call = service.render("compat", {**PLAIN, "mood": "good"})

        assert "Explain cells." == call.text

    def test_json_braces_are_left_alone(self, session, service):
        """An example in JSON is only text."""
        add(session, 1, active=True, text='{{subject}}: {"a": {"b": 1}} {0} %s ${x} {{')

        call = service.render("compat", PLAIN)

        assert 'cells: {"a": {"b": 1}} {0} %s ${x} {{' == call.text

    def test_values_are_never_expanded_again(self, session, service):
        """A value that looks like a placeholder stays what it is."""
        add(session, 1, active=True)

        call = service.render(
            "compat", {"subject": "{{subject}} {subject.__class__} %s"}
        )

        assert "Explain {{subject}} {subject.__class__} %s." == call.text

    @pytest.mark.usefixtures("fresh")
    def test_database_and_hardcoded_render_identically(self, service):
        """The seed in the database and the text in the code are one text."""
        for name, values in VALUES.items():
            here, there = (
                s.render(name, values) for s in (service, PromptTemplateService())
            )

            assert ("database", "fallback") == (here.prompt.source, there.prompt.source)
            assert there.text == here.text
            assert there.prompt.system_prompt == here.prompt.system_prompt


class TestNoBreakingChanges:
    """What callers rely on stays."""

    def test_public_signatures_unchanged(self):
        """A parameter more with a default is the only change there may be."""
        names = ("resolve", "render", "check", "log", "forget", "close")

        signatures = {
            name: list(
                inspect.signature(getattr(PromptTemplateService, name)).parameters
            )
            for name in names
        }

        assert {
            "resolve": ["self", "name", "subject", "version"],
            "render": ["self", "name", "values", "subject"],
            "check": ["self", "call", "response"],
            "log": [
                *("self", "call", "status", "latency_ms", "model", "input_tokens"),
                *(
                    "output_tokens",
                    "cost_usd",
                    "error_type",
                    "error_message",
                    "trace_id",
                ),
            ],
            "forget": ["self"],
            "close": ["self"],
        } == signatures

    def test_seed_names_and_variables_unchanged(self):
        """The names that callers have written into their code."""
        assert SHIPPED == {
            name: (p.category, p.purpose, p.description, p.variables)
            for name, p in PROMPTS.items()
        }

    def test_service_works_without_database_url(self):
        """Without a database everything is served from the code, and logging is a no."""
        service = PromptTemplateService(None)

        call = service.check(service.render(NLU, VALUES[NLU]), "an answer")

        assert "an answer" == call.response
        assert not service.log(call, latency_ms=1)
        service.close()

    def test_rendered_prompt_is_a_plain_string(self):
        """A `str`, whatever the values are."""

        class Loud(str):
            """A kind of string."""

            __slots__ = ()

        call = PromptTemplateService().render(
            NLU, {"user_input": Loud("hello"), "grade_level": Loud("5")}
        )

        assert str is type(call.text)

    def test_failed_execution_logging_never_reaches_the_caller(self, session, service):
        """A log that cannot be written is counted, and the caller is told by False."""
        add(session, 1, active=True)
        call = service.render("compat", PLAIN)
        session.rows("ALTER TABLE prompt_executions RENAME TO elsewhere")

        written = service.log(call, latency_ms=10)

        assert not written
        assert 1 == service.dropped

    def test_rerunning_the_migration_changes_nothing(self, session):
        """The seeds applied again leave every row as it is."""
        before = session.rows(SNAPSHOT)

        session.rows(SEEDS)

        assert before == session.rows(SNAPSHOT)


class TestGuardrailBackwardsCompatibility:
    """Guardrails guard, and otherwise keep out of the way."""

    def test_seed_guardrails_have_expected_severity_and_action(self, fresh):
        """As shipped: personal data blocks, the other two warn."""
        rows = fresh.rows(
            "SELECT name, severity, action FROM prompt_guardrails WHERE is_active"
            " ORDER BY priority"
        )

        assert [
            ("pii_detection_basic", "critical", "block"),
            ("toxic_content_filter", "high", "warn"),
            ("prompt_injection_detection", "high", "warn"),
        ] == [tuple(row.values()) for row in rows]
        assert rows == [
            {"name": rule.name, "severity": rule.severity, "action": rule.action}
            for rule in GUARDRAILS
        ]

    def test_no_active_guardrail_means_pass_through(self, session, service):
        """With every guardrail off, anything goes."""
        add(session, 1, active=True)
        session.rows("UPDATE prompt_guardrails SET is_active = false")

        call = service.render("compat", {"subject": "me@example.org, you idiot"})

        assert ("Explain me@example.org, you idiot.", ()) == (call.text, call.findings)

    def test_warn_never_changes_the_text(self, session, service):
        """A warning is a finding, and the text is the caller's."""
        add(session, 1, active=True)
        only_guardrail(session, "warn")

        call = service.render("compat", {"subject": "me@example.org"})

        assert "Explain me@example.org." == call.text
        assert [("compat", "warn", "email", 1)] == list(call.findings)

    def test_block_raises_the_documented_error(self, session, service):
        """The error names the guardrail and the type, and never the text."""
        add(session, 1, active=True)
        only_guardrail(session, "block")

        with pytest.raises(GuardrailBlockedError) as caught:
            service.render("compat", {"subject": "me@example.org"})

        assert ("compat", ("email",)) == (
            caught.value.guardrail,
            caught.value.entity_types,
        )
        assert "me@" not in str(caught.value)


class TestPromptVersioning:
    """One version is served, and a person decides which."""

    def test_new_version_does_not_become_active(self, session, service):
        """Writing a version is not serving it."""
        add(session, 1, active=True)

        add(session, 2)

        assert [1] == active(session)
        assert 1 == service.resolve("compat").version

    def test_activating_deactivates_the_previous(self, session, service):
        """There is one active version at any time."""
        add(session, 1, active=True)
        add(session, 2)

        activate(session, 2)

        assert [2] == active(session)
        assert 2 == service.resolve("compat").version

    def test_rollback_to_an_earlier_version(self, session, service):
        """Going back is one update, and it is served at once."""
        add(session, 1, active=True)
        add(session, 2, active=True)

        activate(session, 1)

        assert [1] == active(session)
        assert 1 == service.resolve("compat").version

    def test_name_and_version_are_unique(self, session):
        """A version is written once."""
        add(session, 1)

        with pytest.raises(StatementFailedError, match="idx_prompt_templates_version"):
            add(session, 1, text="Another text about {{subject}}.")

    def test_seed_rerun_keeps_a_custom_active_version(self, session):
        """A prompt that somebody has taken over stays theirs."""
        add(session, 77, name=NLU, active=True)

        session.rows(SEEDS)

        assert [77] == active(session, NLU)
