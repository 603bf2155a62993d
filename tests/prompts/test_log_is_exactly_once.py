"""The log: durable on return, once and only once, and counted to the row."""

import contextlib
import socket
import threading

from prompts.identity import uuid7
from tests.prompts.payload import NLU, VALUES, add_version, counters, run

SCRIPT = "educational_script_generation"


class Proxy:
    """A way to the server that can lose a reply after the effect."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.lose_next_reply = False
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                server = socket.create_connection(self._upstream)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._carry, args=pair)
                    self._threads.append(thread)
                    thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.lose_next_reply and source.getpeername() == self._upstream:
                    self.lose_next_reply = False
                    self.lost += 1
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End everything."""
        for end in (self._server, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._sockets):
            end.close()


def together(count, work):
    """Run ``work(n)`` in so many threads that start at once."""
    barrier = threading.Barrier(count)

    def begin(n):
        barrier.wait()
        work(n)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_reply_lost_after_the_effect_does_not_count_twice(database, a_service):
    """The row is there, nobody said so, it is sent again: one row, one count."""
    server = database.server
    proxy = Proxy(server.host, server.port)
    with contextlib.closing(proxy):
        service = a_service(
            f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}"
            " sslmode=disable gssencmode=disable"
        )
        first, second = (service.render(NLU, VALUES) for _ in range(2))
        service.log(first)

        proxy.lose_next_reply = True
        written = service.log(second)
        service.close()

    assert (True, 1, 0) == (written, proxy.lost, service.dropped)
    assert [(2, 2)] == counters(database)


UNLUCKY = """
CREATE SEQUENCE tries;
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('public.tries') = 1 THEN
        RAISE 'the victim of a deadlock' USING ERRCODE = '40P01';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lose AFTER INSERT ON prompt_executions EXECUTE FUNCTION lose();
"""


def test_victim_of_a_deadlock_is_written_at_the_second_try(database, service):
    """Somebody else's transaction may well lock in another order: the row is not lost."""
    call = service.render(NLU, VALUES)
    run(database, UNLUCKY)

    assert service.log(call)
    assert [(1, 1)] == counters(database)


def test_call_logged_again_by_its_caller_is_one_row(database, service):
    """The id is the call's."""
    call = service.render(NLU, VALUES)

    assert [True, True] == [service.log(call, latency_ms=n) for n in (1, 2)]

    assert [(1, 1)] == counters(database)


def test_every_row_is_there_when_log_returns(database, service):
    """Thirty-two threads: each row durable on return, the counters exact."""
    seen = []
    others = threading.active_count()
    service.log(service.render(NLU, VALUES))
    assert others == threading.active_count()  # none of its own

    def work(_):
        for _ in range(10):
            call = service.render(NLU, VALUES)
            seen.append((service.log(call), call.id))

    together(32, work)

    assert {True} == {written for written, _ in seen}
    assert [(321, 321)] == counters(database)
    ids = {row[0] for row in database.rows("SELECT id FROM prompt_executions")}
    assert {call_id for _, call_id in seen} < ids


MANY = f"""
INSERT INTO prompt_templates (name, version, category, purpose, template_text)
SELECT '{NLU}', n, 'nlu', 'x', 'x' FROM generate_series(2, 31) n;
INSERT INTO ab_test_experiments (name, template_name, control_version, treatment_version,
                                 status, started_at, ended_at)
SELECT 'e' || n, '{NLU}', 1, n, 'completed', now(), now() FROM generate_series(2, 31) n;
CREATE TABLE moved (place bigserial, what text, id uuid);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.moved (what, id) VALUES (TG_TABLE_NAME, NEW.id); RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE UPDATE ON prompt_templates FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note BEFORE UPDATE ON ab_test_experiments FOR EACH ROW EXECUTE FUNCTION note();
"""
BATCH = """
INSERT INTO prompt_executions
    (template_id, prompt_name, experiment_id, ab_test_group, status, latency_ms)
SELECT t.id, t.name, e.id, 'control', 'success', 1
FROM ab_test_experiments e JOIN prompt_templates t
ON t.name = e.template_name AND t.version = e.treatment_version ORDER BY t.version {}
"""


def test_counters_are_moved_in_one_order(database):
    """Whatever the order of a batch, its counters are moved in the order of their ids: two
    batches that meet wait for each other and cannot deadlock.
    """
    run(database, MANY)

    for order in ("ASC", "DESC"):
        run(database, BATCH.format(order))

    for table in ("prompt_templates", "ab_test_experiments"):
        rows = f"SELECT id FROM moved WHERE what = '{table}' ORDER BY place"
        ids = [id_ for (id_,) in database.rows(rows)]
        assert sorted(ids[:30]) * 2 == ids


def test_batches_that_mix_prompts_do_not_deadlock(database, a_service):
    """Two orders of the same two prompts, many at once: nothing fails, nothing is lost."""
    add_version(database, 2)
    services = [a_service(database.dsn) for _ in range(4)]
    rows = [
        {
            "template_id": services[0].resolve(name).template_id,
            "prompt_name": name,
            "source": "database",
            "status": "success",
            "latency_ms": 1,
            "guardrail_violations": [],
        }
        for name in (NLU, SCRIPT)
    ]
    failures = []

    def work(n):
        order = rows if n % 2 else rows[::-1]
        for _ in range(25):
            batch = [{**row, "id": uuid7()} for row in order for _ in range(3)]
            try:
                services[n]._write(batch)
            except Exception as error:  # noqa: BLE001 - a deadlock would be one
                failures.append(error)

    together(4, work)

    assert [] == failures
    assert [(300, 300)] == counters(database) == counters(database, SCRIPT)
