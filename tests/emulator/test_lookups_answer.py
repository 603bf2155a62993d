"""What a preflight asks, over gRPC and over plain HTTP."""

from urllib.parse import quote

import pytest
import requests
from google.api_core import exceptions
from google.cloud import (
    artifactregistry_v1,
    iam_admin_v1,
    resourcemanager_v3,
    service_usage_v1,
    vpcaccess_v1,
)

from tests.fix_emulator import PARENT, PROJECT, REGION
from tests.google_clients import new_name


def test_project_has_a_number(google):
    """A project that exists has a number; another one is not shown."""
    projects = google.client(resourcemanager_v3.ProjectsClient)

    assert PROJECT == projects.get_project(name=f"projects/{PROJECT}").project_id
    with pytest.raises(exceptions.PermissionDenied):
        projects.get_project(name="projects/absent")


def test_apis_are_enabled_or_not(google, emulator):
    """A disabled API says so."""
    usage = google.client(service_usage_v1.ServiceUsageClient)
    names = [f"projects/{PROJECT}/services/{n}.googleapis.com" for n in ("run", "x")]

    answer = usage.batch_get_services(
        request={"parent": f"projects/{PROJECT}", "names": names}
    )

    assert ["ENABLED", "DISABLED"] == [s.state.name for s in answer.services]


def test_service_account_is_found_by_its_address(google, emulator):
    """One that was never made is NOT_FOUND."""
    iam = google.client(iam_admin_v1.IAMClient)
    name = new_name("a")
    emulator.data(service_accounts=[name])
    prefix, domain = f"projects/{PROJECT}/serviceAccounts", "iam.gserviceaccount.com"

    found = iam.get_service_account(name=f"{prefix}/{name}@{PROJECT}.{domain}")

    assert f"{name}@{PROJECT}.{domain}" == found.email
    with pytest.raises(exceptions.NotFound):
        iam.get_service_account(name=f"{prefix}/absent@{PROJECT}.{domain}")


def test_connector_that_is_not_there_says_so_like_in_the_seeds(google, emulator):
    """The refusal names the resource, word for word."""
    vpc = google.client(vpcaccess_v1.VpcAccessServiceClient)
    name = new_name("c")
    emulator.data(connectors=[name])

    assert "READY" == vpc.get_connector(name=f"{PARENT}/connectors/{name}").state.name
    with pytest.raises(exceptions.NotFound, match="connectors/absent' was not found"):
        vpc.get_connector(name=f"{PARENT}/connectors/absent")


def test_images_of_a_repository_are_listed(google, emulator):
    """A pushed image is found with its digest and tags."""
    registry = google.client(artifactregistry_v1.ArtifactRegistryClient)
    repository = new_name("r")
    emulator.data(
        repositories=[repository],
        images={f"{REGION}-docker.pkg.dev/{PROJECT}/{repository}/app:v1": {}},
    )
    parent = f"{PARENT}/repositories/{repository}"

    (image,) = registry.list_docker_images(parent=parent)
    tag = registry.get_tag(name=f"{parent}/packages/app/tags/v1")

    assert ["v1"] == list(image.tags)
    assert image.uri.endswith(tag.version.rsplit("/", 1)[1])
    assert image.name == registry.get_docker_image(name=image.name).name
    with pytest.raises(exceptions.NotFound):
        registry.get_repository(name=f"{PARENT}/repositories/absent")


@pytest.mark.parametrize(
    ("method", "path", "key", "value"),
    [
        ("GET", f"/v1/projects/{PROJECT}", "projectNumber", "123456789012"),
        (
            "GET",
            f"/v1/projects/{PROJECT}/services/run.googleapis.com",
            "state",
            "ENABLED",
        ),
        ("POST", f"/v1/projects/{PROJECT}:getIamPolicy", "version", 1),
        ("GET", f"/v2/{PARENT}/jobs", None, None),
        ("GET", f"/v1/{PARENT}/builds", None, None),
    ],
)
def test_same_answers_over_http(emulator, method, path, key, value):
    """The RPCs are there over plain HTTP too, by Google's own rules."""
    answer = requests.request(method, emulator.rest + path, timeout=10)

    assert 200 == answer.status_code
    assert value == answer.json().get(key)


def test_several_names_in_a_query_are_all_read(emulator):
    """A repeated field of a query is a list."""
    names = [f"projects/{PROJECT}/services/{n}.googleapis.com" for n in ("run", "iam")]

    answer = requests.get(
        f"{emulator.rest}/v1/projects/{PROJECT}/services:batchGet",
        params={"names": names},
        timeout=10,
    )

    assert ["ENABLED"] * 2 == [s["state"] for s in answer.json()["services"]]


def test_subnetwork_has_its_range(emulator):
    """Compute is asked over HTTP only."""
    emulator.data(subnetworks=[{"name": "inner", "range": "10.9.0.0/26"}])
    base = f"{emulator.rest}/compute/v1/projects/{PROJECT}/regions/{REGION}/subnetworks"

    assert (
        "10.9.0.0/26" == requests.get(f"{base}/inner", timeout=10).json()["ipCidrRange"]
    )
    refused = requests.get(f"{base}/absent", timeout=10)
    assert 404 == refused.status_code
    assert "was not found" in refused.json()["error"]["message"]


def test_metadata_server_gives_a_token_for_an_account(emulator):
    """A process is known by the address that it was given."""
    url = f"{emulator.rest}/as/a@x.iam.gserviceaccount.com/computeMetadata/v1"

    told = requests.get(
        f"{url}/instance/service-accounts/default/token",
        headers={"Metadata-Flavor": "Google"},
        timeout=10,
    )

    assert "Google" == told.headers["Metadata-Flavor"]
    assert told.json()["access_token"].startswith("emulator.")


def test_page_is_there_for_people(emulator):
    """The page is served, and the state it asks for as well."""
    page = requests.get(f"{emulator.rest}/", timeout=10)

    assert "text/html" in page.headers["Content-Type"]
    assert "/_emulator/state" in page.text
    assert PROJECT == emulator.state()["project"]


def test_what_nothing_carries_out_is_unimplemented(google):
    """An RPC that is in the table and not carried out says so."""
    projects = google.client(resourcemanager_v3.ProjectsClient)

    with pytest.raises(exceptions.MethodNotImplemented):
        projects.list_projects(parent="folders/1")


def test_accounts_connectors_repositories_and_apis_can_be_made(google):
    """A world can be furnished through Google's own calls."""
    home = f"projects/{PROJECT}"
    iam = google.client(iam_admin_v1.IAMClient)
    vpc = google.client(vpcaccess_v1.VpcAccessServiceClient)
    registry = google.client(artifactregistry_v1.ArtifactRegistryClient)
    usage = google.client(service_usage_v1.ServiceUsageClient)
    name = new_name("a")

    account = iam.create_service_account(request={"name": home, "account_id": name})
    connector = vpc.create_connector(
        parent=PARENT, connector_id=name, connector={"network": "default"}
    ).result(timeout=10)
    repository = registry.create_repository(
        parent=PARENT, repository_id=name, repository={"format_": "DOCKER"}
    ).result(timeout=10)
    usage.enable_service(request={"name": f"{home}/services/{name}"}).result(timeout=10)

    assert account.email in {a.email for a in iam.list_service_accounts(name=home)}
    assert connector.name in {c.name for c in vpc.list_connectors(parent=PARENT)}
    assert repository.name in {
        r.name for r in registry.list_repositories(parent=PARENT)
    }
    assert any(
        s.config.name == name for s in usage.list_services(request={"parent": home})
    )
    with pytest.raises(exceptions.AlreadyExists):
        iam.create_service_account(request={"name": home, "account_id": name})
    with pytest.raises(exceptions.AlreadyExists):
        registry.create_repository(
            parent=PARENT, repository_id=name, repository={"format_": "DOCKER"}
        )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("project/project-id", PROJECT),
        ("project/numeric-project-id", "123456789012"),
        ("universe/universe-domain", "googleapis.com"),
        ("instance/service-accounts/default/email", "developer@example.com"),
        ("instance/service-accounts/default/", "cloud-platform"),
    ],
)
def test_metadata_server_knows_the_project(emulator, path, text):
    """What a client library asks at its start."""
    told = requests.get(f"{emulator.rest}/computeMetadata/v1/{path}", timeout=10)

    assert text in told.text


def test_network_is_looked_up(emulator):
    """The default one is there."""
    base = f"{emulator.rest}/compute/v1/projects/{PROJECT}/global/networks"

    assert 200 == requests.get(f"{base}/default", timeout=10).status_code
    assert 404 == requests.get(f"{base}/absent", timeout=10).status_code


def test_lookups_need_permissions_too(emulator):
    """Over plain HTTP as over gRPC."""
    emulator.policy(bindings=[])
    paths = (
        f"/compute/v1/projects/{PROJECT}/global/networks/default",
        f"/v1/projects/{PROJECT}",
        f"/v1/projects/{PROJECT}/services/run.googleapis.com",
    )

    told = [requests.get(emulator.rest + path, timeout=10) for path in paths]

    assert [403] * 3 == [answer.status_code for answer in told]


def test_log_can_be_read_for_the_page(emulator, google):
    """The page asks from where it has read to."""
    execution = google.run(google.job(google.python("print('one'); print('two')")))
    wanted = f'resource.labels.job_name="{execution.job}"'

    told = emulator.get(f"/_emulator/log?from=1&filter={quote(wanted)}")

    assert ["two", "Container called exit(0)."] == [
        line["text"] for line in told["lines"]
    ]
    assert 3 == told["next"]


def test_reset_forgets_what_ran(start_emulator, tmp_path):
    """Builds, jobs, executions and logs go; what was given stays."""
    from tests.google_clients import Google

    running = start_emulator(
        "--image", f"x/y:1={tmp_path}", data={"secrets": {"kept": "x"}}
    )
    google = Google(running)
    google.run(google.job(google.python("print('hello')")))

    running.reset()

    state = running.state()
    assert ([], []) == (state["jobs"], state["executions"])
    assert [] == google.entries("")
    kept = f"projects/{PROJECT}/secrets/kept"
    assert kept == google.secrets.get_secret(name=kept).name
    assert "x/y" in {image["name"] for image in state["images"]}
    google.close()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/_emulator/faults", [{"at": "moon"}]),
        ("/_emulator/data", {"unknown": []}),
        ("/_emulator/policy", {"bindings": 3}),
    ],
)
def test_own_door_refuses_slips(emulator, path, told):
    """A fault, a fixture or a policy with a slip in it changes nothing."""
    answer = requests.post(emulator.rest + path, json=told, timeout=10)

    assert 400 == answer.status_code


def test_path_that_nobody_serves_is_not_found(emulator):
    """An unknown path is 404 with Google's form of an error."""
    answer = requests.get(f"{emulator.rest}/v9/nothing", timeout=10)

    assert 404 == answer.json()["error"]["code"]
