"""Fault 3: the server ends our sessions, restarts, or is replaced by one that lacks the last
transaction, in mid-run.

Half of the cases end the session with pg_terminate_backend, the others restart the server,
fast or at once; a few are failovers to a real standby that was cut off a moment before.
"""

import signal
from collections.abc import Callable

from tests.faults import scenario
from tests.faults.bench import Bench, Case, Ended, Place, finish
from tests.faults.case import Found, spread
from tests.faults.catalogs import standing
from tests.faults.check import afterwards, holds
from tests.faults.standby import Standby
from tests.fix_postgres import Database
from tests.observing import OURS
from tests.proxy import Fault, Proxy, Toward

NUMBER = 3
TITLE = "sessions terminated, the server restarted, or replaced by one that lags"
TIMES = 600
FOUND = """\
A server that took over without the last transactions was not noticed: the run said that
nothing of one migration was left, and was silent about those that were gone with it.
"""

_REACHED_S = 30
_FAILOVERS = 11  # one case in so many, of every variant


def _terminate(case: Case) -> None:
    sql = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {OURS}"
    case.database.rows(sql)


def _restart_fast(case: Case) -> None:
    case.bench.server.restart(signal.SIGINT)


def _restart_at_once(case: Case) -> None:
    case.bench.server.restart(signal.SIGQUIT)


_WAYS: list[tuple[Callable[[Case], None], bool]] = [
    (way, deliver)
    for way in (_terminate, _terminate, _restart_fast, _restart_at_once)
    for deliver in (True, False)
]


def attempt(bench: Bench, seed: int) -> Found:
    """Take the server away from one run at the point that the seed names."""
    variant, index = seed % scenario.VARIANTS, seed // scenario.VARIANTS
    places = bench.undisturbed(variant).places
    with bench.case(variant) as case, case.proxy() as proxy:
        if seed % _FAILOVERS == _FAILOVERS - 1:
            commits = [p for p in places if p.commits and p.toward is Toward.SERVER]
            lacked = index % (len(commits) - 1)
            done = _fail_over(case, proxy, commits[lacked], commits[lacked + 1])
            return Found(f"variant {variant}, failover {done}")
        place, (way, deliver) = spread(index, places, _WAYS)
        armed = proxy.arm(place.met, Fault.HOLD)
        process = case.start(through=proxy)
        holds("the point is reached", when=armed.reached.wait(_REACHED_S))
        way(case)
        armed.release(deliver=deliver)
        ended = finish(process)
        afterwards(case, ended)
    lost = "" if deliver else ", message lost"
    return Found(f"variant {variant}, {way.__name__[1:]} at {place}{lost}")


def _fail_over(case: Case, proxy: Proxy, lacked: Place, lost: Place) -> str:
    """The standby lacks what ``lacked`` committed; it takes over when ``lost`` is sent."""
    primary, database = case.bench.server, case.database
    first, second = (proxy.arm(place.met, Fault.HOLD) for place in (lacked, lost))
    process = case.start(through=proxy)
    holds("the point is reached", when=first.reached.wait(_REACHED_S))
    standby = Standby(primary, case.bench.scratch / "servers")
    try:
        standby.cut_off()
        first.release()
        holds("the next one is reached", when=second.reached.wait(_REACHED_S))
        acknowledged = standing(database).applied
        standby.promote()
        proxy.server = (standby.host, standby.port)
        second.release(deliver=False)
        ended = finish(process)
        case.database = Database(standby, database.name)
        _loss_is_said(case, ended, acknowledged)
        afterwards(case, ended)
    finally:
        standby.stop()
        case.database = database
    return f"that lacks {lacked}"


def _loss_is_said(case: Case, ended: Ended, acknowledged: set[str]) -> None:
    """What was applied on the first server and is not on the second is named."""
    gone = acknowledged - standing(case.database).applied
    if gone:
        holds("a loss has an exit code", when=ended.exit == 8, seen=ended.said)
        named = all(version in ended.outcome["message"] for version in gone)
        holds("what was lost is named", when=named, seen=(gone, ended.said))
