"""Statistics against simulated noise of known truth, and what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_calico_perf.stats import paired_ratio, robust_mean, summarize

finite = st.floats(-1e300, 1e300)
positive = st.floats(1e-9, 1e12)
samples = st.lists(positive, min_size=1, max_size=40)
rounds = st.dictionaries(st.integers(1, 60), positive, max_size=30)


# -- the median and its interval ---------------------------------------------------------------


def test_one_sample_has_no_interval():
    summary = summarize([7.0])
    assert (summary.median, summary.low, summary.high, summary.confidence, summary.n) == (
        7.0,
        None,
        None,
        None,
        1,
    )


@pytest.mark.parametrize("n", range(2, 9))
def test_few_samples_give_smallest_to_largest_and_say_what_that_covers(n):
    summary = summarize([float(value) for value in range(n, 0, -1)])
    assert (summary.low, summary.high) == (1.0, float(n))
    assert summary.confidence == 1 - 2 ** (1 - n)


@pytest.mark.parametrize(
    ("n", "low", "high", "confidence"),
    # Table of order-statistic intervals for the median: k and the exact coverage.
    [
        (6, 1, 6, 0.9688),
        (9, 2, 8, 0.9609),
        (10, 2, 9, 0.9785),
        (15, 4, 12, 0.9648),
        (20, 6, 15, 0.9586),
        (30, 10, 21, 0.9572),
    ],
)
def test_ranks_and_coverage_are_those_of_the_published_table(n, low, high, confidence):
    summary = summarize([float(value) for value in range(1, n + 1)])
    assert (summary.low, summary.high) == (low, high)
    assert summary.confidence == pytest.approx(confidence, abs=5e-5)


@pytest.mark.parametrize("n", [2, 5, 6, 7, 10, 25, 400])
@pytest.mark.parametrize("noise", ["normal", "lognormal", "cauchy"])
def test_interval_holds_the_true_median_as_often_as_it_says(n, noise):
    random = np.random.default_rng([n, len(noise)])
    draw = {
        "normal": lambda: random.normal(0, 1, n),
        "lognormal": lambda: random.lognormal(0, 1, n) - 1,
        "cauchy": lambda: random.standard_cauchy(n),
    }[noise]
    trials = 2000
    summaries = [summarize(draw().tolist()) for _ in range(trials)]
    held = sum(s.low <= 0 <= s.high for s in summaries) / trials
    promised = summaries[0].confidence
    # Four standard errors of a share of 2000 trials.
    assert held == pytest.approx(promised, abs=4 * math.sqrt(promised * (1 - promised) / trials))
    assert promised >= 0.95 or n < 6


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_what_cannot_be_summarized_is_refused(bad):
    with pytest.raises(ValueError, match="at least one sample"):
        summarize(bad)


@given(st.lists(finite, min_size=1, max_size=60), st.randoms())
def test_order_of_samples_does_not_matter_and_the_interval_holds_the_median(values, random):
    shuffled = values[:]
    random.shuffle(shuffled)
    summary = summarize(values)
    assert summary == summarize(shuffled)
    assert summary.n == len(values)
    if summary.low is not None:
        assert min(values) <= summary.low <= summary.median <= summary.high <= max(values)


@given(samples, st.sampled_from([0.5, 2.0, 1024.0]))
def test_a_summary_scales_with_its_unit(values, factor):
    summary, scaled = summarize(values), summarize([value * factor for value in values])
    assert scaled.median == summary.median * factor
    assert scaled.confidence == summary.confidence


# -- the paired ratio --------------------------------------------------------------------------


def simulated_ratios(truth, n, noise, drift, trials, seed):
    """Ratios of two contenders whose rounds share a random walk, as two modes on one busy machine do."""
    random = np.random.default_rng(seed)
    for _ in range(trials):
        common = np.cumsum(random.normal(0, drift, n))
        base = 10e9 * np.exp(common + random.normal(0, noise, n))
        other = 10e9 * truth * np.exp(common + random.normal(0, noise, n))
        yield paired_ratio(dict(enumerate(base.tolist())), dict(enumerate(other.tolist())))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("drift", [0.0, 0.1], ids=["steady", "drifting"])
@pytest.mark.parametrize("truth", [1.0, 0.965])
def test_ratio_interval_holds_the_truth_95_times_in_100_also_under_drift(n, drift, truth):
    ratios = list(simulated_ratios(truth, n, noise=0.02, drift=drift, trials=4000, seed=[n, int(drift * 10)]))
    held = sum(ratio.low <= truth <= ratio.high for ratio in ratios) / len(ratios)
    assert 0.935 <= held <= 0.965
    assert all(ratio.n == n for ratio in ratios)


def test_drift_common_to_a_pair_does_not_widen_the_interval():
    steady, drifting = (
        [r.high - r.low for r in simulated_ratios(1.0, 10, 0.02, drift, 300, seed=5)] for drift in (0.0, 0.5)
    )
    assert np.median(drifting) == pytest.approx(np.median(steady), rel=0.15)


def test_only_common_rounds_count():
    ratio = paired_ratio({1: 10.0, 2: 20.0, 4: 7.0}, {2: 10.0, 4: 3.5, 5: 1.0})
    assert (ratio.value, ratio.n) == (pytest.approx(0.5), 2)


def test_no_common_round_gives_no_ratio_and_one_gives_no_interval():
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None
    assert paired_ratio({}, {}) is None
    single = paired_ratio({3: 4.0}, {3: 1.0})
    assert (single.value, single.low, single.high, single.n) == (pytest.approx(0.25), None, None, 1)


def test_known_interval():
    # Logarithms 0 and log 4: mean log 2, standard error log 2, t(1) = 12.7062.
    ratio = paired_ratio({1: 1.0, 2: 1.0}, {1: 1.0, 2: 4.0})
    assert ratio.value == pytest.approx(2)
    assert ratio.high == pytest.approx(math.exp(math.log(2) * (1 + 12.706204736)), rel=1e-6)
    assert ratio.low == pytest.approx(math.exp(math.log(2) * (1 - 12.706204736)), rel=1e-6)


def test_rounds_that_contradict_each_other_still_give_finite_numbers():
    ratio = paired_ratio({1: 1e-300, 2: 1e300}, {1: 1e300, 2: 1e-300})
    assert all(math.isfinite(value) for value in (ratio.value, ratio.low, ratio.high))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_samples_without_a_logarithm_are_refused(bad):
    with pytest.raises(ValueError, match="positive, finite"):
        paired_ratio({1: 1.0}, {1: bad})
    with pytest.raises(ValueError, match="positive, finite"):
        paired_ratio({1: bad}, {1: 1.0})


@given(rounds, rounds)
def test_swapping_gives_the_reciprocal(base, other):
    there, back = paired_ratio(base, other), paired_ratio(other, base)
    if there is None:
        assert back is None
        return
    assert math.log(there.value) == pytest.approx(-math.log(back.value), abs=1e-9)
    if there.low is not None and there.low > 0 and there.high < 1e300:
        assert math.log(there.low) == pytest.approx(-math.log(back.high), rel=1e-9, abs=1e-9)


@given(rounds, st.floats(0.1, 10))
def test_a_constant_factor_is_found_exactly_whatever_the_rounds_did(base, factor):
    ratio = paired_ratio(base, {number: value * factor for number, value in base.items()})
    if base:
        assert ratio.value == pytest.approx(factor)
    if len(base) > 1:
        assert ratio.low == pytest.approx(factor)
        assert ratio.high == pytest.approx(factor)


# -- the mean under outliers -------------------------------------------------------------------

QUIET = [0.01, -0.02, 0.005, -0.01, 0.02, 0.0, -0.015, 0.012, -0.004]


@pytest.mark.parametrize("values", [QUIET[:2], QUIET, [*QUIET, 0.03], [*QUIET[:8], 5.0]])
def test_a_mean_is_the_plain_one_where_nothing_is_far_out_or_too_few_are_left(values):
    mean = robust_mean(values)
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.error == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)))
    assert mean.degrees == len(values) - 1


@pytest.mark.parametrize("far", [0.5, -0.5, 1e6])
def test_one_stall_among_ten_rounds_leaves_out_the_highest_and_the_lowest(far):
    """Against scipy's trimmed mean, and Yuen's standard error as its two-sample test has it."""
    values = [*QUIET, far]
    mean = robust_mean(values)
    assert mean.value == pytest.approx(stats.trim_mean(values, 0.1))
    shifted = [value + 1 for value in values]
    yuen = stats.ttest_ind(shifted, values, equal_var=False, trim=0.1).statistic
    assert mean.error == pytest.approx(1 / (math.sqrt(2) * yuen))
    assert mean.degrees == 7


def test_twice_as_many_rounds_leave_out_twice_as_many():
    values = [*QUIET, *QUIET, 0.4, -0.6]
    assert robust_mean(values).value == pytest.approx(stats.trim_mean(values, 0.1))
    assert robust_mean(values).degrees == 15


def test_fewer_values_can_spare_two_where_that_is_asked_for():
    values = [*QUIET[:5], -0.5]
    assert robust_mean(values).degrees == 5
    mean = robust_mean(values, fewest=5)
    assert mean.value == pytest.approx(np.mean(sorted(values)[1:-1]))
    assert mean.degrees == 3
    assert robust_mean(values[-4:], fewest=5).degrees == 3  # four cannot


def test_values_most_of_which_are_equal_all_count():
    values = [1.0] * 9 + [2.0]
    assert robust_mean(values).value == pytest.approx(1.1)
    assert robust_mean(values).degrees == 9


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40), st.randoms())
def test_a_mean_knows_no_order_and_no_side(values, random):
    shuffled = [-value for value in values]
    random.shuffle(shuffled)
    mean, mirrored = robust_mean(values), robust_mean(shuffled)
    assert mirrored.value == pytest.approx(-mean.value, abs=1e-9)
    assert mirrored.error == pytest.approx(mean.error, abs=1e-9)
    assert mirrored.degrees == mean.degrees
