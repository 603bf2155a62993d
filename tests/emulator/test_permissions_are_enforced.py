"""With a policy, what is not granted is refused, in Google's words."""

import subprocess

import pytest
from google.api_core import exceptions
from google.auth import jwt
from google.auth.crypt import RSASigner
from google.cloud import resourcemanager_v3, run_v2
from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.fix_emulator import PARENT, PROJECT
from tests.google_clients import Google, new_name

LAUNCHER = f"launcher@{PROJECT}.iam.gserviceaccount.com"
RUNTIME = f"runtime@{PROJECT}.iam.gserviceaccount.com"
BUILDER = f"builder@{PROJECT}.iam.gserviceaccount.com"
DEVELOPER = {"principal": LAUNCHER, "role": "roles/run.developer"}
ACT_AS = {
    "principal": LAUNCHER,
    "role": "roles/iam.serviceAccountUser",
    "on": f"serviceAccounts/{RUNTIME}",
}


def accessor(secret):
    """Grant the runtime account its secret."""
    role = "roles/secretmanager.secretAccessor"
    return {"principal": RUNTIME, "role": role, "on": f"secrets/{secret}"}


@pytest.fixture
def secret(emulator):
    """Make a secret with a version."""
    name = new_name("s")
    emulator.data(secrets={name: ["hush"]})
    return name


def a_job(google, secret, image):
    """Create a job that runs as the runtime account and asks for a secret."""
    reference = run_v2.SecretKeySelector(secret=secret, version="1")
    variable = run_v2.EnvVar(
        name="KEY", value_source=run_v2.EnvVarSource(secret_key_ref=reference)
    )
    return google.job(image, service_account=RUNTIME, container={"env": [variable]})


def test_least_roles_are_enough(google, google_as, emulator, secret):
    """Create, run, look and delete with exactly what is needed."""
    image = google.python("import os; print(len(os.environ['KEY']))")
    viewer = {"principal": LAUNCHER, "role": "roles/logging.viewer"}
    emulator.policy(bindings=[DEVELOPER, ACT_AS, accessor(secret), viewer])
    launcher = google_as(LAUNCHER)

    execution = launcher.run(a_job(launcher, secret, image))

    assert ["4"] == launcher.lines(execution)
    launcher.jobs.delete_job(name=execution.name.partition("/executions/")[0]).result()


def test_role_that_is_missing_is_named_by_its_permission(google, google_as, emulator):
    """Cloud Run names the permission and the resource."""
    emulator.policy(bindings=[{"principal": LAUNCHER, "role": "roles/run.viewer"}])

    with pytest.raises(
        exceptions.PermissionDenied, match=r"Permission 'run\.jobs\.create' denied on"
    ):
        google_as(LAUNCHER).job("image")


def test_job_needs_the_right_to_act_as_its_account(google, google_as, emulator, secret):
    """Without serviceAccountUser on the runtime account there is no job."""
    image = google.python("")
    emulator.policy(bindings=[DEVELOPER, accessor(secret)])

    with pytest.raises(
        exceptions.PermissionDenied, match=r"iam\.serviceAccounts\.actAs"
    ):
        a_job(google_as(LAUNCHER), secret, image)


def test_job_whose_account_may_not_read_the_secret_does_not_become_ready(
    google, google_as, emulator, secret
):
    """Access is checked when the job is created, and the role is named."""
    image = google.python("")
    emulator.policy(bindings=[DEVELOPER, ACT_AS])

    with pytest.raises(
        exceptions.GoogleAPICallError, match="Secret Manager Secret Acc"
    ):
        a_job(google_as(LAUNCHER), secret, image)


def test_grant_on_one_secret_is_none_on_another(google, google_as, emulator, secret):
    """A binding on a resource covers that resource only."""
    other = new_name("s")
    emulator.data(secrets={other: ["x"]})
    emulator.policy(bindings=[accessor(secret)])
    runtime = google_as(RUNTIME).secrets
    prefix = f"projects/{PROJECT}/secrets"

    payload = runtime.access_secret_version(
        name=f"{prefix}/{secret}/versions/1"
    ).payload

    assert b"hush" == payload.data
    with pytest.raises(
        exceptions.PermissionDenied, match=r"versions\.access' denied for"
    ):
        runtime.access_secret_version(name=f"{prefix}/{other}/versions/1")


def test_build_needs_its_roles_and_its_account_needs_its_own(google_as, emulator):
    """The submitter may build as the account; the account must be allowed to push."""
    repository = new_name("r")
    emulator.data(repositories=[repository], service_accounts=[BUILDER])
    editor = {"principal": LAUNCHER, "role": "roles/cloudbuild.builds.editor"}
    act = {**ACT_AS, "on": f"serviceAccounts/{BUILDER}"}
    emulator.policy(bindings=[editor, act])
    image = f"europe-west1-docker.pkg.dev/{PROJECT}/{repository}/x:1"
    step = cloudbuild.BuildStep(
        name="bash",
        script=f"echo 'FROM scratch' > Dockerfile; docker build -t {image} .",
    )

    build = google_as(LAUNCHER).build(
        step,
        images=[image],
        service_account=f"projects/{PROJECT}/serviceAccounts/{BUILDER}",
        options=cloudbuild.BuildOptions(logging="CLOUD_LOGGING_ONLY"),
    )

    assert "PUSH_NOT_AUTHORIZED" == build.failure_info.type_.name
    with pytest.raises(exceptions.PermissionDenied, match="caller does not have perm"):
        google_as(RUNTIME).builds.get_build(request={"name": build.name})


def test_log_reader_without_a_role_sees_no_views(google_as, emulator):
    """Cloud Logging speaks of views."""
    emulator.policy(bindings=[])

    with pytest.raises(exceptions.PermissionDenied, match="denied for all log views"):
        google_as(LAUNCHER).entries("")


def test_permissions_can_be_tested(google_as, emulator):
    """TestIamPermissions answers with what the caller has."""
    emulator.policy(bindings=[DEVELOPER])
    projects = google_as(LAUNCHER).client(resourcemanager_v3.ProjectsClient)

    answer = projects.test_iam_permissions(
        resource=f"projects/{PROJECT}",
        permissions=["run.jobs.create", "cloudbuild.builds.create"],
    )

    assert ["run.jobs.create"] == list(answer.permissions)


def test_policies_can_be_read_and_set(google, emulator):
    """GetIamPolicy shows the bindings of a resource, SetIamPolicy replaces them."""
    owner = {"principal": "allUsers", "role": "roles/owner"}
    emulator.policy(bindings=[owner])
    projects = google.client(resourcemanager_v3.ProjectsClient)
    resource = f"projects/{PROJECT}"
    kept = projects.get_iam_policy(resource=resource)

    kept.bindings.add(role="roles/run.viewer", members=[f"serviceAccount:{RUNTIME}"])
    projects.set_iam_policy(request={"resource": resource, "policy": kept})

    bound = {
        b.role: list(b.members)
        for b in projects.get_iam_policy(resource=resource).bindings
    }
    assert [f"serviceAccount:{RUNTIME}"] == bound["roles/run.viewer"]


def test_caller_is_known_by_a_self_signed_token(emulator, tmp_path):
    """A service account's key is enough: its own token names it."""
    key = tmp_path / "key.pem"
    made = [
        "openssl",
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
    ]
    subprocess.run([*made, "-out", key], check=True, capture_output=True)
    signer = RSASigner.from_string(key.read_text())
    token = jwt.encode(signer, {"sub": LAUNCHER, "iss": LAUNCHER}).decode()
    emulator.policy(bindings=[DEVELOPER])
    known = Google(emulator)

    listed = known.jobs.list_jobs(
        parent=PARENT, metadata=[("authorization", f"Bearer {token}")]
    )

    assert list(listed) is not None
    with pytest.raises(exceptions.PermissionDenied):
        list(known.jobs.list_jobs(parent=PARENT))
    known.close()


def test_project_that_does_not_exist_is_denied_and_not_missing(google):
    """Also without a policy: Google tells nobody which projects there are not."""
    parent = "projects/no-such-project/locations/europe-west1"

    with pytest.raises(exceptions.PermissionDenied):
        google.builds.list_builds({"parent": parent, "project_id": "x"}, timeout=10)
    with pytest.raises(exceptions.PermissionDenied, match=r"run\.jobs\.list"):
        google.jobs.list_jobs({"parent": parent}, timeout=10)


def test_policy_file_with_an_unknown_role_is_refused(emulator):
    """A slip in a policy must not silently grant nothing."""
    with pytest.raises(Exception, match="400"):
        emulator.policy(bindings=[{"principal": "x", "role": "roles/run.devloper"}])


def test_roles_hold_the_permissions_they_are_asked_for():
    """Every permission of the table is in some role."""
    from emulator.policy import PERMISSIONS, ROLES

    held = {permission for role in ROLES.values() for permission in role}

    assert [] == sorted(set(PERMISSIONS.values()) - held)
