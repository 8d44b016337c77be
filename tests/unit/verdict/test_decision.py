"""A verdict is taken by the interval, and says how many rounds it lacks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import (
    Estimate,
    Gate,
    losses,
    meets_ratio,
    paired_estimate,
    within_tolerance,
)

HIGHER, LOWER = Better.HIGHER, Better.LOWER
spread = st.lists(st.floats(-1, 1), min_size=6, max_size=30)


def known(loss: float, error: float = 0.001, rounds: int = 10) -> Estimate:
    return Estimate(loss, error, rounds - 1, rounds)


# -- losses ------------------------------------------------------------------------------------


def test_less_bandwidth_and_more_latency_are_both_a_loss():
    assert losses({0: 10.0}, {0: 9.0}, HIGHER)[0] == pytest.approx(math.log(10 / 9))
    assert losses({0: 1e-4}, {0: 1.1e-4}, LOWER)[0] == pytest.approx(math.log(1.1))
    assert losses({0: 10.0}, {0: 11.0}, HIGHER)[0] < 0


def test_only_rounds_that_both_have_are_compared():
    assert list(losses({0: 1.0, 1: 2.0, 3: 1.0}, {3: 1.0, 1: 2.0, 2: 5.0}, LOWER)) == [1, 3]


@pytest.mark.parametrize("sample", [0.0, -1.0, math.inf, math.nan])
def test_a_failure_never_becomes_a_ratio(sample):
    with pytest.raises(ValueError, match="positive, finite"):
        losses({0: 1.0}, {0: sample}, LOWER)


# -- the estimate, against an implementation that is not ours -----------------------------------


@pytest.mark.parametrize("n", [2, 5, 10, 40])
def test_interval_and_chance_are_those_of_the_one_sample_t_test(n):
    values = np.random.default_rng(n).normal(0.03, 0.04, n)
    estimate = paired_estimate(values.tolist())
    theirs = stats.ttest_1samp(values, 0.01, alternative="greater")
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.99)
    assert estimate.chance(0.01) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert estimate.interval(0.99) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_a_single_round_is_no_estimate():
    assert paired_estimate([0.1]) is None
    assert paired_estimate([]) is None


def test_rounds_that_agree_to_the_last_digit_leave_nothing_to_chance():
    estimate = paired_estimate([0.25] * 6)
    assert (estimate.chance(0.0), estimate.chance(0.25)) == (0.0, 1.0)
    assert within_tolerance(estimate, LOWER, 0.05).outcome is Outcome.REGRESSED
    assert within_tolerance(paired_estimate([0.0] * 6), LOWER, 0.0).outcome is Outcome.OK


# -- the decision ------------------------------------------------------------------------------


@pytest.mark.parametrize("better", Better)
@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(1.0, Outcome.OK), (0.96, Outcome.OK), (0.95, Outcome.INCONCLUSIVE), (0.94, Outcome.REGRESSED)],
)
def test_the_interval_decides(better, ratio, outcome):
    tolerated = ratio if better is HIGHER else 2 - ratio
    loss = -math.log(tolerated) if better is HIGHER else math.log(tolerated)
    judged = within_tolerance(known(loss), better, 0.05)
    assert judged.outcome is outcome
    assert judged.value == pytest.approx(tolerated)
    assert judged.limit == pytest.approx(0.95 if better is HIGHER else 1.05)
    assert judged.low < judged.value < judged.high
    assert judged.decided is (outcome is not Outcome.INCONCLUSIVE)


@given(spread, st.floats(0, 0.5), st.sampled_from(Better))
def test_outcome_and_interval_never_contradict_each_other(values, tolerance, better):
    judged = within_tolerance(paired_estimate(values), better, tolerance)
    bad = judged.high < judged.limit if better is HIGHER else judged.low > judged.limit
    good = judged.low >= judged.limit if better is HIGHER else judged.high <= judged.limit
    # An interval that ends at the limit to the last bit may fall on either side of a logarithm's rounding.
    if min(abs(judged.low - judged.limit), abs(judged.high - judged.limit)) > 1e-12:
        assert (judged.outcome is Outcome.REGRESSED, judged.outcome is Outcome.OK) == (bad, good)


@given(spread, st.floats(0.01, 1), st.floats(0, 0.5))
def test_a_worse_run_never_gets_a_better_verdict(values, more, tolerance):
    rank = [Outcome.OK, Outcome.INCONCLUSIVE, Outcome.REGRESSED]
    before = within_tolerance(paired_estimate(values), LOWER, tolerance)
    after = within_tolerance(paired_estimate([value + more for value in values]), LOWER, tolerance)
    assert rank.index(after.outcome) >= rank.index(before.outcome)


def test_below_six_rounds_nothing_is_decided():
    judged = within_tolerance(known(0.5, 1e-6, rounds=5), LOWER, 0.05)
    assert (judged.outcome, judged.decided, judged.rounds_needed) == (Outcome.INCONCLUSIVE, False, 6)


def test_an_alarm_that_may_be_chance_among_thirty_wants_more_rounds():
    # 9 % lost, interval from 5.6 %: beyond the tolerance, but chance finds that once in some thousand cells.
    estimate = known(0.09, 0.0132, rounds=6)
    judged = within_tolerance(estimate, LOWER, 0.05)
    assert judged.outcome is Outcome.REGRESSED
    assert judged.chance > Gate().chance_level
    assert not judged.decided
    assert judged.rounds_needed > 6
    assert within_tolerance(estimate, LOWER, 0.05, Gate(comparisons=1)).decided


@pytest.mark.parametrize("bad", [-0.01, 1.0, 5.0, math.nan])
def test_a_tolerance_in_percent_is_refused(bad):
    with pytest.raises(ValueError, match="fraction"):
        within_tolerance(known(0.0), HIGHER, bad)


def test_latency_may_be_allowed_to_more_than_double_but_not_everything():
    assert within_tolerance(known(math.log(2.2)), LOWER, 1.5).outcome is Outcome.OK
    with pytest.raises(ValueError, match="fraction"):
        within_tolerance(known(0.0), LOWER, math.inf)


def test_a_demanded_ratio_counts_chance_from_the_demand():
    of_host = known(-math.log(0.85), 0.005)
    judged = meets_ratio(of_host, HIGHER, 0.9)
    assert (judged.outcome, judged.limit) == (Outcome.SLOW, pytest.approx(0.9))
    assert judged.chance == pytest.approx(of_host.chance(-math.log(0.9)))
    assert meets_ratio(known(-math.log(0.95), 0.005), HIGHER, 0.9).outcome is Outcome.OK
    assert meets_ratio(known(math.log(1.5), 0.005), LOWER, 1.2).outcome is Outcome.SLOW


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match="positive and finite"):
        meets_ratio(known(0.0), HIGHER, bad)


def test_ratios_stay_finite():
    judged = within_tolerance(Estimate(800.0, 400.0, 9, 10), LOWER, 0.05)
    assert math.isfinite(judged.value)
    assert math.isfinite(judged.high)


# -- how many rounds ---------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [0.0, 0.02, 0.08, 0.12])
def test_the_rounds_it_asks_for_do_decide(truth):
    """Open verdicts of six rounds, measured on to the number asked for: about 80 % of them are decided then."""
    generator = np.random.default_rng(round(truth * 100))
    decided = []
    for row in generator.normal(truth, 0.05, (600, 1000)):
        first = within_tolerance(_exactly(row[:6], truth, 0.05), LOWER, 0.05)
        if first.rounds_needed is None:
            continue
        then = within_tolerance(paired_estimate(row[: first.rounds_needed].tolist()), LOWER, 0.05)
        decided.append(then.decided)
    # Four standard errors, and t at so few degrees is approximated by a shifted t.
    margin = 4 * math.sqrt(0.8 * 0.2 / len(decided)) + 0.03
    assert len(decided) > 400
    assert sum(decided) / len(decided) == pytest.approx(0.8, abs=margin)


def test_no_number_of_rounds_is_promised_for_what_sits_on_the_limit():
    assert within_tolerance(known(math.log(1.05)), LOWER, 0.05).rounds_needed is None


def test_more_noise_asks_for_more_rounds():
    needed = [within_tolerance(known(0.0, error), LOWER, 0.05).rounds_needed for error in (0.025, 0.05, 0.1)]
    assert needed == sorted(needed)
    assert needed[0] > 10


def test_what_days_differ_by_is_not_measured_away():
    fixed = Estimate(0.0, 0.05, 9, 10, fixed_error=0.05)
    assert within_tolerance(fixed, LOWER, 0.05).rounds_needed is None
    assert fixed.after(1000).error == pytest.approx(0.05)


def _exactly(row: np.ndarray, mean: float, deviation: float) -> Estimate:
    """The estimate of a row that happens to show the truth; what the promise is conditional on."""
    shaped = (row - row.mean()) / row.std(ddof=1) * deviation + mean
    return paired_estimate(shaped.tolist())
