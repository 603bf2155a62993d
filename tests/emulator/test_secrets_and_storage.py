"""Secret Manager and Cloud Storage, by Google's clients."""

import io

import google_crc32c
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2, secretmanager_v1
from google.cloud.storage import Client

from tests.fix_emulator import PROJECT
from tests.google_clients import new_name

STATE = secretmanager_v1.SecretVersion.State
HOME = f"projects/{PROJECT}"
AUTOMATIC: dict[str, object] = {"replication": {"automatic": {}}}


@pytest.fixture
def secret(google):
    """Make a secret without a version."""
    made = google.secrets.create_secret(
        parent=HOME, secret_id=new_name("s"), secret=AUTOMATIC
    )
    return made.name


@pytest.fixture
def bucket(emulator):
    """Give a bucket through the official client."""
    client = Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": emulator.rest},
    )
    yield client.create_bucket(new_name("b"))
    client.close()


def add(google, secret, data=b"value"):
    """Add a version; give its name."""
    payload = {"data": data, "data_crc32c": google_crc32c.value(data)}
    return google.secrets.add_secret_version(parent=secret, payload=payload).name


def test_version_is_read_back_with_its_checksum(google, secret):
    """What was added is what is accessed, and the checksum proves it."""
    version = add(google, secret, b"postgresql://u:p@h/d")

    payload = google.secrets.access_secret_version(name=version).payload

    assert b"postgresql://u:p@h/d" == payload.data
    assert google_crc32c.value(payload.data) == payload.data_crc32c


def test_wrong_checksum_is_refused(google, secret):
    """A payload that was damaged on its way is not kept."""
    with pytest.raises(exceptions.InvalidArgument):
        google.secrets.add_secret_version(
            parent=secret, payload={"data": b"x", "data_crc32c": 1}
        )


def test_latest_is_the_newest_even_when_it_is_disabled(google, secret):
    """``latest`` does not fall back to a version that could be read."""
    add(google, secret, b"old")
    google.secrets.disable_secret_version(name=add(google, secret, b"new"))

    with pytest.raises(exceptions.FailedPrecondition, match="DISABLED"):
        google.secrets.access_secret_version(name=f"{secret}/versions/latest")


def test_versions_are_listed_newest_first_and_by_state(google, secret):
    """A list can be cut down to what is enabled."""
    first, second = add(google, secret), add(google, secret)
    google.secrets.disable_secret_version(name=second)

    every = google.secrets.list_secret_versions(parent=secret)
    enabled = google.secrets.list_secret_versions(
        request={"parent": secret, "filter": "state:ENABLED"}
    )

    assert [second, first] == [version.name for version in every]
    assert [first] == [version.name for version in enabled]


def test_disabled_can_be_enabled_and_destroyed_cannot(google, secret):
    """Destruction is the end."""
    version = add(google, secret)
    google.secrets.disable_secret_version(name=version)

    assert STATE.ENABLED == google.secrets.enable_secret_version(name=version).state
    google.secrets.destroy_secret_version(name=version)
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
        google.secrets.enable_secret_version(name=version)


def test_secret_and_version_that_are_not_there_are_not_found(google, secret):
    """Both are NOT_FOUND."""
    for name in (f"{HOME}/secrets/absent/versions/1", f"{secret}/versions/1"):
        with pytest.raises(exceptions.NotFound):
            google.secrets.access_secret_version(name=name)


def test_secret_reaches_the_task_and_not_the_log(google, secret):
    """A job's secret is injected when its task starts."""
    add(google, secret, b"hush")
    reference = run_v2.SecretKeySelector(secret=secret.rsplit("/", 1)[1], version="1")
    source = run_v2.EnvVarSource(secret_key_ref=reference)
    variable = run_v2.EnvVar(name="KEY", value_source=source)
    image = google.python("import os; print(len(os.environ['KEY']))")

    execution = google.run(google.job(image, container={"env": [variable]}))

    assert ["4"] == google.lines(execution)


def test_upload_is_read_back_by_generation(bucket):
    """An object keeps its bytes, its size and its generation."""
    data = bytes(range(256)) * 100 + b"\r\n--\r\n"
    blob = bucket.blob("source/one.tgz")

    blob.upload_from_string(
        data, content_type="application/gzip", if_generation_match=0
    )

    assert len(data) == blob.size
    again = bucket.blob("source/one.tgz", generation=blob.generation)
    assert data == again.download_as_bytes()


def test_upload_that_must_be_new_is_refused_the_second_time(bucket):
    """``if_generation_match=0`` is create-only."""
    bucket.blob("x").upload_from_string(b"1", if_generation_match=0)

    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("x").upload_from_string(b"2", if_generation_match=0)


def test_large_upload_goes_in_pieces(bucket):
    """A resumable upload arrives whole."""
    data = b"0123456789abcdef" * 40_000
    blob = bucket.blob("large", chunk_size=256 * 1024)

    blob.upload_from_file(io.BytesIO(data))

    assert data == bucket.blob("large").download_as_bytes()


def test_bucket_that_is_not_there_is_not_found(bucket):
    """A bucket is looked for, and made, by whoever uploads."""
    client = bucket.client

    assert client.lookup_bucket("absent") is None
    assert bucket.name == client.get_bucket(bucket.name).name
    with pytest.raises(exceptions.Conflict):
        client.create_bucket(bucket.name)


def test_bytes_survive_a_plain_multipart_upload(emulator, bucket):
    """The parts are cut by bytes, never as text."""
    data = b"\x00\r\n\xff\r\n"
    body = (
        b'--B\r\nContent-Type: application/json\r\n\r\n{"name": "raw"}\r\n'
        b"--B\r\nContent-Type: application/gzip\r\n\r\n" + data + b"\r\n--B--\r\n"
    )

    answer = requests.post(
        f"{emulator.rest}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart",
        data=body,
        headers={"Content-Type": "multipart/related; boundary=B"},
        timeout=10,
    )

    assert str(len(data)) == answer.json()["size"]
    assert data == bucket.blob("raw").download_as_bytes()


def test_objects_are_listed_looked_at_and_deleted(bucket):
    """By prefix; what is deleted is not found."""
    for name in ("a/1", "a/2", "b"):
        bucket.blob(name).upload_from_string(b"x")

    assert ["a/1", "a/2"] == [blob.name for blob in bucket.list_blobs(prefix="a/")]
    bucket.get_blob("a/1").delete()
    assert bucket.get_blob("a/1") is None
    with pytest.raises(exceptions.NotFound):
        bucket.blob("a/1").download_as_bytes()


def test_buckets_of_a_project_are_listed_by_prefix(bucket):
    """An upload looks whether its bucket is its own project's."""
    found = bucket.client.list_buckets(prefix=bucket.name)

    assert [bucket.name] == [b.name for b in found]


def test_bucket_has_a_policy(bucket, emulator):
    """Bindings on a bucket, and what the caller may do with it."""
    binding = {
        "principal": "allUsers",
        "role": "roles/storage.admin",
        "on": f"buckets/{bucket.name}",
    }
    emulator.policy(bindings=[binding])

    assert "roles/storage.admin" in bucket.get_iam_policy()
    assert ["storage.objects.create"] == bucket.test_iam_permissions(
        ["storage.objects.create", "storage.nothing"]
    )


def test_storage_without_a_role_is_forbidden(bucket, emulator):
    """The permission is named."""
    emulator.policy(bindings=[])

    with pytest.raises(exceptions.Forbidden, match=r"storage\.objects\.create"):
        bucket.blob("x").upload_from_string(b"x")


def test_secrets_are_listed_and_deleted(google, secret):
    """A deleted secret is gone with its versions, and cannot be made twice before."""
    assert secret in {s.name for s in google.secrets.list_secrets(parent=HOME)}
    with pytest.raises(exceptions.AlreadyExists):
        google.secrets.create_secret(
            parent=HOME, secret_id=secret.rsplit("/", 1)[1], secret=AUTOMATIC
        )

    google.secrets.delete_secret(name=secret)

    with pytest.raises(exceptions.NotFound):
        google.secrets.get_secret(name=secret)


def test_secret_needs_a_replication_and_has_a_size(google, secret):
    """Both are INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument):
        google.secrets.create_secret(parent=HOME, secret_id=new_name("s"), secret={})
    with pytest.raises(exceptions.InvalidArgument):
        add(google, secret, b"x" * (64 * 1024 + 1))


def test_etag_that_does_not_match_is_refused(google, secret):
    """Nobody disables a version that has changed meanwhile."""
    version = add(google, secret)

    with pytest.raises(exceptions.FailedPrecondition):
        google.secrets.disable_secret_version(request={"name": version, "etag": "old"})
    assert version == google.secrets.get_secret_version(name=version).name
