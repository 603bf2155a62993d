"""What the preflight has gathered about an environment: values, no judgement.

Made by `looking`, judged by `preflight`. A question that could not be answered is an
`Unknown` with the reason: it becomes a finding of its own, never a guess.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobs.address import Address
from jobs.imagefiles import Stage
from jobs.ports import Binding, SecretVersion


class Unknown(NamedTuple):
    """A question without an answer. ``denied``: the caller may not ask it."""

    why: str
    denied: bool = False


class Unreadable(NamedTuple):
    """A secret whose value is no address; the reason never quotes it."""

    why: str


class Local(NamedTuple):
    """What lies in the checkout."""

    document: Mapping[str, Any] | Unknown
    uploaded: Sequence[str] | Unknown
    image: Stage | Unknown
    engine_dir: str = ""
    engine_exit: int = 0
    engine_said: str = ""
    engine_late: bool = False
    #: Whether the environment's trigger makes its builds wait for somebody's approval.
    approval: bool = False


class Remote(NamedTuple):
    """What the cloud answered. ``None``: it is not there; or, it was not asked about."""

    number: str | Unknown | None
    services: frozenset[str] | Unknown
    secret: SecretVersion | Unknown | None
    address: Address | Unreadable | Unknown | None
    build_account: str | Unknown
    accounts: Mapping[str, bool | Unknown]
    repository: bool | Unknown | None
    connector: str | Unknown | None
    subnet: str | Unknown | None
    bucket: bool | Unknown
    policies: Mapping[str, Sequence[Binding] | None]
    allowed: Mapping[str, frozenset[str] | Unknown]
    busy: Sequence[str] | Unknown


class Facts(NamedTuple):
    """Everything together.

    ``here``: the job will run on this machine, behind an emulator; ``sockets`` are the
    sockets that exist here.
    """

    local: Local
    remote: Remote
    caller: str = ""
    here: bool = False
    sockets: frozenset[str] = frozenset()
