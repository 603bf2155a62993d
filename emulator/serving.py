"""From a request to its answer, whichever protocol brought it.

Both servers bind the same services; here are the policy, the faults and the lock that
stand between a request and the method that carries it out.
"""

from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any

from emulator.calls import Call, Gate, permission_for, principal_of, resource_of
from emulator.operations import raw
from emulator.policy import refusal
from emulator.services.artifactregistry import ArtifactRegistry
from emulator.services.cloudbuild import CloudBuild
from emulator.services.cloudlogging import LoggingServiceV2
from emulator.services.cloudrun import Jobs
from emulator.services.executions import Executions, Tasks
from emulator.services.lookups import IAM, Projects, ServiceUsage, VpcAccessService
from emulator.services.operations import Operations
from emulator.services.secretmanager import SecretManagerService
from emulator.table import Rpc, message_class, rpcs
from emulator.world import World

SERVICES: Mapping[str, type] = {
    "google.api.serviceusage.v1.ServiceUsage": ServiceUsage,
    "google.cloud.resourcemanager.v3.Projects": Projects,
    "google.cloud.run.v2.Executions": Executions,
    "google.cloud.run.v2.Jobs": Jobs,
    "google.cloud.run.v2.Tasks": Tasks,
    "google.cloud.secretmanager.v1.SecretManagerService": SecretManagerService,
    "google.cloud.vpcaccess.v1.VpcAccessService": VpcAccessService,
    "google.devtools.artifactregistry.v1.ArtifactRegistry": ArtifactRegistry,
    "google.devtools.cloudbuild.v1.CloudBuild": CloudBuild,
    "google.iam.admin.v1.IAM": IAM,
    "google.logging.v2.LoggingServiceV2": LoggingServiceV2,
    "google.longrunning.Operations": Operations,
}
_LONGEST = 86_400.0


def covered(rpc: Rpc) -> bool:
    """Tell whether a row of the table is carried out."""
    service = SERVICES.get(rpc.service)
    return service is not None and hasattr(service, rpc.attribute())


class Binding:
    """One RPC bound to the method that carries it out."""

    def __init__(
        self, world: World, gate: Gate, rpc: Rpc, method: Callable[..., Any]
    ) -> None:
        self._world, self._gate, self._method = world, gate, method
        self.rpc = rpc
        self._service = rpc.service.rsplit(".", 1)[1]
        self.name = f"{self._service}.{rpc.method}"
        self.request_class = message_class(rpc.request)

    def parse(self, data: bytes) -> Any:
        """Read a request."""
        kind = self.request_class
        return (
            kind.deserialize(data)
            if hasattr(kind, "deserialize")
            else kind.FromString(data)
        )

    def note(self, seconds: float) -> None:
        """Keep how long a caller is ready to wait: without a deadline, for ever."""
        with self._world.lock:
            known = self._world.patience.get(self.name, 0.0)
            self._world.patience[self.name] = max(known, seconds)

    def _call(self, metadata: Mapping[str, str], seconds: float) -> Call:
        principal = principal_of(metadata)
        left = min(seconds, _LONGEST)
        return Call(self._world, principal, self._service, self.rpc.method, left)

    def answer(
        self,
        request: Any,
        metadata: Mapping[str, str],
        seconds: float,
        write: Callable[[Any], bytes],
        gone: Callable[[], bool] = bool,
    ) -> bytes:
        """Carry out a call; `Problem` when it is refused. ``gone``: its caller is."""
        call = self._call(metadata, seconds)
        lost = self._gate.enter(self.name, call.principal, gone)
        permission = permission_for(self._service, self.rpc.method, request)
        resource = resource_of(request)
        allowed = self._world.policy.allows(call.principal, permission, resource)
        # Whoever may see nothing is not told that there is nothing.
        if not allowed or (permission and not self._world.knows(resource)):
            raise refusal(self._service, permission, resource)
        told = raw(self._method(request, call))
        with self._world.lock:
            data = write(told)
        self._gate.leave(lost, gone)
        return data

    def answers(
        self, requests: Iterator[Any], metadata: Mapping[str, str], ended: Event
    ) -> Iterator[bytes]:
        """Carry out a stream until either side ends it."""
        call = self._call(metadata, _LONGEST)
        self._gate.leave(self._gate.enter(self.name, call.principal))
        for told in self._method(requests, call, ended):
            yield raw(told).SerializeToString()


def bind(world: World, gate: Gate) -> list[Binding]:
    """Bind every row that is carried out."""
    made = {name: kind(world) for name, kind in SERVICES.items()}
    return [
        Binding(world, gate, rpc, getattr(made[rpc.service], rpc.attribute()))
        for rpc in rpcs()
        if covered(rpc)
    ]
