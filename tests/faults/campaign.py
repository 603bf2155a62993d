"""Many cases of many faults, in processes that have a server each.

Called by ``python -m tests.faults``. A case that fails is told with the command that
repeats it; the others go on.
"""

import contextlib
import multiprocessing
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.bench import Bench
from tests.faults.catalogue import fault
from tests.postgres_process import Server, running

VERSION = 18
WORKERS = 2


class Task(NamedTuple):
    """One case to try."""

    fault: int
    seed: int


class Answer(NamedTuple):
    """What came of it: the point that was survived, or why it was not."""

    task: Task
    point: str
    times: int
    failure: str
    seconds: float


class Account(NamedTuple):
    """What a campaign says of one fault."""

    tried: int
    points: int
    survived: int
    first_seed: int
    failed_seeds: tuple[int, ...]
    server: str


@contextlib.contextmanager
def benches(version: int = VERSION) -> Iterator[Bench]:
    """A server of its own, and a bench on it."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        with running(version, scratch / "servers") as server:
            # What a server that is ended at once has acknowledged must not be lost.
            durable = "ALTER SYSTEM SET synchronous_commit = on"
            server.psql("postgres", f"{durable}; SELECT pg_reload_conf();")
            with contextlib.closing(Bench(server, scratch)) as bench:
                yield bench


def shown_version(server: Server) -> str:
    """The server's version, for people."""
    return server.psql("postgres", "SHOW server_version").split()[0]


def try_one(bench: Bench, task: Task) -> Answer:
    """Carry one case out; whatever it raises is its answer."""
    began = time.monotonic()
    point, times, failure = "", 1, ""
    try:
        point, times = fault(task.fault).attempt(bench, task.seed)
    except Exception as error:  # noqa: BLE001 - a failing case must not end the others
        failure = "".join(traceback.format_exception(error))
    return Answer(task, point, times, failure, time.monotonic() - began)


def _work(tasks: Any, answers: Any) -> None:
    # A campaign that is ended takes its servers with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with benches() as bench:
        answers.put(shown_version(bench.server))
        for task in iter(tasks.get, None):
            answers.put(try_one(bench, task))
    answers.put(None)


def carry_out(tasks: Sequence[Task], workers: int) -> Iterator[str | Answer]:
    """Try all; yield the server's version and each answer as it comes."""
    context = multiprocessing.get_context("spawn")
    queue, answers = context.Queue(), context.Queue()
    for task in (*tasks, *[None] * workers):
        queue.put(task)
    processes = [
        context.Process(target=_work, args=(queue, answers)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    left = workers
    try:
        while left:
            answer = answers.get()
            if answer is None:
                left -= 1
            else:
                yield answer
    finally:
        queue.cancel_join_thread()  # nobody will take what is left in it
        for process in processes:
            if left:  # otherwise it is on its way out, and not to be disturbed
                process.terminate()
            process.join()


def account(answers: Sequence[Answer], server: str) -> Account:
    """Add up one fault's answers."""
    failed = [a for a in answers if a.failure]
    return Account(
        tried=sum(a.times for a in answers),
        points=len({a.point for a in answers if not a.failure}) + len(failed),
        survived=sum(a.times for a in answers if not a.failure),
        first_seed=min(a.task.seed for a in answers),
        failed_seeds=tuple(sorted(a.task.seed for a in failed)),
        server=server,
    )
