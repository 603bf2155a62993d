"""The table of RPCs (rpcs.json): path, kind and message types of everything there is.

The table is generated from the installed client libraries and committed; a test fails
when a library has another one. Read by the gRPC server and by the coverage page.
"""

import importlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Rpc(NamedTuple):
    """One row."""

    service: str
    method: str
    kind: str
    request: str
    response: str

    def attribute(self) -> str:
        """The name of the Python method that carries it out."""
        return _WORD.sub("_", self.method).lower()


def rpcs() -> list[Rpc]:
    """Every row, by service and method."""
    text = files("emulator").joinpath("rpcs.json").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, list[str]]] = json.loads(text)
    return [
        Rpc(service, method, *row)
        for service, methods in table.items()
        for method, row in methods.items()
    ]


def message_class(written: str) -> Any:
    """The class behind ``module:Name``."""
    module, _, name = written.partition(":")
    return getattr(importlib.import_module(module), name)
