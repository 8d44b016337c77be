"""Against a run of another day: nothing is paired, and days differ by more than their rounds show.

Two runs of the same thing differ by what changed between them: pods on other cores, another temperature,
other neighbours. Rounds of one run cannot show that, so a test that knows only them finds a "regression" in
most A/A pairs of days. What two days differ by is learnt from the history of runs (`between_runs`); without
one it is taken to be as large as what two rounds differ by.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.stats import Mean, robust_mean
from pytest_calico_perf.verdict.decision import MINIMUM_ROUNDS
from pytest_calico_perf.verdict.estimate import Estimate

# Fewer runs say next to nothing about how days differ: with two, Student's t asks for 13 times the error.
MINIMUM_RUNS = 3


@dataclass(frozen=True)
class BetweenRuns:
    """How much the mean of a run varies from run to run, nothing having changed.

    Attributes:
        deviation: Standard deviation of a run's mean, on the logarithmic scale.
        degrees: Degrees of freedom of that: runs less one, and less what is left out.
        runs: Runs it was learnt from.
        own: The part of its square that is the error with which those runs know their means.
    """

    deviation: float
    degrees: int
    runs: int
    own: float = 0.0


def between_runs(history: Sequence[Sequence[float]]) -> BetweenRuns | None:
    """The spread of the means of earlier runs of a cell; None with fewer than three runs.

    Cells of one run share its day, so the history of each cell is taken by itself: pooling thirty cells of
    three runs would claim to know sixty days.

    Args:
        history: Per run, the cell's samples (or its ratios to host-to-host); positive.

    Raises:
        ValueError: A sample is not positive and finite.
    """
    runs = [_logarithms(run) for run in history if run]
    known = spread([_mean(run) for run in runs])
    errors = [run_mean(run).error ** 2 for run in runs if len(run) > 1]
    return replace(known, own=math.fsum(errors) / len(errors)) if known and errors else known


def spread(means: Sequence[float]) -> BetweenRuns | None:
    """How much the means of runs differ; None with fewer than three of them.

    Of ten runs or more the highest and the lowest tenth are left out where one is far out, as a stall is left
    out among rounds (`stats.robust_mean`): something else ran in that minute. One such run among ten would
    otherwise widen every interval by a multiple, until it is forgotten.

    Args:
        means: Of each run the mean of its logarithms.
    """
    if len(means) < MINIMUM_RUNS:
        return None
    mean = robust_mean(means)
    return BetweenRuns(mean.error * math.sqrt(len(means)), mean.degrees, len(means))


def mean_of_run(samples: Sequence[float]) -> float:
    """The mean of the logarithms of a run's samples, of which there is one at least (`run_mean`).

    Raises:
        ValueError: A sample is not positive and finite.
    """
    return _mean(_logarithms(samples))


def _mean(logarithms: Sequence[float]) -> float:
    return run_mean(logarithms).value if len(logarithms) > 1 else logarithms[0]


def unpaired_estimate(
    base: Sequence[float], current: Sequence[float], better: Better, between: BetweenRuns | None = None
) -> Estimate | None:
    """The loss of `current` against `base`, a run of another day; None where one has fewer than two samples.

    Welch's t on logarithms (unequal variances, Satterthwaite's degrees of freedom), with a floor under its
    error: the difference of two days' means has at least the variance 2 * `between.deviation`^2, and what the
    two are known worse than the runs of the history (they have fewer rounds); where that is the larger, the
    degrees of freedom of the history count. Without a history a whole day is taken to shift a run as much as
    one round is shifted, as if each run were a single sample of its own spread; that is an assumption, and
    wider than any that a rounds-only test makes.

    Args:
        base: Samples of the baseline, or its ratios to host-to-host (`ratios_to_control`); positive.
        current: The same of this run.
        better: Direction of the probe.
        between: What the history of the cluster says; None when there is none.

    Raises:
        ValueError: A sample is not positive and finite.
    """
    logs = _logarithms(base), _logarithms(current)
    if min(map(len, logs)) < 2:
        return None
    before, now = map(run_mean, logs)
    parts = before.error**2, now.error**2
    within = sum(parts)
    degrees = _satterthwaite(parts, (before.degrees, now.degrees))
    if between is None:
        # Twice the pooled variance of a round: one day's shift on either side.
        rounds = zip(parts, map(len, logs), (before.degrees, now.degrees), strict=True)
        pooled = sum(part * n * freedom for part, n, freedom in rounds) / (before.degrees + now.degrees)
        fixed = 2 * pooled
        total = within + fixed
    else:
        fixed = 2 * between.deviation**2
        # Runs that are known worse than those of the history (fewer rounds) differ by that much more.
        apart = fixed + max(0.0, within - 2 * between.own)
        if apart > within:
            degrees = between.degrees
        total = max(within, apart)
    loss = before.value - now.value if better is Better.HIGHER else now.value - before.value
    return Estimate(
        loss=loss,
        error=math.sqrt(total),
        degrees=degrees,
        rounds=min(map(len, logs)),
        fixed_error=math.sqrt(min(fixed, total)),
    )


def run_mean(logarithms: Collection[float]) -> Mean:
    """The mean of a run's rounds; without the best and the worst where one is a stall, from six rounds on.

    One stall among six rounds would shift the whole day, and count as days that differ in every comparison
    after it. Six rounds can spare two: what limits a comparison is the number of days.
    """
    return robust_mean(logarithms, fewest=MINIMUM_ROUNDS)


def ratios_to_control(samples: Mapping[int, float], control: Mapping[int, float]) -> tuple[float, ...]:
    """A cell's samples divided by host-to-host's of the same rounds: what travels between days and clusters.

    Raises:
        ValueError: A sample of the control is not positive.
    """
    shared = sorted(samples.keys() & control.keys())
    if any(control[number] <= 0 for number in shared):
        raise ValueError("a ratio to the control needs positive samples of it")
    return tuple(samples[number] / control[number] for number in shared)


def across_days(absolute: Outcome, of_host: Outcome | None) -> Outcome:
    """One outcome from two comparisons with a baseline: the cell's own value, and its ratio to host-to-host.

    Either may raise the alarm: a slower link shows in the value only (hosts suffer too), a slower tunnel on a
    faster machine in the ratio only. Both are members of the family, and settled before they come here.
    """
    if Outcome.REGRESSED in (absolute, of_host):
        return Outcome.REGRESSED
    return absolute


def _logarithms(samples: Sequence[float]) -> list[float]:
    if not all(0 < sample < math.inf for sample in samples):
        raise ValueError("a comparison with a baseline needs positive, finite samples")
    return [math.log(sample) for sample in samples]


def _satterthwaite(parts: tuple[float, float], degrees: tuple[int, int]) -> float:
    """Degrees of freedom of a sum of two variances (Satterthwaite, Biometrics Bulletin 1946)."""
    total = sum(parts)
    if total == 0:
        return float(min(degrees))
    return total**2 / sum(part**2 / freedom for part, freedom in zip(parts, degrees, strict=True))
