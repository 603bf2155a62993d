"""The same story on every version of PostgreSQL we support."""

import contextlib

from prompts import catalogue
from prompts.service import QUERIES
from prompts.store import Link
from tests.prompts.payload import NLU, UP, VALUES, add_version, counters, run


def test_story_is_the_same_on_every_version(any_version_database, a_service):
    """Serve, log once, experiment, report, rehearse, and read the four views."""
    database = any_version_database
    run(database, UP.read_text("utf-8"))
    run(database, "UPDATE prompt_guardrails SET action = 'warn'")
    add_version(database, 2)
    source = Link(database.dsn, answer_ms=5_000, retries=0)
    with contextlib.closing(source):
        asked = {
            "name": "e",
            "hypothesis": "",
            "prompt": NLU,
            "control": 1,
            "treatment": 2,
        }
        asked |= {"percent": 50, "metric": "cost", "min_subjects": 10, "actor": "ada"}
        catalogue.start(source, asked)
        service = a_service(database.dsn)
        for n in range(40):
            values = {**VALUES, "user_input": "me@example.org" if n % 4 else "hail"}
            call = service.render(NLU, values, subject=str(n))
            for _ in range(2):
                assert service.log(call, latency_ms=n, cost_usd=0.001, input_tokens=5)

        report = catalogue.report(source, {"name": "e"})
        rehearsed = source.rows(
            QUERIES["rehearse"], {"name": "pii_detection_basic", "days": 1}
        )
        views = {
            view: len(source.rows(QUERIES[view]))
            for view in ("performance", "errors", "violations", "experiments")
        }
        catalogue.stop(source, {"name": "e", "winner": None})

    assert 40 == sum(arm["seen"] for arm in report["arms"])
    assert [{"prompt": NLU, "calls": 40, "would_be_blocked": 30}] == rehearsed
    assert {"performance": 2, "errors": 0, "violations": 3, "experiments": 1} == views
    assert [(40, 40)] == counters(database)
