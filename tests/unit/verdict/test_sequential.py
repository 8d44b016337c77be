"""Looks fixed beforehand, error spent over them, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import SequentialPlan, keeps_limit, paired_estimate, within_tolerance

LOWER = Better.LOWER
PLAN = SequentialPlan.up_to(30)


def rounds_of(n: int, mean: float, deviation: float, seed: int = 1) -> list[float]:
    values = np.random.default_rng(seed).normal(0, 1, n)
    shaped = (values - values.mean()) / values.std(ddof=1) * deviation + mean
    return shaped.tolist()


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
        PLAN.share(7)


# -- what a look may spend -----------------------------------------------------------------------


def test_a_look_asks_for_more_than_the_plain_interval():
    estimate = paired_estimate(rounds_of(6, 0.0, 0.03))
    alone, first = (
        within_tolerance(estimate, LOWER, 0.05, share=plan.share(6)) for plan in (SequentialPlan((6,)), PLAN)
    )
    assert (alone.settled, alone.confidence) == (Outcome.OK, pytest.approx(0.95))
    assert (first.settled, first.confidence) == (Outcome.INCONCLUSIVE, pytest.approx(PLAN.confidence_at(6)))
    assert first.rounds_needed > 6


def test_what_is_clear_is_decided_at_the_first_look():
    lost = within_tolerance(paired_estimate(rounds_of(6, 0.2, 0.001)), LOWER, 0.05, share=PLAN.share(6))
    assert lost.settled is Outcome.REGRESSED
    limit = keeps_limit([1.3 + 1e-3 * number for number in range(14)], LOWER, 1.2, share=PLAN.share(14))
    assert limit.settled is Outcome.SLOW


def test_each_look_pays_its_share():
    estimate = paired_estimate(rounds_of(6, 0.1, 0.05))
    judged = within_tolerance(estimate, LOWER, 0.0, share=PLAN.share(6))
    assert judged.chance == pytest.approx(estimate.chance(0.0) / PLAN.share(6))


def test_precision_of_what_is_compared_with_nothing():
    steady = {number: 1e9 + 1e6 * (number % 3) for number in range(30)}
    restless = {number: 1e9 + 3e8 * (number % 3) for number in range(30)}
    # Six samples, or nine, cannot give the confidence that an early look asks for, however alike they are.
    assert [PLAN.is_precise(look, steady, 0.02) for look in PLAN.looks] == [False, False, True, True, True]
    assert not any(PLAN.is_precise(look, restless, 0.02) for look in PLAN.looks)
    assert not PLAN.is_precise(6, {}, 0.02)
