"""`python -m jobs launch`, `gcloud builds submit` and a trigger submit one and the same build.

What gcloud makes of a build file was recorded once (`tests/recorded`); `sent_by_gcloud`
says the same in code and is held against the recording. Builds are compared as Cloud
Build's own message type, which refuses a field that it does not know.
"""

import json

import pytest
import yaml

from jobs import buildfile, spec
from jobs.spec import Launch, Source
from tests.fix_cli import CHECKOUT
from tests.unit.jobs.test_requests_on_the_wire import LAUNCH, TARGET

cloudbuild_v1 = pytest.importorskip("google.cloud.devtools.cloudbuild_v1")

FILE = CHECKOUT / "cloudbuild.migrate.yaml"
RECORDED = json.loads(
    (CHECKOUT / "tests/recorded/gcloud_builds_submit.json").read_text(encoding="utf-8")
)
SOURCE = Source("acme-dev_us-central1_cloudbuild", "source/x.tgz", 17)


def as_build(body):
    """Return a request's JSON as the message it becomes; strictly."""
    from google.protobuf import json_format

    message = cloudbuild_v1.Build.pb(cloudbuild_v1.Build())
    return json_format.ParseDict(dict(body), message)


def sent_by_gcloud(document, substitutions, source):
    """Return what `gcloud builds submit --config FILE --substitutions …` sends."""
    place = {
        "bucket": source.bucket,
        "object": source.object,
        "generation": str(source.generation),
    }
    return document | {
        "source": {"storageSource": place},
        "substitutions": {**document["substitutions"], **substitutions},
    }


def test_gcloud_sends_what_we_say_it_sends():
    """The file as it stands, its substitutions filled in, the source's place and generation."""
    document = yaml.safe_load("\n".join(RECORDED["build.yaml"]))

    made = sent_by_gcloud(document, {"_ENV": "staging", "_COMMIT": "Abc123"}, SOURCE)

    assert as_build(RECORDED["body"]) == as_build(made)
    assert (
        "/v1/projects/acme-dev/locations/us-central1/builds?alt=json"
        == (RECORDED["path"])
    )


def test_the_build_file_is_a_build():
    """No field of it is unknown to Cloud Build, and no value of a wrong kind."""
    build = as_build(yaml.safe_load(FILE.read_bytes()))

    assert list(buildfile.STEPS) == [step.id for step in build.steps]


def test_a_field_that_is_none_is_refused():
    """So that the test above can fail."""
    from google.protobuf import json_format

    document = yaml.safe_load(FILE.read_bytes())
    document["steps"][2]["allowFailures"] = True

    with pytest.raises(json_format.ParseError, match="allowFailures"):
        as_build(document)


def test_a_launch_and_gcloud_submit_the_same_build():
    """With the same substitutions; a launch adds two tags, by which it is found again."""
    document = buildfile.load(str(FILE))
    given = spec.substitutions(TARGET, LAUNCH, "5")

    launched = spec.build_spec(TARGET, document, SOURCE, LAUNCH, "5")
    ours = as_build(launched.body)
    theirs = as_build(sent_by_gcloud(document, given, SOURCE))

    assert [*theirs.tags, "env-dev", LAUNCH.id] == list(ours.tags)
    del ours.tags[:], theirs.tags[:]
    assert theirs == ours
    assert f"/v1/{launched.parent}/builds?alt=json" == RECORDED["path"]


def test_a_trigger_starts_the_same_build():
    """The trigger names the file and fills in what an environment says, and no more."""
    document = buildfile.load(str(FILE))
    nobody = Launch(id="", submitter="trigger")
    given = spec.substitutions(TARGET, nobody, "")

    launched = spec.build_spec(TARGET, document, SOURCE, nobody, "")

    ours = launched.body["substitutions"]
    assert {**document["substitutions"], **given} == ours
    assert {"_ENV", "_IMAGE", "_BUILD_SA", "_SUBMITTER"} == set(given)
