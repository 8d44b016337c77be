"""Absolute thresholds against the interval of the median."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.stats import summarize
from pytest_calico_perf.verdict import keeps_limit, keeps_mean

HIGHER, LOWER = Better.HIGHER, Better.LOWER
RATES = [9.1e9, 9.2e9, 9.3e9, 9.4e9, 9.5e9, 9.6e9]


@pytest.mark.parametrize(
    ("better", "limit", "outcome"),
    [
        (HIGHER, 9.0e9, Outcome.OK),
        (HIGHER, 9.1e9, Outcome.OK),
        (HIGHER, 9.35e9, Outcome.INCONCLUSIVE),
        (HIGHER, 9.7e9, Outcome.SLOW),
        (LOWER, 9.0e9, Outcome.SLOW),
        (LOWER, 9.35e9, Outcome.INCONCLUSIVE),
        (LOWER, 9.6e9, Outcome.OK),
    ],
)
def test_the_interval_of_the_median_decides(better, limit, outcome):
    judged = keeps_limit(RATES, better, limit)
    assert (judged.outcome, judged.limit, judged.rounds) == (outcome, limit, 6)
    assert (judged.low, judged.high) == (9.1e9, 9.6e9)
    assert judged.decided is (outcome is not Outcome.INCONCLUSIVE)


@given(st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=30), st.floats(-1e9, 1e9))
def test_a_minimum_and_a_maximum_mirror_each_other(samples, limit):
    mirrored = keeps_limit([-sample for sample in samples], LOWER, -limit)
    assert keeps_limit(samples, HIGHER, limit).outcome is mirrored.outcome


def test_a_loss_of_nothing_is_a_value():
    assert keeps_limit([0.0] * 6, LOWER, 0.001).outcome is Outcome.OK


@pytest.mark.parametrize("n", [1, 2, 5])
def test_below_six_rounds_nothing_is_decided(n):
    judged = keeps_limit([1.0] * n, LOWER, 100.0)
    assert (judged.outcome, judged.rounds_needed) == (Outcome.INCONCLUSIVE, 6)


def test_six_rounds_decide_and_say_with_what_confidence():
    judged = keeps_limit([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], LOWER, 1.0 - 1e-9)
    assert (judged.outcome, judged.confidence) == (Outcome.SLOW, 1 - 2**-5)


def test_a_look_that_may_spend_little_needs_more_rounds():
    assert keeps_limit(RATES, LOWER, 1.0, share=0.04).outcome is Outcome.INCONCLUSIVE
    assert keeps_limit(RATES * 2, LOWER, 1.0, share=0.04).outcome is Outcome.SLOW


def test_the_rounds_it_asks_for_mostly_decide():
    decided = []
    for row in np.random.default_rng(4).normal(1.0, 0.05, (400, 1000)):
        first = keeps_limit(row[:10].tolist(), LOWER, 1.02)
        if first.rounds_needed:
            decided.append(keeps_limit(row[: first.rounds_needed].tolist(), LOWER, 1.02).decided)
    assert len(decided) > 200
    # Ten samples know their median badly, so the promise of 80 % is kept on average only by half or more.
    assert sum(decided) / len(decided) > 0.5


def test_on_the_limit_no_number_of_rounds_is_promised():
    assert keeps_limit([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], LOWER, 4.0).rounds_needed is None


def test_no_sample_is_no_verdict():
    with pytest.raises(ValueError, match="at least one sample"):
        keeps_limit([], LOWER, 1.0)


@pytest.mark.parametrize(("n", "confidence"), [(6, 0.9), (10, 0.99), (20, 0.999), (9, 0.998)])
def test_a_summary_of_other_confidence_has_it(n, confidence):
    summary = summarize([float(value) for value in range(n)], confidence)
    narrower = summarize([float(value) for value in range(1, n - 1)], confidence)
    best = 1 - 2 ** (1 - n)
    assert summary.confidence >= min(confidence, best)
    assert summary.high - summary.low >= narrower.high - narrower.low


def test_a_mean_and_its_t_interval():
    values = [0.0, 0.02, 0.01, 0.0, 0.03, 0.01, 0.02]
    judged = keeps_mean(values, LOWER, 0.001)
    theirs = stats.t.interval(0.95, 6, np.mean(values), stats.sem(values))
    assert (judged.low, judged.high) == pytest.approx(theirs)
    assert (judged.outcome, judged.rounds, judged.chance) == (Outcome.SLOW, 7, None)
    assert keeps_mean([0.0, 0.1] + [0.0] * 5, LOWER, 0.001).low == 0.0


def test_a_mean_close_to_the_limit_asks_for_rounds():
    open_one = keeps_mean([0.0, 0.003, 0.0, 0.001, 0.002, 0.0], LOWER, 0.002)
    assert open_one.outcome is Outcome.INCONCLUSIVE
    assert open_one.rounds_needed > 6
    with pytest.raises(ValueError, match="at least one sample"):
        keeps_mean([], LOWER, 1.0)
