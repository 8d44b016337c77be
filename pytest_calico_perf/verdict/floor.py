"""The noise floor: the smallest tolerance that this cluster's own noise leaves room for.

A tolerance below the floor is not wrong, it is useless: nearly every verdict would be `inconclusive`. So
the floor is defined by what a tolerance is for: the smallest at which a true loss of twice as much is found
with a probability of 95 %, and at which nothing is found where nothing is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pytest_calico_perf.model import Better
from pytest_calico_perf.stats import t_quantile
from pytest_calico_perf.verdict.baseline import MINIMUM_RUNS, between_runs, run_mean
from pytest_calico_perf.verdict.decision import DEFAULT_GATE, Gate
from pytest_calico_perf.verdict.estimate import mean_and_variance

# Promised are 95 %. The hundredth more is for what the noncentral t distribution does not know: that noise
# is not normal, and that a verdict asks two questions, each of which may fail (measured: see the tests).
POWER = 0.96
# A spread seen in a few rounds is itself uncertain, most of all where the worst is rare. The floor rests on
# the upper end of a one-sided 99 % interval for it.
_ASSURANCE = 0.99
_LOUD = 0.95
# Of so many runs one that is louder than the usual one by so many times tells of something else that ran in
# that minute, and not of this cluster's rounds.
_CAN_SPARE_ONE = 10
_FAR_LOUDER = 8.0


def floor_from_pairs(
    pairs: Sequence[Sequence[float]],
    rounds: int,
    better: Better,
    gate: Gate = DEFAULT_GATE,
    *,
    demanded: bool = False,
) -> float | None:
    """The floor for modes compared in one run, from A/A pairs: one mode under two names.

    The spread within the pairs says what a campaign of `rounds` rounds can resolve. Where there are three
    pairs or more, the spread of their means counts too: two equal modes may differ for a whole campaign
    (their pods landed on other cores), which no number of rounds averages out.

    Args:
        pairs: Per A/A pair, the losses of its rounds (`estimate.losses`).
        rounds: Rounds of the campaigns to come.
        better: Direction of the probe.
        gate: How sure those verdicts must be.
        demanded: As in `smallest_tolerance`.

    Returns:
        A tolerance as a fraction; infinite where the noise leaves room for none; None when no pair has two
        rounds, or fewer than two rounds are to come.
    """
    usable = [pair for pair in pairs if len(pair) >= 2]
    if not usable or rounds < 2:
        return None
    variance = _upper_variance(usable) / rounds
    if len(usable) >= MINIMUM_RUNS:
        # Around 0, not around their own mean: of A/A pairs it is known that nothing differs.
        means = [mean_and_variance(pair)[0] for pair in usable]
        variance = max(variance, math.fsum(mean**2 for mean in means) / len(means))
    return smallest_tolerance(math.sqrt(variance), rounds - 1, better, gate, demanded=demanded)


def floor_from_history(
    history: Sequence[Sequence[float]], rounds: int, better: Better, gate: Gate = DEFAULT_GATE
) -> float | None:
    """The floor for comparisons with a stored baseline, from earlier runs of the cell on the same cluster.

    The larger one of what the rounds ask for and what the days ask for. Which of the two the error of a
    comparison will be (`baseline.unpaired_estimate`) is not known beforehand, and few days ask for much.

    Args:
        history: Per run, the cell's samples (or its ratios to host-to-host); positive.
        rounds: Rounds of the runs to come.
        better: Direction of the probe.
        gate: How sure those verdicts must be.

    Returns:
        A tolerance as a fraction; infinite where the noise leaves room for none; None with fewer than three
        runs, or fewer than two rounds.
    """
    between = between_runs(history)
    usable = [[math.log(sample) for sample in run] for run in history if len(run) >= 2]
    if between is None or not usable or rounds < 2:
        return None
    # Variance of a round and its degrees of freedom, per run, the loudest last.
    means = [(run_mean(run), len(run)) for run in usable]
    runs = sorted((mean.error**2 * rounds_of, mean.degrees) for mean, rounds_of in means)
    usual = statistics.median(variance for variance, _ in runs)
    if len(runs) >= _CAN_SPARE_ONE and runs[-1][0] > _FAR_LOUDER**2 * usual > 0:
        runs.pop()
    freedom = sum(degrees for _, degrees in runs)
    pooled = math.fsum(variance * degrees for variance, degrees in runs) / freedom
    # A run to come may have a stall too small to be left out: as the loudest twentieth of those before.
    loud, _ = runs[math.ceil(_LOUD * len(runs)) - 1]
    within = 2 * max(pooled * _upper(freedom), loud) / rounds
    days = math.sqrt(2) * between.deviation
    return max(
        smallest_tolerance(math.sqrt(within), 2 * (rounds - 1), better, gate),
        smallest_tolerance(days, between.degrees, better, gate),
    )


def smallest_tolerance(
    error: float, degrees: float, better: Better, gate: Gate = DEFAULT_GATE, *, demanded: bool = False
) -> float:
    """The smallest tolerance at which a loss of twice as much is `regressed` with a probability of `POWER`.

    Solved from the noncentral t distribution for both conditions of `decision.within_tolerance`: the interval
    beyond the tolerance, and no chance even when every comparison of the campaign is held against it.

    Args:
        error: Standard error of the loss to come, on the logarithmic scale.
        degrees: Its degrees of freedom.
        better: Direction of the probe.
        gate: How sure the verdict must be.
        demanded: Whether the tolerance is a demand (`bgp >= ipip * 0.95`): chance is counted from there, as
            `decision.meets_ratio` does, and not from no loss.

    Returns:
        A fraction; infinite where none will do (latency would have to more than double).
    """
    if error == 0:
        return 0.0
    beyond = _noncentrality(degrees, t_quantile(degrees, gate.confidence)) * error
    from_nothing = _noncentrality(degrees, t_quantile(degrees, 1 - 2 * gate.chance_level)) * error
    if demanded:
        beyond = from_nothing = max(beyond, from_nothing)
    if better is Better.HIGHER:
        # log((1 - T) / (1 - 2 T)) >= beyond, and -log(1 - 2 T) >= from_nothing
        step = math.exp(-beyond)
        return max((1 - step) / (2 - step), (1 - math.exp(-from_nothing)) / 2)
    # log((1 + 2 T) / (1 + T)) >= beyond, and log(1 + 2 T) >= from_nothing
    if beyond >= math.log(2) or from_nothing > 50:
        return math.inf
    step = math.exp(beyond)
    return max((step - 1) / (2 - step), (math.exp(from_nothing) - 1) / 2)


def _noncentrality(degrees: float, quantile: float) -> float:
    """True loss, in standard errors, whose t statistic exceeds `quantile` with probability `POWER`."""
    from scipy.special import nctdtrinc  # noqa: PLC0415

    return float(nctdtrinc(degrees, 1 - POWER, quantile))


def _upper_variance(groups: Sequence[Sequence[float]]) -> float:
    """Upper end of the one-sided interval for the variance within groups, of confidence `_ASSURANCE`.

    Chi-squared, with as many degrees of freedom as the tails leave: the variance of a variance grows with the
    kurtosis, and where outliers are rare a few rounds may not have seen one yet (after Bonett, Approximate
    confidence interval for standard deviation of nonnormal distributions, CSDA 2006).
    """
    centred = [(group, mean_and_variance(group)[0]) for group in groups]
    residuals = [value - mean for group, mean in centred for value in group]
    squares = math.fsum(residual**2 for residual in residuals)
    if squares == 0:
        return 0.0
    n = len(residuals)
    freedom = n - len(groups)
    kurtosis = n * math.fsum(residual**4 for residual in residuals) / squares**2
    degrees = float(freedom) if kurtosis <= 3 else max(1.0, min(freedom, 2 * n / (kurtosis - 1)))
    return squares / freedom * _upper(degrees)


def _upper(degrees: float) -> float:
    """Upper end of the interval for a variance, divided by its estimate with so many degrees of freedom."""
    from scipy.special import chdtri  # noqa: PLC0415 (0.2 s, which only a run with verdicts should pay)

    return degrees / float(chdtri(degrees, _ASSURANCE))
