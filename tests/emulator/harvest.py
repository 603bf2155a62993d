"""Read the RPCs and the HTTP rules out of the installed client libraries.

``python -m tests.emulator.harvest`` writes emulator/rpcs.json and emulator/rules.json
again; a test compares them. Uses private attributes of the libraries, which is why the
emulator works from the committed tables and never from here.
"""

import importlib
import json
import warnings
from pathlib import Path
from typing import Any, Self

import grpc

TABLES = Path(__file__).resolve().parents[2] / "emulator"
LIBRARIES = {
    "google.api.serviceusage.v1.ServiceUsage": (
        "google.cloud.service_usage_v1.services.service_usage",
        "ServiceUsage",
    ),
    "google.cloud.resourcemanager.v3.Projects": (
        "google.cloud.resourcemanager_v3.services.projects",
        "Projects",
    ),
    "google.cloud.run.v2.Executions": (
        "google.cloud.run_v2.services.executions",
        "Executions",
    ),
    "google.cloud.run.v2.Jobs": ("google.cloud.run_v2.services.jobs", "Jobs"),
    "google.cloud.run.v2.Tasks": ("google.cloud.run_v2.services.tasks", "Tasks"),
    "google.cloud.secretmanager.v1.SecretManagerService": (
        "google.cloud.secretmanager_v1.services.secret_manager_service",
        "SecretManagerService",
    ),
    "google.cloud.vpcaccess.v1.VpcAccessService": (
        "google.cloud.vpcaccess_v1.services.vpc_access_service",
        "VpcAccessService",
    ),
    "google.devtools.artifactregistry.v1.ArtifactRegistry": (
        "google.cloud.artifactregistry_v1.services.artifact_registry",
        "ArtifactRegistry",
    ),
    "google.devtools.cloudbuild.v1.CloudBuild": (
        "google.cloud.devtools.cloudbuild_v1.services.cloud_build",
        "CloudBuild",
    ),
    "google.iam.admin.v1.IAM": ("google.cloud.iam_admin_v1.services.iam", "IAM"),
    "google.logging.v2.LoggingServiceV2": (
        "google.cloud.logging_v2.services.logging_service_v2",
        "LoggingServiceV2",
    ),
}
# Messages that are not proto-plus have serializers that do not say whose they are.
PLAIN = {
    "GetIamPolicy": "google.iam.v1.iam_policy_pb2:GetIamPolicyRequest",
    "SetIamPolicy": "google.iam.v1.iam_policy_pb2:SetIamPolicyRequest",
    "TestIamPermissions": "google.iam.v1.iam_policy_pb2:TestIamPermissionsRequest",
    "GetLocation": "google.cloud.location.locations_pb2:GetLocationRequest",
    "ListLocations": "google.cloud.location.locations_pb2:ListLocationsRequest",
    "GetOperation": "google.longrunning.operations_pb2:GetOperationRequest",
    "ListOperations": "google.longrunning.operations_pb2:ListOperationsRequest",
    "CancelOperation": "google.longrunning.operations_pb2:CancelOperationRequest",
    "DeleteOperation": "google.longrunning.operations_pb2:DeleteOperationRequest",
    "WaitOperation": "google.longrunning.operations_pb2:WaitOperationRequest",
}
EMPTY = "google.protobuf.empty_pb2:Empty"
OPERATION = "google.longrunning.operations_pb2:Operation"


class Recorder(grpc.Channel):  # type: ignore[misc]
    """A channel that only writes down what a transport binds to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, Any, Any]] = []

    def _record(self, kind: str, path: str, *given: Any, **named: Any) -> Any:
        both = [*given, None, None]
        self.got.append(
            (
                path,
                kind,
                named.get("request_serializer", both[0]),
                named.get("response_deserializer", both[1]),
            )
        )
        return lambda *_args, **_named: None

    def unary_unary(self, path: str, *given: Any, **named: Any) -> Any:  # noqa: D102
        return self._record("unary", path, *given, **named)

    def unary_stream(self, path: str, *given: Any, **named: Any) -> Any:  # noqa: D102
        return self._record("server_stream", path, *given, **named)

    def stream_unary(self, path: str, *given: Any, **named: Any) -> Any:  # noqa: D102
        return self._record("client_stream", path, *given, **named)

    def stream_stream(self, path: str, *given: Any, **named: Any) -> Any:  # noqa: D102
        return self._record("bidi", path, *given, **named)

    def subscribe(self, *_args: Any, **_named: Any) -> None: ...  # noqa: D102

    def unsubscribe(self, *_args: Any) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None: ...


def _written(coder: Any, method: str) -> str:
    owner = getattr(coder, "__self__", None)
    if owner is None and coder is not None:
        try:
            owner = type(coder(b""))
        except TypeError:
            return PLAIN[method]
    if owner is None:
        emptied = method in {"CancelOperation", "DeleteOperation"}
        return EMPTY if emptied else OPERATION
    return f"{owner.__module__}:{owner.__name__}"


def harvest_rpcs() -> dict[str, dict[str, list[str]]]:
    """Return service → method → [kind, request, response]."""
    table: dict[str, dict[str, list[str]]] = {}
    for module, name in LIBRARIES.values():
        transports = importlib.import_module(f"{module}.transports.grpc")
        kind = getattr(transports, f"{name}GrpcTransport")
        channel = Recorder()
        transport = kind(channel=channel)
        transport._logged_channel = channel
        transport._stubs.clear()
        for attribute in dir(kind):
            if isinstance(getattr(kind, attribute), property):
                getattr(transport, attribute)
        for path, how, request, response in channel.got:
            _, service, method = path.split("/")
            row = [how, _written(request, method), _written(response, method)]
            table.setdefault(service, {})[method] = row
    return {s: dict(sorted(table[s].items())) for s in sorted(table)}


def harvest_rules() -> list[list[str]]:
    """Return every HTTP rule: [service, method, verb, template, body]."""
    rules: set[tuple[str, ...]] = set()
    for service, (module, _) in LIBRARIES.items():
        try:
            base = importlib.import_module(f"{module}.transports.rest_base")
        except ModuleNotFoundError:
            continue  # logging and IAM have no REST in Python
        for owner in vars(base).values():
            for name, inner in vars(owner).items() if isinstance(owner, type) else ():
                if not hasattr(inner, "_get_http_options"):
                    continue
                method = name.removeprefix("_Base")
                plain = method in PLAIN and method.endswith(("Operation", "Operations"))
                whose = "google.longrunning.Operations" if plain else service
                if method in {"GetLocation", "ListLocations"}:
                    whose = "google.cloud.location.Locations"
                rules.update(
                    (whose, method, o["method"], o["uri"], o.get("body") or "")
                    for o in inner._get_http_options()
                )
    return [list(rule) for rule in sorted(rules)]


def main() -> None:
    """Write both tables."""
    parts = []
    for service, methods in harvest_rpcs().items():
        rows = ",\n".join(
            f"    {json.dumps(method)}: {json.dumps(row)}"
            for method, row in methods.items()
        )
        parts.append(f"  {json.dumps(service)}: {{\n{rows}\n  }}")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    (TABLES / "rpcs.json").write_text(text, encoding="utf-8")
    lines = ",\n".join(f"  {json.dumps(rule)}" for rule in harvest_rules())
    (TABLES / "rules.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
