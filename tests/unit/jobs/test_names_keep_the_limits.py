"""Names of cloud resources are made so that the services will take them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import names
from jobs.errors import BadName
from jobs.names import BuildName, EnvName, ExecutionName, JobName, ProjectId, Region

BUILD = "019a66fe-1e49-4ecb-a079-9f90a427a58e"
ENVS = st.from_regex(r"[a-z](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
PARTS = st.from_regex(r"[a-z][a-z0-9-]{1,20}", fullmatch=True)


def test_a_short_environment_keeps_the_seeds_name():
    """The whole build id stands in the name while it fits."""
    assert f"dev-prompt-migration-{BUILD}" == names.job_name(
        "dev", "prompt-migration", BUILD
    )


@pytest.mark.parametrize("env", ["prod", "staging", "production"])
def test_a_long_environment_gets_twelve_digits(env):
    """Where the execution's six characters would not fit, the id is cut."""
    assert f"{env}-prompt-migration-019a66fe1e49" == names.job_name(
        env, "prompt-migration", BUILD
    )


@given(ENVS, st.uuids())
def test_every_job_name_leaves_room_for_its_execution(env, identifier):
    """Whatever the environment, Cloud Run takes job and execution."""
    name = names.job_name(env, "prompt-migration", str(identifier))

    assert len(name) <= 57
    assert re.fullmatch(r"[a-z](?:[a-z0-9-]*[a-z0-9])?", name)


@given(st.text(max_size=20))
def test_a_short_id_is_always_twelve_hexadecimal_digits(text):
    """An identifier that is no UUID is hashed."""
    assert re.fullmatch(r"[0-9a-f]{12}", names.short_id(text))


def test_a_job_name_that_cannot_fit_says_how_long_it_may_be():
    """The error names the limit and where it comes from."""
    with pytest.raises(BadName, match="57 are the most"):
        names.stable_job_name("a" * 30, "b" * 40)


def test_a_job_name_with_other_letters_is_refused():
    """Cloud Run would refuse it later."""
    with pytest.raises(BadName, match="starts with a letter"):
        names.checked_job("1-x")


@given(PARTS, PARTS, PARTS, PARTS)
def test_full_names_are_read_back(project, region, job, execution):
    """parse(str(name)) is the name."""
    for name in (
        JobName(project, region, job),
        ExecutionName(project, region, job, execution),
        BuildName(project, region, job),
    ):
        assert name == type(name).parse(str(name))
    assert JobName(project, region, job) == ExecutionName(project, region, job, "e").of
    assert (
        JobName(project, region, "j").parent == BuildName(project, region, "b").parent
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (JobName, "projects/p/jobs/j"),
        (ExecutionName, "projects/p/locations/l/jobs/j"),
        (BuildName, "builds/b"),
        (ProjectId, "Acme"),
        (Region, "us-central1-a"),
        (EnvName, "Dev!"),
        (EnvName, "e" * 31),
    ],
)
def test_what_is_no_name_is_refused(kind, text):
    """A wrong name raises before anything is sent."""
    with pytest.raises(BadName):
        kind.parse(text)


def test_good_names_are_kept():
    """A right name is the text itself."""
    assert "acme-dev" == ProjectId.parse("acme-dev")
    assert "europe-west1" == Region.parse("europe-west1")
    assert "dev" == EnvName.parse("dev")


@given(st.text())
def test_every_label_is_one(text):
    """Any text, a branch's name too, becomes a label's value."""
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", names.label(text))


def test_labels_leave_out_what_is_empty():
    """An empty label would be refused or would say nothing."""
    assert {
        "managed-by": "cloudrun-migrate",
        "env": "dev",
    } == names.labels(env="dev", build_id="", commit="")
