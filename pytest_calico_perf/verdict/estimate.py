"""A loss and how well it is known: the mean of log-ratios with Student's t around it.

Everything that compares speaks of *losses*: natural logarithms of ratios, with the sign turned so that
positive is worse whatever the probe's direction. Logarithms, so that noise that multiplies adds up, and so
that what two contenders of a round share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pytest_calico_perf.model import Better
from pytest_calico_perf.stats import log_ratios, robust_mean, t_quantile


@dataclass(frozen=True)
class Estimate:
    """The mean loss and its standard error, both on the logarithmic scale.

    Attributes:
        loss: Estimated loss; 0.05 is about 5 % worse. error: Standard error of `loss`. degrees: Degrees of
        freedom of `error`. rounds: Rounds it rests on; of two runs, those of the shorter one. fixed_error:
        The part of `error` that more rounds do not reduce (two days differ however long each is).
    """

    loss: float
    error: float
    degrees: float
    rounds: int
    fixed_error: float = 0.0

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's t interval that holds the true loss with `confidence`."""
        margin = t_quantile(self.degrees, confidence) * self.error
        return self.loss - margin, self.loss + margin

    def chance(self, innocent: float) -> float:
        """How probable a loss of at least this size is when the true one is `innocent` (one-sided t test)."""
        distance = self.loss - innocent
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        from scipy.special import stdtr  # noqa: PLC0415 (0.2 s, which only a run with verdicts should pay)

        return float(stdtr(self.degrees, -distance / self.error))

    def after(self, rounds: int) -> Estimate:
        """The same loss as it would probably be known after `rounds` rounds of the same noise."""
        fixed = self.fixed_error**2
        shrinking = (self.error**2 - fixed) * self.rounds / rounds
        # Where days differ, their number limits what is known; elsewhere every round adds a degree.
        degrees = self.degrees if fixed else self.degrees + rounds - self.rounds
        return Estimate(self.loss, math.sqrt(fixed + shrinking), degrees, rounds, self.fixed_error)


def losses(base: Mapping[int, float], current: Mapping[int, float], better: Better) -> dict[int, float]:
    """Round number -> how much worse `current` was than `base` in that round, as a logarithm.

    Args:
        base: Round number -> sample of what is divided by: the first mode, host-to-host, the parent commit.
        current: Round number -> sample, in the same unit.
        better: Direction of the probe.

    Raises:
        ValueError: A sample is not positive and finite.
    """
    sign = -1.0 if better is Better.HIGHER else 1.0
    return {number: sign * logarithm for number, logarithm in log_ratios(base, current).items()}


def paired_estimate(paired: Collection[float]) -> Estimate | None:
    """The mean of losses that were taken round by round; None with fewer than two of them.

    Student's t on the differences of pairs, as every table shows it (`stats.robust_mean`). Where two
    contenders are alike, their difference is symmetric whatever their common noise is, and on symmetric heavy
    tails the t test errs on the safe side (Efron, Student's t-test under symmetry conditions, JASA 1969).
    """
    if len(paired) < 2:
        return None
    mean = robust_mean(paired)
    return Estimate(mean.value, mean.error, mean.degrees, len(paired))


def mean_and_variance(values: Collection[float]) -> tuple[float, float]:
    """Mean and unbiased variance of two or more values."""
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.fsum((value - mean) ** 2 for value in values) / (n - 1)
