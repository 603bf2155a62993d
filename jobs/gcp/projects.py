"""What ``doctor`` asks about a project, behind `ports.Projects`. Reads; never changes.

Plain REST with the caller's credentials: no further client library is needed for a
handful of look-ups.
"""

from collections.abc import Sequence
from typing import Any

from jobs.errors import Denied, Invalid, NotFound, Unavailable, Unsupported
from jobs.gcp.clients import CALL_S, Clients
from jobs.ports import Binding

_FOUND, _BAD, _REFUSED, _MISSING = 200, 400, (401, 403), 404


class GoogleProjects:
    """Look-ups over REST."""

    def __init__(self, clients: Clients) -> None:
        """Take the factory; the session is made by the first call."""
        self._clients = clients
        self._made: Any = None

    def _ask(self, call: str, method: str, url: str, **more: Any) -> Any:
        with self._clients.translated(call):
            if self._made is None:
                self._made = self._clients.session()
            answer = self._made.request(method, url, timeout=CALL_S, **more)
            if answer.status_code == _FOUND:
                return answer.json()
            raise _refused(call, answer.status_code, answer.text)

    def _read(self, call: str, url: str) -> Any:
        try:
            return self._ask(call, "GET", url)
        except NotFound:
            return None

    def caller(self) -> str:
        """Return the member the credentials stand for, if they say."""
        credentials = self._clients.credentials()
        email = getattr(credentials, "service_account_email", "") or ""
        return f"serviceAccount:{email}" if "@" in email else ""

    def number(self, project: str) -> str | None:
        """Look up a project."""
        host = self._clients.host("cloudresourcemanager")
        found = self._read("reading the project", f"{host}/v1/projects/{project}")
        return str(found.get("projectNumber", "")) if found else None

    def enabled_services(self, project: str, names: Sequence[str]) -> frozenset[str]:
        """Ask about several APIs in one call."""
        host = self._clients.host("serviceusage")
        found = self._ask(
            "reading which APIs are enabled",
            "GET",
            f"{host}/v1/projects/{project}/services:batchGet",
            params=[("names", f"projects/{project}/services/{n}") for n in names],
        )
        return frozenset(
            str(s["name"]).rpartition("/")[2]
            for s in found.get("services", ())
            if s.get("state") == "ENABLED"
        )

    def service_account_exists(self, project: str, email: str) -> bool:
        """Look up a service account."""
        host = self._clients.host("iam")
        url = f"{host}/v1/projects/{project}/serviceAccounts/{email}"
        found = self._read(f"reading service account {email}", url)
        return bool(found) and not found.get("disabled", False)

    def connector_state(self, name: str) -> str | None:
        """Look up a Serverless VPC Access connector."""
        host = self._clients.host("vpcaccess")
        found = self._read(f"reading connector {name}", f"{host}/v1/{name}")
        return str(found.get("state", "")) if found else None

    def subnet_range(self, project: str, region: str, subnet: str) -> str | None:
        """Look up a subnet."""
        host = self._clients.host("compute")
        short = subnet.rpartition("/")[2]
        url = (
            f"{host}/compute/v1/projects/{project}/regions/{region}/subnetworks/{short}"
        )
        found = self._read(f"reading subnet {short}", url)
        return str(found.get("ipCidrRange", "")) if found else None

    def bindings(self, resource: str) -> Sequence[Binding]:
        """Read an IAM policy; //service.googleapis.com/PATH names whose."""
        service, _, path = resource.removeprefix("//").partition("/")
        short = service.removesuffix(".googleapis.com")
        host = self._clients.host(short)
        method = "POST" if short in {"cloudresourcemanager", "iam"} else "GET"
        url = f"{host}/v1/{path}:getIamPolicy"
        if short == "storage":
            method, url = "GET", f"{host}/storage/v1/{path}/iam"
        found = self._ask(f"reading the policy of {path}", method, url)
        return [
            Binding(str(b["role"]), tuple(b.get("members", ())))
            for b in found.get("bindings", ())
        ]

    def may(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Ask TestIamPermissions, which everybody may ask."""
        service, _, path = resource.removeprefix("//").partition("/")
        short = service.removesuffix(".googleapis.com")
        call, host = f"asking what is allowed on {path}", self._clients.host(short)
        if short == "storage":
            url = f"{host}/storage/v1/{path}/iam/testPermissions"
            asked = [("permissions", name) for name in permissions]
            found = self._ask(call, "GET", url, params=asked)
        else:
            body = {"permissions": list(permissions)}
            url = f"{host}/v1/{path}:testIamPermissions"
            found = self._ask(call, "POST", url, json=body)
        return frozenset(map(str, found.get("permissions", ())))


def _refused(call: str, status: int, text: str) -> Exception:
    reason = " ".join(text.split())[:300]
    if status == _MISSING:
        return NotFound(call=call, reason=reason)
    if status in _REFUSED:
        return Denied(call=call, reason=reason)
    if status == _BAD:
        return Invalid(call=call, reason=reason)
    kind = Unsupported if status in {405, 501} else Unavailable
    return kind(call=call, reason=f"{status} {reason}")
