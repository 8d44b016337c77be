"""Looks fixed beforehand, error spent over them, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import (
    Gate,
    SequentialPlan,
    Stop,
    limit_judge,
    paired_estimate,
    ratio_judge,
    tolerance_judge,
)

LOWER = Better.LOWER
PLAN = SequentialPlan.up_to(30)


def rounds_of(n: int, mean: float, deviation: float, seed: int = 1) -> dict[int, float]:
    values = np.random.default_rng(seed).normal(0, 1, n)
    shaped = (values - values.mean()) / values.std(ddof=1) * deviation + mean
    return dict(enumerate(shaped.tolist()))


# -- the plan ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maximum", "looks"),
    [(30, (6, 9, 14, 21, 30)), (20, (6, 9, 14, 20)), (10, (6, 10)), (6, (6,))],
)
def test_looks_are_fixed_by_the_maximum(maximum, looks):
    assert SequentialPlan.up_to(maximum).looks == looks


def test_next_look():
    assert [PLAN.next_look(rounds) for rounds in (0, 6, 8, 21, 30, 40)] == [6, 9, 9, 30, None, None]


@given(st.integers(6, 300))
def test_the_shares_add_up_to_the_whole_and_keep_most_for_the_end(maximum):
    plan = SequentialPlan.up_to(maximum)
    shares = [plan.share(look) for look in plan.looks]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    assert shares[-1] > 0.3


@pytest.mark.parametrize("looks", [(), (5, 10), (6, 6), (10, 6)])
def test_a_plan_that_is_none_is_refused(looks):
    with pytest.raises(ValueError, match="looks rise"):
        SequentialPlan(looks)


def test_a_look_outside_the_plan_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        PLAN.decide(7, rounds_of(7, 0, 0.01), tolerance_judge(LOWER, 0.05))


# -- stopping ----------------------------------------------------------------------------------


def test_what_is_clear_stops_at_the_first_look():
    judge = tolerance_judge(LOWER, 0.05)
    fine = PLAN.decide(6, rounds_of(6, 0.0, 0.001), judge)
    lost = PLAN.decide(6, rounds_of(6, 0.2, 0.001), judge)
    assert (fine.stop, fine.judgement.outcome) == (Stop.DECIDED, Outcome.OK)
    assert (lost.stop, lost.judgement.outcome) == (Stop.DECIDED, Outcome.REGRESSED)


def test_a_look_asks_for_more_than_the_plain_interval():
    by_round = rounds_of(6, 0.0, 0.03)
    alone = SequentialPlan((6,)).decide(6, by_round, tolerance_judge(LOWER, 0.05))
    first = PLAN.decide(6, by_round, tolerance_judge(LOWER, 0.05))
    assert (alone.stop, alone.judgement.confidence) == (Stop.DECIDED, pytest.approx(0.95))
    assert (first.stop, first.judgement.confidence) == (None, pytest.approx(1 - 0.05 * 0.04))
    assert first.judgement.rounds_needed > 6


def test_an_alarm_that_may_be_chance_among_thirty_goes_on():
    by_round = rounds_of(14, 0.1, 0.04)
    among = PLAN.decide(14, by_round, tolerance_judge(LOWER, 0.01))
    few = Gate(comparisons=1, false_alarms=0.05)
    alone = SequentialPlan(PLAN.looks, few).decide(14, by_round, tolerance_judge(LOWER, 0.01, few))
    assert (among.stop, among.judgement.outcome) == (Stop.DECIDED, Outcome.REGRESSED)
    noisy = rounds_of(14, 0.1, 0.085)
    among = PLAN.decide(14, noisy, tolerance_judge(LOWER, 0.0))
    alone = SequentialPlan(PLAN.looks, few).decide(14, noisy, tolerance_judge(LOWER, 0.0, few))
    assert (among.stop, among.judgement.outcome, among.judgement.decided) == (None, Outcome.REGRESSED, False)
    assert alone.stop is Stop.DECIDED


def test_precise_but_on_the_limit_stops_without_a_verdict():
    by_round = rounds_of(9, np.log(1.05), 0.004)
    step = PLAN.decide(9, by_round, tolerance_judge(LOWER, 0.05), precision=0.02)
    assert (step.stop, step.judgement.outcome) == (Stop.PRECISE, Outcome.INCONCLUSIVE)
    assert PLAN.decide(9, by_round, tolerance_judge(LOWER, 0.05)).stop is None


def test_the_maximum_ends_it_in_any_case():
    step = PLAN.decide(30, rounds_of(30, 0.05, 0.3), tolerance_judge(LOWER, 0.05), precision=0.02)
    assert (step.stop, step.judgement.outcome) == (Stop.MAXIMUM, Outcome.INCONCLUSIVE)
    assert PLAN.decide(30, {0: 0.1}, tolerance_judge(LOWER, 0.05)).stop is Stop.MAXIMUM
    assert PLAN.decide(6, {}, limit_judge(LOWER, 1.0)).judgement is None


def test_evidence_of_an_earlier_look_stands_and_each_look_pays_its_share():
    by_round = rounds_of(6, 0.1, 0.01) | {6: 0.4, 7: -0.2, 8: 0.3}
    early, later = (PLAN.decide(look, by_round, tolerance_judge(LOWER, 0.0)) for look in (6, 9))
    plain = paired_estimate([by_round[number] for number in range(6)]).chance(0.0)
    assert early.judgement.chance == pytest.approx(plain / 0.04)
    assert later.judgement.chance == early.judgement.chance


def test_a_look_sees_nothing_beyond_itself_and_no_failed_round():
    by_round = rounds_of(30, 0.0, 0.01)
    del by_round[2]
    judged = PLAN.decide(9, by_round, tolerance_judge(LOWER, 0.05)).judgement
    assert judged.rounds == 8


def test_demands_and_limits_are_judged_by_looks_too():
    slower = {number: 0.3 + 1e-3 * number for number in range(14)}
    assert PLAN.decide(14, slower, ratio_judge(LOWER, 1.1)).judgement.outcome is Outcome.SLOW
    step = PLAN.decide(14, slower, limit_judge(LOWER, 0.2))
    assert (step.stop, step.judgement.outcome) == (Stop.DECIDED, Outcome.SLOW)


def test_precision_of_what_is_compared_with_nothing():
    steady = {number: 1e9 + 1e6 * (number % 3) for number in range(30)}
    restless = {number: 1e9 + 3e8 * (number % 3) for number in range(30)}
    # Six samples, or nine, cannot give the confidence that an early look asks for, however alike they are.
    assert [PLAN.is_precise(look, steady, 0.02) for look in PLAN.looks] == [False, False, True, True, True]
    assert not any(PLAN.is_precise(look, restless, 0.02) for look in PLAN.looks)
    assert not PLAN.is_precise(6, {}, 0.02)
