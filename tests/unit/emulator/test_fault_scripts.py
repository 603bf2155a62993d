"""Fault scripts: read strictly, struck by counting and by nothing else."""

import pytest

from emulator.faults import BadScript, Faults, parse_faults


def struck(script, times, place="rpc", **facts):
    """Say for each of some strikes whether the script struck."""
    faults = Faults(parse_faults(script))
    return [bool(faults.strike(place, **facts)) for _ in range(times)]


def test_fault_strikes_as_often_as_it_says():
    """``skip`` and ``times`` are counts of matching calls."""
    script = [{"at": "rpc", "do": "error", "method": "Jobs.*", "skip": 1, "times": 2}]

    assert [False, True, True, False] == struck(script, 4, method="Jobs.RunJob")


def test_fault_strikes_only_where_its_conditions_hold():
    """A condition is a pattern; all must hold."""
    script = [{"at": "rpc", "do": "error", "method": "Jobs.*"}]

    assert [False] == struck(script, 1, method="CloudBuild.GetBuild")


@pytest.mark.parametrize(
    ("lines", "hit"),
    [
        (3, [3]),
        ([1, "4-5"], [1, 4, 5]),
        ("4-", [4, 5, 6]),
        ("every 2", [2, 4, 6]),
        ("1,3", [1, 3]),
    ],
)
def test_lines_are_chosen_by_number(lines, hit):
    """Lines are numbers, ranges, or every so many."""
    faults = Faults(parse_faults([{"at": "log", "do": "lost", "lines": lines}]))

    assert hit == [n for n in range(1, 7) if faults.strike("log", line=n)]


def test_same_script_strikes_alike_after_it_was_loaded_again():
    """Loading a script starts its counts again."""
    script = parse_faults([{"at": "rpc", "do": "error", "times": 1}])
    faults = Faults(script)
    first = [bool(faults.strike("rpc", method="x")) for _ in range(2)]

    faults.load(script)

    assert [True, False] == first
    assert [True, False] == [bool(faults.strike("rpc", method="x")) for _ in range(2)]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"at": "rpc"}, "a list"),
        (["x"], "a mapping"),
        ([{"at": "moon", "do": "error"}], "`at` is one of"),
        ([{"at": "rpc", "do": "explode"}], "`do` at rpc is one of"),
        ([{"at": "rpc", "do": "error", "methd": "x"}], "unknown key methd"),
    ],
)
def test_script_that_cannot_be_meant_is_refused(script, why):
    """A slip in a script is an error that says which entry."""
    with pytest.raises(BadScript, match=why):
        parse_faults(script)
