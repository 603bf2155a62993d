"""The same RPCs over plain HTTP, by Google's own rules (rules.json).

Path and query fill the request, the body is JSON, the answer is JSON. The table of rules
is generated like the table of RPCs; a handful are added here that no Python library has.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError

from emulator.calls import Gate, principal_of
from emulator.operations import raw
from emulator.policy import PERMISSIONS
from emulator.problem import denied, invalid
from emulator.rest.http import Answer, Request, Route, answer
from emulator.serving import Binding
from emulator.world import World

_IAM = "google.iam.admin.v1.IAM"
_LOGGING = "google.logging.v2.LoggingServiceV2"
_PROJECTS = "google.cloud.resourcemanager.v3.Projects"
_OPERATIONS = "google.longrunning.Operations"
_ACCOUNT = "projects/*/serviceAccounts/*"
# Services without REST in Python, and the first version of the projects API.
MORE = (
    (_IAM, "GetServiceAccount", "get", f"/v1/{{name={_ACCOUNT}}}", ""),
    (_IAM, "ListServiceAccounts", "get", "/v1/{name=projects/*}/serviceAccounts", ""),
    (_IAM, "GetIamPolicy", "post", f"/v1/{{resource={_ACCOUNT}}}:getIamPolicy", "*"),
    (_IAM, "SetIamPolicy", "post", f"/v1/{{resource={_ACCOUNT}}}:setIamPolicy", "*"),
    (_IAM, "TestIamPermissions", "post",
     f"/v1/{{resource={_ACCOUNT}}}:testIamPermissions", "*"),
    (_LOGGING, "ListLogEntries", "post", "/v2/entries:list", "*"),
    (_LOGGING, "WriteLogEntries", "post", "/v2/entries:write", "*"),
    (_PROJECTS, "GetIamPolicy", "post", "/v1/{resource=projects/*}:getIamPolicy", "*"),
    (_PROJECTS, "SetIamPolicy", "post", "/v1/{resource=projects/*}:setIamPolicy", "*"),
    (_PROJECTS, "TestIamPermissions", "post",
     "/v1/{resource=projects/*}:testIamPermissions", "*"),
    (_OPERATIONS, "GetOperation", "get", "/v1/{name=operations/**}", ""),
)  # fmt: skip
_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]+))?\}")


def path_pattern(template: str) -> tuple[re.Pattern[str], list[str]]:
    """Turn ``/v1/{name=projects/*}`` into a pattern and the fields of its groups."""
    fields: list[str] = []
    made, at = "", 0
    for match in _VARIABLE.finditer(template):
        made += re.escape(template[at : match.start()])
        inner = re.escape(match[2] or "*")
        inner = inner.replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")
        made += f"({inner})"
        fields.append(match[1])
        at = match.end()
    return re.compile(made + re.escape(template[at:])), fields


def _set(told: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        told = told.setdefault(parent, {})
    told[last] = value


class Transcoder:
    """The HTTP side of the bound RPCs."""

    def __init__(self, world: World, gate: Gate, bindings: Sequence[Binding]) -> None:
        self._world, self._gate = world, gate
        self._bindings = {(b.rpc.service, b.rpc.method): b for b in bindings}

    def routes(self) -> list[Route]:
        """A route for each rule whose RPC is carried out."""
        text = files("emulator").joinpath("rules.json").read_text(encoding="utf-8")
        found = [Route("GET", re.compile("/v1/projects/([^/:]+)"), self._project)]
        for service, method, verb, template, body in [*json.loads(text), *MORE]:
            binding = self._bindings.get((service, method))
            if binding is not None and binding.rpc.kind == "unary":
                found.append(self._route(binding, verb, template, body))
        return found

    def _route(self, binding: Binding, verb: str, template: str, body: str) -> Route:
        pattern, fields = path_pattern(template)

        def handler(request: Request) -> Answer:
            match = pattern.fullmatch(request.path)
            values = match.groups() if match else ()
            told = self._told(binding, request, body)
            for field, value in zip(fields, values, strict=True):
                _set(told, field, value)
            message = binding.request_class()
            try:
                ParseDict(told, raw(message), ignore_unknown_fields=True)
            except ParseError as error:
                raise invalid(f"Invalid JSON payload received. {error}") from error
            data = binding.answer(message, request.headers, 60.0, _json)
            return Answer(
                200, data, {"Content-Type": "application/json; charset=UTF-8"}
            )

        return Route(verb.upper(), pattern, handler)

    def _told(self, binding: Binding, request: Request, body: str) -> dict[str, Any]:
        """The request as JSON: what stands in the query and in the body."""
        told: dict[str, Any] = {}
        known = raw(binding.request_class()).DESCRIPTOR.fields_by_name
        for name, values in request.queries.items():
            field = known.get(_snake(name))
            if field is not None and field.message_type is None:
                several = field.is_repeated
                told[_snake(name)] = values if several else values[0]
        if body == "*":
            told |= request.json()
        elif body:
            told[body] = request.json()
        return told

    def _project(self, request: Request) -> Answer:
        """The first version's project, which has its number as a field."""
        wanted = request.path.rsplit("/", 1)[1]
        setting = self._world.setting
        principal = principal_of(request.headers)
        self._gate.leave(self._gate.enter("Projects.GetProject", principal))
        permission = PERMISSIONS["Projects.GetProject"]
        known = wanted in {*self._world.projects, setting.number}
        if not known or not self._world.policy.allows(
            principal, permission, f"projects/{wanted}"
        ):
            raise denied("The caller does not have permission")
        named = setting.project if wanted == setting.number else wanted
        return answer(
            {
                "projectId": named,
                "projectNumber": setting.number,
                "name": named,
                "lifecycleState": "ACTIVE",
            }
        )


def _json(told: Any) -> bytes:
    text: str = MessageToJson(told)
    return text.encode()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
