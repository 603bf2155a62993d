"""Two activations, two creations, an activation and a log: nobody fails, nothing is odd."""

import contextlib
import functools

from prompts import catalogue
from prompts.store import Link
from tests.prompts.payload import NLU, VALUES, add_version, counters
from tests.prompts.test_log_is_exactly_once import together

ACTIVE = f"SELECT count(*) FROM prompt_templates WHERE name = '{NLU}' AND is_active"


def as_person(database, work):
    """Do something over a connection as the command line has it."""
    link = Link(database.dsn, answer_ms=10_000, retries=0, cool_down_s=0)
    with contextlib.closing(link):
        return work(link)


def test_activations_at_once_leave_one_active_version(database):
    """Eight people, eight versions: all succeed, the last one wins."""
    for version in range(2, 9):
        add_version(database, version)
    done = []

    def work(n):
        for version in (n + 1, (n + 3) % 8 + 1):
            given = {"name": NLU, "version": version, "actor": f"p{n}"}
            move = functools.partial(catalogue.activate, given=given)
            as_person(database, move)
            done.append(version)

    together(8, work)

    assert 16 == len(done)
    assert [(1,)] == database.rows(ACTIVE)


def test_creations_at_once_get_different_numbers(database):
    """Six people write eight versions each, as fast as they can: no number is met twice."""
    versions: list[int] = []

    def work(n):
        text = f"{n}: {{{{user_input}}}} {{{{grade_level}}}}"

        def create(link):
            given = {"name": NLU, "template_text": text, "actor": f"p{n}"}
            versions.extend(catalogue.create(link, given)["version"] for _ in range(8))

        as_person(database, create)

    together(6, work)

    assert list(range(2, 50)) == sorted(versions)


def test_activation_and_log_do_not_lose_each_other(database, service):
    """Rows written while the pointer moves are all counted, each for its version."""
    add_version(database, 2)

    def work(n):
        for turn in range(10):
            if n:
                service.forget()
                service.log(service.render(NLU, VALUES))
            else:
                given = {"name": NLU, "version": turn % 2 + 1, "actor": "p"}
                move = functools.partial(catalogue.activate, given=given)
                as_person(database, move)

    together(5, work)

    assert 0 == service.dropped
    assert [(40, 40)] == counters(database)
