"""When what is measured: order, rounds, warm-up, control."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.block_run import order
from pytest_calico_perf.model import Cell, Mode, Outcome, Path
from tests.unit.campaign.world import BGP, HOST, IPIP, POD, World, campaign_on


def test_rounds_run_back_to_back_in_abba_order_with_the_control_in_each():
    world = World()
    campaign_on(world, BGP, IPIP, rounds=4).result(BGP)
    forward, backward = [HOST, BGP, IPIP], [IPIP, BGP, HOST]
    assert world.logged("run") == [*forward, *backward, *backward, *forward]


@given(st.lists(st.integers(), min_size=1, max_size=6, unique=True), st.integers(0, 50))
def test_over_two_rounds_everybody_stands_in_the_middle_on_average(items, pair):
    first, second = order(items, 2 * pair), order(items, 2 * pair + 1)
    assert sorted(first) == sorted(second) == sorted(items)
    for item in items:
        assert first.index(item) + second.index(item) == len(items) - 1


def test_nothing_stands_between_the_runs_of_a_round_but_telling_the_observer():
    world = World()
    campaign_on(world, BGP, IPIP, warm_up=1).result(BGP)
    words = [what[0] for what in world.log]
    warm = words[words.index("round_started") : words.index("round_done") + 1]
    rounds = words[words.index("round_done") + 1 : len(words) - words[::-1].index("round_done")]
    assert set(rounds) == {"round_started", "run", "run_done", "round_done"}
    assert warm.index("run") > max(i for i, word in enumerate(warm) if word == "open")


def test_a_block_is_measured_once_whichever_cell_is_asked_for_first():
    world = World()
    campaign = campaign_on(world, HOST, BGP, IPIP)
    assert campaign.result(IPIP) == campaign.results()[2]
    runs = len(world.logged("run"))
    assert campaign.result(HOST).samples
    assert campaign.result(BGP).samples
    assert len(world.logged("run")) == runs == 3 * 4
    assert not world.open_now


def test_results_are_in_the_order_of_the_plan_whatever_was_asked_first():
    ping = Cell("ping", POD, Mode.BGP)
    campaign = campaign_on(World(), ping, BGP)
    campaign.result(BGP)
    campaign.result(ping)
    assert [result.cell for result in campaign.results()] == [ping, BGP]


def test_warm_up_rounds_are_dropped_and_counted_as_measuring():
    world = World()
    campaign = campaign_on(world, BGP, rounds=3, warm_up=2)
    result = campaign.result(BGP)
    assert result.rounds == (0, 1, 2)
    assert result.samples == tuple(value for cell, value in world.given[4:] if cell == BGP)
    assert campaign.measuring_seconds == 2 * 5 * 1.0


def test_samples_pair_with_the_control_of_the_same_round():
    world = World(script={BGP: [10.0, 20.0, 30.0], HOST: [1.0, 2.0, 3.0]})
    result = campaign_on(world, BGP, rounds=3).result(BGP)
    assert result.by_round == {0: 10.0, 1: 20.0, 2: 30.0}
    assert dict(result.control) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert result.runs == ({"value": 10.0}, {"value": 20.0}, {"value": 30.0})
    assert result.details == {"value": 20.0}


def test_each_block_has_a_control_of_its_own_and_the_host_cell_is_that_of_the_first():
    to_pod = Cell("tcp", Path.HOST_TO_POD, Mode.BGP)
    world = World(script={HOST: [1.0, 2.0, 3.0, 4.0]})
    campaign = campaign_on(world, HOST, BGP, to_pod, rounds=2)
    assert dict(campaign.result(to_pod).control) == {0: 1.0, 1: 2.0}
    assert dict(campaign.result(BGP).control) == {0: 3.0, 1: 4.0}
    # Its home is the first block of the plan, in whatever order they were measured.
    assert campaign.result(HOST).samples == (3.0, 4.0)
    assert campaign.result(HOST).control == {}


def test_a_pair_is_checked_once_for_all_blocks():
    ping = Cell("ping", POD, Mode.BGP)
    world = World()
    campaign = campaign_on(world, BGP, ping)
    campaign.result(BGP)
    checks = len(world.logged("ping"))
    campaign.result(ping)
    assert len(world.logged("ping")) == checks == 2 * 2


def test_a_fact_needs_no_path_and_no_proof_and_may_be_unknown():
    link = Cell("link", Path.HOST_TO_HOST, None)
    world = World(script={link: [None]}, silent={None})
    result = campaign_on(world, link, rounds=1, once=True).result(link)
    assert (result.outcome, result.samples, result.details) == (Outcome.OK, (), {"value": None})
    assert not world.logged("ping")
    assert not world.logged("counters")
