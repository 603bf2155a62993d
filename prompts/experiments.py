"""Experiments: who gets which version, and what may be concluded from it.

``service`` assigns, ``cli`` reports. The subject is the unit, never the execution: a
person who calls often would otherwise count as many. Nothing here touches a database.
"""

import math
from typing import NamedTuple

from prompts.identity import BUCKETS, bucket

CONTROL, TREATMENT = ARMS = ("control", "treatment")
ALPHA = 0.05
SRM_ALARM = 0.001
SRM_SUBJECTS = 100  # below, the split says nothing yet
FEWEST = 30  # in an arm; the interval is asymptotic and means nothing of a handful
METRICS = ("success_rate", "latency_ms", "cost")
LOWER_IS_BETTER = METRICS[1:]


class Split(NamedTuple):
    """How a running experiment divides its subjects."""

    experiment_id: str
    salt: str
    treatment_percent: float


class Arm(NamedTuple):
    """One arm: subjects seen, subjects measured, mean and variance over those."""

    seen: int = 0
    measured: int = 0
    mean: float = 0.0
    variance: float = 0.0


class Verdict(NamedTuple):
    """What may be said today. The winner is None until it may be named."""

    winner: str | None
    reason: str
    difference: float  # treatment minus control
    low: float
    high: float
    srm_p: float


def arm(split: Split, subject: str) -> str:
    """Return the arm of a subject: the same one each time.

    Treatment takes the top of the range, so that a larger share moves nobody out of it.
    """
    share = split.treatment_percent / 100
    treated = bucket(split.salt, subject) >= BUCKETS * (1 - share)
    return TREATMENT if treated else CONTROL


def sample_ratio_p(control: int, treatment: int, percent: float) -> float:
    """Return how likely a split as uneven as this is, if assignment works."""
    total = control + treatment
    if not total:
        return 1.0
    expected = total * percent / 100
    chi2 = (treatment - expected) ** 2 / expected
    chi2 += (control - (total - expected)) ** 2 / (total - expected)
    return math.erfc(math.sqrt(chi2 / 2))


def half_width(control: Arm, treatment: Arm, planned: int, alpha: float) -> float:
    """Return half the interval for the difference of the means.

    An asymptotic confidence sequence: it holds at every look at once, so one may look
    daily and stop whenever it leaves zero out. It is narrowest at the planned size.
    """
    if not (control.measured and treatment.measured):
        return math.inf
    n = 2 / (1 / control.measured + 1 / treatment.measured)
    variance = control.variance / control.measured
    variance += treatment.variance / treatment.measured
    log_alpha = -2 * math.log(alpha)
    rho2 = (log_alpha + math.log(1 + log_alpha)) / planned
    inside = 2 * (n * rho2 + 1) / (n * rho2)
    inside *= math.log(math.sqrt(n * rho2 + 1) / alpha)
    return math.sqrt(variance * inside)


def judge(
    control: Arm,
    treatment: Arm,
    *,
    percent: float,
    min_subjects: int,
    metric: str = "success_rate",
) -> Verdict:
    """Say what may be concluded; it names no winner early, or from a broken split."""
    planned = max(min_subjects, FEWEST)
    difference = treatment.mean - control.mean
    half = half_width(control, treatment, planned, ALPHA)
    srm_p = sample_ratio_p(control.seen, treatment.seen, percent)
    fewest = min(control.measured, treatment.measured)
    winner = None
    if control.seen + treatment.seen >= SRM_SUBJECTS and srm_p < SRM_ALARM:
        reason = f"the split is not the configured one (p = {srm_p:.2g}): find out why"
    elif fewest < planned:
        reason = f"too early: {fewest} of {planned} subjects in the smaller arm"
    elif abs(difference) <= half:
        reason = "undecided: the interval holds zero"
    else:
        better = (difference > 0) != (metric in LOWER_IS_BETTER)
        winner = TREATMENT if better else CONTROL
        reason = "the interval leaves zero out"
    low, high = difference - half, difference + half
    return Verdict(winner, reason, difference, low, high, srm_p)
