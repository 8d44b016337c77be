"""Campaigns on simulated noise, judged by the real thing. The tests run few of them, `benchmarks/gate.py` many."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.stats import binom

from pytest_calico_perf.gate.comparison import compare
from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.precision import is_known
from pytest_calico_perf.verdict import (
    Judgement,
    SequentialPlan,
    between_runs,
    floor_from_pairs,
    keeps_limit,
    paired_estimate,
    remaining,
    unpaired_estimate,
    within_tolerance,
)
from pytest_calico_perf.verdict.decision import DEFAULT_GATE
from tests.unit.verdict.noise import Noise, days_of, paired_losses, pairs

CELLS = 30
TOLERANCE = 0.05
# Bandwidth: the ratio falls to 0.95 of the base, and to 0.90 at twice the tolerance.
BETTER = Better.HIGHER
AT_TOLERANCE = -math.log(1 - TOLERANCE)
TWICE_TOLERANCE = -math.log(1 - 2 * TOLERANCE)
# A promise that is kept is called broken once in ten thousand runs; the throws are seeded besides.
LUCK = 1e-4


def at_most(share: float, promised: float, trials: int) -> bool:
    """Whether a share seen in so many trials is compatible with one of at most `promised`."""
    return binom.sf(round(share * trials) - 1, trials, promised) > LUCK


def at_least(share: float, promised: float, trials: int) -> bool:
    """Whether a share seen in so many trials is compatible with one of at least `promised`."""
    return binom.cdf(round(share * trials), trials, promised) > LUCK


def seeded(noise: Noise, *numbers: int) -> Generator:
    """The same throws for the same question, and others for every other one."""
    return np.random.default_rng([*noise.name.encode(), *numbers])


def false_alarms(
    noise: Noise, rounds: int, campaigns: int, tolerance: float = TOLERANCE, placement: float = 0.0
) -> int:
    """A/A campaigns of 30 cells that raised any alarm.

    `placement` is the deviation of what shifts a contender for a whole campaign: its pods landed on other cores.
    """
    random = seeded(noise, rounds, campaigns)
    alarmed = 0
    losses = paired_losses(noise, random, campaigns * CELLS, rounds)
    losses += random.normal(0, placement, (campaigns * CELLS, 1))
    for cells in losses.reshape(campaigns, CELLS, rounds):
        judged = (within_tolerance(_paired(row), BETTER, tolerance) for row in cells)
        alarmed += any(known.settled is Outcome.REGRESSED for known in judged)
    return alarmed


def alarms_beside_losses(noise: Noise, rounds: int, campaigns: int) -> tuple[float, float]:
    """Campaigns in which each third cell lost a tenth: any false alarm, and the share of losses found.

    At tolerance 0, so that chance alone decides; every true alarm leaves more of the error to those after it.
    """
    random = seeded(noise, rounds, campaigns, 6)
    losses = paired_losses(noise, random, campaigns * CELLS, rounds).reshape(campaigns, CELLS, rounds)
    losses[:, ::3] += TWICE_TOLERANCE
    alarmed = found = 0
    for cells in losses:
        alarms: list[int] = []
        for number, row in enumerate(cells):
            gate = remaining(DEFAULT_GATE, len(alarms))
            if within_tolerance(_paired(row), BETTER, 0, gate).settled is Outcome.REGRESSED:
                alarms.append(number)
        alarmed += any(number % 3 for number in alarms)
        found += sum(number % 3 == 0 for number in alarms)
    return alarmed / campaigns, found / (campaigns * CELLS / 3)


def power(noise: Noise, rounds: int, trials: int, tolerance: float = TOLERANCE, seed: int = 0) -> float:
    """How often one cell of thirty that lost twice the tolerance is `regressed`.

    `decided` is the hardest case of the family: it need not lean on any other cell's alarm.
    """
    loss = -math.log(1 - 2 * tolerance)
    rows = paired_losses(noise, seeded(noise, rounds, trials, 1, seed), trials, rounds, loss)
    judged = [within_tolerance(_paired(row), BETTER, tolerance) for row in rows]
    return sum(known.outcome is Outcome.REGRESSED and known.decided for known in judged) / trials


def coverage(noise: Noise, rounds: int, trials: int) -> float:
    """How often the 95 % interval of a ratio holds the true one."""
    rows = paired_losses(noise, seeded(noise, rounds, trials, 2), trials, rounds)
    intervals = [_paired(row).interval(0.95) for row in rows]
    return sum(low <= 0 <= high for low, high in intervals) / trials


def median_errors(noise: Noise, rounds: int, trials: int) -> tuple[float, float]:
    """Of cells whose true median is exactly at a threshold: shares judged `slow`, and `ok`."""
    assert noise.median is not None
    rows = noise.draw(seeded(noise, rounds, trials, 3), trials, rounds)
    outcomes = [keeps_limit(row.tolist(), Better.LOWER, noise.median).outcome for row in rows]
    return outcomes.count(Outcome.SLOW) / trials, outcomes.count(Outcome.OK) / trials


def mean_errors(noise: Noise, rounds: int, trials: int) -> tuple[float, float]:
    """The same, had the verdict been taken by a t interval of the mean; for noise whose true mean is 0.03."""
    rows = noise.draw(seeded(noise, rounds, trials, 3), trials, rounds)
    intervals = [_paired(row).interval(0.95) for row in rows]
    return sum(low > 0.03 for low, _ in intervals) / trials, sum(
        high < 0.03 for _, high in intervals
    ) / trials


@dataclass(frozen=True)
class Looked:
    """What a sequential plan did: means and shares over the trials.

    `covered` is by the interval of the verdict, `covered_by_plain` by the 95 % interval that a table shows of
    the rounds there are.
    """

    rounds: float
    covered: float
    covered_by_plain: float
    ok: float
    regressed: float


def looked(plan: SequentialPlan, noise: Noise, loss: float, trials: int, precision: float = 0.02) -> Looked:
    """Blocks of two modes, the second held against the first, measured until the plan ends them.

    As a campaign does: a block ends at a look at which the first mode is known to `precision`, and the second
    is, too, or its verdict is decided.
    """
    base, other = pairs(noise, seeded(noise, trials, 4), trials, plan.maximum)
    ends = []
    for one, two in zip(base, other + loss, strict=True):
        values = [dict(enumerate(np.exp(-costs).tolist())) for costs in (one, two)]

        def over(look: int, judged: Judgement, values=values) -> bool:
            first, second = (is_known(plan, look, value, precision) for value in values)
            return first and (second or judged.settled is not Outcome.INCONCLUSIVE)

        ends.append((two - one, *_until_stop(plan, two - one, TOLERANCE, over)))
    ratio = math.exp(-loss)
    return Looked(
        rounds=sum(look for _, look, _ in ends) / trials,
        covered=sum(judged.low <= ratio <= judged.high for _, _, judged in ends) / trials,
        covered_by_plain=sum(_holds(_paired(row[:look]).interval(0.95), loss) for row, look, _ in ends)
        / trials,
        ok=sum(judged.settled is Outcome.OK for _, _, judged in ends) / trials,
        regressed=sum(judged.settled is Outcome.REGRESSED for _, _, judged in ends) / trials,
    )


def looked_false_alarms(
    plan: SequentialPlan, noise: Noise, campaigns: int, tolerance: float = TOLERANCE
) -> int:
    """A/A campaigns of 30 cells, each measured until its verdict is decided, that raised any alarm."""
    rows = paired_losses(noise, seeded(noise, campaigns, 5), campaigns * CELLS, plan.maximum)
    alarmed = 0
    for cells in rows.reshape(campaigns, CELLS, plan.maximum):
        ends = [
            _until_stop(plan, row, tolerance, lambda _, judged: judged.settled is not Outcome.INCONCLUSIVE)
            for row in cells
        ]
        alarmed += any(judged.settled is Outcome.REGRESSED for _, judged in ends)
    return alarmed


def peeked(noise: Noise, loss: float, maximum: int, trials: int) -> float:
    """How often somebody who looks at the plain 95 % interval after every round finds it beyond the tolerance."""
    rows = paired_losses(noise, seeded(noise, trials, 4), trials, maximum, loss)
    found = 0
    for row in rows:
        judged = (within_tolerance(_paired(row[:n]), BETTER, TOLERANCE) for n in range(5, maximum + 1))
        found += any(known.outcome is Outcome.REGRESSED for known in judged)
    return found / trials


@dataclass(frozen=True)
class AcrossDays:
    """What comparisons with a baseline of another day did; shares of cells.

    `tolerance` is the median of those that were used: 5 %, or the noise floor where that is wider. `found` is
    the share of true losses of twice the tolerance that are found.
    """

    covered: float
    covered_by_rounds_only: float
    alarms: float
    found: float
    tolerance: float


def across(noise: Noise, runs: int, shift: float, trials: int, rounds: int = 10) -> AcrossDays:
    """A run against the last of `runs` earlier ones (0: a baseline without a history), as the gate compares."""
    random = seeded(noise, runs, round(shift * 1e4), trials)
    samples = np.exp(-days_of(noise, random, trials, max(runs, 1) + 1, rounds, shift))
    covered = by_rounds = alarms = found = 0
    tolerances = []
    for *history, base, current in samples:
        earlier = [run.tolist() for run in (*history, base)] if runs else []
        against = functools.partial(
            compare, base.tolist(), history=earlier, better=BETTER, tolerance=TOLERANCE, gate=DEFAULT_GATE
        )
        estimate = unpaired_estimate(base.tolist(), current.tolist(), BETTER, between_runs(earlier))
        assert estimate
        covered += _holds(estimate.interval(0.95), 0)
        by_rounds += _holds(_rounds_only(base, current), 0)
        compared = against(current.tolist())
        alarms += compared.outcome is Outcome.REGRESSED
        slower = against((current * (1 - 2 * compared.tolerance)).tolist())
        found += slower.outcome is Outcome.REGRESSED
        tolerances.append(compared.tolerance)
    return AcrossDays(
        covered / trials, by_rounds / trials, alarms / trials, found / trials, float(np.median(tolerances))
    )


def pair_floor(noise: Noise, rounds: int, pairs: int = 5, placement: float = 0.0, seed: int = 0) -> float:
    """The floor that an A/A self-test of so many pairs finds; each pair may be shifted for its whole campaign."""
    random = seeded(noise, rounds, pairs, seed)
    losses = paired_losses(noise, random, pairs, rounds) + random.normal(0, placement, (pairs, 1))
    floor = floor_from_pairs(losses.tolist(), rounds, BETTER)
    assert floor is not None
    return floor


def _paired(row: np.ndarray):
    estimate = paired_estimate(row.tolist())
    assert estimate is not None
    return estimate


def _until_stop(
    plan: SequentialPlan, row: np.ndarray, tolerance: float, over: Callable[[int, Judgement], bool]
) -> tuple[int, Judgement]:
    """The look at which it is over, and the verdict there, by that look's share of the error."""
    for look in plan.looks:
        judged = within_tolerance(_paired(row[:look]), BETTER, tolerance, share=plan.share(look))
        if over(look, judged):
            break
    return look, judged


def _holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def _rounds_only(base: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Welch's interval as if rounds were all that varies; what pytest-benchmark users would compute."""
    from scipy.stats import ttest_ind

    interval = ttest_ind(np.log(current), np.log(base), equal_var=False).confidence_interval(0.95)
    return interval.low, interval.high
