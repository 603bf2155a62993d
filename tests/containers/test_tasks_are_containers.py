"""Tasks in container mode: the pushed digest, its limits, its signals, its end."""

import datetime as dt
import json
import shutil
import socket
import tempfile
import urllib.error
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import run_v2

from tests.fix_contained import REPOSITORY
from tests.google_clients import new_name

CONTRACT = """
import json, os, pathlib, sys
status = dict(
    line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines()
    if ":\\t" in line
)
def write(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    return "written"
print("found", json.dumps({
    "capabilities": int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"],
    "root": write("/anything"),
    "tmp": write("/tmp/anything"),
    "variables": {n: v for n, v in os.environ.items() if n.startswith(("CLOUD_RUN", "MY_"))},
    "engine": os.path.exists("/var/run/docker.sock"),
}))
"""


def limited(**limits):
    """The resources of a container."""
    return run_v2.ResourceRequirements(limits=limits)


def program(image, source, **container):
    """A container that runs a piece of Python."""
    return {"container": {"args": [source], **container}}


def test_a_task_gets_its_variables_and_no_privileges(contained_google, python_image):
    """Read-only root but for /tmp, no capability, no engine; env and secret as given."""
    secret = new_name("s")
    contained_google.emulator.data(secrets={secret: ["it is\nsecret"]})
    reference = run_v2.SecretKeySelector(secret=secret, version="1")
    variables = [
        run_v2.EnvVar(name="MY_VALUE", value="a value"),
        run_v2.EnvVar(
            name="MY_SECRET",
            value_source=run_v2.EnvVarSource(secret_key_ref=reference),
        ),
    ]

    job = contained_google.job(
        python_image, **program(python_image, CONTRACT, env=variables)
    )
    execution = contained_google.run(job)

    (line,) = contained_google.lines(execution)
    told = json.loads(line.removeprefix("found "))
    short = execution.name.rsplit("/", 1)[1]
    assert 0 == contained_google.attempt(execution).exit_code
    assert (0, "1") == (told["capabilities"], told["no_new_privileges"])
    assert ("Read-only file system", "written") == (told["root"], told["tmp"])
    assert not told["engine"]
    assert {
        "MY_VALUE": "a value",
        "MY_SECRET": "it is\nsecret",
        "CLOUD_RUN_JOB": job.name.rsplit("/", 1)[1],
        "CLOUD_RUN_EXECUTION": short,
        "CLOUD_RUN_TASK_INDEX": "0",
        "CLOUD_RUN_TASK_ATTEMPT": "0",
        "CLOUD_RUN_TASK_COUNT": "1",
    } == told["variables"]


def test_a_task_that_takes_too_much_memory_is_killed(contained_google, python_image):
    """Exit code 137, signal 9, and Cloud Run's sentence about the limit."""
    greedy = program(
        python_image,
        "print('begun'); x = b'x' * (200 << 20)",
        resources=limited(memory="64Mi", cpu="1"),
    )

    starved = program(python_image, "", resources=limited(memory="1Mi"))

    execution = contained_google.run(contained_google.job(python_image, **greedy))
    refused = contained_google.run(contained_google.job(python_image, **starved))

    attempt = contained_google.attempt(execution)
    assert "failed to start" in contained_google.attempt(refused).status.message
    assert (137, 9) == (attempt.exit_code, attempt.term_signal)
    assert "Memory limit of 64 MiB exceeded" in attempt.status.message
    assert ["begun"] == contained_google.lines(execution)


@pytest.mark.slow
def test_past_its_time_a_task_gets_sigterm_and_after_ten_seconds_sigkill(
    contained_google, python_image, engine
):
    """One that listens ends by itself; one that does not is killed; neither is left.

    Slow because the ten seconds are real.
    """
    listens = (
        "import signal, sys, time\n"
        "signal.signal(15, lambda *_: (print('asked to stop'), sys.exit(9)))\n"
        "time.sleep(600)"
    )
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    jobs = [
        contained_google.job(
            python_image,
            timeout=dt.timedelta(seconds=2),
            **program(python_image, source),
        )
        for source in (listens, deaf)
    ]

    begun = [contained_google.jobs.run_job(name=job.name) for job in jobs]
    ended = [contained_google.ended(o.metadata.name) for o in begun]

    assert ["asked to stop"] == contained_google.lines(ended[0])
    lasted = [(e.completion_time - e.start_time).total_seconds() for e in ended]
    assert lasted[1] >= 12 > lasted[0]
    for execution in ended:
        assert (
            "timeout was reached" in contained_google.attempt(execution).status.message
        )
        short = execution.name.rsplit("/", 1)[1]
        assert "" == engine.must("ps", "--all", "--quiet", "--filter", f"name={short}")


def test_a_job_runs_the_digest_that_it_names(contained, contained_google, engine):
    """When the tag has moved on, the job by digest still runs what was pushed first."""
    name = f"{REPOSITORY}/{new_name('i')}"
    digests = []
    for word in ("first", "second"):
        contained.data(images={f"{name}:1": {"cmd": ["echo", word]}})
        held = contained.state()["images"]
        digests.append(
            next(i["digest"] for i in held if i["name"] == name and "1" in i["tags"])
        )

    by_digest = contained_google.run(contained_google.job(f"{name}@{digests[0]}"))
    by_tag = contained_google.run(contained_google.job(f"{name}:1"))

    assert digests[0] != digests[1]
    assert (["first"], ["second"]) == (
        contained_google.lines(by_digest),
        contained_google.lines(by_tag),
    )


def test_an_image_can_be_made_of_a_directory(contained, contained_google, tmp_path):
    """By its own Dockerfile; one that cannot be built is refused in docker's words."""
    name = f"{REPOSITORY}/{new_name('i')}:1"
    (tmp_path / "told").write_text("as it was written\n")
    file = tmp_path / "Dockerfile"
    file.write_text('FROM stand-in/python\nCOPY told /told\nCMD ["cat", "/told"]\n')
    contained.data(images={name: str(tmp_path)})

    execution = contained_google.run(contained_google.job(name))
    file.write_text("FROM stand-in/python\nCOPY untold /told\n")
    with pytest.raises(urllib.error.HTTPError) as refused:
        contained.data(images={name: str(tmp_path)})
    with pytest.raises(urllib.error.HTTPError) as twice:
        contained.data(images={name: {"directory": str(tmp_path), "cmd": ["true"]}})

    assert ["as it was written"] == contained_google.lines(execution)
    assert '"/untold" not found' in json.load(refused.value)["error"]["message"]
    assert "its Dockerfile says" in json.load(twice.value)["error"]["message"]


def test_an_image_that_is_only_the_engine_s_is_not_found(contained_google, engine):
    """The job's image comes from the registry; what a machine happens to have is not it."""
    name = f"{REPOSITORY}/{new_name('i')}:1"
    engine.must("tag", "stand-in/python", name)

    with pytest.raises(exceptions.NotFound, match=f"Image '{name}' not found"):
        contained_google.job(name)

    engine.must("rmi", name)


@pytest.fixture
def instance(contained):
    """A Cloud SQL instance: a socket of this machine that greets whoever comes."""
    directory = Path(tempfile.mkdtemp(prefix="sql-"))
    directory.chmod(0o700)  # nobody but the server enters its directory
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(directory / ".s.PGSQL.7777"))
    (directory / ".s.PGSQL.7777").chmod(0o777)
    server.listen()
    name = f"project:region:{new_name('db')}"
    contained.data(cloudsql={name: str(directory)})
    yield name
    server.close()
    shutil.rmtree(directory)


def test_a_mounted_instance_shows_its_socket_and_no_other_does(
    contained_google, python_image, instance
):
    """The seeds' fourth failure and its cure, in a real container."""
    path = f"/cloudsql/{instance}/.s.PGSQL.5432"
    connects = program(
        python_image,
        f"import socket; socket.socket(socket.AF_UNIX).connect({path!r}); print('in')",
    )
    mount = run_v2.VolumeMount(name="cloudsql", mount_path="/cloudsql")
    mounted = {"args": connects["container"]["args"], "volume_mounts": [mount]}
    volume = run_v2.Volume(
        name="cloudsql",
        cloud_sql_instance=run_v2.CloudSqlInstance(instances=[instance]),
    )

    without = contained_google.run(contained_google.job(python_image, **connects))
    with_it = contained_google.run(
        contained_google.job(python_image, container=mounted, volumes=[volume])
    )

    assert 1 == contained_google.attempt(without).exit_code
    assert ["in"] == contained_google.lines(with_it)
