"""Cloud Storage behind `ports.Source`: one object, created once, its generation pinned."""

from typing import Any

from jobs.errors import AlreadyExists, NotFound
from jobs.gcp.clients import SLOW_CALL_S, Clients
from jobs.spec import Source


class GoogleSource:
    """Uploads to a bucket."""

    def __init__(self, clients: Clients, region: str) -> None:
        """Take the factory, and where a bucket that is missing is made."""
        self._clients = clients
        self._region = region
        self._made: Any = None

    def upload(self, bucket: str, name: str, content: bytes) -> Source:
        """Upload, making the bucket when it is not there yet.

        The object's name holds a digest of its content: if it exists, it is the same.
        """
        with self._clients.translated(f"opening bucket {bucket}"):
            if self._made is None:
                self._made = self._clients.storage()
            place = self._made.bucket(bucket)
        try:
            generation = self._create(place, name, content)
        except NotFound:
            with self._clients.translated(f"making bucket {bucket}"):
                self._made.create_bucket(
                    place, location=self._region, timeout=SLOW_CALL_S, retry=None
                )
            generation = self._create(place, name, content)
        return Source(bucket, name, generation)

    def _create(self, place: Any, name: str, content: bytes) -> int:
        blob = place.blob(name)
        try:
            with self._clients.translated(f"uploading to {place.name}"):
                blob.upload_from_string(
                    content,
                    content_type="application/gzip",
                    if_generation_match=0,
                    checksum="crc32c",
                    timeout=SLOW_CALL_S,
                    retry=None,
                )
        except AlreadyExists:
            with self._clients.translated(f"reading {place.name}/{name}"):
                blob.reload(timeout=SLOW_CALL_S, retry=None)
        return int(blob.generation)
