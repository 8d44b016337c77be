"""Runs of different days: Welch, the floor of the history, and the ratio to host-to-host."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import (
    BetweenRuns,
    across_days,
    between_runs,
    ratios_to_control,
    unpaired_estimate,
)

HIGHER, LOWER = Better.HIGHER, Better.LOWER
QUIET = BetweenRuns(deviation=0.0, degrees=9, runs=10)


def lognormal(seed: int, n: int, deviation: float = 0.03, mean: float = 0.0) -> list[float]:
    return np.random.default_rng(seed).lognormal(mean, deviation, n).tolist()


def test_where_days_do_not_differ_it_is_welchs_test():
    base, current = lognormal(1, 6), lognormal(2, 10, 0.06, 0.05)
    estimate = unpaired_estimate(base, current, LOWER, QUIET)
    theirs = stats.ttest_ind(np.log(current), np.log(base), equal_var=False, alternative="greater")
    assert estimate.chance(0.0) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert estimate.degrees == pytest.approx(theirs.df)
    assert estimate.rounds == 6


def test_where_days_differ_the_history_is_the_floor():
    days = BetweenRuns(deviation=0.05, degrees=4, runs=5, own=0.03**2)
    estimate = unpaired_estimate(lognormal(1, 10), lognormal(2, 10), LOWER, days)
    assert estimate.error == pytest.approx(0.05 * math.sqrt(2))
    assert estimate.degrees == 4
    assert estimate.after(1000).error == pytest.approx(estimate.error)


def test_what_this_run_is_known_worse_than_those_of_the_history_is_added():
    """Thirty rounds a run, and six now: days of that spread alone would be too narrow."""
    base, current = lognormal(1, 30), lognormal(2, 6)
    within = unpaired_estimate(base, current, LOWER, QUIET).error
    own = 0.03**2 / 30
    estimate = unpaired_estimate(base, current, LOWER, BetweenRuns(0.05, 4, 5, own))
    assert estimate.error == pytest.approx(math.sqrt(2 * 0.05**2 + within**2 - 2 * own))


def test_the_history_tells_how_well_its_runs_are_known():
    history = [lognormal(seed, 10) for seed in range(8)]
    errors = [np.log(run).std(ddof=1) / math.sqrt(10) for run in history]
    assert between_runs(history).own == pytest.approx(np.mean(np.square(errors)), rel=0.1)
    assert between_runs([[1.0], [1.1], [1.0]]).own == 0.0


def test_without_a_history_a_run_is_worth_one_sample_of_its_spread():
    base, current = lognormal(1, 10), lognormal(2, 10)
    within = unpaired_estimate(base, current, LOWER, QUIET).error
    blind = unpaired_estimate(base, current, LOWER).error
    assert blind == pytest.approx(within * math.sqrt(11))


def test_direction():
    base, current = [10.0, 10.1, 9.9], [5.0, 5.1, 4.9]
    assert unpaired_estimate(base, current, HIGHER).loss == pytest.approx(math.log(2), abs=1e-3)
    assert unpaired_estimate(base, current, LOWER).loss == pytest.approx(-math.log(2), abs=1e-3)


def test_identical_runs_have_an_estimate():
    estimate = unpaired_estimate([2.0] * 5, [2.0] * 5, LOWER, QUIET)
    assert (estimate.loss, estimate.error, estimate.interval(0.95)) == (0.0, 0.0, (0.0, 0.0))


def test_one_sample_is_no_run():
    assert unpaired_estimate([1.0], lognormal(1, 10), LOWER) is None
    assert unpaired_estimate(lognormal(1, 10), [], LOWER) is None


@pytest.mark.parametrize("sample", [0.0, -1.0, math.nan, math.inf])
def test_a_failure_never_becomes_a_sample(sample):
    with pytest.raises(ValueError, match="positive, finite"):
        unpaired_estimate([1.0, 1.1], [1.0, sample], LOWER)


def test_history_measures_how_days_differ():
    days = np.random.default_rng(5).normal(0, 0.04, 40)
    history = [np.exp(day + np.random.default_rng(6).normal(0, 0.001, 10)).tolist() for day in days]
    between = between_runs(history)
    assert between.deviation == pytest.approx(days.std(ddof=1), rel=0.01)
    assert between.degrees == 39


def test_two_runs_are_no_history():
    assert between_runs([lognormal(1, 10), lognormal(2, 10)]) is None
    assert between_runs([lognormal(1, 10), [], lognormal(2, 10)]) is None


def test_ratio_to_the_control_takes_only_rounds_that_have_one():
    assert ratios_to_control({0: 4.0, 1: 6.0, 2: 8.0}, {0: 8.0, 2: 16.0, 3: 1.0}) == (0.5, 0.5)
    with pytest.raises(ValueError, match="positive"):
        ratios_to_control({0: 1.0}, {0: 0.0})


@pytest.mark.parametrize(
    ("absolute", "of_host", "outcome"),
    [
        (Outcome.OK, Outcome.OK, Outcome.OK),
        (Outcome.OK, Outcome.REGRESSED, Outcome.REGRESSED),
        (Outcome.REGRESSED, Outcome.OK, Outcome.REGRESSED),
        (Outcome.INCONCLUSIVE, Outcome.OK, Outcome.INCONCLUSIVE),
        (Outcome.OK, Outcome.INCONCLUSIVE, Outcome.OK),
        (Outcome.OK, None, Outcome.OK),
    ],
)
def test_either_comparison_may_raise_the_alarm(absolute, of_host, outcome):
    assert across_days(absolute, of_host) is outcome
