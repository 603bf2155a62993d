"""Build steps in container mode: real images, one workspace, the engine's socket."""

import datetime as dt

from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.fix_contained import REPOSITORY
from tests.fix_emulator import PROJECT
from tests.google_clients import new_name, until

STATUS = cloudbuild.Build.Status
DOCKER = "gcr.io/cloud-builders/docker"


def shell(text, name="python:3.12-slim", **more):
    """Make a step that runs a line of shell in the base image."""
    return cloudbuild.BuildStep(
        name=name, entrypoint="bash", args=["-ceu", text], **more
    )


def said(log, step):
    """What a step wrote, without its prefix."""
    prefix = f"Step #{step}: "
    return [line.removeprefix(prefix) for line in log if line.startswith(prefix)]


def containers(engine, build):
    """The containers that are left of a build."""
    return engine.must("ps", "--all", "--quiet", "--filter", f"name={build.id}")


def image_of(text, name):
    """Make a step that builds an image from the text of a Dockerfile."""
    return shell(f"echo '{text}' > Dockerfile; docker build --tag {name} .", DOCKER)


def test_a_step_is_a_container_of_its_image_in_the_shared_workspace(
    contained, contained_google, engine
):
    """What one leaves the next one finds; directory, variables and secrets are its own."""
    secret, value = new_name("s"), 'it is $ecret, "quoted"\nand has two lines'
    contained.data(secrets={secret: [value]})
    version = f"projects/{PROJECT}/secrets/{secret}/versions/1"
    available = cloudbuild.Secrets(
        secret_manager=[cloudbuild.SecretManagerSecret(version_name=version, env="S")]
    )

    build = contained_google.build(
        shell("mkdir deep; echo one > deep/file; echo out > $$BUILDER_OUTPUT/output"),
        shell(
            'pwd; cat file; echo "$$A $$HOME"; echo "$$S" | wc -lc; test -f /.dockerenv',
            dir_="deep",
            env=["A=a b"],
            secret_env=["S"],
        ),
        cloudbuild.BuildStep(
            name="python:3.12-slim", script="#!/usr/bin/env python3\nprint(6 * 7)"
        ),
        available_secrets=available,
    )

    log = contained_google.build_log(build)
    assert STATUS.SUCCESS == build.status, log
    assert "two lines" not in "\n".join(log)
    assert ["/workspace/deep", "one", "a b /builder/home"] == said(log, 1)[-4:-1]
    assert ["2", str(len(value) + 1)] == said(log, 1)[-1].split()
    assert "42" == said(log, 2)[-1]
    assert b"out\n" == build.results.build_step_outputs[0]
    assert any("steps and tasks are containers" in line for line in log)
    assert "" == containers(engine, build)


def test_a_failure_that_is_allowed_goes_on_and_another_does_not(contained_google):
    """The exit code of a container is the step's."""
    build = contained_google.build(
        shell("exit 3", allow_failure=True), shell("exit 4"), shell("echo never")
    )

    assert [3, 4, 0] == [step.exit_code for step in build.steps]
    assert STATUS.FAILURE == build.status
    assert "step exited with non-zero status: 4" in build.failure_info.detail
    assert [] == said(contained_google.build_log(build), 2)


def test_a_step_past_its_time_is_killed_and_its_container_gone(
    contained_google, engine
):
    """The build is TIMEOUT; nothing goes on behind its back."""
    build = contained_google.build(
        shell("trap 'exit 1' TERM; sleep 600 & wait", timeout=dt.timedelta(seconds=1))
    )

    assert STATUS.TIMEOUT == build.status
    assert "" == containers(engine, build)


def test_a_cancelled_build_takes_its_container_along(contained_google, engine):
    """CancelBuild: the step's container is stopped and removed, and no later step runs."""
    asked = cloudbuild.Build(steps=[shell("echo begun; sleep 600"), shell("echo on")])
    parent = f"projects/{PROJECT}/locations/europe-west1"
    operation = contained_google.builds.create_build(
        request={"parent": parent, "project_id": PROJECT, "build": asked}
    )
    build = operation.metadata.build
    until(
        lambda: contained_google.build_log(build),
        lambda log: "Step #0: begun" in log,
        contained_google.emulator.seconds,
    )

    contained_google.builds.cancel_build(
        request={"name": build.name, "project_id": PROJECT, "id": build.id}
    )
    ended = contained_google.built(build.name)

    assert STATUS.CANCELLED == ended.status
    assert "" == containers(engine, ended)
    assert [] == said(contained_google.build_log(ended), 1)


def test_what_is_pushed_can_be_read_back_and_what_is_not_is_gone(
    contained_google, engine
):
    """The digest in RepoDigests is the registry's, under Google's name.

    A later step runs in an image that an earlier one built; when the build has ended the
    engine has neither of the two any more, and the registry the pushed one.
    """
    name, other = f"{REPOSITORY}/{new_name('i')}:1", f"{REPOSITORY}/{new_name('i')}:1"
    ask = f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {name}"

    build = contained_google.build(
        image_of('FROM stand-in/python\nENTRYPOINT ["echo", "built"]', other),
        image_of('FROM stand-in/python\nENTRYPOINT ["echo", "sent"]', name),
        shell(f"docker push {name}; {ask}", DOCKER),
        shell(f"docker rmi {name}; docker pull {name}; docker run {name}", DOCKER),
        shell(f"docker pull {other}", DOCKER, allow_failure=True),
        cloudbuild.BuildStep(name=other),
        images=[name],
    )

    log = contained_google.build_log(build)
    assert STATUS.SUCCESS == build.status, log
    digest = build.results.images[0].digest
    assert f"{name.removesuffix(':1')}@{digest}" == said(log, 2)[-1]
    assert "sent" == said(log, 3)[-1]
    assert f"manifest for {other} not found" in said(log, 4)[-1]
    assert "built" == said(log, 5)[-1]
    held = contained_google.emulator.state()["images"]
    assert [digest] == [i["digest"] for i in held if i["name"] + ":1" == name]
    assert [] == [i for i in held if i["name"] + ":1" == other]
    for gone in (name, other):
        assert engine.docker("image", "inspect", gone).returncode


def test_a_push_needs_the_permission_and_goes_nowhere_else(contained_google):
    """Refused in the registry's words; a name outside Artifact Registry is never pushed."""
    name = f"{REPOSITORY}/{new_name('i')}:1"
    everybody = {"principal": "user:developer@example.com", "role": "roles/owner"}
    contained_google.emulator.policy(bindings=[everybody])

    build = contained_google.build(
        image_of("FROM stand-in/python", name),
        shell(f"docker push {name}", DOCKER, allow_failure=True),
        shell(f"docker tag {name} app:1; docker push app:1", DOCKER),
    )

    log = contained_google.build_log(build)
    denied = 'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied'
    assert denied in said(log, 1)[-1]
    assert "nothing is pushed anywhere else" in said(log, 2)[-1]
    assert STATUS.FAILURE == build.status


def test_a_step_that_cannot_start_says_why(contained_google):
    """An image that is nowhere, here or in public, and a program that the image lacks."""
    missing, public = f"{REPOSITORY}/{new_name('i')}:1", "localhost/no-such-image:1"

    build = contained_google.build(
        cloudbuild.BuildStep(name=public, allow_failure=True),
        cloudbuild.BuildStep(
            name="python:3.12-slim", entrypoint="no-such-program", allow_failure=True
        ),
        cloudbuild.BuildStep(name=missing),
    )

    log = contained_google.build_log(build)
    assert f"failed to pull image {public}" in said(log, 0)[-1]
    assert '"no-such-program": executable file not found' in said(log, 1)[-1]
    assert STATUS.FAILURE == build.status
    assert f"failed to pull image {missing}" in build.failure_info.detail
    assert "manifest unknown" in build.failure_info.detail


def test_an_image_that_was_never_built_cannot_be_pushed(contained_google):
    """The build fails at its end, with Cloud Build's word for it."""
    name = f"{REPOSITORY}/{new_name('i')}:1"

    build = contained_google.build(shell("true"), images=[name])

    assert "PUSH_IMAGE_NOT_FOUND" == build.failure_info.type_.name
    assert f"with the tag: {name}" in build.failure_info.detail
