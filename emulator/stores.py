"""Secrets, buckets and the look-up tables of the emulated project.

Plain state behind the services; each answers in Google's terms or raises a `Problem`.
"""

import base64
import hashlib
import threading
from typing import NamedTuple

import google_crc32c
from google.cloud.secretmanager_v1.types import Secret, SecretVersion

from emulator.moments import moment, now_ns
from emulator.problem import exists, failed_precondition, invalid, not_found

LARGEST_SECRET = 64 * 1024


class _Held:
    """A secret with its versions, oldest first."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.versions: list[SecretVersion] = []
        self.payloads: dict[int, bytes] = {}


class SecretStore:
    """Secrets by full name."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[str, _Held] = {}

    def create(self, name: str, secret: Secret) -> Secret:
        """Keep a new secret."""
        with self._lock:
            if name in self._held:
                raise exists(f"Secret [{name}] already exists.")
            secret.name = name
            secret.create_time = moment(now_ns())
            self._held[name] = _Held(secret)
            return secret

    def get(self, name: str) -> Secret:
        """The secret of a name."""
        return self._find(name).secret

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._held)

    def delete(self, name: str) -> None:
        """Forget a secret with all its versions."""
        with self._lock:
            self._find(name)
            del self._held[name]

    def add(self, name: str, data: bytes) -> SecretVersion:
        """Add a version, enabled."""
        if len(data) > LARGEST_SECRET:
            raise invalid(f"Secret payload exceeds {LARGEST_SECRET} bytes.")
        with self._lock:
            held = self._find(name)
            number = len(held.versions) + 1
            version = SecretVersion(
                name=f"{name}/versions/{number}",
                create_time=moment(now_ns()),
                state=SecretVersion.State.ENABLED,
                client_specified_payload_checksum=True,
            )
            held.versions.append(version)
            held.payloads[number] = data
            return version

    def versions(self, name: str) -> list[SecretVersion]:
        """The versions of a secret, newest first, as Google lists them."""
        return list(reversed(self._find(name).versions))

    def version(self, name: str) -> SecretVersion:
        """One version by ``…/versions/N``, an alias or ``latest`` (the newest created)."""
        secret, _, wanted = name.partition("/versions/")
        held = self._find(secret)
        if wanted == "latest" and held.versions:
            return held.versions[-1]
        wanted = str(held.secret.version_aliases.get(wanted, wanted))
        if wanted.isdigit() and 0 < int(wanted) <= len(held.versions):
            return held.versions[int(wanted) - 1]
        raise not_found(f"Secret Version [{name}] not found.")

    def access(self, name: str) -> tuple[SecretVersion, bytes]:
        """The payload of an enabled version."""
        version = self.version(name)
        if version.state != SecretVersion.State.ENABLED:
            raise failed_precondition(
                f"Secret Version [{version.name}] is in {version.state.name} state."
            )
        secret, _, number = version.name.partition("/versions/")
        return version, self._held[secret].payloads[int(number)]

    def turn(self, name: str, state: SecretVersion.State) -> SecretVersion:
        """Enable, disable or destroy a version."""
        with self._lock:
            version = self.version(name)
            if version.state == SecretVersion.State.DESTROYED:
                raise failed_precondition(
                    f"Secret Version [{version.name}] is in DESTROYED state."
                )
            version.state = state
            if state == SecretVersion.State.DESTROYED:
                version.destroy_time = moment(now_ns())
                secret, _, number = version.name.partition("/versions/")
                self._held[secret].payloads.pop(int(number), None)
            return version

    def _find(self, name: str) -> _Held:
        with self._lock:
            held = self._held.get(name)
        if held is None:
            raise not_found(f"Secret [{name}] not found.")
        return held


def crc32c(data: bytes) -> int:
    """The checksum that Google's APIs carry."""
    return int(google_crc32c.value(data))


class StoredObject(NamedTuple):
    """One object of a bucket."""

    bucket: str
    name: str
    data: bytes
    generation: int
    content_type: str = "application/octet-stream"

    def resource(self) -> dict[str, object]:
        """The object as the JSON API shows it; 64-bit numbers are strings there."""
        created = moment(self.generation * 1000)
        when = created.isoformat().replace("+00:00", "Z")
        checksum = crc32c(self.data).to_bytes(4, "big")
        digest = hashlib.md5(self.data, usedforsecurity=False).digest()
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "bucket": self.bucket,
            "name": self.name,
            "generation": str(self.generation),
            "metageneration": "1",
            "contentType": self.content_type,
            "size": str(len(self.data)),
            "crc32c": base64.b64encode(checksum).decode(),
            "md5Hash": base64.b64encode(digest).decode(),
            "etag": f"e{self.generation}",
            "storageClass": "STANDARD",
            "timeCreated": when,
            "updated": when,
        }


class Buckets:
    """Cloud Storage: buckets, and the live generation of each object."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.owners: dict[str, tuple[str, str]] = {}  # bucket → (project, location)
        self._objects: dict[tuple[str, str], StoredObject] = {}
        self._last = 0

    def create(self, name: str, project: str, location: str) -> None:
        """Make a bucket; names are global."""
        with self._lock:
            if name in self.owners:
                raise exists(
                    "Your previous request to create the named bucket succeeded and you "
                    "already own it."
                )
            self.owners[name] = (project, location)

    def require(self, bucket: str) -> None:
        """Refuse a bucket that is not there."""
        if bucket not in self.owners:
            raise not_found("The specified bucket does not exist.")

    def put(
        self, bucket: str, name: str, data: bytes, content_type: str, match: int | None
    ) -> StoredObject:
        """Write an object; ``match`` is the generation that must be live (0: none)."""
        with self._lock:
            self.require(bucket)
            live = self._objects.get((bucket, name))
            if match is not None and match != (live.generation if live else 0):
                raise failed_precondition(
                    "At least one of the pre-conditions you specified did not hold."
                )
            self._last = max(self._last + 1, now_ns() // 1000)
            made = StoredObject(bucket, name, data, self._last, content_type)
            self._objects[bucket, name] = made
            return made

    def get(self, bucket: str, name: str, generation: int = 0) -> StoredObject:
        """The live object, which must be of the generation that was asked for."""
        self.require(bucket)
        found = self._objects.get((bucket, name))
        if found is None or generation not in (0, found.generation):
            raise not_found(f"No such object: {bucket}/{name}")
        return found

    def delete(self, bucket: str, name: str) -> None:
        """Remove the live object."""
        with self._lock:
            self.get(bucket, name)
            del self._objects[bucket, name]

    def names(self, bucket: str, prefix: str) -> list[StoredObject]:
        """The objects of a bucket, sorted."""
        self.require(bucket)
        with self._lock:
            return [
                self._objects[key]
                for key in sorted(self._objects)
                if key[0] == bucket and key[1].startswith(prefix)
            ]
