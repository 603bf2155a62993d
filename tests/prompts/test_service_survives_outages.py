"""Whatever the database does, the caller gets a prompt or a documented error, in time."""

import contextlib
import socket
import threading
import time

import pytest

from prompts import store
from prompts.builtin import PROMPTS
from prompts.errors import (
    ConnectionFailedError,
    GuardrailBlockedError,
    UnknownPromptError,
)
from tests.prompts.payload import NLU, VALUES, add_version, counters, run

DISCONNECT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'prompts'
"""
WAITING = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'prompts' AND wait_event_type = 'Lock'
"""


def end_cool_down(service):
    """Make as if five seconds had passed."""
    for link in (service._reads, service._writes):
        link._rests_until = 0.0
    service._cache = {key: (0.0, value) for key, (_, value) in service._cache.items()}


@contextlib.contextmanager
def listener(answer):
    """Listen on a port of our own and treat every connection by ``answer``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        met = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    met.append(server.accept()[0])
                    answer(met[-1])

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], met
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in met:
                connection.close()


def test_outage_costs_one_attempt_and_not_one_per_call(a_service):
    """Sixty calls for three prompts at a server that turns everybody away knock once."""
    with listener(socket.socket.close) as (port, met):
        service = a_service(f"host=127.0.0.1 port={port} sslmode=disable")

        served = [service.resolve(name) for name in [*PROMPTS] * 20]

    assert [*PROMPTS.values()] * 20 == served
    assert 1 == len(met)


def test_unknown_prompt_in_an_outage_is_a_documented_error(a_service):
    """No database and no such prompt in the code: the error names it."""
    service = a_service("host=127.0.0.1 port=1")

    with pytest.raises(UnknownPromptError, match="'other'"):
        service.resolve("other")


def test_server_that_accepts_and_never_answers_is_left_in_time(a_service, monkeypatch):
    """Not slow but silent: the limit is ours, not the server's."""
    monkeypatch.setattr(store, "LINK_CONNECT_S", 0.3)
    with listener(lambda _: None) as (port, _):
        service = a_service(f"host=127.0.0.1 port={port} sslmode=disable")
        started = time.monotonic()

        call = service.render(NLU, VALUES)
        written = service.log(call)

    assert ("fallback", False) == (call.prompt.source, written)
    assert time.monotonic() - started < 2


def test_slow_database_serves_what_is_stale_or_the_code(database, a_service):
    """A table locked for long: the known prompt from the cache, others from the code."""
    add_version(database, 2, active=True)
    service = a_service(database.dsn, cache_seconds=0)
    service.resolve(NLU)
    with contextlib.closing(database.connect()) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE prompt_templates IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()

        known = service.resolve(NLU)
        end_cool_down(service)
        other = service.resolve("educational_script_generation")

        took = time.monotonic() - started

    assert ("database", 2) == (known.source, known.version)
    assert "fallback" == other.source
    assert took < 1.5


def test_slow_log_keeps_nobody_from_a_prompt(database, a_service):
    """The log has a connection of its own: while it waits, prompts are read."""
    service = a_service(database.dsn, cache_seconds=0)
    call = service.render(NLU, VALUES)
    written = []
    logger = threading.Thread(target=lambda: written.append(service.log(call)))
    with contextlib.closing(database.connect()) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE prompt_executions IN ACCESS EXCLUSIVE MODE")
        logger.start()
        while not database.rows(WAITING):
            time.sleep(0.01)

        prompt = service.resolve(NLU)
        still_waiting = database.rows(WAITING)

    logger.join()
    assert ("database", None) == (prompt.source, service.trouble)
    assert still_waiting
    assert [True] == written


def test_threads_do_not_queue_up_behind_a_slow_database(database, a_service):
    """Sixteen at once wait for one question, not for sixteen."""
    service = a_service(database.dsn)
    served = []
    with contextlib.closing(database.connect()) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE prompt_templates IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()

        threads = [
            threading.Thread(target=lambda: served.append(service.resolve(NLU)))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        took = time.monotonic() - started

    assert [PROMPTS[NLU]] * 16 == served
    assert took < 1.5


def test_who_has_something_stale_does_not_wait_for_who_asks(database, a_service):
    """One thread asks; the others go on with what they have."""
    service = a_service(database.dsn, cache_seconds=0)
    known = service.resolve(NLU)

    with service._refresh:  # somebody is asking
        assert known == service.resolve(NLU)


def test_outage_serves_what_is_stale_and_recovery_is_noticed(database, a_service):
    """The last known version while the database is away; the new one when it is back."""
    add_version(database, 2, active=True)
    service = a_service(database.dsn, cache_seconds=0)
    service.resolve(NLU)
    name = database.name

    with database.server.admin().cursor() as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute(DISCONNECT.replace("current_database()", f"'{name}'"))
        away = service.resolve(NLU)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    add_version(database, 3, active=True)
    end_cool_down(service)
    back = service.resolve(NLU)

    assert ("database", 2) == (away.source, away.version)
    assert ("database", 3) == (back.source, back.version)


def test_connection_ended_by_the_server_is_opened_again_at_once(database, a_service):
    """A restart between two calls costs neither the prompt nor the row of the log."""
    service = a_service(database.dsn, cache_seconds=0)
    call = service.render(NLU, VALUES)
    service.log(call)
    run(database, DISCONNECT)

    again = service.render(NLU, VALUES)

    assert "database" == again.prompt.source
    assert service.log(again)
    assert [(2, 2)] == counters(database)


def test_transaction_pooler_carries_it(database, pgbouncer, a_service):
    """Each statement is a message and a transaction of its own, its time limit in it."""
    service = a_service(pgbouncer(database, "transaction").dsn, cache_seconds=0)

    calls = [service.render(NLU, VALUES) for _ in range(3)]

    assert [True] * 3 == [service.log(call) for call in calls]
    assert {"database"} == {call.prompt.source for call in calls}
    assert [(3, 3)] == counters(database)


def test_read_only_database_serves_and_drops_the_log(database, a_service):
    """A standby is good for prompts; rows that cannot be written are counted."""
    run(
        database,
        f"ALTER DATABASE {database.name} SET default_transaction_read_only = on",
    )
    service = a_service(database.dsn)

    call = service.render(NLU, VALUES)
    written = [service.log(call) for _ in range(3)]

    assert "database" == call.prompt.source
    assert [False] * 3 == written
    assert 3 == service.dropped
    assert "read-only" in str(service.trouble)


def test_database_without_its_prompts_is_filled_in_from_the_code(database, a_service):
    """Half migrated, the prompts' table missing: the code's prompt, and its trouble told."""
    run(database, "DROP TABLE prompt_templates CASCADE")
    service = a_service(database.dsn)

    assert "fallback" == service.render(NLU, VALUES).prompt.source
    assert "prompt_templates" in str(service.trouble)


def test_database_without_its_guardrails_is_guarded_by_the_code(database, a_service):
    """Half migrated, the guardrails missing: the code's stand in for them, and prompts are
    served from the database all the same.
    """
    run(database, "DROP TABLE prompt_guardrails CASCADE")
    service = a_service(database.dsn)

    with pytest.raises(GuardrailBlockedError, match="pii_detection_basic"):
        service.render(NLU, {**VALUES, "user_input": "me@example.org"})

    assert "prompt_guardrails" in str(service.trouble)
    assert "database" == service.resolve("educational_script_generation").source


def test_what_failed_is_not_asked_again_for_a_moment(database, a_service):
    """A missing table costs one question in five seconds, and not one a call."""
    service = a_service(database.dsn)
    run(database, "ALTER TABLE prompt_guardrails RENAME TO elsewhere")
    service.render(NLU, VALUES)
    run(database, "ALTER TABLE elsewhere RENAME TO prompt_guardrails")
    run(database, "UPDATE prompt_guardrails SET is_active = false")
    mail = {**VALUES, "user_input": "me@example.org"}

    with pytest.raises(GuardrailBlockedError):
        service.render(NLU, mail)
    end_cool_down(service)

    assert service.render(NLU, mail)


def test_address_that_cannot_be_read_is_refused_at_the_start(a_service):
    """A slip in the settings is told at once, without the password in it."""
    with pytest.raises(ConnectionFailedError) as caught:
        a_service("postgresql://user:pa@ss/word@host/db")

    assert "word" not in str(caught.value).replace("password", "")


def test_closed_service_leaves_no_connection(database, a_service):
    """After close the server knows nothing of us."""
    service = a_service(database.dsn)
    service.log(service.render(NLU, VALUES))

    service.close()

    asked = DISCONNECT.replace("pg_terminate_backend(pid)", "count(*)")
    deadline = time.monotonic() + 5
    while database.rows(asked) != [(0,)] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [(0,)] == database.rows(asked)
