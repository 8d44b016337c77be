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
# So many runs tell what is usual, and how days differ; those before say how the cluster was then.
RUNS = 20


def stands(means: Sequence[float], better: Better, tolerance: float) -> bool:
    """Whether the last of these runs may be a baseline; otherwise it is in doubt.

    A run whose loss could not be proven was kept, and would be the next one's baseline: then the same loss is
    none any more, and is never told of again. So a run is in doubt that is worse than the usual of those
    before it by more than is tolerated, and by more than days differ here. One in doubt after the other is
    passed over, until they are as many as the others: that is the usual then.

    So is one that is better by as much and alone in that: held against a lucky day, every usual one is slow.
    The next run that is as good confirms it, and what is usual is told by the runs from there on.

    Args:
        means: Of each run the mean of the logarithms of its samples, in order of time; one at least.
        better: Direction of the probe.
        tolerance: Tolerated loss that was asked for, as a fraction (not the noise floor: before many runs are
            known, that hides what it is to tell).
    """
    tolerated = loss_at(1 - tolerance if better is Better.HIGHER else 1 + tolerance, better)
    sign = -1.0 if better is Better.HIGHER else 1.0
    losses = [sign * mean for mean in means[-RUNS - 1 :]]
    before = _since_last_gain(losses[:-1], tolerated)
    if not before:
        return True
    side = _side(losses[-1], before, tolerated)
    return side == 0 or (side < 0 and _side(before[-1], before, tolerated) < 0)


def _since_last_gain(losses: Sequence[float], tolerated: float) -> Sequence[float]:
    """Those from the last run on that was better than usual, and whose next one was, too."""
    first = 0
    for place in range(1, len(losses) - 1):
        before = losses[first:place]
        if before and all(_side(loss, before, tolerated) < 0 for loss in losses[place : place + 2]):
            first = place
    return losses[first:]


def _side(loss: float, before: Sequence[float], tolerated: float) -> int:
    """1 for worse than what is usual before, -1 for better, 0 for neither."""
    usual = statistics.median(before)
    limit = max(tolerated, _FAR * statistics.median(abs(each - usual) for each in before))
    return (loss > usual + limit) - (loss < usual - limit)


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
