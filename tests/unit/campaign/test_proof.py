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
    assert evidence["tunnel_packets"]["ipip"] == {"before": 0, "after": 10}
    assert evidence["tunnel_packets_server"]["ipip"] == {"before": 0, "after": 10}
    assert evidence["reachability"]["path_mtu"] == evidence["path_mtu"] == 1480
    assert evidence["line"] == (
        "client-node 198.18.0.1 -> server-node 198.18.0.2: pod 198.18.2.2 by tunl0 proto bird, mtu 1480; "
        "tunl0 +10 packets on client-node, +10 on server-node while it sent at least 1"
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


class Leaking(Scripted):
    """Every run sends ten packets through the VXLAN tunnel besides."""

    def _measure(self, cell: Cell) -> Measurement:
        self.world.sent[Encapsulation.VXLAN] += 10
        return super()._measure(cell)


def leaking(*cells: Cell, shared: bool = False, warm_up: int = 0) -> tuple[World, Campaign]:
    world = World(shared=shared)
    plan = Plan.of(cells, Rounds({"tcp": Leaking(world)}, 4, warm_up))
    return world, Campaign(plan, world, Listener(world))


@pytest.mark.parametrize("warm_up", [0, 1])
@pytest.mark.parametrize("other", [None, IPIP, VXLAN, Cell("tcp", POD, Mode.CURRENT)], ids=str)
def test_a_plain_mode_that_moves_a_tunnel_is_wrong_whoever_else_uses_the_tunnel(other, warm_up):
    world, campaign = leaking(*filter(None, [BGP, other]), warm_up=warm_up)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.WRONG_PATH
    assert "vxlan.calico of client-node sent 10 packets while only unencapsulated ones" in result.reason
    assert len(result.wrong_samples) == 1  # the time of the other rounds is not spent
    told = [value for _, cell, value in world.logged("run_done") if cell == BGP]
    assert set(told) == {Outcome.WRONG_PATH}


def test_on_a_shared_cluster_a_tunnel_that_moved_proves_nothing_and_that_is_said():
    _, campaign = leaking(BGP, VXLAN, shared=True)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.OK
    assert (
        "vxlan.calico +10 packets on client-node, +10 on server-node while it sent" in result.evidence["line"]
    )
    assert result.evidence["line"].endswith(
        "whether its packets are among them is unknown: others may use the tunnels, too"
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("warm_up", [0, 1])
def test_a_plain_modes_counters_are_those_of_its_own_run_whatever_its_neighbours_move(shared, warm_up):
    campaign = campaign_on(World(shared=shared), IPIP, BGP, VXLAN, warm_up=warm_up)
    evidence = campaign.result(BGP).evidence
    for side in ("tunnel_packets", "tunnel_packets_server"):
        for counted in evidence[side].values():
            assert counted["before"] == counted["after"]
    assert evidence["line"].endswith("; tunl0 and vxlan.calico +0 packets while it sent at least 1")
    for cell, tunnel in ((IPIP, "ipip"), (VXLAN, "vxlan")):
        counted = campaign.result(cell).evidence["tunnel_packets"][tunnel]
        assert counted["after"] - counted["before"] == 10


def test_a_tunnel_that_stands_still_in_its_own_run_is_not_saved_by_its_neighbours():
    class Astray(Scripted):
        def _measure(self, cell: Cell) -> Measurement:
            before = dict(self.world.sent)
            measurement = super()._measure(cell)
            if cell == IPIP:
                self.world.sent.update(before)
            return measurement

    world = World()
    cross = Cell("tcp", POD, Mode.IPIP_CROSS_SUBNET)  # moves the same tunnel
    campaign = Campaign(Plan.of((IPIP, cross), Rounds({"tcp": Astray(world)}, 4, 1)), world, Listener(world))
    result = campaign.result(IPIP)
    assert result.outcome is Outcome.WRONG_PATH
    assert "tunl0 of client-node sent 0 packets while at least 1 were sent" in result.reason
    assert campaign.result(cross).outcome is Outcome.OK


def test_the_counters_are_read_around_the_next_run_where_the_first_was_lost():
    world = World(script={BGP: [ToolProblem("died")]})
    evidence = campaign_on(world, BGP, warm_up=1).result(BGP).evidence
    assert evidence["tunnel_packets"]["ipip"] == {"before": 0, "after": 0}


def test_a_control_that_only_serves_as_one_is_judged_too():
    world = World(routes={None: "tunl0"})
    result = campaign_on(world, BGP).result(BGP)
    assert result.outcome is Outcome.OK
    assert dict(result.control) == {}
    assert "should go unencapsulated" in result.details["control_problem"]
    assert world.logged("run").count(HOST) == 1


def test_a_control_that_leaks_into_a_tunnel_counts_nowhere():
    class Tunnelled(Scripted):
        def _measure(self, cell: Cell) -> Measurement:
            self.world.sent[Encapsulation.IPIP] += 10 if cell == HOST else 0
            return super()._measure(cell)

    world = World()
    campaign = Campaign(Plan.of((IPIP,), Rounds({"tcp": Tunnelled(world)}, 4, 1)), world, Listener(world))
    result = campaign.result(IPIP)
    assert result.outcome is Outcome.OK
    assert dict(result.control) == {}
    assert "tunl0 of client-node sent 10 packets" in result.details["control_problem"]


def test_the_commands_that_prove_a_path_are_kept_with_those_that_measured():
    other = Cell("ping", POD, Mode.IPIP)
    campaign = campaign_on(World(), IPIP, other)
    for cell in (IPIP, other):  # the check is made once, and is the proof of both
        ran = {(each.endpoint, each.argv[:2]) for each in campaign.result(cell).commands}
        assert {("client", ("ping", "-n")), ("client", ("iperf3", "-c"))} <= ran
        routes = [each for each in campaign.result(cell).commands if "get" in each.argv]
        assert {each.endpoint for each in routes} >= {"client", "client-node", "server-node"}
        assert all(each.output for each in routes)


def test_a_check_that_failed_is_told_command_by_command():
    result = campaign_on(World(silent={Mode.BGP}), BGP).result(BGP)
    assert result.outcome is Outcome.UNREACHABLE
    assert ("ping", "0 received") in {(each.argv[0], each.output) for each in result.commands}
