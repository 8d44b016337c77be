"""The smallest tolerance that the noise leaves room for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pytest_calico_perf.model import Better
from pytest_calico_perf.verdict import Gate, floor_from_history, floor_from_pairs, smallest_tolerance
from pytest_calico_perf.verdict.floor import POWER

HIGHER, LOWER = Better.HIGHER, Better.LOWER


@pytest.mark.parametrize("better", Better)
@pytest.mark.parametrize(("error", "degrees"), [(0.01, 9), (0.004, 4), (0.03, 19)])
def test_twice_the_floor_is_found_as_often_as_it_is_solved_for(better, error, degrees):
    """By the noncentral t distribution of scipy.stats, forwards: the harder of both conditions has that."""
    gate = Gate()
    tolerance = smallest_tolerance(error, degrees, better, gate)
    sign = -1 if better is HIGHER else 1
    loss = sign * math.log(1 + sign * 2 * tolerance)
    limit = sign * math.log(1 + sign * tolerance)
    beyond = stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, (loss - limit) / error)
    no_chance = stats.nct.sf(stats.t.ppf(1 - gate.chance_level, degrees), degrees, loss / error)
    assert min(beyond, no_chance) == pytest.approx(POWER, abs=1e-4)


def test_no_noise_no_floor():
    assert smallest_tolerance(0.0, 9, HIGHER) == 0.0
    assert floor_from_pairs([[0.0] * 10], 10, LOWER) == 0.0


def test_noise_that_leaves_no_room_says_so():
    assert smallest_tolerance(0.5, 9, LOWER) == math.inf
    assert smallest_tolerance(0.5, 9, HIGHER) < 0.5


def test_more_rounds_and_fewer_comparisons_lower_it():
    pairs = np.random.default_rng(1).normal(0, 0.03, (5, 10)).tolist()
    by_rounds = [floor_from_pairs(pairs, rounds, LOWER) for rounds in (6, 10, 20)]
    assert by_rounds == sorted(by_rounds, reverse=True)
    assert floor_from_pairs(pairs, 6, LOWER, Gate(comparisons=1)) < by_rounds[0]


def test_equal_modes_that_differ_for_a_whole_campaign_raise_it():
    quiet = np.random.default_rng(1).normal(0, 0.001, (10, 10))
    shifted = quiet + np.random.default_rng(2).normal(0, 0.02, (10, 1))
    assert floor_from_pairs(quiet.tolist(), 10, LOWER) < 0.005
    # More rounds do not help here, only a wider tolerance does: four deviations, so that none is an alarm.
    floors = [floor_from_pairs(shifted.tolist(), rounds, LOWER) for rounds in (10, 1000)]
    assert min(floors) > 3.4 * np.sqrt((shifted.mean(axis=1) ** 2).mean())


def test_a_spread_known_from_few_rounds_is_taken_for_larger():
    few = floor_from_pairs([[-0.01, 0.01]], 10, LOWER)
    many = floor_from_pairs([[-0.01, 0.01] * 50], 10, LOWER)
    assert few > 3 * many


def test_history_of_days():
    random = np.random.default_rng(3)
    runs = np.exp(random.normal(0, 0.01, (20, 10)))
    restless = np.exp(np.log(runs) + random.normal(0, 0.05, (20, 1)))
    assert floor_from_history(runs.tolist(), 10, LOWER) < 0.05
    assert floor_from_history(restless.tolist(), 10, LOWER) > 0.25


def test_one_run_that_something_else_disturbed_does_not_widen_it_either():
    """Its rounds scatter ten times as much, and its mean is off."""
    runs = 287e6 * np.exp(np.random.default_rng(5).normal(0, 0.002, (12, 6)))
    disturbed = runs.copy()
    disturbed[7] *= np.exp(np.random.default_rng(6).normal(-0.06, 0.04, 6))
    quiet, loud = (floor_from_history(each.tolist(), 6, HIGHER) for each in (runs, disturbed))
    assert loud < 2 * quiet < 0.03


def test_a_stall_in_some_runs_of_a_history_does_not_widen_the_floor():
    """As measured on the lab under load: one of six rounds lost a fifth, in one run of five."""
    runs = 287e6 * np.exp(np.random.default_rng(5).normal(0, 0.002, (30, 6)))
    stalled = runs.copy()
    stalled[::5, 3] *= 0.8
    quiet, loud = (floor_from_history(each.tolist(), 6, HIGHER) for each in (runs, stalled))
    assert loud < 1.5 * quiet < 0.03


def test_few_days_ask_for_more_than_their_rounds_do():
    """Three days that happen to agree: the next comparison may rest on them, with two degrees of freedom."""
    runs = np.exp(np.random.default_rng(4).normal(0, 0.01, (3, 10)))
    means = np.log(runs).mean(axis=1)
    days = smallest_tolerance(math.sqrt(2) * means.std(ddof=1), 2, LOWER)
    assert floor_from_history(runs.tolist(), 10, LOWER) == pytest.approx(days)
    assert days > floor_from_pairs(np.log(runs).tolist()[:1], 10, LOWER)


@pytest.mark.parametrize("pairs", [[], [[0.1]], [[], [0.2]]])
def test_no_pair_of_two_rounds_no_floor(pairs):
    assert floor_from_pairs(pairs, 10, LOWER) is None


def test_one_round_to_come_has_no_floor():
    assert floor_from_pairs([[0.1, 0.2, 0.3]], 1, LOWER) is None
    assert floor_from_history([[1.0, 1.1]] * 3, 1, LOWER) is None
    assert floor_from_history([[1.0, 1.1]] * 2, 10, LOWER) is None
