"""Fault 7: the platform retries a task, two jobs overlap, the clock jumps.

A retry has the environment of the first try, with attempt 1, and may begin while that one's
session still lives. A second execution begins while a message of the first one is held. The
clock that jumps is the server's, or the run's own, while the run is at work.
"""

import json
import signal
import subprocess
from collections.abc import Callable

from tests.faults import scenario
from tests.faults.bench import Bench, Case, Ended, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds, told_the_truth
from tests.faults.clocks import JumpingServer, faked, jump
from tests.proxy import Armed, Fault

NUMBER = 7
TITLE = "a retry by the platform, two executions at once, a clock that jumps"
TIMES = 480
FOUND = """\
After the server's clock was set back, the history put a migration that drops something
before the one that had created it, and `verify` missed what was dropped on purpose.

`verify` missed what a file applied statement by statement had made and dropped itself.
"""

_REACHED_S = 30
_FIRST = {
    "CLOUD_RUN_JOB": "dev-prompt-migration",
    "CLOUD_RUN_EXECUTION": "dev-prompt-migration-x7k2p",
    "CLOUD_RUN_TASK_INDEX": "0",
    "CLOUD_RUN_TASK_ATTEMPT": "0",
}
_RETRY = {**_FIRST, "CLOUD_RUN_TASK_ATTEMPT": "1"}
_OTHER = {
    **_FIRST,
    "CLOUD_RUN_JOB": "dev-nightly",
    "CLOUD_RUN_EXECUTION": "dev-nightly-b4m8q",
}

Held = tuple[Case, "subprocess.Popen[str]", Armed]


def _retried_when_killed(held: Held) -> None:
    """The first try is killed; the retry begins while its session may live."""
    case, first, armed = held
    first.send_signal(signal.SIGKILL)
    first.wait()
    retry = case.start(env=_RETRY)
    armed.release()
    ended = finish(retry)
    holds("the retry ends well or asks", when=ended.exit in {0, 8}, seen=ended)
    afterwards(case, ended)


def _retried_while_it_lives(held: Held) -> None:
    """The platform believes that the first try is gone, and it is not."""
    _both(held, _RETRY)


def _overlapped(held: Held) -> None:
    """Another job's execution waits for the first one."""
    _both(held, _OTHER)


def _both(held: Held, env: dict[str, str]) -> None:
    case, first, armed = held
    second = case.start(env=env)
    said = _until_it_waits(second)
    armed.release()
    ends = [finish(first), finish(second)]
    ends[1] = ends[1]._replace(out=said + ends[1].out)
    for ended in ends:
        holds("both end well", when=ended.exit == 0, seen=ended.said)
        told_the_truth(case, ended)
    done = [d["version"] for ended in ends for d in ended.outcome["done"]]
    holds("each is done by one of them", when=len(done) == len(set(done)), seen=done)
    afterwards(case, None)


def _until_it_waits(process: "subprocess.Popen[str]") -> str:
    """Read until it says that it waits for the lock, or ends."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if json.loads(line)["event"] == "WaitingForLock":
            break
    return said


def _overlapped_by_one_that_does_not_wait(held: Held) -> None:
    """The second one leaves with exit 5 and names the first, or found nobody at work."""
    case, first, armed = held
    second = finish(case.start("apply", "--lock-wait", "0", env=_OTHER))
    told_the_truth(case, second)
    if second.exit == 5:
        execution = _FIRST["CLOUD_RUN_EXECUTION"]
        named = execution in second.outcome["message"]
        holds("the holder's execution is named", when=named, seen=second.said)
    else:
        holds("or it did all of it", when=second.exit == 0, seen=second.said)
    armed.release()
    ended = finish(first)
    holds("the first one ends well", when=ended.exit == 0, seen=ended.said)
    afterwards(case, ended)


_SECOND: list[Callable[[Held], None]] = [
    _retried_when_killed,
    _retried_while_it_lives,
    _overlapped,
    _overlapped_by_one_that_does_not_wait,
]
_JUMPS = [(whose, by) for whose in ("server", "run") for by in ("+1d", "-1d")]


def attempt(bench: Bench, seed: int) -> Found:
    """Disturb one run at the point that the seed names."""
    variant, index = seed % scenario.VARIANTS, seed // scenario.VARIANTS
    if index % 4 == 0:
        return _jumped(bench, variant, index // 4)
    places = bench.undisturbed(variant).places
    place, second = spread(index - index // 4 - 1, places, _SECOND)
    with bench.case(variant) as case, case.proxy() as proxy:
        armed = proxy.arm(place.met, Fault.HOLD)
        first = case.start(through=proxy, env=_FIRST)
        holds("the point is reached", when=armed.reached.wait(_REACHED_S))
        second((case, first, armed))
    return Found(f"variant {variant}, {second.__name__[1:]} at {place}")


def _jumped(bench: Bench, variant: int, index: int) -> Found:
    """The clock jumps while a message is held; nothing else happens."""
    theirs = bench.on(JumpingServer)
    server = theirs.server
    assert isinstance(server, JumpingServer)
    places = theirs.undisturbed(variant).places
    place, (whose, by) = spread(index, places, _JUMPS)
    own = bench.scratch / f"clock-{variant}-{index}"
    jump(own, "+0")
    clock = server.offset if whose == "server" else own
    try:
        with theirs.case(variant) as case, case.proxy() as proxy:
            armed = proxy.arm(place.met, Fault.HOLD)
            env = faked(own) if whose == "run" else {}
            process = case.start(through=proxy, env=env)
            holds("the point is reached", when=armed.reached.wait(_REACHED_S))
            jump(clock, by)
            armed.release()
            ended: Ended = finish(process)
            holds("a clock is no reason to fail", when=ended.exit == 0, seen=ended.said)
            afterwards(case, ended)
            _verified(case)
    finally:
        jump(server.offset, "+0")
        own.unlink()
    return Found(f"variant {variant}, the clock of the {whose} jumps {by} at {place}")


def _verified(case: Case) -> None:
    """What was created is all there, in the order in which it was."""
    verified = case.run("verify")
    holds("verify agrees", when=verified.exit == 0, seen=verified)
    sql = "SELECT count(*) FROM schema_migrations WHERE duration_ms < 0"
    negative = case.database.rows(sql)
    holds("nothing took less than no time", when=negative == [(0,)], seen=negative)
