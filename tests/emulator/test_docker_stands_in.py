"""The docker of a step: what it does with a build's own images, and what it refuses."""

import pytest
from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.fix_emulator import PROJECT, REGION
from tests.google_clients import new_name

PREPARE = "echo FROM scratch > Dockerfile; echo ENV A=1 >> Dockerfile;"


@pytest.fixture
def docker(google):
    """Run a script in a build; give what it wrote, and whether it succeeded."""

    def run(script):
        build = google.build(cloudbuild.BuildStep(name="docker", script=script))
        prefix = "Step #0: "
        lines = [
            line.removeprefix(prefix)
            for line in google.build_log(build)
            if line.startswith(prefix)
        ]
        return lines, build.status.name == "SUCCESS"

    return run


@pytest.fixture
def repository(emulator):
    """Make a repository; give the prefix of its images."""
    name = new_name("r")
    emulator.data(repositories=[name])
    return f"{REGION}-docker.pkg.dev/{PROJECT}/{name}"


def test_images_are_tagged_listed_and_inspected(docker):
    """All of it on the build's own shelf."""
    lines, good = docker(
        f"{PREPARE} docker build -q -t a:1 --label x=y . && docker tag a:1 b:2 && "
        "docker images && docker inspect -f '{{{{.Id}}}}' a:1 && docker login && "
        "docker image inspect b:2".replace("{{{{", "{{").replace("}}}}", "}}")
    )

    assert good, lines
    assert any(line.startswith("a  1  ") for line in lines)
    assert any(line.startswith("b  2  ") for line in lines)
    assert any(line.startswith("sha256:") for line in lines)
    assert any('"RepoDigests": []' in line for line in lines)


def test_buildx_can_push_at_once(docker, repository, google):
    """``buildx build --push`` ends in the registry, where others can pull."""
    image = f"{repository}/app:1"

    lines, good = docker(f"{PREPARE} docker buildx build --push -t {image} .")
    pulled, found = docker(
        f"docker pull {image} && docker inspect -f '{{{{json .RepoDigests}}}}' {image}"
    )

    assert good, lines
    assert found, pulled


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("docker run x", "not carried out"),
        ("docker push nobody/built:1", "does not exist locally"),
        ("docker tag nobody:1 x:2", "No such image"),
        ("docker inspect nobody:1", "No such object"),
        ("docker build -f absent -t x .", "absent: no such file"),
        ("docker build", "cannot read"),
        (
            f"docker pull {REGION}-docker.pkg.dev/{PROJECT}/absent/x:1",
            "manifest unknown",
        ),
        (
            f"{PREPARE} I={REGION}-docker.pkg.dev/{PROJECT}/absent/x:1;"  # noqa: ISC004
            "docker build -t $I . && docker push $I",
            'Repository "absent" not found',
        ),
        (
            f"{PREPARE} docker build -t x . && "  # noqa: ISC004
            "docker inspect -f '{{index .RepoDigests 0}}' x",
            "index out of range",
        ),
    ],
)
def test_what_docker_refuses_fails_the_step(docker, command, why):
    """Each in words that docker's users know."""
    lines, good = docker(command)

    assert not good
    assert any(why in line for line in lines), lines


def test_public_image_is_taken_for_there(docker):
    """Nothing can be pulled without a network; the step goes on."""
    lines, good = docker("docker pull python:3.12-slim; docker version")

    assert good, lines


def test_step_in_an_image_that_was_never_pushed_fails(google, repository):
    """A step's image of Artifact Registry must be in it."""
    build = google.build(cloudbuild.BuildStep(name=f"{repository}/absent:1"))

    assert "FAILURE" == build.status.name
    assert "failed to pull image" in build.status_detail
