"""What is recorded as proof of the packets' way, and what contradicts a mode."""

from __future__ import annotations

import json

import pytest

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.model import Cell, Encapsulation, Measurement, Mode, Outcome
from pytest_calico_perf.plan import Block, Plan
from tests.unit.campaign.world import (
    BGP,
    HOST,
    IPIP,
    POD,
    VXLAN,
    Listener,
    Rounds,
    Scripted,
    World,
    campaign_on,
)


def test_evidence_says_where_the_packets_went():
    evidence = campaign_on(World(), IPIP).result(IPIP).evidence
    assert evidence["forward"]["device"] == "tunl0"
    assert evidence["tunnel_packets"]["ipip"] == {"before": 0, "after": 40}
    assert evidence["tunnel_packets_server"]["ipip"] == {"before": 0, "after": 40}
    assert evidence["reachability"]["path_mtu"] == evidence["path_mtu"] == 1480
    assert evidence["line"] == (
        "client-node 198.18.0.1 -> server-node 198.18.0.2: pod 198.18.2.2 by tunl0 proto bird, mtu 1480; "
        "tunl0 +40 packets (client), +40 (server)"
    )
    json.dumps(evidence)


def test_a_wrong_route_is_a_wrong_path_whose_one_value_counts_nowhere():
    world = World(routes={Mode.IPIP: "eth0"})
    campaign = campaign_on(world, BGP, IPIP)
    result = campaign.result(IPIP)
    assert result.outcome is Outcome.WRONG_PATH
    assert "should go through tunl0, but client-node sends them through eth0" in result.reason
    assert "rounds measured" not in result.reason
    assert (result.samples, result.rounds, result.runs) == ((), (), ())
    # One round is enough to show what would have been reported; the time of the others is not spent.
    assert world.logged("run").count(IPIP) == len(result.wrong_samples) == 1
    assert campaign.result(BGP).outcome is Outcome.OK
    assert len(campaign.result(BGP).samples) == 4


def test_what_a_tool_said_on_the_wrong_path_does_not_hide_that_it_was_the_wrong_one():
    world = World(routes={Mode.IPIP: "eth0"}, script={IPIP: [ToolProblem("died"), Unreachable("lost")]})
    result = campaign_on(world, BGP, IPIP).result(IPIP)
    assert (result.outcome, result.wrong_samples) == (Outcome.WRONG_PATH, ())


def test_a_control_on_the_wrong_path_is_no_control():
    world = World(routes={None: "tunl0"})
    campaign = campaign_on(world, HOST, BGP)
    assert campaign.result(HOST).outcome is Outcome.WRONG_PATH
    assert dict(campaign.result(BGP).control) == {}
    assert "should go unencapsulated" in campaign.result(BGP).details["control_problem"]


@pytest.mark.parametrize("precision", [None, 0.05])
def test_when_every_path_is_wrong_nobody_is_measured_to_the_end(precision):
    world = World(routes={Mode.IPIP: "eth0", Mode.BGP: "tunl0"})
    campaign = campaign_on(world, BGP, IPIP, rounds=9, precision=precision)
    assert {campaign.result(cell).outcome for cell in (BGP, IPIP)} == {Outcome.WRONG_PATH}
    assert len(world.logged("run")) == 3  # both and their control, once


def test_a_route_that_changes_meanwhile_makes_the_samples_no_samples():
    world = World()

    class Changing(Listener):
        def round_done(self, block: Block, number: int) -> None:
            world.routes[Mode.BGP] = "tunl0"

    campaign = campaign_on(world, BGP)
    campaign._observer = Changing(world)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.WRONG_PATH
    assert (result.samples, result.rounds, result.runs) == ((), (), ())
    assert len(result.wrong_samples) == 4


def test_a_moving_tunnel_contradicts_an_unencapsulated_mode_only_when_nobody_else_may_use_it():
    class Leaking(Scripted):
        def _measure(self, cell: Cell) -> Measurement:
            self.world.sent[Encapsulation.VXLAN] += 10
            return super()._measure(cell)

    def outcome(*cells: Cell, shared: bool = False) -> Outcome:
        world = World(shared=shared)
        plan = Plan.of(cells, Rounds({"tcp": Leaking(world)}, 4, 0))
        return Campaign(plan, world, Listener(world)).result(BGP).outcome

    assert outcome(BGP) is Outcome.WRONG_PATH
    assert outcome(BGP, IPIP) is Outcome.WRONG_PATH
    assert outcome(BGP, VXLAN) is Outcome.OK
    assert outcome(BGP, Cell("tcp", POD, Mode.CURRENT)) is Outcome.OK
    assert outcome(BGP, shared=True) is Outcome.OK
