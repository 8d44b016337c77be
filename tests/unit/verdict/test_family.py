"""Chance is counted for all comparisons of a campaign together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import Estimate, holm, keeps_limit, settle, within_tolerance

chances = st.dictionaries(st.integers(), st.floats(0, 1), min_size=1, max_size=40)


def judged(loss: float, error: float, rounds: int = 10):
    return within_tolerance(Estimate(loss, error, rounds - 1, rounds), Better.LOWER, 0.05)


def test_holm_by_hand():
    # Holm 1979: 4 * 0.005, 3 * 0.01, 2 * 0.03, then not below the one before.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


@given(chances)
def test_correction_keeps_the_order_and_lies_between_none_and_bonferroni(known):
    corrected = holm(known)
    assert list(corrected) == list(known)
    for key, chance in known.items():
        assert chance <= corrected[key] <= min(1.0, chance * len(known))
    by_chance = sorted(known, key=known.__getitem__)
    assert [corrected[key] for key in by_chance] == sorted(corrected.values())


def test_an_alarm_among_many_may_be_chance():
    quiet = {number: judged(0.0, 0.01) for number in range(29)}
    alarm = judged(0.09, 0.0132, rounds=6)
    assert alarm.outcome is Outcome.REGRESSED
    alone = settle({"alarm": alarm})["alarm"]
    among = settle({**quiet, "alarm": alarm})["alarm"]
    assert (alone.outcome, alone.decided, alone.rounds_needed) == (Outcome.REGRESSED, True, None)
    assert (among.outcome, among.decided) == (Outcome.INCONCLUSIVE, False)
    assert among.rounds_needed > 6
    assert among.family_chance == pytest.approx(30 * alarm.chance)


def test_a_certain_loss_takes_its_neighbours_along():
    """Holm, not Bonferroni: when a whole mode is slower, the last of its cells need not stand out of thirty."""
    certain = {number: judged(0.2, 0.002) for number in range(29)}
    weak = judged(0.1, 0.021, rounds=10)
    assert 0.01 / 30 < weak.chance < 0.01
    settled = settle({**certain, "weak": weak})
    assert {known.outcome for known in settled.values()} == {Outcome.REGRESSED}


def test_ok_and_thresholds_are_left_alone():
    slow = keeps_limit([5.0] * 6, Better.LOWER, 1.0)
    settled = settle({"fine": judged(0.0, 0.001), "slow": slow})
    assert settled["slow"] == slow
    assert settled["fine"].outcome is Outcome.OK


def test_a_campaign_without_comparisons_settles():
    assert settle({}) == {}
