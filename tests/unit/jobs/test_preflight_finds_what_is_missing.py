"""Facts about a project become findings: what holds, what forbids the launch, and the cure."""

import json

import pytest

from jobs import doctor
from jobs.facts import Unreadable
from jobs.findings import Weight, fatal
from jobs.ports import SecretVersion
from jobs.settings import JobMode
from tests.preflighted import (
    AWAY,
    DENIED,
    DIRECT,
    a_target,
    judged,
    only,
    some_facts,
    troubles,
)


def test_nothing_keeps_a_right_environment_from_being_launched():
    """Every check answers, and each answer is fine."""
    found = judged()

    assert {Weight.FINE} == {f.weight for f in found}
    assert {"project", "apis", "name", "busy", "secret", "address", "connector"} <= {
        f.check for f in found
    }
    assert {"build-file", "source", "image", "migrations", "account", "role"} <= {
        f.check for f in found
    }


REMOTE = {
    "a project that is not there": (
        {"number": None},
        "project",
        "(or it may not exist)",
        "gcloud projects list",
    ),
    "a project that may not be seen": (
        {"number": DENIED},
        "project",
        "permission",
        "gcloud projects list",
    ),
    "an API that is off": (
        {"services": frozenset({"run.googleapis.com"})},
        "apis",
        "has not been used in project",
        "gcloud services enable artifactregistry.googleapis.com",
    ),
    "another launch": (
        {"busy": ("build 4a26bed8",)},
        "busy",
        "waits for the first one's lock",
        "jobs logs dev --follow",
    ),
    "no secret": (
        {"secret": None, "address": None},
        "secret",
        "not found or has no versions",
        "secret set-url dev --new",
    ),
    "a disabled version": (
        {"secret": SecretVersion("s", "4", "DISABLED"), "address": None},
        "secret",
        "is in DISABLED state",
        "gcloud secrets versions enable 4",
    ),
    "a secret that is no address": (
        {"address": Unreadable("it is empty")},
        "address",
        "invalid dsn",
        "secret set-url dev --new",
    ),
    "no connector": (
        {"connector": None},
        "connector",
        f"Resource '{a_target().connector_name}' was not found",
        "gcloud compute networks vpc-access connectors create dev-cloud-run-connector",
    ),
    "a connector in the making": (
        {"connector": "CREATING"},
        "connector",
        "not ready",
        "connectors describe",
    ),
    "no repository": (
        {"repository": False},
        "repository",
        'Repository "vividly" not found',
        "gcloud artifacts repositories create vividly",
    ),
    "no service account": (
        {"accounts": {"a@vividly-dev-rich.iam.gserviceaccount.com": False}},
        "account",
        "does not exist",
        "gcloud iam service-accounts create a --project=vividly-dev-rich",
    ),
}


@pytest.mark.parametrize(
    ("facts", "check", "why", "cure"), REMOTE.values(), ids=list(REMOTE)
)
def test_what_is_missing_forbids_the_launch(facts, check, why, cure):
    """The finding has the service's words, and a command that can be pasted."""
    found = only(**facts)

    assert (check, Weight.FATAL) == (found.check, found.weight)
    assert why in found.why
    assert cure in found.cure


def test_direct_egress_needs_its_subnet():
    """It exists, and has room for the addresses of a job."""
    target = a_target(**DIRECT)

    assert [] == troubles(target)
    assert "networks subnets create migrations" in only(target, subnet=None).cure
    assert [("subnet", "warning")] == troubles(target, subnet="10.0.0.0/28")
    assert [("subnet", "warning")] == troubles(target, subnet=DENIED)
    assert [] == troubles(target, subnet="odd")
    without = a_target(**{**DIRECT, "network": ""})
    assert "--network=default" in only(without, subnet=None).cure


UNASKED = ("services", "busy", "secret", "address", "connector", "repository", "bucket")


@pytest.mark.parametrize("field", UNASKED)
@pytest.mark.parametrize("unknown", [DENIED, AWAY])
def test_what_could_not_be_asked_is_a_warning(field, unknown):
    """It never forbids; where a role is missing, the finding names it."""
    found = only(**{field: unknown})

    assert Weight.WARNING is found.weight
    assert "not checked" in found.what
    assert ("grant roles/" in found.cure) is unknown.denied


def test_a_project_that_could_not_be_asked_about_is_a_warning():
    """The network may be down; its number is then not known either."""
    assert ("project", "warning") in troubles(number=AWAY)


def test_names_must_fit():
    """Both modes; the cure names the file."""
    long = a_target(env="a" * 30, name="b" * 30)

    assert [("name", "fatal")] == troubles(long)[:1]
    assert [("name", "fatal")] == troubles(long._replace(job_mode=JobMode.STABLE))[:1]
    assert [] == troubles(a_target(job_mode=JobMode.STABLE))
    assert "environments/dev.yaml" in only(a_target(name="b" * 60)).cure


def test_images_outside_artifact_registry_and_new_buckets_are_no_obstacle():
    """The first cannot be looked at; the second is made by the upload."""
    assert [] == troubles(a_target(image="example.com/own/image"), repository=None)
    assert [("bucket", "warning")] == troubles(bucket=False)


def test_apis_are_asked_for_by_settings():
    """A connector needs one more, a subnet another, an instance a third."""
    on = frozenset(
        f"{name}.googleapis.com"
        for name in (
            "artifactregistry", "cloudbuild", "logging", "run", "secretmanager", "storage",
        )
    )  # fmt: skip
    target = a_target(**DIRECT, cloudsql_instance="p:r:i")

    assert "vpcaccess" in only(services=on).what
    found = next(f for f in judged(target, services=on) if f.check == "apis")
    assert "compute.googleapis.com, sqladmin.googleapis.com" in found.what


# --- told -----------------------------------------------------------------------------


def test_a_finding_may_be_ignored_by_name():
    """For a role that a folder gives, which nobody sees from here."""
    target = a_target()
    facts = some_facts(target, connector=None, repository=False)

    assert 2 == len(fatal(doctor.judged(target, facts)))
    assert 1 == len(fatal(doctor.judged(target, facts, ["connector"])))
    assert () == fatal(doctor.judged(target, facts, ["all"]))


def test_findings_are_told_to_people_and_to_machines():
    """With why and cure; quietly, only what is not fine."""
    findings = judged(connector=None, bucket=False)

    text = doctor.as_text("dev", findings, quiet=False)
    quiet = doctor.as_text("dev", findings, quiet=True)
    lines = [
        json.loads(line)
        for line in doctor.as_json("dev", findings, quiet=True).splitlines()
    ]
    good = doctor.as_text("dev", judged(), quiet=True)

    assert "✗ connector: there is no VPC connector dev-cloud-run-connector" in text
    assert "→ gcloud compute networks vpc-access connectors create" in text
    assert "✓" in text
    assert "✓" not in quiet
    assert text.endswith("1 of 17 findings would make a launch of dev fail")
    assert ["fatal", "warning"] == [line.get("weight") for line in lines[:-1]]
    assert {"event": "Examined", "env": "dev", "findings": 17, "forbid": 1} == lines[-1]
    assert "nothing keeps dev from being launched" == good
    assert 17 == len(doctor.as_json("dev", judged(), quiet=False).splitlines()) - 1


def test_without_a_project_nothing_in_it_is_judged():
    """One finding instead of fifteen that say the same; the checkout is judged still."""
    found = judged(number=None, connector=None, repository=False)

    assert ["project"] == [f.check for f in fatal(found)]
    assert {"project", "build-file", "source", "image", "migrations"} == {
        f.check for f in found
    }
