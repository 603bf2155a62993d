"""Fault 8: the runner is stopped for a while, and goes on (Cloud Run's maintenance).

Meanwhile its session may have been ended, by the server or on the way; and another run may
have come and done the work. It must notice, and find out what became of its own.
"""

import signal

import psutil

from tests.faults import scenario
from tests.faults.bench import Bench, Case, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds
from tests.observing import OURS, until
from tests.proxy import Armed, Fault

NUMBER = 8
TITLE = "SIGSTOP or SIGTSTP, its session ended meanwhile, SIGCONT"
TIMES = 480
FOUND = """\
What another run had applied while this one was stopped could be applied again.
"""

_REACHED_S = 30
_STOPS = [signal.SIGSTOP, signal.SIGTSTP]
_MEANWHILE = ["nothing", "terminated", "cut", "replaced"]
_WAYS = [(stop, what) for stop in _STOPS for what in _MEANWHILE]


def attempt(bench: Bench, seed: int) -> Found:
    """Stop one run at the point that the seed names."""
    variant, index = seed % scenario.VARIANTS, seed // scenario.VARIANTS
    places = bench.undisturbed(variant).places
    place, (stop, meanwhile) = spread(index, places, _WAYS)
    with bench.case(variant) as case, case.proxy() as proxy:
        armed = proxy.arm(place.met, Fault.HOLD)
        process = case.start(through=proxy)
        holds("the point is reached", when=armed.reached.wait(_REACHED_S))
        process.send_signal(stop)
        status = psutil.Process(process.pid).status
        until(lambda: status() == psutil.STATUS_STOPPED, "it does not stop")
        _happens(case, armed, meanwhile)
        process.send_signal(signal.SIGCONT)
        ended = finish(process)
        if meanwhile == "nothing":
            holds("a pause is nothing", when=ended.exit == 0, seen=ended)
        afterwards(case, ended)
    return Found(f"variant {variant}, {stop.name}, {meanwhile}, at {place}")


def _happens(case: Case, armed: Armed, meanwhile: str) -> None:
    """What befalls the session while its runner is stopped."""
    if meanwhile in {"terminated", "replaced"}:
        sql = (
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {OURS}"
        )
        case.database.rows(sql)
    armed.release(deliver=meanwhile != "cut")
    if meanwhile == "replaced":
        other = case.run()
        well = other.exit in {0, 8}  # 8: it asks about a statement, as it should
        holds("another run takes over", when=well, seen=other)
