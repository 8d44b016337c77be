"""Chance is counted for all comparisons of a campaign together."""

from __future__ import annotations

import pytest

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import Estimate, Gate, keeps_limit, remaining, within_tolerance

THIRTY = Gate(comparisons=30)


def judged(loss: float, error: float, rounds: int = 10, alarms: int = 0):
    gate = remaining(THIRTY, alarms)
    return within_tolerance(Estimate(loss, error, rounds - 1, rounds), Better.LOWER, 0.05, gate)


@pytest.mark.parametrize(("alarms", "level"), [(0, 0.01 / 30), (1, 0.01 / 29), (29, 0.01), (40, 0.01)])
def test_holms_steps(alarms, level):
    assert remaining(THIRTY, alarms).chance_level == pytest.approx(level)


def test_an_alarm_among_many_may_be_chance():
    among = judged(0.09, 0.0132, rounds=6)
    assert among.outcome is Outcome.REGRESSED
    assert (among.settled, among.decided) == (Outcome.INCONCLUSIVE, False)
    assert among.rounds_needed > 6
    alone = judged(0.09, 0.0132, rounds=6, alarms=29)
    assert (alone.settled, alone.decided, alone.rounds_needed) == (Outcome.REGRESSED, True, None)


def test_a_certain_loss_takes_its_neighbours_along():
    """Holm, not Bonferroni: when a whole mode is slower, the last of its cells need not stand out of thirty."""
    weak = judged(0.1, 0.021)
    assert 0.01 / 30 < weak.chance < 0.01
    assert weak.settled is Outcome.INCONCLUSIVE
    assert judged(0.1, 0.021, alarms=29).settled is Outcome.REGRESSED


def test_ok_and_thresholds_are_left_alone():
    assert judged(0.0, 0.001).settled is Outcome.OK
    assert keeps_limit([5.0] * 6, Better.LOWER, 1.0, THIRTY).settled is Outcome.SLOW
