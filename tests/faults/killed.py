"""Fault 1: the runner is killed at every protocol message.

The proxy holds one message, in one direction; the runner gets the signal there; then the
message goes on, or is lost with the runner. So no kill depends on time.
"""

import signal

from tests.faults import scenario
from tests.faults.bench import Bench, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds
from tests.proxy import Fault

NUMBER = 1
TITLE = "SIGKILL and SIGTERM to the runner at every protocol message"
TIMES = 2400
FOUND = """\
An index built CONCURRENTLY by a run that died before it said so was missing in the list
of what its migration created: the next run looked above its own object ids.

SIGTERM that came between a COMMIT and the end of its message was told as a migration rolled
back, though it was applied.
"""

_WAYS = [
    (number, deliver)
    for number in (signal.SIGKILL, signal.SIGTERM)
    for deliver in (True, False)
]


def attempt(bench: Bench, seed: int) -> Found:
    """Kill one run at the point that the seed names."""
    variant, index = seed % scenario.VARIANTS, seed // scenario.VARIANTS
    places = bench.undisturbed(variant).places
    place, (number, deliver) = spread(index, places, _WAYS)
    with bench.case(variant) as case, case.proxy() as proxy:
        armed = proxy.arm(place.met, Fault.HOLD)
        process = case.start(through=proxy)
        holds("the point is reached", when=armed.reached.wait(30))
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait()
        armed.release(deliver=deliver)
        ended = finish(process)
        if number == signal.SIGKILL:
            holds("it was killed", when=ended.exit == -number, seen=ended)
        afterwards(case, ended)
    lost = "" if deliver else ", message lost"
    return Found(f"variant {variant}, {number.name} at {place}{lost}")
