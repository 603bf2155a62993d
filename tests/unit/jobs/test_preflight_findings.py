"""Facts become findings: what holds, what forbids the launch and why, and the cure."""

import json

import pytest

from jobs import access, doctor
from jobs.address import Address
from jobs.facts import Unknown, Unreadable
from jobs.findings import Weight, fatal
from jobs.imagefiles import Stage, image_of
from jobs.ports import Binding, SecretVersion
from jobs.roles import LEAST, Who
from jobs.settings import Egress, JobMode
from tests.preflighted import (
    DOCKERFILE,
    DOCUMENT,
    NUMBER,
    UPLOADED,
    a_target,
    policies_of,
    some_facts,
)

SEEDS_SOCKET = "/cloudsql/vividly-dev-rich:us-central1:dev-vividly-db"
DENIED, AWAY = Unknown("no", denied=True), Unknown("gone")


def judged(target=None, **facts):
    """Judge a target and its facts."""
    target = target or a_target()
    return doctor.judged(target, some_facts(target, **facts))


def troubles(target=None, **facts):
    """Return (check, weight) of all that is not fine."""
    return [
        (f.check, f.weight.value)
        for f in judged(target, **facts)
        if f.weight is not Weight.FINE
    ]


def only(target=None, **facts):
    """Return the one finding that is not fine."""
    (found,) = [f for f in judged(target, **facts) if f.weight is not Weight.FINE]
    return found


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


DIRECT = {"connector": "", "network": "default", "subnet": "migrations"}


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


def address(text, target=None, **facts):
    """Judge an address alone."""
    target = target or a_target()
    found = judged(target, address=Address.parse(text), **facts)
    return [f for f in found if f.check == "address"]


def test_the_seeds_url_is_caught():
    """The socket form where no socket is mounted: build #4b, before it is submitted."""
    (found,) = address(f"postgresql://vividly:s3cret@/vividly?host={SEEDS_SOCKET}")

    assert Weight.FATAL is found.weight
    assert f'on socket "{SEEDS_SOCKET}/.s.PGSQL.5432" failed: No such file' in found.why
    assert (
        "cloudsql_instance: vividly-dev-rich:us-central1:dev-vividly-db" in found.what
    )
    assert (
        "python -m jobs secret set-url dev --connection connector --host PRIVATE_IP"
        == found.cure
    )
    assert "s3cret" not in "".join(map(str, found))


MOUNTED = {"cloudsql_instance": "p:r:i"}
FINE, WARNING, FATAL = Weight.FINE, Weight.WARNING, Weight.FATAL
ADDRESSES = [
    ("postgresql://u:p@/v?host=/cloudsql/p:r:i", MOUNTED, {}, FINE),
    (
        "postgresql://u:p@/v?host=/cloudsql/p:r:i",
        {**MOUNTED, "egress": Egress.ALL_TRAFFIC},
        {},
        WARNING,
    ),
    ("postgresql://u:p@/v?host=/cloudsql/p:r:other", MOUNTED, {}, FATAL),
    ("postgresql://u:p@/v?host=/var/run/postgresql", {}, {}, FATAL),
    ("postgresql://u:p@/v?host=/tmp", {}, {"here": True}, FATAL),
    (
        "postgresql://u@/v?host=/tmp",
        {},
        {"here": True, "sockets": frozenset({"/tmp/.s.PGSQL.5432"})},
        FINE,
    ),
    ("postgresql://u:p@/v", {}, {}, FATAL),
    ("postgresql://u:p@/v", {"variables": {"PGHOST": "10.0.0.3"}}, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", {}, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", DIRECT, {}, FINE),
    ("postgresql://u:p@10.0.0.3/v", {"connector": ""}, {}, FATAL),
    ("postgresql://u:p@127.0.0.1/v", {}, {}, FATAL),
    ("postgresql://u:p@127.0.0.1/v", {}, {"here": True}, FINE),
    ("postgresql://u:p@db.example.com/v", {}, {}, FINE),
    ("postgresql://u:p@db.example.com/v", MOUNTED, {}, WARNING),
]


@pytest.mark.parametrize(("text", "settings", "facts", "weight"), ADDRESSES)
def test_an_address_must_fit_the_network(text, settings, facts, weight):
    """Each form needs something of the job; without it the launch would fail."""
    (found,) = address(text, a_target(**settings), **facts)

    assert weight is found.weight
    assert bool(found.why and found.cure) is (weight is FATAL)


def test_a_socket_path_may_be_too_long():
    """Linux takes 107 bytes: long names of project, region and instance exceed them."""
    instance = "p:r:" + "i" * 99

    (found,) = address(
        f"postgresql://u:p@/v?host=/cloudsql/{instance}",
        a_target(cloudsql_instance=instance),
    )

    assert "is too long" in found.why


def test_an_address_without_a_password_is_told():
    """Unless a token is used."""
    text = "postgresql://u@10.0.0.3/v"
    token = a_target(variables={"MIGRATE_IAM_AUTH": "true"})

    assert [FINE, WARNING] == [f.weight for f in address(text)]
    assert [FINE] == [f.weight for f in address(text, token)]


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


# --- files ----------------------------------------------------------------------------


def without_push():
    """Return the seeds' first build file."""
    steps = [s for s in DOCUMENT["steps"] if s["id"] != "push-image"]
    return {**DOCUMENT, "steps": steps}


def test_a_missing_push_is_caught():
    """Builds #1 and #2: the image would be built, never pushed, and not found."""
    found = only(local={"document": without_push()})

    assert ("build-file", Weight.FATAL) == (found.check, found.weight)
    assert found.why.startswith("Image 'us-central1-docker.pkg.dev/vividly-dev-rich/")
    assert found.why.endswith("not found.")


def test_a_build_file_is_judged_as_cloud_build_would():
    """Unreadable; with a substitution too few; with one too many."""
    extra = {**DOCUMENT["substitutions"], "_EXTRA": ""}
    fewer = {k: v for k, v in DOCUMENT["substitutions"].items() if k != "_COMMIT"}

    assert "git checkout" in only(local={"document": Unknown("no YAML")}).cure
    few = only(local={"document": {**DOCUMENT, "substitutions": fewer}})
    assert "not a valid built-in substitution" in few.why
    many = only(local={"document": {**DOCUMENT, "substitutions": extra}})
    assert 'key "_EXTRA" in the substitution data is not matched' in many.why


@pytest.mark.parametrize(
    ("changes", "document", "says"),
    [
        ({"build_timeout_s": 7200}, {}, "timeout: 5400s, and environments/dev.yaml"),
        ({"queue_timeout_s": 60}, {}, "queueTtl: 600s, and environments/dev.yaml"),
        ({}, {"timeout": None}, "timeout: 3600s"),
        ({"task_timeout_s": 4951}, {}, "after 5400 s, and it may take 5401 s"),
    ],
)
def test_times_that_contradict_each_other_are_caught(changes, document, says):
    """The build file's are in force; a launch that waits by others waits wrongly."""
    found = only(a_target(**changes), local={"document": DOCUMENT | document})

    assert ("build-file", Weight.FATAL) == (found.check, found.weight)
    assert says in found.what


def test_a_migration_that_is_not_where_the_runner_looks_is_caught():
    """Build #4a: `backend/migrations` in the settings, `migrations` in the image."""
    target = a_target(variables={"MIGRATE_DIR": "backend/migrations"})

    found = only(target)

    assert (
        "[Errno 2] No such file or directory: "
        "'/app/backend/migrations/0001_users.down.sql'" == found.why
    )
    assert (
        "sed -i 's#backend/migrations#migrations#' environments/dev.yaml" == found.cure
    )


def image(dockerfile, uploaded=UPLOADED):
    """Return facts about the checkout with another Dockerfile."""
    return {"image": image_of(dockerfile, UPLOADED), "uploaded": uploaded}


def test_an_image_without_migrations_is_caught():
    """Not copied at all, or one of them; told by whoever says where to look."""
    none = DOCKERFILE.replace("COPY migrations/ migrations/\n", "")
    one = DOCKERFILE.replace(
        "COPY migrations/ ", "COPY migrations/0001_users.down.sql "
    ).replace("migrations/\n", "migrations/\n")
    elsewhere = DOCKERFILE + "ENV MIGRATE_DIR=sql\n"

    assert "COPY migrations/ migrations/" in only(local=image(none)).cure
    lost = only(local=image(one))
    assert "'/app/migrations/0001_users.sql'" in lost.why
    assert (
        "sed -i 's#sql#migrations#' Dockerfile.migrate"
        == only(local=image(elsewhere)).cure
    )
    engine = only(a_target(file=""), local={"engine_dir": "sql"})
    assert engine.cure.endswith("environments/dev.yaml")
    bare = only(local=image(none, uploaded=("environments/dev.yaml",)))
    assert bare.why.endswith("'/app/migrations/*.sql'")


def test_an_image_without_the_environment_file_is_caught():
    """The job says MIGRATE_ENV, and the engine reads the file of that name."""
    without = DOCKERFILE.replace("COPY environments/ environments/\n", "")

    assert "there is no environment 'dev'" in only(local=image(without)).why


def test_what_cannot_be_read_here_is_caught():
    """Dockerfile, source, migrations: each with its own words."""
    assert "no Dockerfile" == only(local={"image": Unknown("no Dockerfile")}).what
    assert [("source", "fatal")] == troubles(local={"uploaded": Unknown("no jobs/")})
    broken = only(local={"engine_exit": 3, "engine_said": "0001: two of them"})
    assert ("0001: two of them", "exit code 3 of the job") == (broken.what, broken.why)
    assert [("image", "fatal")] == troubles(local={"image": Stage({}, "/", {})})


def test_an_engine_that_did_not_answer_in_time_forbids_nothing():
    """A slow machine says nothing about the migrations: they were not looked at."""
    late = {"engine_exit": 6, "engine_said": "no answer in 20 s", "engine_late": True}

    assert [("migrations", "warning")] == troubles(local=late)


# --- access ---------------------------------------------------------------------------


def test_each_role_taken_away_is_named():
    """Whose, which, where; with the command that gives it back."""
    target = a_target()
    for lost in access.grants(target, number=NUMBER):
        if lost.need.who not in {Who.BUILD, Who.RUNTIME}:
            continue
        policies = {
            place: [
                b
                for b in bindings
                if (place, b.role, b.members)
                != (lost.resource, lost.need.role, (lost.member,))
            ]
            for place, bindings in policies_of(target).items()
        }

        found = only(target, policies=policies)

        assert ("role", Weight.FATAL) == (found.check, found.weight)
        assert f"lacks {lost.need.role}" in found.what
        assert access.command(lost) == found.cure


def test_each_permission_taken_from_the_caller_is_named():
    """What a launch needs forbids it; what only looks or cleans up is a warning."""
    target = a_target()
    for need in LEAST:
        if need.who not in {Who.SUBMITTER, Who.CLEANUP, Who.LOOKOUT}:
            continue
        everything = frozenset(n.permission for n in LEAST) - {need.permission}
        allowed = {g.resource: everything for g in access.grants(target, number=NUMBER)}

        found = only(target, allowed=allowed)

        weight = Weight.FATAL if need.who is Who.SUBMITTER else Weight.WARNING
        assert (need.role, weight) == (found.what.split()[2], found.weight)


def test_what_is_hidden_is_not_judged():
    """Policies that may not be read are one warning; permissions that were not asked, none."""
    hidden = only(policies={})

    assert Weight.WARNING is hidden.weight
    assert "securityReviewer" in hidden.cure
    assert [] == troubles(allowed={})
    assert [] == troubles(allowed=dict.fromkeys(policies_of(a_target()), DENIED))
    nobody: list[Binding] = []
    empty = {access.project_resource("vividly-dev-rich"): nobody}
    assert "the project's policy is empty" in only(policies=empty).what


def test_accounts_are_judged_before_their_roles():
    """One that is missing has no roles; one that is not named is told; one may be hidden."""
    target = a_target()
    email = target.build_service_account
    gone = troubles(policies={}, accounts={email: False})
    one = a_target(job_service_account=email)

    assert [("account", "fatal"), ("role", "warning")] == gone
    assert [("account", "warning")] == troubles(accounts={email: DENIED})
    assert (
        "build_service_account is not set"
        in only(a_target(build_service_account="")).what
    )
    assert (
        "job_service_account is not set" in only(a_target(job_service_account="")).what
    )
    without_self = {
        place: found
        for place, found in policies_of(one).items()
        if place != access.account_resource(email)
    }
    assert [] == troubles(one, policies=without_self)


def test_the_number_and_the_account_may_be_unknown():
    """Roles of the accounts that are named are judged all the same."""
    target = a_target(build_service_account="")

    found = judged(target, number=AWAY, build_account=AWAY)

    assert any("PROJECT_NUMBER" in f.what for f in found if f.check == "role")
    assert () == fatal(judged(number=AWAY))


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


def test_a_custom_role_may_hold_what_is_needed():
    """It is not judged, and named in the warning."""
    target = a_target()
    policies = policies_of(target)
    member = f"serviceAccount:{target.build_service_account}"
    project = access.project_resource(target.project)
    policies[project] = [
        b for b in policies[project] if b.role != "roles/run.developer"
    ] + [Binding("projects/p/roles/own", (member,))]

    assert "roles/run.developer" in only(target, policies=policies).what
    assert Weight.WARNING is only(target, policies=policies).weight


def test_without_a_project_nothing_in_it_is_judged():
    """One finding instead of fifteen that say the same; the checkout is judged still."""
    found = judged(number=None, connector=None, repository=False)

    assert ["project"] == [f.check for f in fatal(found)]
    assert {"project", "build-file", "source", "image", "migrations"} == {
        f.check for f in found
    }
