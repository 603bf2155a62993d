"""The detectors on the labelled cases: as good as the documentation says, and quick."""

import time

import pytest

from prompts.detectors import DETECTORS, see
from tests.prompts.labelled import KINDS, KNOWN, UNSEEN, cases, score

PROMISED = {
    ("pii", KNOWN): (0.97, 0.93),
    ("pii", UNSEEN): (1.0, 0.95),
    ("toxicity", KNOWN): (0.98, 0.92),
    ("toxicity", UNSEEN): (1.0, 0.88),
    ("prompt_injection", KNOWN): (0.98, 0.91),
    ("prompt_injection", UNSEEN): (1.0, 0.66),
}
HOSTILE = [
    "a" * 20_000,
    "a " * 10_000,
    "ignore all " * 2_000,
    "4 " * 10_000,
    "GB82 " * 4_000,
    "x@" + "a." * 10_000,
    "+1" * 10_000,
    "f* " * 6_000,
    "é" * 20_000,
    "tell your " * 2_000,
    "\n" * 20_000,
    "aa1" + "o" * 20_000,
]


def test_there_are_enough_cases_of_every_kind():
    """At least three hundred, attacks and benign ones, none twice."""
    all_cases = cases()

    labels = [case.label for case in all_cases]

    assert 300 <= len(all_cases) == len(set(all_cases))
    assert {*KINDS, "benign"} == set(labels)
    assert all(70 <= labels.count(label) for label in {*KINDS, "benign"})


def test_cases_that_were_not_seen_are_no_others_in_disguise():
    """The second set measures something: it shares no case with the first."""
    unseen = cases(UNSEEN)

    assert 90 <= len(unseen) == len(set(unseen) - set(cases()))
    assert {*KINDS, "benign"} == {case.label for case in unseen}


@pytest.mark.parametrize("file", [KNOWN, UNSEEN])
@pytest.mark.parametrize("kind", KINDS)
def test_precision_and_recall_are_at_least_as_promised(kind, file):
    """The documentation prints the figures; they may only get better."""
    precision, recall = PROMISED[kind, file]

    measured = score(kind, file)

    assert precision <= measured.precision
    assert recall <= measured.recall


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_takes_long(kind, text):
    """Time grows with the length and no faster: twenty kilobytes are not a second."""
    started = time.process_time()

    list(DETECTORS[kind](see(text).text, {}))

    assert time.process_time() - started < 1
