"""Fault 2: the connection is cut, stalled, or its reply dropped, at every message.

In particular when COMMIT was sent and its answer is lost: every fourth case is one of
those. Sometimes the server lets nobody in for a while afterwards, sometimes the session
that asks what was committed is cut as well.
"""

import signal
import time
from collections.abc import Callable

from tests.faults import scenario
from tests.faults.bench import Bench, Ended, Place, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds
from tests.proxy import Fault, Message, Proxy, Toward

NUMBER = 2
TITLE = "the connection cut, stalled, or the reply dropped, at every message"
TIMES = 2000
FOUND = """\
SIGTERM was not heard while the network answered nothing: the request to cancel hung,
and the driver's way of sending it kept all other threads from running.

A session lost while the server was asked what became of a COMMIT ended the asking.

Where the outcome of several small migrations was not known, those after the first were
told as not tried.

Another run that worked while a lost session was replaced was not seen: what it had
applied could be applied again.

What was created could not be read back after the last COMMIT: the run ended as
unreachable, though all was applied.

Behind a pooler, what a lost session had sent could still commit after its own run had
been told that nothing was: a run that asks takes a new lease, which ends the old one.

A COMMIT sent into a network that swallows everything was waited for a quarter of an
hour: `tcp_user_timeout` ends it after a minute.
"""

#: What we promise after SIGTERM, and room for a machine with other things to do.
_PROMISED_S = 8.0
_AWAY = 3
_FIRST_WAIT = 30


def _nothing(_: Proxy) -> None:
    """The server is back at once."""


def _away(proxy: Proxy) -> None:
    """The server lets the next few connections in vain."""
    proxy.turn_away = _AWAY


def _asked_in_vain(proxy: Proxy) -> None:
    """The session that asks is cut at its fourth query, and the one after it is not."""

    def when(message: Message) -> bool:
        fourth = (message.toward, message.number) == (Toward.SERVER, 4)
        return fourth and message.session > 0 and not message.watches

    proxy.arm(when, Fault.BEFORE)


Then = Callable[[Proxy], None]
_CUTS: list[tuple[Fault, Then]] = [
    (fault, then)
    for fault in (Fault.BEFORE, Fault.DELIVERED, Fault.AFTER)
    for then in (_nothing, _away, _asked_in_vain)
]
_STALLS = ["goes on", "is cut", "SIGTERM"]
_WAYS: list[tuple[Fault, Then] | str] = [*_CUTS, *_STALLS]
#: What the server answers with the end of its work; after others it waits for more.
_ANSWERED = (b"Q", b"c", b"")


def attempt(bench: Bench, seed: int) -> Found:
    """Disturb one run at the point that the seed names."""
    variant, index = seed % scenario.VARIANTS, seed // scenario.VARIANTS
    places = bench.undisturbed(variant).places
    if index % 4 == 0:
        commits = [place for place in places if place.commits]
        place, cut = spread(index // 4, commits, _CUTS)
        way: tuple[Fault, Then] | str = cut
    else:
        place, way = spread(index - index // 4 - 1, places, _WAYS)
    with bench.case(variant) as case, case.proxy() as proxy:
        if isinstance(way, str):
            armed = proxy.arm(place.met, Fault.STALL)
            process = case.start(through=proxy)
            holds("the point is reached", when=armed.reached.wait(_FIRST_WAIT))
            ended = _stalled(process, armed, way)
            told = f"stall that {way}"
        else:
            fault, then = way
            if fault is Fault.AFTER and not _has_answer(place):
                fault = Fault.DELIVERED
            proxy.arm(place.met, fault, lambda: then(proxy))
            ended = case.run(through=proxy)
            holds("the point is reached", when=proxy.cuts > 0, seen=ended)
            told = f"{fault.name}{then.__name__}"
        afterwards(case, ended)
    return Found(f"variant {variant}, {told} at {place}")


def _has_answer(place: Place) -> bool:
    return place.toward is Toward.SERVER and place.kind in _ANSWERED


def _stalled(process, armed, way: str) -> Ended:
    """End a stall: the message goes on, the session is cut, or the run is told to stop."""
    if way == "SIGTERM":
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            ended = finish(process, _PROMISED_S + 4)
        finally:
            armed.release(deliver=False)
        seconds = time.monotonic() - began
        holds("SIGTERM ends it within 8 s", when=seconds < _PROMISED_S, seen=ended)
        return ended
    armed.release(deliver=way == "goes on")
    ended = finish(process)
    if way == "goes on":
        holds("a stall that ends is nothing", when=ended.exit == 0, seen=ended)
    return ended
