"""A cluster that carries one mode at a time: out and back, A B C C B A, with everything new at each visit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.errors import NotReady, ToolProblem, Unsupported
from pytest_calico_perf.model import Cell, Encapsulation, Measurement, Mode, Outcome, Path
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

PING_BGP, PING_IPIP = (Cell("ping", POD, mode) for mode in (Mode.BGP, Mode.IPIP))


def serial(**more) -> World:
    return World(serial=True, **more)


def runs(world: World) -> list[Cell]:
    return world.logged("run")


def test_modes_run_out_and_back_half_of_the_rounds_each_with_the_control_beside_them():
    world = serial()
    result = campaign_on(world, BGP, IPIP, VXLAN, rounds=4).result(BGP)
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP, Mode.VXLAN, Mode.IPIP, Mode.BGP]
    assert runs(world) == [
        *(HOST, BGP, BGP, HOST),
        *(HOST, IPIP, IPIP, HOST),
        *(HOST, VXLAN, VXLAN, HOST),
        *(VXLAN, HOST, HOST, VXLAN),
        *(IPIP, HOST, HOST, IPIP),
        *(BGP, HOST, HOST, BGP),
    ]
    assert result.rounds == (0, 1, 2, 3)
    assert result.details["visits"] == [[0, 1], [2, 3]]


def test_blocks_of_a_visit_come_in_reversed_order_on_the_way_back():
    world = serial()
    campaign_on(world, BGP, IPIP, PING_BGP, PING_IPIP, rounds=2).result(BGP)
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP, Mode.BGP]
    assert [cell for cell in runs(world) if cell.mode] == [
        *(BGP, PING_BGP),
        *(IPIP, PING_IPIP),
        *(PING_IPIP, IPIP),
        *(PING_BGP, BGP),
    ]


@given(rounds=st.integers(1, 7), modes=st.permutations(list(Mode)), count=st.integers(1, 6))
def test_every_round_of_every_cell_is_taken_once_around_one_moment(rounds, modes, count):
    cells = [Cell(probe, POD, mode) for probe in ("tcp", "ping") for mode in modes[:count]]
    probes = {name: Scripted(World(), name) for name in ("tcp", "ping")}
    steps = Plan.of(cells, Rounds(probes, rounds, 0)).one_mode_at_a_time().steps
    taken = [(cell, number) for step in steps for number in step.counting for cell in step.cells]
    assert sorted(taken) == sorted((cell, number) for cell in cells for number in range(rounds))
    for cell in cells:
        numbers = [number for other, number in taken if other == cell]
        assert numbers == sorted(numbers)
    if rounds % 2 == 0:
        moments = {sum(i for i, (other, _) in enumerate(taken) if other == cell) for cell in cells}
        assert len(moments) == 1, "a drift would fall on one cell more than on another"
    for before, after in pairwise(steps):
        assert after.switches is (before.mode is not after.mode)


def test_an_odd_number_of_rounds_is_split_with_more_on_the_way_out():
    world = serial()
    result = campaign_on(world, BGP, IPIP, rounds=3).result(IPIP)
    assert result.details["visits"] == [[0, 1], [2]]
    assert len(result.samples) == len(result.control) == 3


def test_a_single_round_needs_no_way_back():
    world = serial()
    campaign_on(world, BGP, IPIP, rounds=1).result(BGP)
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP]


def test_every_sample_pairs_with_a_control_of_the_same_visit_and_round():
    world = serial(script={BGP: [10.0, 20.0], IPIP: [30.0, 40.0], HOST: [1.0, 3.0, 4.0, 2.0]})
    campaign = campaign_on(world, BGP, IPIP, HOST, rounds=2)
    assert campaign.result(BGP).by_round == {0: 10.0, 1: 20.0}
    assert dict(campaign.result(BGP).control) == {0: 1.0, 1: 2.0}
    assert campaign.result(IPIP).by_round == {0: 30.0, 1: 40.0}
    assert dict(campaign.result(IPIP).control) == {0: 3.0, 1: 4.0}
    # Host-to-host is shown once, as it was beside the first mode: the base of ratios.
    assert campaign.result(HOST).by_round == {0: 1.0, 1: 2.0}


def test_everything_is_measured_once_and_results_come_in_the_order_of_the_plan():
    world = serial()
    campaign = campaign_on(world, BGP, IPIP, PING_BGP)
    campaign.result(PING_BGP)
    before = len(world.log)
    assert [campaign.result(cell).cell for cell in (IPIP, BGP)] == [IPIP, BGP]
    assert [result.cell for result in campaign.results()] == [BGP, IPIP, PING_BGP]
    assert len(world.log) == before
    assert not world.open_now


def test_each_visit_has_its_own_warm_up_that_is_dropped_and_counted_as_measuring():
    world = serial()
    campaign = campaign_on(world, BGP, IPIP, rounds=2, warm_up=1)
    result = campaign.result(BGP)
    given_to_bgp = [value for cell, value in world.given if cell == BGP]
    assert list(result.samples) == [given_to_bgp[1], given_to_bgp[3]]
    assert campaign.measuring_seconds == len(world.given) == 2 * 2 * 2 * 2


def test_pods_are_new_at_each_visit_and_so_are_their_proofs():
    # The world refuses commands in pods of an earlier visit.
    world = serial()
    result = campaign_on(world, BGP, IPIP, rounds=2).result(IPIP)
    assert result.evidence["tunnel_packets"]["ipip"] == {"before": 0, "after": 10}
    # The visits of the mode in the middle touch, so its pods stay; the look at them is new all the same.
    assert result.evidence["second_visit"]["tunnel_packets"]["ipip"] == {"before": 10, "after": 20}
    assert result.evidence["second_visit"]["reachability"]["path_mtu"] == 1480
    checks = [where for where in world.logged("ping") if where == ("client", Mode.BGP)]
    assert len(checks) == 2 * 2, "the way of new pods was not checked anew"


def test_a_switch_that_failed_is_not_tried_again_and_the_other_modes_go_on():
    world = serial(stuck={Mode.IPIP: NotReady("no route through tunl0 after 180 s", where="node1")})
    campaign = campaign_on(world, BGP, IPIP, VXLAN, PING_IPIP)
    for cell in (IPIP, PING_IPIP):
        result = campaign.result(cell)
        assert (result.outcome, result.reason) == (
            Outcome.TOOL_ERROR,
            "node1: no route through tunl0 after 180 s",
        )
    for cell in (BGP, VXLAN):
        assert (campaign.result(cell).outcome, len(campaign.result(cell).samples)) == (Outcome.OK, 4)
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP, Mode.VXLAN, Mode.BGP]
    assert world.logged("pair").count((POD, Mode.IPIP)) == 0


def test_a_switch_that_fails_on_the_way_back_leaves_the_samples_of_the_way_out():
    world = serial()
    turns = []

    class Listening(Listener):
        def turning(self, mode: Mode) -> None:
            turns.append(mode)
            if turns == [Mode.BGP, Mode.IPIP, Mode.BGP]:
                world.stuck[Mode.BGP] = NotReady("calico-node is not ready", where="node2")

    campaign = campaign_on(world, BGP, IPIP)
    campaign._observer = campaign._modes._observer = Listening(world)
    result = campaign.result(BGP)
    assert result.outcome is Outcome.TOOL_ERROR
    assert result.reason == "node2: calico-node is not ready (2 of 4 rounds measured)"
    assert result.by_round.keys() == {0, 1}
    assert len(campaign.result(IPIP).samples) == 4


def test_after_a_failed_switch_the_mode_before_is_switched_to_again():
    world = serial(stuck={Mode.IPIP: NotReady("stuck")})
    campaign_on(world, BGP, IPIP).result(BGP)
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP, Mode.BGP]


def test_a_mode_the_cluster_cannot_have_is_unsupported():
    world = serial(stuck={Mode.BGP: Unsupported("no BGP between these subnets")})
    result = campaign_on(world, BGP, IPIP).result(BGP)
    assert (result.outcome, result.reason) == (Outcome.UNSUPPORTED, "no BGP between these subnets")


def test_a_cluster_is_not_turned_for_cells_that_are_given_up():
    world = serial(silent={Mode.BGP})
    campaign = campaign_on(world, BGP, IPIP)
    assert campaign.result(BGP).outcome is Outcome.UNREACHABLE
    assert world.logged("turn") == [Mode.BGP, Mode.IPIP]
    assert world.logged("pair").count((Path.HOST_TO_HOST, None)) == 3, "the control was looked at for nobody"


def test_host_to_host_is_measured_even_when_the_first_mode_cannot_be_had():
    world = serial(stuck={Mode.BGP: NotReady("stuck")})
    campaign = campaign_on(world, HOST, BGP, IPIP)
    assert len(campaign.result(HOST).samples) == 4
    assert campaign.result(BGP).outcome is Outcome.TOOL_ERROR


def test_hosts_alone_need_no_mode():
    world = serial()
    link = Cell("link", Path.HOST_TO_HOST, None)
    assert campaign_on(world, link, rounds=2).result(link).samples == (1.0, 2.0)
    assert not world.logged("turn")


def test_a_cell_that_was_on_another_path_at_one_visit_has_no_sample_of_any():
    world = serial()

    class Strays(Scripted):
        def _measure(self, cell: Cell) -> Measurement:
            if cell == BGP and len(world.logged("turn")) == 3:
                world.sent[Encapsulation.VXLAN] += 10
            return super()._measure(cell)

    plan = Plan.of((BGP, IPIP), Rounds({"tcp": Strays(world)}, 4, 0))
    campaign = campaign_on(world, BGP, IPIP)
    campaign._plan = plan.one_mode_at_a_time()
    result = campaign.result(BGP)
    assert result.outcome is Outcome.WRONG_PATH
    assert "vxlan.calico of client-node sent" in result.reason
    assert (result.samples, result.rounds) == ((), ())
    assert len(result.wrong_samples) == 3  # both of the first visit, and the one that showed it


def test_two_lost_rounds_at_different_visits_are_not_in_a_row():
    died = ToolProblem("died")
    world = serial(script={BGP: [1.0, 2.0, 3.0, died, died, 6.0, 7.0, 8.0]})
    result = campaign_on(world, BGP, IPIP, rounds=8).result(BGP)
    assert (result.outcome, result.rounds) == (Outcome.OK, (0, 1, 2, 5, 6, 7))
    assert [lost["round"] for lost in result.details["lost_rounds"]] == [3, 4]


def test_a_bug_ends_its_block_and_no_other():
    world = serial(script={BGP: [1.0, ZeroDivisionError("a bug")]})
    campaign = campaign_on(world, BGP, IPIP, PING_BGP)
    assert len(campaign.result(IPIP).samples) == 4
    assert len(campaign.result(PING_BGP).samples) == 4
    with pytest.raises(ZeroDivisionError):
        campaign.result(BGP)
    assert runs(world).count(BGP) == 2
    assert {result.cell: len(result.samples) for result in campaign.results()}[BGP] == 1


CELLS = (HOST, BGP, IPIP, PING_BGP)


def steps_of_a_whole_campaign() -> int:
    world = serial()
    campaign_on(world, *CELLS, rounds=3, warm_up=1).result(HOST)
    return len(world.log)


@given(st.integers(1, steps_of_a_whole_campaign()))
def test_ctrl_c_at_any_point_loses_no_completed_sample(moment):
    world = serial(interrupt_at=moment)
    campaign = campaign_on(world, *CELLS, rounds=3, warm_up=1)
    with pytest.raises(KeyboardInterrupt):
        campaign.result(BGP)
    seen = len(world.log)

    by_cell = {result.cell: result for result in campaign.results()}
    for cell in (BGP, IPIP, PING_BGP):
        completed = [value for done, value in world.given if done == cell]
        counting = tuple(
            value for i, value in enumerate(completed) if i not in (0, 3)
        )  # warm-up: out and back
        result = by_cell.get(cell)
        assert (result.samples if result else ()) == counting
        if result and len(counting) < 3:
            assert result.details["cut_short"] == f"{len(counting)} of 3 rounds measured"
    assert not world.open_now
    for cell in CELLS:
        result = by_cell.get(cell)
        if result and "cut_short" not in result.details:
            assert campaign.result(cell).samples == result.samples
        else:
            with pytest.raises(KeyboardInterrupt):
                campaign.result(cell)
    assert len(world.log) == seen, "something was measured anew"


def test_the_plan_says_that_modes_run_one_at_a_time():
    probes = {"tcp": Scripted(World(), "tcp", seconds=1.0)}
    plan = Plan.of((BGP, IPIP), Rounds(probes, 4, 1))
    assert plan.note == ""
    serially = plan.one_mode_at_a_time()
    assert "one at a time, in the order bgp, ipip, bgp" in serially.note
    assert serially.cells == plan.cells
    assert serially.runs == 2 * 2 * 2 * (2 + 1)
    assert serially.seconds > plan.seconds + 3 * 30
    assert serially.block_of(BGP) == plan.block_of(BGP)
    first: Block = serially.step_of(IPIP)
    assert (first.name, first.numbers, first.last) == ("tcp pod-to-pod ipip", (-1, 0, 1), False)
