"""What a run was, in the end. With the exit code, the contract with `jobs`.

Made by the runner, printed by `render`; to and from JSON without loss.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from migrate.errors import ExitCode

#: Raised when a field changes its meaning; added fields do not raise it.
SCHEMA = 1


class Done(NamedTuple):
    """One migration that was carried out.

    No ``duration_ms``: it shared a transaction with others.
    """

    version: str
    name: str
    duration_ms: float | None


class Outcome(NamedTuple):
    """The final value of a run: what was done, what failed, what was not tried."""

    verb: str
    exit_code: ExitCode
    done: tuple[Done, ...] = ()
    failed: str | None = None
    error: str | None = None
    message: str = ""
    not_tried: tuple[str, ...] = ()
    duration_ms: float = 0.0
    left_out: tuple[
        str, ...
    ] = ()  # of a dry run: what cannot be tried in one transaction
    #: How many of a list's last entries its line had no room for, by the list's name.
    cut: Mapping[str, int] = MappingProxyType({})

    @property
    def applied(self) -> int:
        """How many were carried out, those that are not listed included."""
        return len(self.done) + self.cut.get("done", 0)

    def to_json(self) -> str:
        """Return one line of JSON."""
        value = self._asdict() | {
            "schema": SCHEMA,
            "exit_code": int(self.exit_code),
            "done": [d._asdict() for d in self.done],
        }
        if cut := value.pop("cut"):
            value["cut"] = dict(cut)
        return json.dumps(value, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        value = json.loads(text)
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise ValueError("this is not an outcome of a known schema")
        try:
            value["exit_code"] = ExitCode(value["exit_code"])
            value["done"] = tuple(
                Done(*(d[field] for field in Done._fields)) for d in value["done"]
            )
            value["not_tried"] = tuple(value["not_tried"])
            # An older release says nothing about it.
            value["left_out"] = tuple(value.get("left_out", ()))
            cut = value.get("cut") or {}
            value["cut"] = {name: int(cut[name]) for name in cut}
            # A newer release may have added fields: they are left out.
            return cls(**{k: v for k, v in value.items() if k in cls._fields})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this outcome lacks something: {error}") from error
