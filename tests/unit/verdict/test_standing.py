"""Which earlier run the next is held against: none that lost something unproven, and no lucky one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import last_standing
from tests.unit.verdict.streams import changing_level, days_that_differ, outcomes, stream
from tests.unit.verdict.trials import at_least, at_most

HIGHER, LOWER = Better.HIGHER, Better.LOWER
QUIET = (1.0, 1.002, 0.999, 1.001, 0.998, 1.0)


def standing(*levels: float, better: Better = HIGHER, tolerance: float = 0.05) -> int:
    return last_standing([[math.log(level) for level in levels]], better, tolerance)


def test_the_last_run_of_equal_ones_stands():
    assert standing(1.0) == 0
    assert standing(*QUIET) == 5


@pytest.mark.parametrize(("level", "stands"), [(0.96, True), (0.94, False), (1.04, True), (1.06, False)])
def test_a_run_off_by_more_than_is_tolerated_is_in_doubt(level, stands):
    assert (standing(*QUIET, level) == 6) is stands
    assert (standing(*QUIET, 1 / level, better=LOWER) == 6) is stands


def test_losses_one_after_the_other_are_all_in_doubt_until_they_are_as_many_as_the_others():
    assert [standing(*QUIET, *[0.9] * number) for number in (1, 2, 4)] == [5, 5, 5]
    assert standing(*QUIET, *[0.9] * 7) == 12


def test_a_gain_is_believed_when_the_next_run_has_it_too():
    assert standing(*QUIET, 1.1) == 5
    assert standing(*QUIET, 1.1, 1.1) == 7
    assert standing(*QUIET, 1.1, 1.0) == 7


def test_where_days_differ_by_more_than_is_tolerated_they_are_no_doubt():
    days = np.exp(np.random.default_rng(3).normal(0, 0.1, 12)).tolist()
    assert standing(*days, 0.9) == 12
    assert standing(*days, 0.6) == 11


def test_a_run_stands_in_its_ratio_too():
    values, ratios = [[math.log(level) for level in levels] for levels in (QUIET, (*QUIET[:5], 0.9))]
    assert last_standing([values, ratios], HIGHER, 0.05) == 4


def test_a_run_without_a_control_is_judged_by_its_value():
    values, ratios = [math.log(level) for level in QUIET], [math.nan, 0.0, 0.0, math.nan, 0.0, math.nan]
    assert last_standing([values, ratios], HIGHER, 0.05) == 5
    assert last_standing([values, [math.nan] * 6], HIGHER, 0.05) == 5


def test_no_run_no_standing():
    with pytest.raises(ValueError, match="no run"):
        last_standing([[]], HIGHER, 0.05)


# -- run after run, as the gate compares -----------------------------------------------------------

GOOD, BAD = Outcome.OK, Outcome.REGRESSED


def test_a_run_disturbed_by_something_else_does_not_hide_what_comes_after_it():
    """Of ten runs the last lost 4.5 %, which is tolerated; then a tenth is lost for good."""
    levels = [1.0] * 9 + [0.955] + [0.9] * 3
    assert outcomes(changing_level(levels))[-3:] == [BAD] * 3


def test_a_loss_is_told_of_run_after_run_and_not_only_once():
    """One that rounds this noisy cannot prove; held against the run before, it would be `ok` from the second on."""
    slower = outcomes(changing_level([1.0] * 12 + [0.91] * 4, noise=0.03))[-4:]
    assert GOOD not in slower


def test_a_lucky_run_makes_no_usual_one_look_slow():
    assert BAD not in outcomes(changing_level([1.0] * 10 + [1.08] + [1.0] * 5))


@pytest.mark.parametrize("level", [1.0, 1.1])
@pytest.mark.parametrize("runs", [5, 12])
def test_a_gain_that_lasts_is_the_level_that_a_loss_is_told_from(runs, level):
    after = outcomes(changing_level([1.0] * 15 + [1.25] * runs + [level] * 4))[-4:]
    assert GOOD not in after


def test_what_is_usual_begins_anew_where_a_gain_was_confirmed():
    gained = (*QUIET, *[1.25] * 3)
    assert standing(*gained, 1.0) == 8
    assert standing(*gained, 1.0, 1.0) == 8
    assert standing(*QUIET, 1.25, 1.0) == 7


def test_a_loss_that_was_not_proven_at_first_is_told_of_again():
    """What is held against the run before alone, as it would be without doubt, says `ok` from then on."""
    trials = 60
    noisy = stream(days_that_differ(0.01, 0.025), trials)
    assert noisy.within_three > noisy.first > 0
    assert noisy.alarms == 0


@pytest.mark.parametrize("by", [0.003, 0.03])
def test_equal_runs_one_after_the_other_raise_no_alarm(by):
    trials = 60
    assert at_most(stream(days_that_differ(by, 0.005), trials).alarms, 0.01 / 30, trials * 11)


def test_disturbed_days_cost_little_of_what_is_found():
    trials = 60
    assert at_least(stream(days_that_differ(0.003, 0.005, disturbed=0.05), trials).within_three, 0.9, trials)
