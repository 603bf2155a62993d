"""The grants: a role that serves, logs and moves the pointer, and can forge nothing."""

import contextlib

import pytest
from psycopg2.errors import InsufficientPrivilege

from prompts import catalogue
from prompts.store import Link
from tests.fix_cli import CHECKOUT
from tests.prompts.payload import NLU, VALUES, add_version, counters, run

GRANTS = (CHECKOUT / "prompts" / "grants.sql").read_text("utf-8")
EXPERIMENT = f"""
INSERT INTO ab_test_experiments
    (name, template_name, control_version, treatment_version, status, started_at)
VALUES ('short', '{NLU}', 1, 2, 'running', now())
"""


@pytest.fixture
def as_application(database):
    """Give the address under which a session has the role and no other right."""
    run(database, GRANTS)
    run(database, GRANTS)  # as often as one likes
    yield database.server.dsn(database.name, options="-c role=prompts_application")
    run(database, "DROP OWNED BY prompts_application; DROP ROLE prompts_application")


def test_application_serves_logs_and_is_counted(database, as_application, a_service):
    """Everything the service does needs no more than the role has."""
    add_version(database, 2)
    run(database, EXPERIMENT)
    service = a_service(as_application)

    call = service.check(service.render(NLU, VALUES, subject="ada"), "blue")
    written = [service.log(call), service.log(call)]

    assert ("database", None) == (call.prompt.source, service.trouble)
    assert call.prompt.arm
    assert [True, True] == written
    assert [(1, 1)] == counters(database)


def test_application_creates_and_moves_the_pointer(database, as_application):
    """A new version, its activation, the way back; its name is in the log."""
    source = Link(as_application, answer_ms=5_000, retries=0)
    with contextlib.closing(source):
        given = {"name": NLU, "template_text": "{{user_input}} {{grade_level}}"}
        made = catalogue.create(source, {**given, "actor": "ada"})
        catalogue.activate(source, {**made, "actor": "ada"})
        back = catalogue.rollback(source, {"name": NLU, "actor": "bob"})

    log = (
        "SELECT activation_log -> -1 ->> 'by' FROM prompt_templates WHERE version = {}"
    )
    assert (2, 1) == (made["version"], back["version"])
    assert [("ada",)] == database.rows(log.format(2))
    assert [("bob",)] == database.rows(log.format(f"1 AND name = '{NLU}'"))


FORGERIES = """
UPDATE prompt_templates SET template_text = 'other'
UPDATE prompt_templates SET total_executions = 1000000
UPDATE prompt_templates SET activation_log = '[]'
INSERT INTO prompt_templates (name, total_executions) VALUES ('x', 1000000)
DELETE FROM prompt_templates
UPDATE prompt_executions SET status = 'success'
DELETE FROM prompt_executions
SELECT response_text FROM prompt_executions
INSERT INTO prompt_executions (prompt_name, created_at) VALUES ('x', 'yesterday')
UPDATE prompt_guardrails SET action = 'log'
UPDATE ab_test_experiments SET winner = 'treatment'
SELECT update_template_statistics()
CREATE TABLE mine (id int)
TRUNCATE prompt_executions
"""


@pytest.mark.usefixtures("as_application")
def test_application_can_forge_nothing(database):
    """No text, no counter, no row of the log, no guardrail, no result."""
    with (
        contextlib.closing(
            database.connect(options="-c role=prompts_application")
        ) as it,
        it.cursor() as cursor,
    ):
        for forgery in FORGERIES.strip().split("\n"):
            with pytest.raises(InsufficientPrivilege):
                cursor.execute(forgery)
            it.rollback()
