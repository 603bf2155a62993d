"""The table of least roles, made concrete for a target, compared, and printed."""

import shlex

import pytest

from jobs import access
from jobs.access import Standing, command, grants, script, standing
from jobs.ports import Binding
from jobs.roles import COVERED_BY, LEAST, Case, Who
from tests.preflighted import NUMBER, a_target, policies_of

TARGET = a_target()


def rows(target=TARGET, **known):
    """Return (who, role, resource) of every grant."""
    return {(g.need.who, g.need.role, g.resource) for g in grants(target, **known)}


def cases(target):
    """Return in which cases a target is."""
    return {g.need.case for g in grants(target)} - {Case.ALWAYS}


def test_every_principal_of_the_table_gets_its_rows():
    """Each kind has at least one; secrets are for the job, and no value for the build."""
    found = rows(number=NUMBER)
    secret = "//secretmanager.googleapis.com/projects/vividly-dev-rich/secrets/database-url-dev"

    assert set(Who) - {Who.AGENT} == {who for who, _, _ in found}
    assert (Who.RUNTIME, "roles/secretmanager.secretAccessor", secret) in found
    assert (Who.BUILD, "roles/secretmanager.secretAccessor", secret) not in found
    assert len(LEAST) == len({(n.who, n.role, n.scope) for n in LEAST})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"cloudsql_instance": "p:r:i"}, {Case.CLOUD_SQL}),
        ({"variables": {"MIGRATE_IAM_AUTH": "true"}}, {Case.IAM_LOGIN}),
        ({"subnet": "projects/host/regions/r/subnetworks/s"}, {Case.SHARED_SUBNET}),
        ({"subnet": "s"}, set()),
        (
            {"connector": "projects/host/locations/r/connectors/c"},
            {Case.SHARED_CONNECTOR},
        ),
        ({"image": "us-docker.pkg.dev/other/r/i"}, {Case.OTHER_IMAGE}),
        ({"image": "example.com/i"}, set()),
    ],
)
def test_a_setting_asks_for_its_roles(changes, expected):
    """What is not used is not granted."""
    assert expected == cases(a_target(**changes))


def test_accounts_that_are_not_named_are_the_defaults():
    """The build's is asked for, the job's is named after the project's number."""
    target = a_target(build_service_account="", job_service_account="")
    standard = f"serviceAccount:{NUMBER}-compute@developer.gserviceaccount.com"

    asked = grants(target, number=NUMBER, build_account="b@x")
    unknown = grants(target, person="user:ada@example.com")

    assert {"serviceAccount:b@x"} == {
        g.member for g in asked if g.need.who is Who.BUILD
    }
    assert {standard} == {g.member for g in asked if g.need.who is Who.RUNTIME}
    assert {"user:ada@example.com"} == {
        g.member for g in unknown if g.need.who is Who.SUBMITTER
    }
    assert any("PROJECT_NUMBER" in g.member for g in unknown)
    assert {"user:APPROVER@EXAMPLE.COM"} == {
        g.member for g in unknown if g.need.who is Who.APPROVER
    }


def test_every_grant_is_a_command_that_a_shell_reads():
    """Whatever the resource; and the script says each once, under its principal."""
    target = a_target(
        subnet="projects/host/regions/us-central1/subnetworks/s",
        connector="projects/host/locations/us-central1/connectors/c",
        image="us-docker.pkg.dev/other/r/i",
        cloudsql_instance="p:r:i",
    )
    given = grants(target, number=NUMBER)

    words = [shlex.split(command(grant)) for grant in given]
    text = script([*given, given[0]])

    assert all(w[0] == "gcloud" and "add-iam-policy-binding" in w for w in words)
    assert all(any(x.startswith("--role=roles/") for x in w) for w in words)
    assert {command(g) for g in given} == {
        line for line in text.splitlines() if line.startswith("gcloud")
    }
    assert len({command(g) for g in given}) == text.count("gcloud ")
    assert "# Cloud Run service agent" in text
    assert "# secret rotator" not in script(given[:1])


def test_exactly_the_least_roles_are_held():
    """With them nothing is missing; without one, that one is."""
    policies = policies_of(TARGET)
    given = grants(TARGET, number=NUMBER)

    assert {Standing.HELD} == {standing(g, policies, TARGET.project) for g in given}
    for lost in given:
        if lost.need.role == "roles/run.viewer":
            continue  # the same person's run.developer holds it as well
        others = {
            place: [
                b
                for b in bindings
                if (place, b.role, b.members)
                != (lost.resource, lost.need.role, (lost.member,))
            ]
            for place, bindings in policies.items()
        }
        assert Standing.MISSING is standing(lost, others, TARGET.project)


@pytest.mark.parametrize(("role", "wider"), COVERED_BY.items())
def test_a_wider_role_on_the_project_will_do(role, wider):
    """Nobody has to grant what is held already; another person's role does not count."""
    grant = grants(TARGET, number=NUMBER)[0]._replace(
        need=next(n for n in LEAST if n.role == role)
    )
    project = access.project_resource(TARGET.project)

    for one in wider:
        policies = {grant.resource: [], project: [Binding(one, (grant.member,))]}
        assert Standing.HELD is standing(grant, policies, TARGET.project)
        policies[project] = [Binding(one, ("user:somebody.else@example.com",))]
        assert Standing.MISSING is standing(grant, policies, TARGET.project)


def test_what_cannot_be_seen_is_not_called_missing():
    """A policy that is hidden, or a custom role, may hold what is looked for."""
    grant = grants(TARGET, number=NUMBER)[0]
    project = access.project_resource(TARGET.project)
    custom = Binding("projects/p/roles/own", (grant.member,))
    other = Binding("roles/browser", (grant.member,))

    assert Standing.UNCLEAR is standing(grant, {}, TARGET.project)
    assert Standing.UNCLEAR is standing(grant, {project: [custom]}, TARGET.project)
    assert Standing.MISSING is standing(grant, {project: [other]}, TARGET.project)
