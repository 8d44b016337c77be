"""The promises of the gate on simulated noise of known truth. `benchmarks/gate.py` runs the same at full size."""

from __future__ import annotations

import pytest

from pytest_calico_perf.verdict import SequentialPlan
from tests.unit.verdict.noise import (
    AUTOCORRELATED,
    BIMODAL,
    DRIFT,
    HEAVY_TAILS,
    INDEPENDENT,
    NEIGHBOURS,
    NEIGHBOURS_ALONE,
    NOISES,
    OUTLIERS,
    SKEWED,
    Noise,
)
from tests.unit.verdict.trials import (
    AT_TOLERANCE,
    TWICE_TOLERANCE,
    across,
    alarms_beside_losses,
    at_least,
    at_most,
    coverage,
    false_alarms,
    looked,
    looked_false_alarms,
    median_errors,
    pair_floor,
    peeked,
    power,
)


def named(noise: Noise) -> str:
    return noise.name.replace(" ", "-")


@pytest.mark.parametrize("rounds", [6, 10])
@pytest.mark.parametrize("noise", NOISES, ids=named)
def test_an_aa_campaign_of_thirty_cells_alarms_at_most_once_in_a_hundred(noise, rounds):
    campaigns = 200
    assert at_most(false_alarms(noise, rounds, campaigns) / campaigns, 0.01, campaigns)


@pytest.mark.parametrize("noise", [INDEPENDENT, AUTOCORRELATED, DRIFT, HEAVY_TAILS], ids=named)
def test_the_family_correction_keeps_that_promise_without_any_tolerance(noise):
    """Tolerance 0 takes the margin away: what is left is Holm on the t tests, and it is used up."""
    campaigns = 400
    assert at_most(false_alarms(noise, 10, campaigns, tolerance=0) / campaigns, 0.01, campaigns)


@pytest.mark.parametrize("noise", [INDEPENDENT, AUTOCORRELATED, HEAVY_TAILS], ids=named)
def test_true_alarms_bring_no_false_ones(noise):
    campaigns = 400
    alarmed, found = alarms_beside_losses(noise, 10, campaigns)
    assert at_most(alarmed, 0.01, campaigns)
    assert found > 0.9


@pytest.mark.parametrize("noise", [INDEPENDENT, AUTOCORRELATED, DRIFT, NEIGHBOURS, HEAVY_TAILS], ids=named)
def test_twice_the_tolerance_is_found(noise):
    trials = 1000
    assert at_least(power(noise, 10, trials), 0.95, trials)


@pytest.mark.parametrize("rounds", [6, 10])
@pytest.mark.parametrize("noise", NOISES, ids=named)
def test_twice_the_floor_is_found_whatever_the_noise(noise, rounds):
    """Where so few rounds are too few for 5 % (outliers, two modes), the floor says so and its promise holds."""
    found = sum(power(noise, rounds, 10, pair_floor(noise, rounds, seed=seed), seed) for seed in range(100))
    assert at_least(found / 100, 0.95, 1000)


@pytest.mark.parametrize("rounds", [6, 10, 20])
@pytest.mark.parametrize("noise", (*NOISES, NEIGHBOURS_ALONE), ids=named)
def test_intervals_cover_what_they_say(noise, rounds):
    trials = 2000
    held = coverage(noise, rounds, trials)
    assert at_least(held, 0.93, trials)
    assert at_most(held, 0.97, trials)


@pytest.mark.parametrize("rounds", [6, 10, 20])
@pytest.mark.parametrize("noise", [INDEPENDENT, HEAVY_TAILS, SKEWED, BIMODAL], ids=named)
def test_a_threshold_at_the_truth_errs_on_each_side_as_the_ranks_say(noise, rounds):
    trials = 2000
    assert all(at_most(share, 0.025, trials) for share in median_errors(noise, rounds, trials))


@pytest.mark.parametrize("noise", [INDEPENDENT, DRIFT, HEAVY_TAILS], ids=named)
@pytest.mark.parametrize("loss", [0.0, AT_TOLERANCE, TWICE_TOLERANCE])
def test_looking_does_not_inflate_errors(noise, loss):
    trials = 300
    end = looked(SequentialPlan.up_to(30), noise, loss, trials)
    assert at_least(end.covered, 0.95, trials)
    if loss == AT_TOLERANCE:
        assert at_most(end.regressed, 0.025, trials)
        assert at_most(end.ok, 0.025, trials)
    elif loss:
        assert at_least(end.regressed, 0.95, trials)
    else:
        assert end.regressed == 0
        assert at_least(end.ok, 0.95, trials)
    # The values of a machine that drifts are never known to 2 %: such a block takes all rounds.
    if loss != AT_TOLERANCE and noise is not DRIFT:
        assert end.rounds < 20


def test_an_aa_campaign_that_is_looked_at_alarms_no_more_often():
    """Without a tolerance, so that every cell takes every look; had each the whole error, 2.5 % would alarm."""
    campaigns = 150
    alarms = looked_false_alarms(SequentialPlan.up_to(30), INDEPENDENT, campaigns, tolerance=0)
    assert at_most(alarms / campaigns, 0.01, campaigns)


def test_whoever_peeks_without_a_plan_is_wrong_three_times_as_often():
    """What the plan is for, and that the simulation can tell."""
    assert not at_most(peeked(INDEPENDENT, AT_TOLERANCE, 30, 300), 0.05, 300)


@pytest.mark.parametrize("shift", [0.01, 0.03])
@pytest.mark.parametrize("noise", [AUTOCORRELATED, DRIFT], ids=named)
def test_a_baseline_of_another_day_is_compared_with_what_days_differ_by(noise, shift):
    trials = 300
    end = across(noise, 10, shift, trials)
    assert at_least(end.covered, 0.94, trials)
    assert end.covered_by_rounds_only < 0.85
    assert at_most(end.alarms, 0.01 / 30, trials)


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("shift", [0.0, 0.03])
@pytest.mark.parametrize("noise", [AUTOCORRELATED, DRIFT, OUTLIERS], ids=named)
def test_twice_the_tolerance_of_a_history_is_found_on_another_day(noise, shift, runs):
    trials = 200
    assert at_least(across(noise, runs, shift, trials).found, 0.95, trials)
