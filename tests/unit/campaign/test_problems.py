"""What becomes of problems: an outcome with its reason, and the other cells go on."""

from __future__ import annotations

import pytest

from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unreachable, Unsupported
from pytest_calico_perf.model import Cell, Mode, Outcome
from tests.unit.campaign.world import BGP, HOST, IPIP, World, campaign_on


def test_what_cannot_exist_is_unsupported_and_the_others_go_on():
    world = World(unsupported={Mode.IPIP})
    campaign = campaign_on(world, BGP, IPIP)
    result = campaign.result(IPIP)
    assert (result.outcome, result.reason) == (Outcome.UNSUPPORTED, "lab: this kernel has no ipip device")
    assert campaign.result(BGP).outcome is Outcome.OK


def test_what_is_unreachable_is_not_measured_and_says_why():
    world = World(silent={Mode.BGP})
    campaign = campaign_on(world, BGP, IPIP)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.UNREACHABLE
    assert "a small ping to server (198.18.1.2) got no answer" in result.reason
    assert result.samples == ()
    assert BGP not in world.logged("run")
    assert len(campaign.result(IPIP).samples) == 4


def test_what_is_unreachable_is_diagnosed_once_for_all_probes_of_its_path():
    world = World(silent={Mode.BGP})
    other = Cell("ping", BGP.path, BGP.mode)
    campaign = campaign_on(world, BGP, other, IPIP)
    told = [campaign.result(cell).diagnosis for cell in (BGP, other)]
    assert told[0] is told[1]
    assert (told[0]["symptom"], told[0]["mode"]) == ("small-ping", "bgp")
    assert told[0]["said"] == "a small ping to server (198.18.1.2) got no answer"
    assert campaign.result(IPIP).diagnosis == {}


def test_a_node_without_a_route_is_diagnosed_too():
    world = World(routeless={Mode.IPIP})
    campaign = campaign_on(world, BGP, IPIP)
    result = campaign.result(IPIP)
    assert result.outcome is Outcome.UNREACHABLE
    assert "no usable route to 198.18.2.2" in result.reason
    assert result.diagnosis["mode"] == "ipip"
    assert IPIP not in world.logged("run")
    assert campaign.result(BGP).outcome is Outcome.OK


def test_when_no_cell_can_be_measured_the_control_is_not_either():
    world = World(silent={Mode.BGP})
    campaign_on(world, BGP).result(BGP)
    assert not world.logged("run")


def test_when_the_host_cell_was_asked_for_it_is_measured_alone_if_need_be():
    world = World(silent={Mode.BGP})
    assert len(campaign_on(world, HOST, BGP).result(HOST).samples) == 4


def test_a_broken_control_takes_nothing_from_the_cells_and_says_why_it_is_missing():
    result = campaign_on(World(silent={None}), BGP).result(BGP)
    assert (result.outcome, len(result.samples), dict(result.control)) == (Outcome.OK, 4, {})
    assert "a small ping" in result.details["control_problem"]


def test_one_lost_round_in_four_is_told_and_no_failure():
    world = World(script={BGP: [1.0, ToolProblem("iperf3 died", where="pod"), 3.0, 4.0]})
    result = campaign_on(world, BGP).result(BGP)
    assert (result.outcome, result.reason) == (Outcome.OK, "")
    assert result.by_round == {0: 1.0, 2: 3.0, 3: 4.0}
    assert result.details["lost_rounds"] == [{"round": 1, "reason": "pod: iperf3 died"}]
    assert world.logged("open") == [HOST, BGP, BGP], "the probe was not opened anew"


def test_two_lost_rounds_in_a_row_end_the_cell_with_its_samples_kept():
    world = World(script={BGP: [1.0, 2.0, ToolProblem("first"), Unreachable("second"), 5.0]})
    result = campaign_on(world, BGP, IPIP, rounds=9).result(BGP)
    assert result.outcome is Outcome.UNREACHABLE
    assert "second" in result.reason
    assert result.diagnosis["said"] == "second"
    assert result.reason.endswith("(2 of 9 rounds measured)")
    assert result.samples == (1.0, 2.0)
    assert world.logged("run").count(BGP) == 4
    assert world.logged("run").count(IPIP) == 9


def test_more_than_a_third_of_rounds_lost_ends_the_cell():
    problem = ToolProblem("now and then")
    world = World(script={BGP: [problem, 1.0, problem, 2.0, problem, 3.0]})
    result = campaign_on(world, BGP, rounds=6).result(BGP)
    assert result.outcome is Outcome.TOOL_ERROR
    assert result.reason == "now and then (2 of 6 rounds measured)"
    world = World(script={BGP: [problem, 1.0, problem, 2.0, 3.0, 4.0]})
    assert campaign_on(world, BGP, rounds=6).result(BGP).outcome is Outcome.OK


def test_a_server_that_does_not_come_up_gets_a_second_chance_and_no_third():
    world = World(refused={BGP: ToolProblem("nginx did not come up", where="pod bgp")})
    result = campaign_on(world, BGP, IPIP, rounds=9).result(BGP)
    assert result.outcome is Outcome.TOOL_ERROR
    assert result.reason == "pod bgp: nginx did not come up (0 of 9 rounds measured)"
    assert world.logged("open").count(BGP) == 2
    assert BGP not in world.logged("run")
    assert world.logged("run").count(IPIP) == 9


def test_what_turns_out_unsupported_is_not_tried_again():
    world = World(refused={BGP: Unsupported("no raw sockets here")})
    result = campaign_on(world, BGP, rounds=9).result(BGP)
    assert (result.outcome, result.reason) == (Outcome.UNSUPPORTED, "no raw sockets here")
    assert world.logged("open").count(BGP) == 1


def test_the_only_round_lost_is_a_failure():
    world = World(script={BGP: [ToolProblem("died")]})
    result = campaign_on(world, BGP, rounds=1).result(BGP)
    assert (result.outcome, result.reason) == (Outcome.TOOL_ERROR, "died (0 of 1 rounds measured)")


def test_a_lost_warm_up_gets_another_chance():
    world = World(script={BGP: [ToolProblem("cold")]})
    result = campaign_on(world, BGP, rounds=2, warm_up=1).result(BGP)
    assert (result.outcome, len(result.samples)) == (Outcome.OK, 2)


def test_a_cluster_problem_of_one_endpoint_does_not_end_the_run():
    gone = ClusterProblem("pod was evicted", where="pod bgp")
    world = World(script={BGP: [1.0, gone, gone]})
    campaign = campaign_on(world, BGP, IPIP)
    assert campaign.result(BGP).outcome is Outcome.TOOL_ERROR
    assert "pod was evicted" in campaign.result(BGP).reason
    assert campaign.result(IPIP).outcome is Outcome.OK


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), None])
def test_a_value_that_cannot_be_true_loses_the_round(value):
    world = World(script={BGP: [1.0, value, 3.0, 4.0]})
    result = campaign_on(world, BGP).result(BGP)
    assert result.samples == (1.0, 3.0, 4.0)
    assert "which cannot be true" in result.details["lost_rounds"][0]["reason"]


def test_a_bug_is_no_outcome_and_ends_the_block_for_all_its_cells_without_measuring_anew():
    world = World(script={IPIP: [1.0, ZeroDivisionError("a bug")]})
    campaign = campaign_on(world, BGP, IPIP)
    for cell in (BGP, IPIP):
        with pytest.raises(ZeroDivisionError):
            campaign.result(cell)
    assert len(world.logged("run")) == 4
    assert not world.open_now
    assert [result.samples for result in campaign.results()] == [(2.0,), (1.0,)]
