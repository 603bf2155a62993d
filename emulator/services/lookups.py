"""What a preflight asks: projects, service accounts, connectors, APIs, repositories.

Small services in one room; each answers from the tables of the world.
"""

import re
from typing import Any

from google.cloud.iam_admin_v1 import types as iam
from google.cloud.resourcemanager_v3 import types as projects
from google.cloud.service_usage_v1 import types as usage
from google.cloud.vpcaccess_v1 import types as vpc
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning.operations_pb2 import Operation

from emulator.calls import Call, paged
from emulator.moments import new_uuid
from emulator.policy import Binding
from emulator.problem import Code, Problem, not_found
from emulator.world import World


def policy_of(world: World, resource: str) -> policy_pb2.Policy:
    """The bindings of exactly one resource, grouped by role."""
    roles: dict[str, list[str]] = {}
    for binding in world.policy.of(scope_of(resource)):
        roles.setdefault(binding.role, []).append(member(binding.principal))
    return policy_pb2.Policy(
        version=1,
        etag=b"BwXhqDVkGlM=",
        bindings=[
            policy_pb2.Binding(role=role, members=sorted(people))
            for role, people in sorted(roles.items())
        ],
    )


def scope_of(resource: str) -> str:
    """The scope that a policy file gives a resource: its last two parts."""
    parts = resource.strip("/").split("/")
    whole_project = len(parts) == len(("projects", "ID")) and parts[0] == "projects"
    return "" if whole_project else "/".join(parts[-2:])


def member(principal: str) -> str:
    """A principal with its kind in front."""
    if ":" in principal or principal.startswith("all"):
        return principal
    kind = "serviceAccount" if principal.endswith(".gserviceaccount.com") else "user"
    return f"{kind}:{principal}"


class Policies:
    """GetIamPolicy, SetIamPolicy, TestIamPermissions: the same for every resource."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_iam_policy(
        self, request: iam_policy_pb2.GetIamPolicyRequest, _call: Call
    ) -> policy_pb2.Policy:
        """The bindings of a resource."""
        self._require(request.resource)
        return policy_of(self._world, request.resource)

    def set_iam_policy(
        self, request: iam_policy_pb2.SetIamPolicyRequest, _call: Call
    ) -> policy_pb2.Policy:
        """Replace the bindings of a resource."""
        self._require(request.resource)
        scope = scope_of(request.resource)
        self._world.policy.replace(
            scope,
            [
                Binding(person, binding.role, scope)
                for binding in request.policy.bindings
                for person in binding.members
            ],
        )
        return policy_of(self._world, request.resource)

    def test_iam_permissions(
        self, request: iam_policy_pb2.TestIamPermissionsRequest, call: Call
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        """Which of these permissions the caller has."""
        self._require(request.resource)
        return iam_policy_pb2.TestIamPermissionsResponse(
            permissions=[
                permission
                for permission in request.permissions
                if self._world.policy.allows(
                    call.principal, permission, request.resource
                )
            ]
        )

    def _require(self, resource: str) -> None:
        """Refuse a resource that does not exist; the kinds that can, override this."""


class Projects(Policies):
    """google.cloud.resourcemanager.v3.Projects."""

    def _require(self, resource: str) -> None:
        project = resource.removeprefix("projects/")
        known = {*self._world.projects, self._world.setting.number}
        if project not in known:
            raise Problem(
                Code.PERMISSION_DENIED,
                f"The caller does not have permission on project '{project}' "
                "(or it may not exist).",
            )

    def get_project(
        self, request: projects.GetProjectRequest, _call: Call
    ) -> projects.Project:
        """A project by id or by number."""
        self._require(request.name)
        setting = self._world.setting
        wanted = request.name.removeprefix("projects/")
        named = setting.project if wanted == setting.number else wanted
        return projects.Project(
            name=f"projects/{setting.number}",
            project_id=named,
            display_name=named,
            state=projects.Project.State.ACTIVE,
        )


class IAM(Policies):
    """google.iam.admin.v1.IAM: service accounts."""

    def _find(self, name: str) -> iam.ServiceAccount:
        email = name.rsplit("/", 1)[1]
        account = self._world.service_accounts.get(email)
        if account is None:
            raise not_found(f"Unknown service account: {email}")
        return account

    def _require(self, resource: str) -> None:
        self._find(resource)

    def get_service_account(
        self, request: iam.GetServiceAccountRequest, _call: Call
    ) -> iam.ServiceAccount:
        """A service account by its address."""
        return self._find(request.name)

    def list_service_accounts(
        self, request: iam.ListServiceAccountsRequest, _call: Call
    ) -> iam.ListServiceAccountsResponse:
        """The service accounts of a project."""
        mine = [
            account
            for account in self._world.service_accounts.values()
            if account.name.startswith(f"{request.name}/")
        ]
        page, token = paged(mine, request.page_size, request.page_token)
        return iam.ListServiceAccountsResponse(accounts=page, next_page_token=token)

    def create_service_account(
        self, request: iam.CreateServiceAccountRequest, _call: Call
    ) -> iam.ServiceAccount:
        """Make a service account."""
        project = request.name.removeprefix("projects/")
        email = f"{request.account_id}@{project}.iam.gserviceaccount.com"
        if email in self._world.service_accounts:
            raise Problem(
                Code.ALREADY_EXISTS,
                f"Service account {request.account_id} already exists within project "
                f"projects/{project}.",
            )
        account = account_of(project, email)
        self._world.service_accounts[email] = account
        return account


def account_of(project: str, email: str) -> iam.ServiceAccount:
    """A service account by its address."""
    return iam.ServiceAccount(
        name=f"projects/{project}/serviceAccounts/{email}",
        project_id=project,
        unique_id=str(abs(hash(email)) % 10**21),
        email=email,
    )


class VpcAccessService:
    """google.cloud.vpcaccess.v1.VpcAccessService."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_connector(
        self, request: vpc.GetConnectorRequest, _call: Call
    ) -> vpc.Connector:
        """A connector; the refusal is the one of the seeds' third build."""
        found = self._world.connectors.get(request.name)
        if found is None:
            raise not_found(f"Resource '{request.name}' was not found")
        return found

    def list_connectors(
        self, request: vpc.ListConnectorsRequest, _call: Call
    ) -> vpc.ListConnectorsResponse:
        """The connectors of a location."""
        mine = [
            connector
            for name, connector in sorted(self._world.connectors.items())
            if name.startswith(f"{request.parent}/connectors/")
        ]
        return vpc.ListConnectorsResponse(connectors=mine)

    def create_connector(
        self, request: vpc.CreateConnectorRequest, _call: Call
    ) -> Operation:
        """Make a connector, ready at once."""
        name = f"{request.parent}/connectors/{request.connector_id}"
        connector = request.connector
        connector.name = name
        connector.state = _READY
        self._world.connectors[name] = connector
        operation = f"{request.parent}/operations/{new_uuid()}"
        self._world.operations.start(operation, connector)
        return self._world.operations.finish(operation, connector)


_READY: Any = vpc.Connector.State.READY
_SERVICE = re.compile(r"^projects/([^/]+)/services/([^/]+)$")


class ServiceUsage:
    """google.api.serviceusage.v1.ServiceUsage."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _service(self, name: str) -> usage.Service:
        match = _SERVICE.match(name)
        if match is None:
            raise Problem(Code.INVALID_ARGUMENT, f"Invalid service name: {name}")
        enabled = match[2] in self._world.services
        return usage.Service(
            name=f"projects/{self._world.setting.number}/services/{match[2]}",
            parent=f"projects/{self._world.setting.number}",
            config=usage.ServiceConfig(name=match[2]),
            state=usage.State.ENABLED if enabled else usage.State.DISABLED,
        )

    def get_service(
        self, request: usage.GetServiceRequest, _call: Call
    ) -> usage.Service:
        """One API and whether it is enabled."""
        return self._service(request.name)

    def batch_get_services(
        self, request: usage.BatchGetServicesRequest, _call: Call
    ) -> usage.BatchGetServicesResponse:
        """Several APIs at once."""
        found = [self._service(name) for name in request.names]
        return usage.BatchGetServicesResponse(services=found)

    def list_services(
        self, request: usage.ListServicesRequest, _call: Call
    ) -> usage.ListServicesResponse:
        """The enabled APIs."""
        names = sorted(self._world.services)
        found = [self._service(f"{request.parent}/services/{name}") for name in names]
        return usage.ListServicesResponse(services=found)

    def enable_service(
        self, request: usage.EnableServiceRequest, _call: Call
    ) -> Operation:
        """Enable an API, at once."""
        service = self._service(request.name)
        self._world.services.add(service.config.name)
        enabled = self._service(request.name)
        name = f"operations/acf.{new_uuid()}"
        self._world.operations.start(name, usage.OperationMetadata())
        response = usage.EnableServiceResponse(service=enabled)
        return self._world.operations.finish(name, response)
