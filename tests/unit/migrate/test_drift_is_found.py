"""Where directory and history disagree, and where they do not."""

import pytest

from migrate.drift import Disagreement, baseline_number, find_drift
from migrate.migration import State
from tests.factories import a_migration, an_entry

USERS, EMAIL, ORDERS = (a_migration(v) for v in ("0001", "0002", "0003"))
VIEW = a_migration("R__view")


def kinds(migrations, history):
    return [(d.kind, d.version) for d in find_drift(migrations, history)]


AGREEING = {
    "nothing at all": ([], []),
    "nothing applied": ([USERS, VIEW], []),
    "all applied": ([USERS, VIEW], [an_entry(USERS), an_entry(VIEW)]),
    "some pending": ([USERS, EMAIL], [an_entry(USERS)]),
    "an entry without checksum": ([USERS], [an_entry(USERS, checksum=None)]),
    "an edited repeatable": ([VIEW], [an_entry(VIEW, checksum="sha256:old")]),
    "a baseline without file": ([], [an_entry("0001", state=State.BASELINE)]),
    "a baseline with another file": (
        [USERS],
        [an_entry(USERS, state=State.BASELINE, checksum="sha256:none")],
    ),
    "older than the baseline": (
        [USERS, EMAIL],
        [an_entry(EMAIL, state=State.BASELINE), an_entry(ORDERS, state=State.BASELINE)],
    ),
    "a repeatable is never too late": ([VIEW, ORDERS], [an_entry(ORDERS)]),
}


@pytest.mark.parametrize(("files", "history"), AGREEING.values(), ids=AGREEING)
def test_agreement_is_no_drift(files, history):
    """What is merely pending, adopted or replaceable is in order."""
    found = kinds(files, history)

    assert [] == found


DISAGREEING = {
    "edited": ([USERS], [an_entry(USERS, checksum="sha256:old")], Disagreement.EDITED),
    "missing": ([EMAIL], [an_entry(USERS)], Disagreement.MISSING),
    "a missing repeatable": ([USERS], [an_entry(VIEW)], Disagreement.MISSING),
    "out of order": ([USERS, EMAIL], [an_entry(EMAIL)], Disagreement.OUT_OF_ORDER),
    "running": (
        [USERS],
        [an_entry(USERS, state=State.RUNNING)],
        Disagreement.UNFINISHED,
    ),
    "failed": ([USERS], [an_entry(USERS, state=State.FAILED)], Disagreement.UNFINISHED),
    "failed, since edited": (
        [USERS],
        [an_entry(USERS, state=State.FAILED, checksum="sha256:old")],
        Disagreement.UNFINISHED,
    ),
    "failed, since removed": (
        [],
        [an_entry(USERS, state=State.FAILED)],
        Disagreement.MISSING,
    ),
}


@pytest.mark.parametrize(
    ("files", "history", "kind"), DISAGREEING.values(), ids=DISAGREEING
)
def test_each_disagreement_has_its_kind(files, history, kind):
    """One disagreement is found, and it is the right one."""
    found = find_drift(files, history)

    assert [kind] == [d.kind for d in found]


def test_each_disagreement_says_whom_it_is_about():
    """The detail can stand alone in a list."""
    history = [
        an_entry(USERS, checksum="sha256:old"),
        an_entry("0004", name="gone"),
        an_entry(ORDERS, state=State.RUNNING),
    ]

    details = [d.detail for d in find_drift([USERS, EMAIL, ORDERS], history)]

    assert [
        "0001_users.sql is not the text that was applied",
        "0002_users.sql is older than version 4, which is applied",
        "0003_users.sql began and did not finish",
        "version 0004 (gone) is applied, its file is gone",
    ] == details


def test_disagreements_come_in_the_order_of_versions():
    """Numbers as numbers, repeatables last, whatever the history's order was."""
    history = [an_entry(v) for v in ("R__a", "10", "9", "0001")]

    versions = [version for _, version in kinds([], history)]

    assert ["0001", "9", "10", "R__a"] == versions


def test_numbers_decide_what_is_out_of_order():
    """Version 9 is older than version 10, and version 010 is not newer than 10."""
    files = [a_migration("9"), a_migration("11")]

    found = kinds(files, [an_entry(a_migration("0010"))])

    assert [(Disagreement.OUT_OF_ORDER, "9"), (Disagreement.MISSING, "0010")] == found


@pytest.mark.parametrize(
    ("adopted", "expected"), [([], -1), (["0007"], 7), (["0007", "0012", "0009"], 12)]
)
def test_the_newest_baseline_counts(adopted, expected):
    """Applied versions are no baseline, however new."""
    history = [an_entry(v, state=State.BASELINE) for v in adopted]

    found = baseline_number([*history, an_entry("0020")])

    assert expected == found
