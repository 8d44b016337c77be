"""Rounds added until a cell is known: on campaigns whose noise and truth are known."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import pytest

from pytest_calico_perf.errors import ToolProblem
from pytest_calico_perf.model import Mode, Outcome
from pytest_calico_perf.precision import is_known, looks_up_to
from pytest_calico_perf.stats import paired_ratio
from tests.unit.campaign.world import BGP, HOST, IPIP, POD, Cell, World, campaign_on

TRUTH = {HOST: 1.0e9, BGP: 0.9e9, IPIP: 0.6e9}
ONE = {HOST: 0.004, BGP: 0.004, IPIP: 0.004}
NOISY = {**ONE, IPIP: 0.3}


def world_of(deviations: dict[Cell, float], seed: int = 1, rounds: int = 40) -> World:
    random = np.random.default_rng(seed)
    return World(
        script={
            cell: list(TRUTH[cell] * np.exp(random.normal(0, deviation, rounds)))
            for cell, deviation in deviations.items()
        }
    )


def stopped(result):
    return result.details["stopped"]


def test_a_quiet_block_stops_at_the_first_look_and_says_so_everywhere():
    world = world_of(ONE)
    ticks = count()
    campaign = campaign_on(
        world, BGP, IPIP, rounds=30, precision=0.02, more={"clock": lambda: float(next(ticks))}
    )
    for cell in (BGP, IPIP):
        result = campaign.result(cell)
        assert (result.outcome, result.rounds, result.reason) == (Outcome.OK, tuple(range(6)), "")
        assert "cut_short" not in result.details
        assert stopped(result) == {
            "why": "precise", "rounds": 6, "at_most": 30, "precision": 0.02,
            "text": "known to 2 % after 6 of at most 30 rounds",
        }  # fmt: skip
        assert abs(np.median(result.samples) / TRUTH[cell] - 1) < 0.02
    assert len(world.logged("run")) == 3 * 6
    assert world.logged("block_stopped") == [["known to 2 % after 6 of at most 30 rounds"] * 2]
    assert "1 of 1 blocks ended early; 24 of 30 rounds, about " in campaign.note
    # The clock ticks once at the start and once after each of the six rounds: a tick a round, 24 saved.
    assert campaign.note.endswith("about 24 s, were saved")


def test_one_noisy_cell_keeps_the_whole_block_going_to_the_maximum():
    world = world_of(NOISY)
    campaign = campaign_on(world, BGP, IPIP, rounds=14, precision=0.02)
    quiet, noisy = campaign.result(BGP), campaign.result(IPIP)
    assert len(quiet.samples) == len(noisy.samples) == 14
    assert (stopped(quiet)["why"], stopped(noisy)["why"]) == ("precise", "maximum")
    assert stopped(noisy)["text"] == "not known to 2 % after 14 of at most 14 rounds"
    assert not world.logged("block_stopped")
    assert "every block took all of its rounds" in campaign.note


def test_it_stops_only_at_looks_fixed_beforehand():
    plan = looks_up_to(30)
    taken = set()
    for seed in range(40):
        result = campaign_on(
            world_of(dict.fromkeys(TRUTH, 0.02), seed), BGP, IPIP, rounds=30, precision=0.02
        ).result(BGP)
        taken.add(len(result.samples))
    assert taken <= set(plan.looks)
    assert len(taken) > 1


def test_the_control_stops_nothing_unless_it_is_a_result():
    deviations = {**ONE, HOST: 0.3}
    assert len(campaign_on(world_of(deviations), BGP, rounds=14, precision=0.02).result(BGP).samples) == 6
    campaign = campaign_on(world_of(deviations), HOST, BGP, rounds=14, precision=0.02)
    assert len(campaign.result(BGP).samples) == 14
    assert stopped(campaign.result(HOST))["why"] == "maximum"


def test_without_a_precision_all_rounds_are_taken_and_nothing_is_said():
    campaign = campaign_on(world_of(ONE), BGP, rounds=10)
    assert len(campaign.result(BGP).samples) == 10
    assert "stopped" not in campaign.result(BGP).details
    assert campaign.note == ""


@pytest.mark.parametrize("rounds", [1, 2, 5, 7])
def test_too_few_rounds_for_a_look_are_simply_taken(rounds):
    campaign = campaign_on(world_of(ONE), BGP, rounds=rounds, precision=0.02)
    assert len(campaign.result(BGP).samples) == rounds
    assert "stopped" not in campaign.result(BGP).details


def test_verdicts_that_are_decided_end_it_too_and_are_asked_only_at_looks():
    asked = []

    def decided(result, plan, look):
        asked.append((result.cell, look, len(result.samples), plan.share(look)))
        return look >= 9

    campaign = campaign_on(world_of(NOISY), BGP, IPIP, rounds=30, precision=0.001, more={"decided": decided})
    assert stopped(campaign.result(IPIP))["why"] == "decided"
    assert stopped(campaign.result(IPIP))["text"] == "its verdicts were decided after 9 of at most 30 rounds"
    assert [(look, n) for _, look, n, _ in asked] == [(6, 6), (6, 6), (9, 9), (9, 9)]
    assert asked[0][3] == pytest.approx(6**2 / 30**2)


def test_a_cell_that_lost_too_many_of_its_rounds_is_not_known_however_alike_the_rest():
    broken = ToolProblem("no answer", where="test")
    world = World(script={BGP: [1e9, broken, 1e9, broken, 1e9, broken, *[1e9] * 30], HOST: [1e9] * 40})
    result = campaign_on(world, BGP, rounds=30, precision=0.02).result(BGP)
    assert (len(result.samples), stopped(result)["rounds"]) == (6, 9)


def test_a_dead_cell_holds_up_nobody_and_says_of_how_many_rounds():
    broken = ToolProblem("no answer", where="test")
    world = world_of(ONE)
    world.script[IPIP] = [0.6e9, broken, broken]
    campaign = campaign_on(world, BGP, IPIP, rounds=30, precision=0.02)
    assert len(campaign.result(BGP).samples) == 6
    dead = campaign.result(IPIP)
    assert dead.outcome is Outcome.TOOL_ERROR
    assert dead.reason.endswith("(1 of 6 rounds measured)")
    assert "stopped" not in dead.details


def test_where_modes_are_measured_one_at_a_time_the_rounds_are_fixed_and_that_is_said():
    world = world_of(ONE)
    world.serial = True
    campaign = campaign_on(world, BGP, IPIP, rounds=10, precision=0.02)
    assert len(campaign.result(BGP).samples) == len(campaign.result(IPIP).samples) == 10
    assert "stopped" not in campaign.result(BGP).details
    assert "the rounds were fixed: a precision has no effect" in campaign.note
    alone = World(serial=True, script={BGP: [1e9] * 20})
    single = campaign_on(alone, BGP, rounds=10, precision=0.02)
    assert len(single.result(BGP).samples) == 10
    assert single.note.startswith("the rounds were fixed")


def test_a_fact_has_one_round():
    link = Cell("link", POD, Mode.BGP)
    campaign = campaign_on(World(script={link: [1e9]}), link, rounds=1, precision=0.02, once=True)
    assert len(campaign.result(link).samples) == 1
    assert campaign.note == ""


def test_stopping_early_costs_the_plain_interval_of_a_ratio_no_coverage():
    """What tables show after an early stop: by precision alone it holds the truth as before."""
    ratio, held, early, trials = TRUTH[IPIP] / TRUTH[BGP], 0, 0, 400
    for seed in range(trials):
        campaign = campaign_on(
            world_of(dict.fromkeys(TRUTH, 0.02), seed), BGP, IPIP, rounds=30, precision=0.02
        )
        found = paired_ratio(campaign.result(BGP).by_round, campaign.result(IPIP).by_round)
        held += found.low <= ratio <= found.high
        early += found.n < 30
    # 95 % of 400 with four standard errors (1.1 % each) of room.
    assert held / trials > 0.905
    assert early / trials > 0.9


@pytest.mark.parametrize("deviation", [0.01, 0.02, 0.05])
def test_what_is_called_known_is_within_the_precision(deviation):
    """All looks of a campaign together are wrong in at most 5 % of campaigns, however often one looks."""
    plan, random, wrong, known = looks_up_to(30), np.random.default_rng(7), 0, 0
    trials = 400
    for _ in range(trials):
        values = dict(enumerate(np.exp(random.normal(0, deviation, 30))))
        look = next((at for at in plan.looks if is_known(plan, at, values, 0.02)), None)
        if look is not None:
            known += 1
            wrong += abs(math.exp(np.mean([math.log(values[i]) for i in range(look)])) - 1) > 0.0201
    assert known > 100
    assert wrong / trials < 0.05
