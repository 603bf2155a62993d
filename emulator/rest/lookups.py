"""Compute look-ups and the metadata server, over plain HTTP."""

from emulator.calls import Gate, principal_of, token_for
from emulator.policy import EVERYBODY, PERMISSIONS
from emulator.problem import denied, not_found
from emulator.rest.http import Answer, Request, Route, answer, plain, route
from emulator.world import World

_COMPUTE = "/compute/v1/projects/{project}"
_METADATA = "/computeMetadata/v1"
_EXPIRES = 3599


class Lookups:
    """The routes of compute and of the metadata server."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world, self._gate = world, gate

    def routes(self) -> list[Route]:
        """Every route."""
        found = [
            route("GET", "/", self._ping),
            route(
                "GET",
                f"{_COMPUTE}/regions/{{region}}/subnetworks/{{name}}",
                self._subnetwork,
            ),
            route("GET", f"{_COMPUTE}/global/networks/{{name}}", self._network),
        ]
        # With an account in front a process is known by what it asks.
        for prefix in ("", "/as/{account}"):
            account = f"{prefix}{_METADATA}/instance/service-accounts/{{which}}"
            found += [
                route("GET", f"{prefix}/", self._ping),
                route("GET", f"{prefix}{_METADATA}/", self._ping),
                route("GET", f"{prefix}{_METADATA}/project/project-id", self._project),
                route(
                    "GET",
                    f"{prefix}{_METADATA}/project/numeric-project-id",
                    self._number,
                ),
                route(
                    "GET",
                    f"{prefix}{_METADATA}/universe/universe-domain",
                    self._universe,
                ),
                route("GET", f"{account}/token", self._token),
                route("GET", f"{account}/email", self._email),
                route("GET", f"{account}/", self._account),
            ]
        return found

    def _require(self, request: Request, what: str) -> None:
        principal = principal_of(request.headers)
        self._gate.leave(self._gate.enter(f"Compute.{what}", principal))
        permission = PERMISSIONS[f"compute.{what}"]
        resource = request.path.partition("/compute/v1/")[2]
        if not self._world.policy.allows(principal, permission, resource):
            raise denied(f"Required '{permission}' permission for '{resource}'")

    def _subnetwork(self, request: Request) -> Answer:
        self._require(request, "subnetworks.get")
        parts = request.parts
        name = (
            f"projects/{parts['project']}/regions/{parts['region']}"
            f"/subnetworks/{parts['name']}"
        )
        found = self._world.subnetworks.get(name)
        if found is None:
            raise not_found(f"The resource '{name}' was not found")
        return answer({"kind": "compute#subnetwork", "name": parts["name"], **found})

    def _network(self, request: Request) -> Answer:
        self._require(request, "networks.get")
        name = request.parts["name"]
        if name not in self._world.networks:
            whole = f"projects/{request.parts['project']}/global/networks/{name}"
            raise not_found(f"The resource '{whole}' was not found")
        return answer({"kind": "compute#network", "name": name})

    @staticmethod
    def _metadata(text: str) -> Answer:
        return plain(text, "application/text", Metadata_Flavor="Google")

    def _ping(self, _request: Request) -> Answer:
        return self._metadata("computeMetadata/\n")

    def _project(self, _request: Request) -> Answer:
        return self._metadata(self._world.setting.project)

    def _number(self, _request: Request) -> Answer:
        return self._metadata(self._world.setting.number)

    def _universe(self, _request: Request) -> Answer:
        return self._metadata("googleapis.com")

    @staticmethod
    def _who(request: Request) -> str:
        which = request.parts.get("which", "default")
        return request.parts.get("account") or (
            which if "@" in which else EVERYBODY.partition(":")[2]
        )

    def _email(self, request: Request) -> Answer:
        return self._metadata(self._who(request))

    def _account(self, request: Request) -> Answer:
        told = {
            "email": self._who(request),
            "aliases": ["default"],
            "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        }
        return answer(told, Metadata_Flavor="Google")

    def _token(self, request: Request) -> Answer:
        told = {
            "access_token": token_for(self._who(request)),
            "expires_in": _EXPIRES,
            "token_type": "Bearer",
        }
        return answer(told, Metadata_Flavor="Google")
