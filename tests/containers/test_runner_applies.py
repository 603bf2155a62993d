"""The runner's image, started as Cloud Run starts it, against a real server."""

import json


def test_a_task_applies_and_tells_in_json_lines(
    engine, runner_image, postgres, database
):
    """Started without arguments, it applies what is in the image and ends with 0."""
    given = {"DATABASE_URL": postgres.url(database), "CLOUD_RUN_JOB": "a-job"}
    variables = [f"--env={name}={value}" for name, value in given.items()]

    ran = engine.docker(
        "run", "--rm", "--network", postgres.network, *variables, runner_image
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert "End" == lines[-1]["event"]
    assert ["0001"] == [done["version"] for done in lines[-1]["fields"]["done"]]
    assert postgres.password not in ran.stdout + ran.stderr
