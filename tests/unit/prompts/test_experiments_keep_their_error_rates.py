"""Experiments: the same person gets the same arm, and looking daily costs nothing.

The error rates claimed in docs/prompts.md are measured here on simulated experiments: two
equal arms (A/A) must hardly ever have a winner although somebody looks every day, a real
difference (A/B) must be found, and the interval must hold the truth at every look.
"""

import math
import random
from collections.abc import Iterator

import pytest

from prompts.experiments import (
    ALPHA,
    FEWEST,
    SRM_ALARM,
    Arm,
    Split,
    arm,
    half_width,
    judge,
    sample_ratio_p,
)

DAYS, A_DAY, PLANNED = 20, 50, 400
# A subject's share of successful calls: some call once, some often.
SUBJECTS = [1.0] * 55 + [0.75] * 15 + [0.5] * 15 + [0.0] * 15
BETTER = [1.0] * 70 + [0.75] * 15 + [0.5] * 10 + [0.0] * 5
# Latency: a long tail, as latencies have.
LATENCIES = [math.exp(6 + n / 40) for n in range(-100, 101)]


def daily(control: list[float], treatment: list[float], chance) -> Iterator[list[Arm]]:
    """Yield the two arms at the end of each day of one experiment."""
    totals = [[0.0, 0.0], [0.0, 0.0]]
    for day in range(1, DAYS + 1):
        n = day * A_DAY
        arms = []
        for total, subjects in zip(totals, (control, treatment), strict=True):
            seen = chance.choices(subjects, k=A_DAY)
            total[0] += sum(seen)
            total[1] += sum(value * value for value in seen)
            mean = total[0] / n
            arms.append(Arm(n, n, mean, (total[1] - n * mean * mean) / (n - 1)))
        yield arms


def fixed_z(control: Arm, treatment: Arm) -> bool:
    """Say what a textbook test says: significant at 5 %, if one looked only once."""
    error = math.sqrt((control.variance + treatment.variance) / control.measured)
    return abs(treatment.mean - control.mean) > 1.96 * error


def verdicts(arms: list[Arm], metric: str = "success_rate"):
    """Judge one day."""
    return judge(*arms, percent=50, min_subjects=PLANNED // 4, metric=metric)


def test_equal_arms_hardly_ever_have_a_winner_however_often_one_looks():
    """Of 2,000 A/A experiments looked at daily, at most the nominal 5 % name a winner; a
    textbook test, looked at as often, cries out in a fifth of them.
    """
    chance = random.Random(20251106)
    named = outside = naive = 0

    for _ in range(2_000):
        days = list(daily(SUBJECTS, SUBJECTS, chance))
        named += any(verdicts(arms).winner for arms in days)
        outside += any(
            abs(t.mean - c.mean) > half_width(c, t, PLANNED, ALPHA) for c, t in days
        )
        naive += any(fixed_z(*arms) for arms in days)

    assert named / 2_000 <= ALPHA
    assert outside / 2_000 <= ALPHA  # without the gate of min_subjects too
    assert naive / 2_000 > 0.15  # or the simulation would prove nothing


def test_equal_arms_with_a_long_tail_hardly_ever_have_a_winner():
    """The same of latencies, which are anything but normal."""
    chance = random.Random(7)

    named = sum(
        any(
            verdicts(arms, "latency_ms").winner
            for arms in daily(LATENCIES, LATENCIES, chance)
        )
        for _ in range(500)
    )

    assert named / 500 <= ALPHA


def test_equal_arms_are_safe_from_impatience():
    """An experiment that asks for one subject, looked at after each: still no more than the
    nominal rate, where a handful of coins would name a winner in half of them.
    """
    chance = random.Random(5)
    named = early = 0

    for _ in range(500):
        good, winners = [0, 0], []
        for n in range(1, 46):
            good = [total + chance.getrandbits(1) for total in good]
            means = [total / n for total in good]
            arms = [
                Arm(n, n, mean, mean * (1 - mean) * n / max(n - 1, 1)) for mean in means
            ]
            verdict = judge(*arms, percent=50, min_subjects=1)
            winners.append(verdict.winner)
            early |= n < FEWEST and verdict.winner is not None
        named += any(winners)

    assert named / 500 <= ALPHA
    assert not early


def test_real_difference_is_found_and_the_right_arm_named():
    """Of 300 A/B experiments nine in ten find the better arm, and none the worse one."""
    chance = random.Random(11)
    winners = []

    for _ in range(300):
        named = (verdicts(arms).winner for arms in daily(SUBJECTS, BETTER, chance))
        winners.append(next((winner for winner in named if winner), None))

    assert winners.count("treatment") / 300 > 0.9
    assert 0 == winners.count("control")


def test_interval_holds_the_truth_at_every_look():
    """The true difference is inside on all twenty days in at least 95 % of the runs."""
    truth = sum(BETTER) / len(BETTER) - sum(SUBJECTS) / len(SUBJECTS)
    chance = random.Random(13)

    covered = sum(
        all(
            v.low <= truth <= v.high
            for v in map(verdicts, daily(SUBJECTS, BETTER, chance))
        )
        for _ in range(300)
    )

    assert covered / 300 >= 1 - ALPHA


def test_no_winner_is_named_before_the_planned_subjects():
    """However clear it looks."""
    arms = Arm(99, 99, 0.1, 0.01), Arm(500, 500, 0.9, 0.01)

    verdict = judge(*arms, percent=500 / 599 * 100, min_subjects=100)

    assert (None, "too early: 99 of 100 subjects in the smaller arm") == verdict[:2]


def test_no_winner_is_named_when_the_split_is_broken():
    """A split that is not the configured one comes first: the figures mean nothing."""
    arms = Arm(1_000, 1_000, 0.1, 0.01), Arm(800, 800, 0.9, 0.01)

    verdict = judge(*arms, percent=50, min_subjects=100)

    assert verdict.winner is None
    assert "the split is not the configured one" in verdict.reason


@pytest.mark.parametrize(
    ("metric", "winner"),
    [("success_rate", "treatment"), ("latency_ms", "control"), ("cost", "control")],
)
def test_better_depends_on_what_is_measured(metric, winner):
    """More success is better; more latency and more cost are not."""
    arms = Arm(1_000, 1_000, 10, 4), Arm(1_000, 1_000, 12, 4)

    assert winner == judge(*arms, percent=50, min_subjects=100, metric=metric).winner


def test_nobody_measured_means_nothing_to_say():
    """An experiment of a moment ago has an endless interval, and no alarm."""
    verdict = judge(Arm(), Arm(), percent=50, min_subjects=100)

    assert (None, -math.inf, math.inf, 1.0) == (
        verdict.winner,
        verdict.low,
        verdict.high,
        verdict.srm_p,
    )


def test_sample_ratio_is_held_against_the_configured_split():
    """Even numbers are wrong where a tenth was configured."""
    assert sample_ratio_p(500, 500, 50) == 1
    assert sample_ratio_p(900, 100, 10) == 1
    assert sample_ratio_p(500, 500, 10) < 0.001
    assert 0.001 > sample_ratio_p(1_000, 1_200, 50) > 0  # chi² = 18.2
    assert math.isclose(0.3116, sample_ratio_p(484, 516, 50), abs_tol=1e-4)


def test_alarm_about_the_split_is_rare_when_assignment_works():
    """Of 2,000 sound experiments looked at daily, at most one in a hundred is alarmed."""
    chance = random.Random(17)
    alarmed = 0

    for _ in range(2_000):
        control, looks = 0, []
        for day in range(1, DAYS + 1):
            control += chance.getrandbits(2 * A_DAY).bit_count()
            looks.append(sample_ratio_p(control, 2 * A_DAY * day - control, 50))
        alarmed += min(looks) < SRM_ALARM

    assert alarmed / 2_000 <= 0.01


def test_subject_keeps_its_arm_and_a_larger_share_takes_nobody_out():
    """Assignment is a function of salt and subject; 10 % to 20 % only adds."""
    subjects = [str(n) for n in range(5_000)]
    tenth, fifth, other = (
        {s for s in subjects if arm(Split("e", salt, percent), s) == "treatment"}
        for salt, percent in (("a", 10), ("a", 20), ("b", 20))
    )

    assert tenth < fifth
    assert 400 < len(tenth) < 600
    assert 900 < len(fifth) < 1_100
    # Independent: a fifth of one is in the other.
    assert 140 < len(fifth & other) < 260
