"""Cloud Storage's JSON API: what a source upload and its download need."""

import json
import re
from email.parser import BytesParser
from email.policy import HTTP as HTTP_POLICY

from emulator.calls import Call, Gate, principal_of
from emulator.moments import short_id
from emulator.policy import PERMISSIONS
from emulator.problem import denied, invalid, not_found
from emulator.rest.http import Answer, Handler, Request, Route, answer, route
from emulator.services.lookups import policy_of
from emulator.stores import StoredObject
from emulator.world import World

_BYTES = re.compile(r"bytes (?:\*|(\d+)-(\d+))/(\d+|\*)")


class Storage:
    """The storage routes of one world."""

    def __init__(self, world: World, gate: Gate) -> None:
        self._world, self._gate = world, gate
        self._sessions: dict[str, tuple[str, str, str, int | None, bytearray]] = {}

    def routes(self) -> list[Route]:
        """Every route, most particular first."""
        rows: list[tuple[str, str, str, Handler]] = [
            ("GET", "/storage/v1/b", "buckets.list", self._list_buckets),
            ("POST", "/storage/v1/b", "buckets.insert", self._insert_bucket),
            ("GET", "/storage/v1/b/{bucket}", "buckets.get", self._get_bucket),
            ("GET", "/storage/v1/b/{bucket}/iam", "buckets.getIamPolicy", self._iam),
            ("GET", "/storage/v1/b/{bucket}/iam/testPermissions", "", self._test),
            ("GET", "/storage/v1/b/{bucket}/o", "objects.list", self._list),
            ("GET", "/storage/v1/b/{bucket}/o/{object*}", "objects.get", self._get),
            ("DELETE", "/storage/v1/b/{bucket}/o/{object*}", "objects.delete", self._delete),
            ("GET", "/download/storage/v1/b/{bucket}/o/{object*}", "objects.get", self._media),
            ("POST", "/upload/storage/v1/b/{bucket}/o", "objects.insert", self._upload),
            ("PUT", "/upload/storage/v1/b/{bucket}/o", "objects.insert", self._resume),
        ]  # fmt: skip
        return [
            route(method, template, self._guarded(name, handler))
            for method, template, name, handler in rows
        ]

    def _guarded(self, name: str, handler: Handler) -> Handler:
        """Let a call through the policy and the faults."""

        def guarded(request: Request) -> Answer:
            principal = principal_of(request.headers)
            lost = self._gate.enter(f"Storage.{name}", principal)
            permission = PERMISSIONS.get(f"storage.{name}", "")
            bucket = request.parts.get("bucket", "")
            whole = f"projects/{self._world.setting.project}/buckets/{bucket}"
            if not self._world.policy.allows(principal, permission, whole):
                raise denied(
                    f"{principal} does not have {permission} access to the Google Cloud "
                    f"Storage bucket. Permission '{permission}' denied on resource "
                    "(or it may not exist)."
                )
            told = handler(request)
            self._gate.leave(lost)
            return told

        return guarded

    def _bucket(self, name: str) -> dict[str, object]:
        self._world.buckets.require(name)
        project, location = self._world.buckets.owners[name]
        known = project == self._world.setting.project
        return {
            "kind": "storage#bucket",
            "id": name,
            "name": name,
            "projectNumber": self._world.setting.number if known else "1",
            "location": location.upper(),
            "storageClass": "STANDARD",
            "metageneration": "1",
            "etag": "CAE=",
        }

    def _list_buckets(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        project = request.query.get("project", "")
        found = [
            self._bucket(name)
            for name, (owner, _) in sorted(self._world.buckets.owners.items())
            if owner == project and name.startswith(prefix)
        ]
        return answer({"kind": "storage#buckets", "items": found})

    def _insert_bucket(self, request: Request) -> Answer:
        told = request.json()
        name = str(told.get("name", ""))
        project = request.query.get("project", "")
        self._world.buckets.create(name, project, str(told.get("location", "US")))
        return answer(self._bucket(name))

    def _get_bucket(self, request: Request) -> Answer:
        return answer(self._bucket(request.parts["bucket"]))

    def _iam(self, request: Request) -> Answer:
        bucket = request.parts["bucket"]
        self._world.buckets.require(bucket)
        policy = policy_of(self._world, f"projects/_/buckets/{bucket}")
        return answer(
            {
                "kind": "storage#policy",
                "resourceId": f"projects/_/buckets/{bucket}",
                "version": 1,
                "etag": "CAE=",
                "bindings": [
                    {"role": b.role, "members": list(b.members)}
                    for b in policy.bindings
                ],
            }
        )

    def _test(self, request: Request) -> Answer:
        bucket = request.parts["bucket"]
        self._world.buckets.require(bucket)
        call = Call(self._world, principal_of(request.headers), "Storage", "test")
        whole = f"projects/{self._world.setting.project}/buckets/{bucket}"
        asked = request.queries.get("permissions", [])
        allowed = [
            p for p in asked if self._world.policy.allows(call.principal, p, whole)
        ]
        told = {"kind": "storage#testIamPermissionsResponse", "permissions": allowed}
        return answer(told)

    def _list(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        found = self._world.buckets.names(request.parts["bucket"], prefix)
        items = [stored.resource() for stored in found]
        return answer({"kind": "storage#objects", "items": items})

    def _stored(self, request: Request) -> StoredObject:
        return self._world.buckets.get(
            request.parts["bucket"],
            request.parts["object"],
            int(request.query.get("generation", 0)),
        )

    def _get(self, request: Request) -> Answer:
        if request.query.get("alt") == "media":
            return self._media(request)
        return answer(self._stored(request).resource())

    def _media(self, request: Request) -> Answer:
        stored = self._stored(request)
        told = stored.resource()
        headers = {
            "Content-Type": stored.content_type,
            "x-goog-generation": str(stored.generation),
            "x-goog-hash": f"crc32c={told['crc32c']},md5={told['md5Hash']}",
        }
        return Answer(200, stored.data, headers)

    def _delete(self, request: Request) -> Answer:
        self._world.buckets.delete(request.parts["bucket"], request.parts["object"])
        return Answer(204, b"", {})

    def _upload(self, request: Request) -> Answer:
        kind = request.query.get("uploadType", "")
        match = request.query.get("ifGenerationMatch")
        generation = int(match) if match is not None else None
        bucket, name = request.parts["bucket"], request.query.get("name", "")
        if kind == "media":
            content = request.headers.get("content-type", "application/octet-stream")
            return self._put(bucket, name, request.body, content, generation)
        if kind == "multipart":
            told, data, content = _parts(request)
            name = str(told.get("name") or name)
            return self._put(bucket, name, data, content, generation)
        if kind == "resumable":
            return self._begin(request, bucket, name, generation)
        raise invalid(f"Unknown upload type: {kind}")

    def _put(
        self, bucket: str, name: str, data: bytes, content: str, match: int | None
    ) -> Answer:
        stored = self._world.buckets.put(bucket, name, data, content, match)
        return answer(stored.resource())

    def _begin(
        self, request: Request, bucket: str, name: str, match: int | None
    ) -> Answer:
        self._world.buckets.require(bucket)
        told = request.json()
        content = request.headers.get("x-upload-content-type", "")
        content = str(told.get("contentType") or content or "application/octet-stream")
        session = short_id(24)
        whole = str(told.get("name") or name)
        self._sessions[session] = (bucket, whole, content, match, bytearray())
        where = (
            f"http://{request.host}/upload/storage/v1/b/{bucket}/o"
            f"?uploadType=resumable&upload_id={session}"
        )
        return answer({}, 200, Location=where)

    def _resume(self, request: Request) -> Answer:
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise not_found("No such upload.")
        bucket, name, content, match, data = session
        data.extend(request.body)
        span = _BYTES.match(request.headers.get("content-range", ""))
        if span is not None and span[3] != "*" and len(data) >= int(span[3]):
            return self._put(bucket, name, bytes(data), content, match)
        if span is None:
            return self._put(bucket, name, bytes(data), content, match)
        return Answer(308, b"", {"Range": f"bytes=0-{len(data) - 1}"})


def _parts(request: Request) -> tuple[dict[str, object], bytes, str]:
    """Take a multipart upload apart: the resource, the data, its type."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP_POLICY).parsebytes(head + request.body)
    pieces = list(message.iter_parts())
    if len(pieces) != len(("resource", "data")):
        raise invalid("A multipart upload has two parts.")
    boundary = message.get_boundary() or ""
    told = json.loads(pieces[0].get_content())
    # The parser may mend line ends of binary data: cut the bytes out ourselves.
    raw = request.body.split(b"--" + boundary.encode(), 2)[2]
    data = raw.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--" + boundary.encode())[0]
    return told, data, pieces[1].get_content_type()
