"""What Cloud Build and Cloud Run refuse before anything runs."""

import datetime as dt

import pytest
from google.cloud.devtools.cloudbuild_v1.types import Build, BuildStep
from google.cloud.run_v2.types import (
    Container,
    ExecutionTemplate,
    Job,
    TaskTemplate,
    VolumeMount,
)

from emulator import buildspec, jobspec
from emulator.problem import Problem

STEP = {"name": "bash"}


@pytest.mark.parametrize(
    ("build", "why"),
    [
        ({"steps": [STEP] * 101}, "more than 100 build steps"),
        ({"steps": [STEP], "tags": ["x"] * 65}, "tags"),
        ({"steps": [STEP], "timeout": dt.timedelta(hours=25)}, "24 hours"),
        ({"steps": [{"name": ""}]}, "step name"),
        ({"steps": [{"name": "x", "args": ["a"] * 101}]}, "too many args"),
        ({"steps": [{"name": "x", "args": ["a" * 10_001]}]}, "arg too long"),
        ({"steps": [{"name": "x", "dir_": "../.."}]}, "outside the workspace"),
        ({"steps": [{"name": "x", "id": "a"}] * 2}, "used twice"),
        ({"steps": [STEP], "logs_bucket": "gs://$PROJECT_ID"}, "no substitutions"),
        (
            {
                "steps": [STEP],
                "available_secrets": {"secret_manager": [{"env": "A"}]},
            },
            "never used",
        ),
        (
            {
                "steps": [{**STEP, "secret_env": ["A"]}],
                "available_secrets": {
                    "secret_manager": [{"env": f"A{n}"} for n in range(101)]
                },
            },
            "more than 100 secrets",
        ),
    ],
)
def test_build_that_is_refused(build, why):
    """Each limit has a sentence."""
    with pytest.raises(Problem, match=why):
        buildspec.check_build(Build(**build))


def test_steps_are_called_by_number_and_id():
    """A step without an id has its number alone."""
    build = Build(steps=[BuildStep(name="x", id="a"), BuildStep(name="x")])

    assert ['Step #0 - "a"', "Step #1"] == [buildspec.label(build, n) for n in (0, 1)]


def a_job(containers=None, labels=None, annotations=None, **task):
    """Make a job; valid unless a test says otherwise."""
    made = [Container(image="i")] if containers is None else containers
    template = TaskTemplate(containers=made, **task)
    return Job(
        labels=labels,
        annotations=annotations,
        template=ExecutionTemplate(template=template),
    )


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (a_job(containers=[]), "must not be empty"),
        (a_job(containers=[Container()]), "must be set"),
        (a_job(max_retries=11), "max_retries"),
        (a_job(timeout=dt.timedelta(hours=169)), "168 hours"),
        (a_job(labels={f"l{n}": "" for n in range(65)}), "At most 64 labels"),
        (a_job(annotations={"run.googleapis.com/x": "y"}), "reserved prefix"),
        (a_job(vpc_access={"network_interfaces": [{}, {}]}), "one network interface"),
        (
            a_job(vpc_access={"connector": "c", "network_interfaces": [{}]}),
            "exclude each other",
        ),
        (
            a_job(
                containers=[Container(image="i", volume_mounts=[VolumeMount(name="v")])]
            ),
            "names no volume",
        ),
    ],
)
def test_job_that_is_refused(job, why):
    """Each rule has a sentence."""
    with pytest.raises(Problem, match=why):
        jobspec.check_job(job)


def test_defaults_are_filled_in():
    """Three retries, ten minutes, one task, one CPU and half a gigabyte."""
    job = a_job()

    jobspec.check_job(job)
    jobspec.fill(job)

    task = job.template.template
    assert (3, dt.timedelta(minutes=10), 1) == (
        task.max_retries,
        task.timeout,
        job.template.task_count,
    )
    assert {"cpu": "1000m", "memory": "512Mi"} == dict(
        task.containers[0].resources.limits
    )


def test_secrets_of_variables_and_volumes_are_found():
    """By full name, with ``latest`` where no version is said."""
    variable = {"name": "A", "value_source": {"secret_key_ref": {"secret": "s"}}}
    volumes = [
        {"name": "one", "secret": {"secret": "t", "items": [{"version": "2"}]}},
        {"name": "two", "secret": {"secret": "projects/q/secrets/u"}},
    ]
    container = Container(image="i", env=[variable])

    names = jobspec.secret_names(a_job(containers=[container], volumes=volumes), "p")

    assert [
        "projects/p/secrets/s/versions/latest",
        "projects/p/secrets/t/versions/2",
        "projects/q/secrets/u/versions/latest",
    ] == names
