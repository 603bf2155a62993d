"""Who may do what: bindings of roles to principals, and the permission of each RPC.

Permissions and roles are data (permissions.json, roles.json), written from Google's role
definitions. Without a policy everybody may do everything; with one, what is not granted
is refused in the words of the service that was asked.
"""

import fnmatch
import json
import threading
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import NamedTuple

from emulator.problem import Problem, denied

EVERYBODY = "user:developer@example.com"


def _data(name: str) -> dict[str, object]:
    found = json.loads(files("emulator").joinpath(name).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(name)
    return found


PERMISSIONS: Mapping[str, str] = {
    key: str(value) for key, value in _data("permissions.json").items()
}
ROLES: Mapping[str, frozenset[str]] = {
    role: frozenset(str(p) for p in permissions)
    for role, permissions in _data("roles.json").items()
    if isinstance(permissions, list)
}


class Binding(NamedTuple):
    """One role for one principal, on the project or on a resource inside it."""

    principal: str
    role: str
    on: str = ""


def covers(scope: str, resource: str) -> bool:
    """Tell whether a scope (``""`` is the project) holds a resource."""
    if not scope or (scope.startswith("projects/") and scope.count("/") == 1):
        return True
    tail = scope.strip("/")
    return f"/{tail}/" in f"/{resource.strip('/')}/"


class Policy:
    """The bindings in force."""

    def __init__(self, *, enforced: bool = False) -> None:
        self.enforced = enforced
        self._lock = threading.Lock()
        self._bindings: list[Binding] = []
        self._roles = dict(ROLES)

    def load(self, given: Mapping[str, object]) -> None:
        """Read a policy file: ``bindings`` (principal, role or roles, on) and ``roles``."""
        own = given.get("roles") or {}
        bindings = given.get("bindings") or []
        if not isinstance(own, dict) or not isinstance(bindings, list):
            raise TypeError("a policy has `bindings` (a list) and `roles` (a mapping)")
        with self._lock:
            self._roles = dict(ROLES)
            self._roles |= {str(k): frozenset(map(str, v)) for k, v in own.items()}
            self._bindings = [made for entry in bindings for made in _read(entry)]
            unknown = {b.role for b in self._bindings} - set(self._roles)
            self.enforced = True
        if unknown:
            raise ValueError(f"unknown role in the policy: {min(unknown)}")

    def grant(self, binding: Binding) -> None:
        """Add a binding."""
        with self._lock:
            self._bindings.append(binding)

    def replace(self, scope: str, bindings: Iterable[Binding]) -> None:
        """SetIamPolicy: the bindings of one scope become these."""
        with self._lock:
            others = [b for b in self._bindings if b.on != scope]
            self._bindings = others + list(bindings)

    def of(self, scope: str) -> list[Binding]:
        """GetIamPolicy: the bindings of exactly one scope."""
        with self._lock:
            return [b for b in self._bindings if b.on == scope]

    def allows(self, principal: str, permission: str, resource: str) -> bool:
        """Tell whether a principal has a permission on a resource."""
        if not self.enforced or not permission:
            return True
        with self._lock:
            bindings = list(self._bindings)
        return any(
            _same(b.principal, principal)
            and permission in self._roles.get(b.role, frozenset())
            and covers(b.on, resource)
            for b in bindings
        )


def _read(entry: object) -> list[Binding]:
    if not isinstance(entry, dict):
        raise TypeError("a binding is a mapping")
    roles = entry.get("roles") or [entry["role"]]
    people = entry.get("principals") or [entry["principal"]]
    scopes = entry.get("on") or ""
    scopes = scopes if isinstance(scopes, list) else [scopes]
    return [
        Binding(str(person), str(role), "" if scope == "project" else str(scope))
        for person in people
        for role in roles
        for scope in scopes
    ]


def _same(granted: str, principal: str) -> bool:
    """Compare principals; ``serviceAccount:`` and ``user:`` in front are optional."""
    if granted in {"allUsers", "allAuthenticatedUsers"}:
        return True
    return fnmatch.fnmatchcase(bare(principal), bare(granted))


def bare(principal: str) -> str:
    """The address without its kind."""
    return principal.partition(":")[2] or principal


def refusal(service: str, permission: str, resource: str) -> Problem:
    """PERMISSION_DENIED as the asked service words it."""
    host = _HOSTS.get(service)
    if service == "CloudBuild":
        return denied("The caller does not have permission")
    if service == "LoggingServiceV2":
        if permission == "logging.logEntries.create":
            return denied(
                f"Permission '{permission}' denied on resource (or it may not exist)."
            )
        return denied("Permission denied for all log views")
    if service == "SecretManagerService":
        return denied(
            f"Permission '{permission}' denied for resource '{resource}' "
            "(or it may not exist)."
        )
    if service == "ServiceUsage":
        return denied(f"Permission denied to get service [{resource}]")
    return denied(
        f"Permission '{permission}' denied on resource "
        f"'//{host or 'cloudresourcemanager.googleapis.com'}/{resource}' "
        "(or resource may not exist)."
    )


_HOSTS = {
    "Jobs": "run.googleapis.com",
    "Executions": "run.googleapis.com",
    "Tasks": "run.googleapis.com",
    "ArtifactRegistry": "artifactregistry.googleapis.com",
    "VpcAccessService": "vpcaccess.googleapis.com",
    "IAM": "iam.googleapis.com",
}
