"""What samples say: a median with its interval, and the ratio of two contenders paired by round.

Two questions, two methods. *How fast is it?* is answered by the median and the order statistics around
it, which assume nothing about the noise. *By how much do two differ?* is answered round by round: a machine
that drifts slows both contenders of a round alike, so the ratio within a round stays.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_calico_perf.model import Ratio, Summary

CONFIDENCE = 0.95
# From ten values on, one in ten is left out at each end, if any is so far out: in deviations, told by the
# median distance from the median. Of ten normal values one is in 0.6 % of all cases.
_TENTH = 10
_FAR_OUT = 8.0
_DEVIATION_OF_MEDIAN_DISTANCE = 1.4826
_LARGEST_LOGARITHM = math.log(sys.float_info.max)


def summarize(samples: Sequence[float], confidence: float = CONFIDENCE) -> Summary:
    """Median of `samples` and the distribution-free interval for it.

    The interval is between two order statistics, the k-th smallest and the k-th largest sample, with the
    largest k whose coverage is at least `confidence`: the median of the population is outside only when
    fewer than k samples fall on one side, which a fair coin decides (David and Nagaraja, Order Statistics,
    7.1; benchstat does the same, golang.org/x/perf/benchmath). With fewer than six samples even minimum to
    maximum falls short of 95 %; then that is the interval, and the summary says what it covers.

    Args:
        samples: Finite values in any unit; the summary is in the same unit.
        confidence: Coverage wanted, between 0 and 1.

    Raises:
        ValueError: There is no sample, or one is not finite.
    """
    if not samples or not all(math.isfinite(sample) for sample in samples):
        raise ValueError("a summary needs at least one sample, and finite ones")
    ordered = sorted(samples)
    n = len(ordered)
    middle = n // 2
    below = ordered[middle] if n % 2 else ordered[middle - 1]
    # Halves before the sum: two samples near the largest float must not add up to infinity. The halves of
    # the smallest ones are rounded; between the two the median stays all the same.
    median = min(max(below / 2 + ordered[middle] / 2, below), ordered[middle])
    if n == 1:
        return Summary(median, None, None, None, 1)
    rank, coverage = _median_interval(n, confidence)
    return Summary(median, ordered[rank - 1], ordered[n - rank], coverage, n)


def paired_ratio(base: Mapping[int, float], other: Mapping[int, float]) -> Ratio | None:
    """`other` divided by `base`, taken round by round: the geometric mean and its 95 % interval.

    The logarithms of the ratios are averaged and given Student's t interval (`robust_mean`), so swapping the
    two gives the reciprocal. What a round does to both cancels (Bulej et al., Duet Benchmarking, ICPE 2020).

    Args:
        base: Round number -> sample of what is divided by; positive.
        other: Round number -> sample, in the same unit; positive.

    Returns:
        None when no round has both; without an interval when only one round has.

    Raises:
        ValueError: A sample is not positive and finite, so it has no logarithm.
    """
    logarithms = log_ratios(base, other).values()
    n = len(logarithms)
    if n == 0:
        return None
    if n == 1:
        return Ratio(_exp(*logarithms), None, None, 1)
    mean = robust_mean(logarithms)
    margin = t_quantile(mean.degrees, CONFIDENCE) * mean.error
    return Ratio(_exp(mean.value), _exp(mean.value - margin), _exp(mean.value + margin), n)


@dataclass(frozen=True)
class Mean:
    """A mean and how well it is known.

    Attributes:
        value: The mean. error: Its standard error. degrees: Degrees of freedom of that.
    """

    value: float
    error: float
    degrees: int


def robust_mean(values: Collection[float], fewest: int = _TENTH) -> Mean:
    """The mean of two or more values; of ten or more, the trimmed one where some are far out.

    A single stall among ten rounds makes the mean worthless: it adds as much to its standard error as to
    itself. So where a value lies more than eight deviations from the median, the lowest and the highest tenth
    are left out (Yuen, The two-sample trimmed t for unequal population variances, Biometrika 1974, for one
    sample: the error is that of the winsorized values, and what is left out counts for no degree of freedom).
    Fewer than ten values cannot spare two degrees of freedom. Measured in docs/how-it-decides.md.

    Args:
        values: Two or more.
        fewest: Of fewer than these none is left out; of so many at least one at each end.
    """
    ordered = sorted(values)
    n = len(ordered)
    cut = max(1, n // _TENTH) if n >= fewest and _is_far_out(ordered) else 0
    kept = ordered[cut : n - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    middle = math.fsum(winsorized) / n
    squares = math.fsum((value - middle) ** 2 for value in winsorized)
    h = len(kept)
    return Mean(math.fsum(kept) / h, math.sqrt(squares / (h * (h - 1))), h - 1)


def _is_far_out(ordered: Sequence[float]) -> bool:
    middle = statistics.median(ordered)
    deviation = _DEVIATION_OF_MEDIAN_DISTANCE * statistics.median(abs(value - middle) for value in ordered)
    furthest = max(middle - ordered[0], ordered[-1] - middle)
    # Values most of which are equal have no deviation that could tell: then all of them count.
    return 0 < _FAR_OUT * deviation < furthest


def log_ratios(base: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Round number -> log(other / base), for the rounds that have both, in their order.

    Raises:
        ValueError: A sample is not positive and finite, so it has no logarithm.
    """
    return {number: _log_ratio(base[number], other[number]) for number in sorted(base.keys() & other.keys())}


@lru_cache(maxsize=1024)
def t_quantile(degrees: float, confidence: float) -> float:
    """Student's t quantile that leaves (1 - `confidence`) / 2 above it."""
    # Here and not above: importing scipy takes 0.2 s, which only a run with ratios should pay.
    from scipy.special import stdtrit  # noqa: PLC0415

    # The lower tail, negated: near 1 a float has no digits left for a confidence such as 1 - 1e-12.
    return -float(stdtrit(degrees, (1 - confidence) / 2))


def _log_ratio(base: float, other: float) -> float:
    if not (0 < base < math.inf and 0 < other < math.inf):
        raise ValueError(f"a ratio needs positive, finite samples, not {other} and {base}")
    # A difference of logarithms, not the logarithm of a quotient: that one can overflow.
    return math.log(other) - math.log(base)


def _exp(logarithm: float) -> float:
    # Two rounds that contradict each other have an interval wider than a float; JSON knows no infinity.
    return math.exp(min(logarithm, _LARGEST_LOGARITHM))


def _median_interval(n: int, confidence: float) -> tuple[int, float]:
    """Rank k and coverage of the narrowest interval (k-th smallest, k-th largest) of at least `confidence`.

    Coverage is 1 - 2 P(Binomial(n, 1/2) < k). Integers of any size keep it exact for every n.
    """
    total = 2**n
    outcomes = 1  # binomial(n, 0)
    below = 1  # sum of binomial(n, i) for i < k
    rank = 1
    while True:
        outcomes = outcomes * (n - rank + 1) // rank
        if 1 - 2 * (below + outcomes) / total < confidence:
            return rank, 1 - 2 * below / total
        below += outcomes
        rank += 1
