"""Cloud Build: steps run for real, in their order, and what they are allowed to do."""

import datetime as dt
import io
import tarfile
import urllib.request

import pytest
from google.api_core import exceptions
from google.cloud.devtools import cloudbuild_v1 as cloudbuild

from tests.fix_emulator import PARENT, PROJECT, REGION
from tests.google_clients import new_name, until

STATUS = cloudbuild.Build.Status


def shell(text, **more):
    """Make a step that runs a line of shell."""
    return cloudbuild.BuildStep(
        name="bash", entrypoint="bash", args=["-ceu", text], **more
    )


def docker(*words):
    """Make a step of the docker builder."""
    return cloudbuild.BuildStep(name="gcr.io/cloud-builders/docker", args=list(words))


def upload(emulator, files):
    """Put an archive of some files into a bucket; give it as a build's source."""
    bucket = new_name("source")
    emulator.data(buckets=[bucket])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    url = f"{emulator.rest}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=s.tgz"
    request = urllib.request.Request(url, packed.getvalue(), method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    stored = cloudbuild.StorageSource(bucket=bucket, object_="s.tgz")
    return cloudbuild.Source(storage_source=stored)


def said(log, step):
    """What a step wrote, without its prefix."""
    prefix = f"Step #{step}: "
    return [line.removeprefix(prefix) for line in log if line.startswith(prefix)]


def test_steps_share_a_workspace_and_run_in_order(google):
    """What a step leaves, the next one finds; each line has its step in front."""
    build = google.build(
        shell("echo one > file", id="write"), shell("cat file; pwd", id="read")
    )

    log = google.build_log(build)
    assert STATUS.SUCCESS == build.status
    assert 'Step #1 - "read": one' in log
    assert log.index('Finished Step #0 - "write"') < log.index(
        'Starting Step #1 - "read"'
    )


def test_log_says_that_no_engine_is_there(google):
    """Nobody can take a rehearsal's steps for containers."""
    build = google.build(shell("true"))

    assert any(
        "processes stand in for step containers" in x for x in google.build_log(build)
    )


def test_metadata_names_the_build_at_once(google):
    """The reply to CreateBuild already says which build it is, under Google's name."""
    asked = cloudbuild.Build(steps=[shell("true")])

    operation = google.builds.create_build(
        request={"parent": PARENT, "project_id": PROJECT, "build": asked}
    )

    assert (
        operation.metadata.build.name
        == f"{PARENT}/builds/{operation.metadata.build.id}"
    )
    assert operation.operation.name.startswith(f"operations/build/{PROJECT}/")
    assert STATUS.SUCCESS == operation.result(timeout=20).status


def test_failing_step_ends_the_build_and_nothing_after_it_runs(google):
    """No later step runs after a failure, clean-up or not."""
    build = google.build(shell("exit 3", id="fails"), shell("echo later", id="later"))

    assert STATUS.FAILURE == build.status
    assert 3 == build.steps[0].exit_code
    assert "USER_BUILD_STEP" == build.failure_info.type_.name
    assert 'build step 0 "bash" failed' in build.status_detail
    assert not [line for line in google.build_log(build) if "later" in line]


@pytest.mark.parametrize(
    ("allowed", "succeeds"),
    [
        ({"allow_failure": True}, True),
        ({"allow_exit_codes": [3]}, True),
        ({"allow_exit_codes": [4]}, False),
        ({"allow_failure": True, "allow_exit_codes": [4]}, False),
    ],
    ids=["any failure", "this code", "another code", "codes win"],
)
def test_allowed_failure_lets_the_build_go_on(google, allowed, succeeds):
    """A step may be allowed to fail; its own status still says that it did."""
    build = google.build(shell("exit 3", **allowed), shell("echo later"))

    assert (STATUS.SUCCESS if succeeds else STATUS.FAILURE) == build.status
    assert STATUS.FAILURE == build.steps[0].status
    assert (["later"] if succeeds else []) == said(google.build_log(build), 1)


def test_wait_for_lets_steps_run_side_by_side(google):
    """A step that waits for nobody starts at once, and one may wait for some."""
    build = google.build(
        shell("while [ ! -e go ]; do sleep 0.02; done; echo first", id="a"),
        shell("touch go; echo second", id="b", wait_for=["-"]),
        shell("echo third", id="c", wait_for=["a", "b"]),
    )

    log = google.build_log(build)
    assert STATUS.SUCCESS == build.status
    assert log.index('Step #0 - "a": first') < log.index('Step #2 - "c": third')


def test_substitutions_reach_steps_and_scripts_get_theirs_by_environment(google):
    """Arguments are expanded; a script sees the keys when they are mapped."""
    build = google.build(
        shell("echo $PROJECT_ID ${_WHO} $$((1+1))"),
        cloudbuild.BuildStep(
            name="bash", script='echo "mapped: $_WHO"', automap_substitutions=True
        ),
        substitutions={"_WHO": "world"},
    )

    log = google.build_log(build)
    assert [f"{PROJECT} world 2"] == said(log, 0)
    assert ["mapped: world"] == said(log, 1)


def test_missing_substitution_is_refused_before_anything_runs(google):
    """CreateBuild itself refuses a template that cannot be expanded."""
    with pytest.raises(exceptions.InvalidArgument, match="_MISSING"):
        google.build(shell("echo ${_MISSING}"))


def test_image_is_built_pushed_and_found_by_its_digest(google, emulator):
    """build, push, inspect, and a later step that runs in what was built."""
    repository = new_name("r")
    emulator.data(repositories=[repository])
    image = f"{REGION}-docker.pkg.dev/{PROJECT}/{repository}/app"
    source = upload(
        emulator,
        {
            "Dockerfile": "FROM python:3.12-slim AS base\nWORKDIR /app\nENV NAME=/app/x.txt\n"
            "COPY main.py x.txt ./\nRUN pip install something\n"
            'ENTRYPOINT ["python", "main.py"]\n',
            "main.py": "import os, sys\nprint(open(os.environ['NAME']).read(), sys.argv)\n",
            "x.txt": "content",
        },
    )

    build = google.build(
        docker("build", "-t", f"{image}:$BUILD_ID", "."),
        shell(
            f"docker push {image}:$BUILD_ID;"
            f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {image}:$BUILD_ID > d"
        ),
        shell("cat d"),
        source=source,
        images=[f"{image}:$BUILD_ID"],
    )

    log = google.build_log(build)
    assert STATUS.SUCCESS == build.status, log
    (digest,) = said(log, 2)
    assert digest == f"{image}@{build.results.images[0].digest}"
    execution = google.run(google.job(digest, container={"args": ["--x"]}))
    assert ["content ['main.py', '--x']"] == google.lines(execution)


def test_step_runs_in_an_image_that_the_build_made(google, emulator):
    """A step may name an image of an earlier step; its directory is the workspace."""
    source = upload(
        emulator,
        {
            "Dockerfile": "FROM x\nWORKDIR /app\nCOPY tool.py .\n"
            'ENTRYPOINT ["python", "-m", "tool"]\n',
            "tool.py": "import os, sys\nprint(sys.argv[1:], os.listdir())\n",
        },
    )

    build = google.build(
        docker("build", "-t", "tool:1", "."),
        shell("rm * && touch left"),
        cloudbuild.BuildStep(name="tool:1", args=["--x"]),
        source=source,
    )

    assert ["['--x'] ['left']"] == said(google.build_log(build), 2)


def test_image_that_was_not_built_cannot_be_pushed(google):
    """``images:`` of something that no step built fails the push."""
    build = google.build(shell("true"), images=["nobody/built:this"])

    assert "PUSH_IMAGE_NOT_FOUND" == build.failure_info.type_.name


def test_copy_of_a_file_that_is_not_there_fails_the_build(google, emulator):
    """A Dockerfile that copies what the source lacks fails, naming it."""
    source = upload(emulator, {"Dockerfile": "FROM x\nCOPY absent.sql /app/\n"})

    build = google.build(docker("build", "-t", "x:1", "."), source=source)

    assert STATUS.FAILURE == build.status
    assert any("absent.sql" in line for line in said(google.build_log(build), 0))


def test_source_that_is_not_there_fails_before_the_first_step(google):
    """A source that cannot be fetched has a failure type of its own."""
    stored = cloudbuild.StorageSource(bucket="absent", object_="s.tgz")
    build = google.build(shell("true"), source=cloudbuild.Source(storage_source=stored))

    assert "FETCH_SOURCE_FAILED" == build.failure_info.type_.name
    assert STATUS.QUEUED == build.steps[0].status


def test_step_timeout_ends_the_step(google):
    """A step that is too slow is stopped."""
    build = google.build(shell("sleep 60", timeout=dt.timedelta(seconds=0.3)))

    assert STATUS.TIMEOUT == build.steps[0].status
    assert "timed out" in build.status_detail


def test_build_timeout_runs_no_clean_up(google):
    """A build that is too slow is TIMEOUT, and its later steps never run."""
    build = google.build(
        shell("sleep 60", allow_failure=True),
        shell("echo later"),
        timeout=dt.timedelta(seconds=0.3),
    )

    assert STATUS.TIMEOUT == build.status
    assert [] == said(google.build_log(build), 1)


def test_cancel_stops_what_runs_and_runs_no_clean_up(google):
    """A cancelled build kills its step, and its later steps never run."""
    asked = cloudbuild.Build(
        steps=[shell("echo up; sleep 60", allow_failure=True), shell("echo later")]
    )
    operation = google.builds.create_build(
        request={"parent": PARENT, "project_id": PROJECT, "build": asked}
    )
    begun = operation.metadata.build
    until(lambda: said(google.build_log(begun), 0), bool)

    answer = google.builds.cancel_build(
        request={"name": begun.name, "project_id": PROJECT, "id": begun.id}
    )

    build = google.built(begun.name)
    assert STATUS.CANCELLED == answer.status == build.status
    assert [] == said(google.build_log(build), 1)


def test_build_that_no_worker_takes_expires(google, emulator):
    """A build that waits longer than its queueTtl is EXPIRED."""
    emulator.faults({"at": "build", "do": "stay_queued"})

    build = google.build(shell("true"), queue_ttl=dt.timedelta(seconds=0.3))

    assert STATUS.EXPIRED == build.status


def test_secret_environment_comes_from_the_secret(google, emulator):
    """A declared secret reaches the step that asks for it, and no other."""
    secret = new_name("s")
    emulator.data(secrets={secret: ["hush"]})
    version = f"projects/{PROJECT}/secrets/{secret}/versions/1"
    available = cloudbuild.Secrets(
        secret_manager=[cloudbuild.SecretManagerSecret(version_name=version, env="KEY")]
    )

    build = google.build(
        shell('echo "$${#KEY}"', secret_env=["KEY"]),
        shell('echo "$${KEY-none}"'),
        available_secrets=available,
    )

    log = google.build_log(build)
    assert ["4"] == said(log, 0)
    assert ["none"] == said(log, 1)


def test_builds_are_found_by_tag_and_status(google):
    """ListBuilds filters by tags and status, newest first."""
    tag = new_name("t")
    first = google.build(shell("true"), tags=[tag])
    second = google.build(shell("false"), tags=[tag])

    listed = google.builds.list_builds(
        request={"parent": PARENT, "filter": f'tags="{tag}"'}
    )
    failed = google.builds.list_builds(
        request={"parent": PARENT, "filter": f'tags="{tag}" AND status="FAILURE"'}
    )

    assert [second.id, first.id] == [build.id for build in listed]
    assert [second.id] == [build.id for build in failed]


@pytest.mark.parametrize(
    ("build", "why"),
    [
        ({"steps": []}, "no build steps"),
        ({"steps": [shell("x", wait_for=["ghost"])]}, "ghost"),
        ({"steps": [shell("x", secret_env=["KEY"])]}, "not defined in secrets"),
        (
            {"steps": [cloudbuild.BuildStep(name="x", script="x", args=["y"])]},
            "script cannot be used",
        ),
        (
            {"steps": [shell("x")], "service_account": "projects/p/serviceAccounts/a"},
            "CLOUD_LOGGING_ONLY",
        ),
        ({"steps": [shell("x")], "tags": ["no spaces"]}, "tags"),
    ],
    ids=["steps", "waitFor", "secretEnv", "script", "logs", "tags"],
)
def test_build_that_cannot_be_is_refused(google, build, why):
    """CreateBuild refuses what Cloud Build refuses."""
    with pytest.raises(exceptions.InvalidArgument, match=why):
        google.builds.create_build(
            request={
                "parent": PARENT,
                "project_id": PROJECT,
                "build": cloudbuild.Build(**build),
            }
        )
