"""What is recorded as proof of the packets' way, and what contradicts a mode."""

from __future__ import annotations

import json

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.model import Cell, Encapsulation, Measurement, Mode, Outcome
from pytest_calico_perf.plan import Block, Plan
from tests.unit.campaign.world import BGP, IPIP, POD, VXLAN, Listener, Rounds, Scripted, World, campaign_on


def test_evidence_says_where_the_packets_went():
    evidence = campaign_on(World(), IPIP).result(IPIP).evidence
    assert evidence["forward"]["device"] == "tunl0"
    assert evidence["tunnel_packets"]["ipip"] == {"before": 0, "after": 40}
    assert evidence["reachability"]["path_mtu"] == 1500
    json.dumps(evidence)


def test_a_wrong_route_is_a_tool_error_and_nothing_is_measured():
    world = World(routes={Mode.IPIP: "eth0"})
    campaign = campaign_on(world, BGP, IPIP)
    result = campaign.result(IPIP)
    assert result.outcome is Outcome.TOOL_ERROR
    assert "should go through tunl0, but client-node sends them through eth0" in result.reason
    assert IPIP not in world.logged("run")
    assert campaign.result(BGP).outcome is Outcome.OK


def test_a_route_that_changes_meanwhile_makes_the_samples_no_samples():
    world = World()

    class Changing(Listener):
        def round_done(self, block: Block, number: int) -> None:
            world.routes[Mode.BGP] = "tunl0"

    campaign = campaign_on(world, BGP)
    campaign._observer = Changing(world)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.TOOL_ERROR
    assert (result.samples, result.rounds, result.runs) == ((), (), ())
    assert len(result.details["discarded_samples"]) == 4


def test_a_moving_tunnel_contradicts_an_unencapsulated_mode_only_when_nobody_else_may_use_it():
    class Leaking(Scripted):
        def _measure(self, cell: Cell) -> Measurement:
            self.world.sent[Encapsulation.VXLAN] += 10
            return super()._measure(cell)

    def outcome(*cells: Cell, shared: bool = False) -> Outcome:
        world = World(shared=shared)
        plan = Plan.of(cells, Rounds({"tcp": Leaking(world)}, 4, 0))
        return Campaign(plan, world, Listener(world)).result(BGP).outcome

    assert outcome(BGP) is Outcome.TOOL_ERROR
    assert outcome(BGP, IPIP) is Outcome.TOOL_ERROR
    assert outcome(BGP, VXLAN) is Outcome.OK
    assert outcome(BGP, Cell("tcp", POD, Mode.CURRENT)) is Outcome.OK
    assert outcome(BGP, shared=True) is Outcome.OK
