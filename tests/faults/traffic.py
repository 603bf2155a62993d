"""Fault 5: heavy traffic on a table that is altered, and somebody who forgot a transaction.

pgbench writes to the table, a session is idle in a transaction that holds it, and the run
meets both. The session goes when the run has met a number of lock timeouts. What the
clients waited is in pgbench's log of every transaction.
"""

from tests.faults import scenario
from tests.faults.bench import Bench, Ended, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds
from tests.faults.pgbench import Traffic, idle_in_transaction
from tests.observing import until_said

NUMBER = 5
TITLE = "heavy traffic on a table that is altered, and a transaction left idle"
TIMES = 120
FOUND = """\
Small migrations that share a message were tried again at once after a lock timeout: who had
waited behind the first try met the second, and waited twice as long.

With a lock timeout of 300 ms the look for who blocks could come too late.
"""

_CLIENTS, _RATE = 4, 300
#: What a client may wait beyond the lock timeout.
_MARGIN_S = 1.0
HELD = ("SELECT n FROM base WHERE n = 200", "UPDATE base SET n = n WHERE n = 200")
_READERS = 4  # so many of the alterations wait for one who only reads
_TIMEOUTS_MS = (300, 600, 1000)
_TRIES = (1, 2, 3)


def attempt(bench: Bench, seed: int) -> Found:
    """Alter the table in the middle of it; no client waits for long."""
    ways = [(timeout, tries) for timeout in _TIMEOUTS_MS for tries in _TRIES]
    kinds = range(len(scenario.ALTERATIONS) * scenario.SHAPES)
    kind, (timeout_ms, tries) = spread(seed, kinds, ways)
    variant = scenario.ALTERING + kind
    held = HELD[kind // scenario.SHAPES >= _READERS or seed % len(HELD)]
    bench.undisturbed(variant)
    with (
        bench.case(variant) as case,
        Traffic(case.database, bench.scratch, clients=_CLIENTS, rate=_RATE) as traffic,
    ):
        with idle_in_transaction(case.database, held) as pid:
            words = ("apply", "--lock-timeout", f"{timeout_ms}ms", "--lock-tries", "50")
            process = case.start(*words)
            said = "".join(
                until_said(process, '"event": "Retrying"') for _ in range(tries)
            )
        ended = finish(process)
        ended = ended._replace(out=said + ended.out)
        waited = traffic.end()
        _survived(ended, pid)
        longest = max(each.begun for each in waited)
        most = timeout_ms / 1000 + _MARGIN_S
        holds(f"no client waits for {most} s", when=longest < most, seen=longest)
        stood = longest > timeout_ms / 2000
        holds("the clients stood in the queue, too", when=stood, seen=longest)
        afterwards(case, ended)
    reads = "reads" if held == HELD[0] else "has written"
    return Found(f"variant {variant}, {reads}, {timeout_ms} ms, {tries} timeouts")


def _survived(ended: Ended, pid: int) -> None:
    holds("it succeeds when the blocker is gone", when=ended.exit == 0, seen=ended)
    blocker = f"blocked by pid {pid} (slow report, user postgres, idle in transaction"
    holds("it names the blocker", when=blocker in ended.said, seen=ended.said)
