"""Every call to Google has a deadline that stands there, or goes where one is put on it.

That the deadlines arrive is seen from the other side: the emulators of the story ring note
how long each caller would have waited (`tests.fix_emulator.all_in_time`).
"""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from tests.fix_cli import CHECKOUT

ADAPTERS = sorted((CHECKOUT / "jobs/gcp").glob("*.py"))
#: What our own ports are called as well: a call of `self.get(…)` is no call to Google.
OURS = "self"


def remote() -> set[str]:
    """Return the names of everything that goes over the network."""
    from google.cloud import storage

    from emulator.table import rpcs

    patient = {
        name
        for kind in (storage.Client, storage.Bucket, storage.Blob)
        for name, function in inspect.getmembers(kind, callable)
        if not name.startswith("_")
        and "timeout" in inspect.signature(function).parameters
    }
    # A path `exists` too, and no bucket is asked.
    return ({rpc.attribute() for rpc in rpcs()} | patient | {"request"}) - {"exists"}


def calls(path: Path) -> Iterator[ast.Call]:
    """Yield the calls of a method of something that is not ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = node.func.value
            if not (isinstance(receiver, ast.Name) and receiver.id == OURS):
                yield node


def test_every_call_names_its_deadline():
    """Or is handed, uncalled, to `Clients.asking`, which gives it one."""
    names, bare, found = remote(), [], set()

    for path in ADAPTERS:
        for call in calls(path):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name not in names:
                continue
            found.add(name)
            if "timeout" not in {keyword.arg for keyword in call.keywords}:
                bare.append(f"{path.name}:{call.lineno} {name}")

    assert [] == bare
    wanted = {"list_log_entries", "tail_log_entries", "request", "upload_from_string"}
    assert wanted <= found


def test_what_asks_for_others_gives_a_deadline():
    """The one way that generated clients are called; what is asked for may be shorter."""
    from jobs.gcp.clients import CALL_S, Clients, Endpoint

    given = []
    clients = Clients("p", Endpoint("127.0.0.1:1"))

    clients.asking("asking", lambda **more: given.append(more))
    clients.asking("asking", lambda **more: given.append(more), timeout=1.0)

    assert [CALL_S, 1.0] == [more["timeout"] for more in given]
    assert [None, None] == [more["retry"] for more in given]
