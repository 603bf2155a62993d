"""From a Dockerfile and the uploaded files: what is where in the image."""

import pytest

from jobs import buildfile, imagefiles, source
from jobs.imagefiles import Stage, directory_in, files_in, image_of, runner_directory
from tests.fix_cli import CHECKOUT
from tests.preflighted import DOCKERFILE, DOCUMENT, UPLOADED

PLAIN = Stage({}, "/app", {})


def files(dockerfile, uploaded=UPLOADED, stage=""):
    """Return the image's files."""
    return dict(image_of(dockerfile, uploaded, stage).files)


def test_directories_files_and_patterns_are_copied_as_docker_copies_them():
    """A directory's content, a file under its name or a new one, what a pattern fits."""
    made = files(
        """
        # a comment
        FROM x
        WORKDIR /app
        WORKDIR sub/
        COPY --chown=1:1 migrate/ ./here/
        COPY ["cloudbuild.migrate.yaml", "./"]
        COPY Dockerfile.migrate /etc/renamed
        COPY migrations/*_users.sql /sql/
        ADD . /all
        """
    )

    assert "migrate/cli.py" == made["/app/sub/here/cli.py"]
    assert "cloudbuild.migrate.yaml" == made["/app/sub/cloudbuild.migrate.yaml"]
    assert "Dockerfile.migrate" == made["/etc/renamed"]
    assert "migrations/0001_users.sql" == made["/sql/0001_users.sql"]
    assert "/sql/0001_users.down.sql" not in made
    assert (
        "migrations/0001_users.down.sql" == made["/all/migrations/0001_users.down.sql"]
    )


def test_stages_inherit_and_copy_from_each_other():
    """FROM takes a stage's files on, COPY --from some of them; names may be arguments."""
    text = """
    ARG NAME=first
    ARG NAME=ignored
    FROM scratch AS first
    COPY migrations/ /m/
    FROM ${NAME} AS second
    FROM --platform=linux/amd64 scratch as third
    ENV A=1 B="two words" \\
        C=3
    ENV OLD form
    RUN anything
    COPY --from=second /m/0001_users.sql /n/
    COPY --from=elsewhere /x /y
    COPY --from=second /m/ ${A}/${NONE:-z}/$NONE
    """
    second = image_of(text, UPLOADED, "second")
    third = image_of(text, UPLOADED, "no such stage")

    assert {"/m/0001_users.sql", "/m/0001_users.down.sql"} == set(second.files)
    assert {
        "/n/0001_users.sql",
        "/1/z/0001_users.sql",
        "/1/z/0001_users.down.sql",
    } == set(third.files)
    assert {"A": "1", "B": "two words", "C": "3", "OLD": "form"} == third.environment


def test_nothing_to_copy_copies_nothing():
    """A COPY without words, and an image without a stage."""
    assert {} == files("FROM x\nCOPY\nENV")
    assert Stage({}, "/", {}) == image_of("", ())


def test_the_shipped_dockerfile_holds_the_migrations_where_the_runner_looks():
    """What `launch` would build is right."""
    document = buildfile.load(str(CHECKOUT / "cloudbuild.migrate.yaml"))
    text = (CHECKOUT / "Dockerfile.migrate").read_text(encoding="utf-8")
    uploaded = source.files(CHECKOUT)

    image = image_of(text, uploaded, imagefiles.stage_built(document))
    place = directory_in(image, "migrations")

    assert "/app/migrations" == place
    assert "0001_enterprise_prompt_system_phase1.sql" in files_in(image, place)
    assert imagefiles.pushes_before_run(document)
    assert [] == imagefiles.undeclared(document)
    assert [] == imagefiles.unused(document)


@pytest.mark.parametrize(
    ("args", "variables", "image", "engine", "expected"),
    [
        (("--to", "2"), {}, PLAIN, "", ("migrations", "")),
        (("--dir", "a"), {"MIGRATE_DIR": "b"}, PLAIN, "d", ("a", "args")),
        (("--dir=a",), {}, PLAIN, "", ("a", "args")),
        (("--dir",), {"MIGRATE_DIR": "b"}, PLAIN, "d", ("b", "variables")),
        (
            (),
            {},
            PLAIN._replace(environment={"MIGRATE_DIR": "c"}),
            "d",
            ("c", "Dockerfile.migrate"),
        ),
        ((), {}, PLAIN, "d", ("d", "engine")),
    ],
)
def test_the_runner_looks_where_it_is_told(args, variables, image, engine, expected):
    """Option before variable before image before environment file before default."""
    assert expected == runner_directory(args, variables, image, engine)


def test_the_push_must_come_before_the_job():
    """`images:` and a later push do not count; a script may push."""
    steps = DOCUMENT["steps"]
    push, run = steps[1], steps[2]

    assert imagefiles.pushes_before_run(DOCUMENT)
    assert imagefiles.pushes_before_run({"steps": [{"script": "docker push x"}, run]})
    assert not imagefiles.pushes_before_run({"steps": [run, push], "images": ["x"]})
    assert not imagefiles.pushes_before_run({"steps": [{"args": ["pushed"]}]})


def test_substitutions_are_declared_and_used():
    """Cloud Build refuses both kinds of mistake, unless it is told to be lenient."""
    wrong = {
        "steps": [{"args": ["${_USED}", "$_SHORT", "$$_NOT_MINE", "$BUILD_ID"]}],
        "substitutions": {"_USED": "", "_EXTRA": ""},
    }

    assert ["_SHORT"] == imagefiles.undeclared(wrong)
    assert ["_EXTRA"] == imagefiles.unused(wrong)
    assert [] == imagefiles.unused(
        {**wrong, "options": {"substitutionOption": "ALLOW_LOOSE"}}
    )
    assert "" == imagefiles.stage_built(wrong)
    assert "runner" == imagefiles.stage_built(DOCUMENT)
    assert "/app/migrations/0001_users.sql" in files(DOCKERFILE)
