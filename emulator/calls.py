"""One call: who asks, what for, and whether it is allowed or struck by a fault.

Used by both servers before and after a service does its work. The caller is known by
``x-emulator-principal``, by a bearer token that is a JWT (its ``sub`` or ``email``), or by
a token that the emulator's metadata server gave out.
"""

import base64
import binascii
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from emulator.faults import Fault
from emulator.policy import EVERYBODY, PERMISSIONS, bare, refusal
from emulator.problem import Code, Problem, invalid
from emulator.world import World

TOKEN = "emulator."  # noqa: S105 - what our tokens begin with
_PARTS = 3  # of a JSON web token
_Item = TypeVar("_Item")


class Call(NamedTuple):
    """What a service may know about the call besides the request."""

    world: World
    principal: str
    service: str
    method: str
    seconds: float = 60.0

    def require(self, permission: str, resource: str) -> None:
        """Refuse in the service's own words unless the caller has the permission."""
        if not self.world.policy.allows(self.principal, permission, resource):
            raise refusal(self.service, permission, resource)

    def require_act_as(self, account: str) -> None:
        """Refuse unless the caller may run things as a service account."""
        whole = f"projects/{self.world.setting.project}/serviceAccounts/{account}"
        permission = PERMISSIONS["actAs"]
        if not self.world.policy.allows(self.principal, permission, whole):
            raise Problem(
                Code.PERMISSION_DENIED,
                f"Permission '{permission}' denied on service account {account} "
                "(or it may not exist).",
            )


def principal_of(metadata: Mapping[str, str]) -> str:
    """Who calls, from the call's metadata or headers (names in lower case)."""
    named = metadata.get("x-emulator-principal")
    if named:
        return named
    kind, _, token = metadata.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return EVERYBODY
    if token.startswith(TOKEN):
        return _decoded(token.removeprefix(TOKEN)) or EVERYBODY
    parts = token.split(".")
    if len(parts) == _PARTS:
        try:
            claims = json.loads(_decoded(parts[1]))
        except ValueError:
            return EVERYBODY
        return str(claims.get("sub") or claims.get("email") or EVERYBODY)
    return EVERYBODY


def token_for(principal: str) -> str:
    """The access token that stands for a principal."""
    coded = base64.urlsafe_b64encode(bare(principal).encode()).decode().rstrip("=")
    return TOKEN + coded


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def resource_of(request: Any) -> str:
    """The resource a request is about, as a full name where it has one."""
    for name in ("name", "parent", "resource"):
        value = getattr(request, name, "")
        if isinstance(value, str) and value:
            return value
    job = getattr(request, "job", None)
    if job is not None and job.name:
        return str(job.name)
    names = getattr(request, "resource_names", None)
    if names:
        return str(names[0])
    project = getattr(request, "project_id", "")
    return f"projects/{project}" if project else ""


def permission_for(service: str, method: str, request: Any) -> str:
    """The permission that a call needs, or an empty string when it needs none."""
    if service == "Operations":
        family = "build" if request.name.startswith("operations/build") else "run"
        verb = {"WaitOperation": "get", "GetOperation": "get", "ListOperations": "list"}
        return PERMISSIONS.get(f"Operations.{family}.{verb.get(method, 'delete')}", "")
    key = f"{service}.{method}"
    if key == "Jobs.RunJob" and request.overrides:
        key += "+overrides"
    return PERMISSIONS.get(key, "")


class Gate:
    """The faults at a call: before it (errors, delay, quota) and after it (lost reply).

    ``gone`` tells whether the caller has given up; over plain HTTP nobody can tell.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._recent: dict[int, deque[float]] = {}

    def enter(
        self, name: str, principal: str, gone: Callable[[], bool] = bool
    ) -> list[Fault]:
        """Strike the faults of a method before it has any effect."""
        if not self._world.faults.any_at("rpc"):
            return []
        struck = self._world.faults.strike(
            "rpc", method=name, principal=bare(principal)
        )
        for fault in struck:
            if fault.do == "slow":
                time.sleep(fault.seconds(1))
            elif fault.do == "error":
                raise _as_told(fault)
            elif fault.do == "quota":
                self._spend(fault)
            elif fault.do == "hold":
                self._world.faults.hold(name, gone)
                if gone():
                    raise Problem(Code.CANCELLED, "The caller has gone.")
        return [fault for fault in struck if fault.do in {"lose_reply", "hold_reply"}]

    def leave(self, struck: Sequence[Fault], gone: Callable[[], bool] = bool) -> None:
        """The effect has happened; the reply may be lost, or late."""
        for fault in struck:
            if fault.do == "lose_reply":
                raise _as_told(fault)
            self._world.faults.hold(fault.conditions.get("method", "*"), gone)

    def _spend(self, fault: Fault) -> None:
        now, most = time.monotonic(), fault.number_of("per_minute", 60)
        with self._lock:
            recent = self._recent.setdefault(fault.number, deque())
            while recent and recent[0] < now - 60:
                recent.popleft()
            if len(recent) < most:
                recent.append(now)
                return
        raise Problem(
            Code.RESOURCE_EXHAUSTED,
            "Quota exceeded for quota metric 'Read requests' and limit 'Read requests "
            "per minute' of service 'logging.googleapis.com'. "
            "(ReadRequestsPerMinutePerProject)",
        )


def _as_told(fault: Fault) -> Problem:
    name = fault.text("code", "UNAVAILABLE").upper()
    default = {
        "UNAVAILABLE": "The service is currently unavailable.",
        "RESOURCE_EXHAUSTED": "Resource has been exhausted (e.g. check quota).",
    }.get(name, "A fault of the script.")
    return Problem(Code[name], fault.text("message", default))


def paged(
    items: Sequence[_Item], size: int, token: str, most: int = 1000, usual: int = 100
) -> tuple[Sequence[_Item], str]:
    """One page, and the token of the next."""
    if token and not token.isdigit():
        raise invalid("Invalid page token.")
    start = int(token or 0)
    stop = start + (min(size, most) or usual)
    return items[start:stop], str(stop) if stop < len(items) else ""
