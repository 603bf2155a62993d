"""Polling, queries, links, the verdict's file: small parts with one promise each."""

import pytest

from jobs import links, polling, queries, verdictfile
from jobs.errors import Denied, Unavailable, VerdictFileMissing, WaitedTooLong
from jobs.names import BuildName, ExecutionName, JobName
from jobs.verdictfile import Note
from tests.scripted_cloud import START, Hands

DOWN = Unavailable(call="x", reason="503")


def failing(times, error=DOWN):
    """Return a call that fails some times and then answers."""
    left = [error] * times

    def call():
        if left:
            raise left.pop()
        return "answer"

    return call


def test_a_safe_call_is_made_again():
    """With longer and longer pauses, each told."""
    clock = Hands()
    told: list[object] = []

    assert "answer" == polling.again(failing(3), clock, told.append)
    assert 3 == len(told)
    assert START + 3.5 == clock.time


def test_patience_ends():
    """The last error is raised."""
    with pytest.raises(Unavailable):
        polling.again(failing(99), Hands())


def test_what_will_not_pass_is_not_tried_again():
    """A permission does not come by waiting."""
    error = Denied(call="x", reason="y")

    with pytest.raises(Denied):
        polling.again(failing(1, error), Hands())
    assert not polling.is_transient(error)
    assert polling.is_transient(DOWN)


def test_looking_ends_at_the_deadline():
    """Exactly there, and says what was waited for."""
    clock = Hands()

    with pytest.raises(WaitedTooLong, match="the moon: not within 60 s"):
        polling.until(lambda: None, clock, what="the moon", seconds=60)
    assert START + 60 == clock.time


def test_looking_survives_an_outage():
    """A look that fails is a look that found nothing."""
    assert "answer" == polling.until(failing(2), Hands(), what="x", seconds=60)


def test_an_effect_is_looked_for_until_it_shows():
    """Lists are late; the act is done once."""
    looks = iter([None, None, "there"])

    assert "there" == polling.took_effect(failing(1), lambda: next(looks), Hands())


def test_filters_quote_what_they_are_given():
    """A name cannot end its quotes."""
    job = queries.of_job('a"b\\', "r")

    assert r'resource.labels.job_name="a\"b\\"' in job
    assert queries.of_execution("j", "r", "e").endswith('execution_name"="e"')
    assert 'resource.labels.build_id="b"' in queries.of_build("p", "b")
    assert "(x) OR (y)" == queries.either("x", "y")


def test_pages_of_the_console_have_project_and_region():
    """Each opens where the thing is."""
    assert links.build_page(BuildName("p", "r", "b")).endswith(
        "builds;region=r/b?project=p"
    )
    assert "details/r/j/executions?" in links.job_page(JobName("p", "r", "j"))
    assert "details/r/e?" in links.execution_page(ExecutionName("p", "r", "j", "e"))
    assert "query=a%3D%22b%22?project=p" in links.log_page("p", 'a="b"')


def test_a_verdict_is_read_back(tmp_path):
    """By the step after the one that wrote it."""
    note = Note("failed", "dev-job", 7, "dev-job-x", "no such table")

    verdictfile.write(tmp_path / "v.json", note)

    assert note == verdictfile.read(tmp_path / "v.json")
    assert ["v.json"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("text", [None, "", "[]", '{"state": "x"}'])
def test_no_verdict_is_an_error(tmp_path, text):
    """Missing, empty, or something else: it is written before a job is made."""
    file = tmp_path / "v.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    with pytest.raises(VerdictFileMissing, match="the run step made no job"):
        verdictfile.read(file)
