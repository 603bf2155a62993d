"""Ctrl-C and SIGTERM that are not lost: raised again until somebody has heard them.

Python raises KeyboardInterrupt wherever the program happens to be. Where that is an import,
a callback or a finaliser of a library it may be swallowed, and the launch would go on as if
nobody had asked. `cli` listens around a verb; whoever answers says `heard`. The handler
takes no lock: it may interrupt anything.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

#: How long an interrupt may take to reach somebody; then it is raised again.
AGAIN_S = 1.0


class _Asked:
    """When an interrupt came that nobody has heard yet; 0 when there is none."""

    at = 0.0


def heard() -> None:
    """Say that an interrupt has arrived: what follows is the answer to it."""
    _Asked.at = 0.0


def _interrupt(_signal: int, _frame: object) -> None:
    _Asked.at = time.monotonic()
    raise KeyboardInterrupt


def _remind(over: threading.Event) -> None:
    main = threading.main_thread().ident
    while not over.wait(AGAIN_S / 4):
        late = _Asked.at and time.monotonic() - _Asked.at > AGAIN_S
        if late and main is not None:
            heard()
            signal.pthread_kill(main, signal.SIGTERM)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Raise KeyboardInterrupt for both signals; a SIGINT that is ignored stays ignored."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    before = [(number, signal.signal(number, _interrupt)) for number in numbers]
    over = threading.Event()
    threading.Thread(target=_remind, args=(over,), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        heard()
        for number, handler in before:
            signal.signal(number, handler)
