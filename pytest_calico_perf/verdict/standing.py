"""Which earlier run is good enough to be what the next one is held against."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pytest_calico_perf.model import Better
from pytest_calico_perf.verdict.decision import loss_at

# In median distances from the median; of normal ones one in forty is so far out on either side. Not in
# standard deviations: a loss in three of nine runs would be one day's difference among others by those.
_FAR = 3.0


def stands(means: Sequence[float], better: Better, tolerance: float) -> bool:
    """Whether the last of these runs may be a baseline; otherwise it is in doubt.

    A run whose loss could not be proven was kept, and would be the next one's baseline: then the same loss is
    none any more, and is never told of again. So a run is in doubt that is worse than the usual of those
    before it by more than is tolerated, and by more than days differ here. One in doubt after the other is
    passed over, until they are as many as the others: that is the usual then.

    So is one that is better by as much and alone in that: held against a lucky day, every usual one is slow.
    The next run that is as good confirms it.

    Args:
        means: Of each run the mean of the logarithms of its samples, in order of time; one at least.
        better: Direction of the probe.
        tolerance: Tolerated loss that was asked for, as a fraction (not the noise floor: before many runs are
            known, that hides what it is to tell).
    """
    *before, last = means
    if not before:
        return True
    usual = statistics.median(before)
    days = statistics.median(abs(mean - usual) for mean in before)
    tolerated = loss_at(1 - tolerance if better is Better.HIGHER else 1 + tolerance, better)
    limit = max(tolerated, _FAR * days)
    sign = -1.0 if better is Better.HIGHER else 1.0

    def loss(mean: float) -> float:
        return sign * (mean - usual)

    if loss(last) > limit:
        return False
    return loss(last) >= -limit or loss(before[-1]) < -limit


def last_standing(series: Sequence[Sequence[float]], better: Better, tolerance: float) -> int:
    """Index of the latest run that stands in every series (its value, its ratio to host-to-host).

    Args:
        series: One or more series of the same runs, each as in `stands`; NaN where a run has nothing of one.
        better: Direction of the probe.
        tolerance: As in `stands`.

    Raises:
        ValueError: There is no run.
    """
    runs = min(map(len, series), default=0)
    for last in range(runs - 1, 0, -1):
        known = [[mean for mean in each[: last + 1] if not math.isnan(mean)] for each in series]
        if all(
            stands(means, better, tolerance)
            for means, each in zip(known, series, strict=True)
            if not math.isnan(each[last])
        ):
            return last
    if not runs:
        raise ValueError("there is no run")
    return 0
