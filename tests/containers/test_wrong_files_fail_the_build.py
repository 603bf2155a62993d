"""A wrong or missing file ends the image's build, with its name, and never reaches a job."""

import shutil

import pytest


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("0002_a.sql", "SELECT 1;\nSELECT '", "0002_a.sql:2:8: quoted string begins"),
        ("0002_a.sql", "-- migrate: requires=7\nSELECT 1;", "requires version 7"),
        ("0002_a.down.sql", "SELECT 1;", "0002_a.down.sql belongs to no migration"),
        ("second.sql", "SELECT 1;", "'second.sql' is not a migration's name"),
    ],
    ids=["unclosed", "unmet", "orphan", "misnamed"],
)
def test_a_wrong_migration_is_named_by_the_build(engine, context, file, text, said):
    """What the engine would refuse in the job, it refuses in the build."""
    (context / "migrations" / file).write_text(text)

    built = engine.build("runner", context)

    assert built.returncode != 0
    assert said in built.stderr


def test_a_missing_directory_is_named_by_the_build(engine, context):
    """The seeds' fourth build was green, and its job found no file."""
    shutil.rmtree(context / "migrations")

    built = engine.build("runner", context)

    assert built.returncode != 0
    assert '"/migrations" not found' in built.stderr


def test_a_directory_that_only_an_environment_names_is_missed_too(engine, context):
    """The image of dev is the image of prod: each environment's files are looked for."""
    settings = context / "environments/prod.yaml"
    text = settings.read_text(encoding="utf-8")
    assert "engine:\n" in text
    settings.write_text(text.replace("engine:\n", "engine:\n  dir: sql/prod\n"))

    built = engine.build("runner", context)

    assert built.returncode != 0
    assert "files of prod:" in built.stderr
    assert "migrations directory 'sql/prod' cannot be read" in built.stderr


def test_a_tight_umask_builds_an_image_that_can_be_read(engine, context):
    """Whoever builds may keep the checkout private; the image's user reads it all."""
    for path in (*context.glob("m*/**/*"), *context.glob("e*/*")):
        path.chmod(0o700 if path.is_dir() else 0o600)

    built = engine.build("runner", context, "--tag", "tight-umask")
    assert 0 == built.returncode, built.stderr
    ran = engine.docker(
        *("run", "--rm", "--entrypoint", "python", "tight-umask"),
        *("-m", "migrate", "plan", "--check-files", "--env", "dev"),
    )

    assert 0 == ran.returncode, ran.stderr
    assert "1 read, nothing wrong" in ran.stdout
