"""Simulated noise of known truth: what a machine does to the samples of a campaign, seeded.

Values are natural logarithms of *cost* (seconds per gigabit, seconds per round trip), one per tool run, in the order in
which the runs happen. A true loss is added to the contender that has it. The usual size is two percent within a run,
two percent from run to run and one percent of drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pytest_calico_perf.block_run import order

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """A way in which tool runs scatter: `draw(random, trials, runs)` gives an array of that shape.

    `median` is the true median of a single run; None where it moves with time.
    """

    name: str
    draw: Callable[[Generator, int, int], Array]
    median: float | None = 0.0


def autoregressive(random: Generator, trials: int, length: int, memory: float, deviation: float) -> Array:
    """A stationary AR(1) process along the last axis."""
    shocks = random.normal(0, deviation * np.sqrt(1 - memory**2), (trials, length))
    values = np.empty((trials, length))
    values[:, 0] = random.normal(0, deviation, trials)
    for step in range(1, length):
        values[:, step] = memory * values[:, step - 1] + shocks[:, step]
    return values


def runs_of_intervals(random: Generator, trials: int, runs: int) -> Array:
    """Each sample is the mean of ten autocorrelated readings of one run, plus what the run itself is shifted."""
    readings = autoregressive(random, trials * runs, 10, memory=0.7, deviation=0.02)
    return readings.mean(axis=1).reshape(trials, runs) + random.normal(0, 0.02, (trials, runs))


def _independent(random: Generator, trials: int, runs: int) -> Array:
    return random.normal(0, 0.025, (trials, runs))


def _drift(random: Generator, trials: int, runs: int) -> Array:
    """A machine that warms up steadily and wanders besides."""
    wandering = random.normal(0, 0.01, (trials, runs)).cumsum(axis=1)
    return runs_of_intervals(random, trials, runs) + wandering + 0.005 * np.arange(runs)


def _neighbours(random: Generator, trials: int, runs: int) -> Array:
    """A run resembles the run before it: somebody else's job comes and goes."""
    return runs_of_intervals(random, trials, runs) + autoregressive(random, trials, runs, 0.6, 0.02)


def _outliers(random: Generator, trials: int, runs: int) -> Array:
    hit = random.random((trials, runs)) < 0.05
    return _independent(random, trials, runs) + hit * random.uniform(0.1, 0.4, (trials, runs))


def _heavy_tails(random: Generator, trials: int, runs: int) -> Array:
    return 0.015 * random.standard_t(3, (trials, runs))


def _skewed(random: Generator, trials: int, runs: int) -> Array:
    return random.exponential(0.03, (trials, runs))


def _bimodal(random: Generator, trials: int, runs: int) -> Array:
    """Three runs in ten land on the wrong core and cost a tenth more."""
    return 0.1 * (random.random((trials, runs)) < 0.3) + random.normal(0, 0.01, (trials, runs))


def _bimodal_median() -> float:
    # 0.7 Phi(x / 0.01) + 0.3 Phi((x - 0.1) / 0.01) = 1/2: the second mode is ten deviations away.
    return 0.01 * NormalDist().inv_cdf(0.5 / 0.7)


def _neighbours_alone(random: Generator, trials: int, runs: int) -> Array:
    """The worst that a memory from run to run can do: nothing else scatters."""
    return autoregressive(random, trials, runs, 0.5, 0.02)


INDEPENDENT = Noise("independent", _independent)
AUTOCORRELATED = Noise("autocorrelated intervals", runs_of_intervals)
DRIFT = Noise("drift", _drift, median=None)
NEIGHBOURS = Noise("memory from run to run", _neighbours)
OUTLIERS = Noise("outliers", _outliers, median=None)  # no closed form
HEAVY_TAILS = Noise("heavy tails", _heavy_tails)
SKEWED = Noise("skewed", _skewed, median=0.03 * math.log(2))
BIMODAL = Noise("bimodal", _bimodal, median=_bimodal_median())
NEIGHBOURS_ALONE = Noise("nothing but memory", _neighbours_alone)

NOISES = (INDEPENDENT, AUTOCORRELATED, DRIFT, NEIGHBOURS, OUTLIERS, HEAVY_TAILS, SKEWED, BIMODAL)


def pairs(noise: Noise, random: Generator, trials: int, rounds: int) -> tuple[Array, Array]:
    """Contenders A and B, each of shape (trials, rounds): two runs a round, in the order of a campaign."""
    runs = noise.draw(random, trials, 2 * rounds).reshape(trials, rounds, 2)
    forward = np.array([order("AB", number) == ["A", "B"] for number in range(rounds)])
    first, second = runs[:, :, 0], runs[:, :, 1]
    return np.where(forward, first, second), np.where(forward, second, first)


def paired_losses(noise: Noise, random: Generator, trials: int, rounds: int, loss: float = 0.0) -> Array:
    """Losses of B against A, shape (trials, rounds)."""
    base, other = pairs(noise, random, trials, rounds)
    return other - base + loss


def days_of(noise: Noise, random: Generator, trials: int, days: int, rounds: int, shift: float) -> Array:
    """One contender on many days, shape (trials, days, rounds); each day is shifted with that deviation."""
    runs = noise.draw(random, trials * days, rounds).reshape(trials, days, rounds)
    return runs + random.normal(0, shift, (trials, days, 1))
