"""When what is measured, and what becomes of problems: a scripted world, since no real one fails to order.

Reachability and evidence run their own commands against it; that they mean what they say is tested in
`network/`, on real namespaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.campaign import Campaign, order
from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.errors import ClusterProblem, ToolProblem, Unreachable, Unsupported
from pytest_calico_perf.model import (
    Better,
    Cell,
    Encapsulation,
    EndpointKind,
    Measurement,
    Mode,
    Outcome,
    Path,
    Unit,
)
from pytest_calico_perf.plan import Block, Plan

POD = Path.POD_TO_POD
BGP, IPIP, VXLAN = (Cell("tcp", POD, mode) for mode in (Mode.BGP, Mode.IPIP, Mode.VXLAN))
HOST = Cell("tcp", Path.HOST_TO_HOST, None)
TUNNELS = {Encapsulation.IPIP: "tunl0", Encapsulation.VXLAN: "vxlan.calico"}


@dataclass
class World:
    """A cluster in memory. Everything anybody asks of it passes `step`, in one order.

    Attributes:
        script: Cell -> what its next runs give: a number, or a problem to raise.
        unsupported: Modes that cannot exist here.
        silent: Modes whose pings get no answer.
        refused: Cell -> the problem that opening its probe meets.
        routes: Mode -> device its packets leave by; by default as the mode says.
        sent: Packets the tunnels have sent.
        interrupt_at: At which step Ctrl-C is pressed.
    """

    script: dict[Cell, list[Any]] = field(default_factory=dict)
    unsupported: set[Mode] = field(default_factory=set)
    silent: set[Mode] = field(default_factory=set)
    refused: dict[Cell, Exception] = field(default_factory=dict)
    routes: dict[Mode, str] = field(default_factory=dict)
    sent: dict[Encapsulation, int] = field(default_factory=lambda: dict.fromkeys(TUNNELS, 0))
    interrupt_at: int = -1
    log: list[tuple[Any, ...]] = field(default_factory=list)
    given: list[tuple[Cell, float]] = field(default_factory=list)
    open_now: set[Cell] = field(default_factory=set)

    def step(self, *what: Any) -> None:
        self.log.append(what)
        if len(self.log) == self.interrupt_at:
            raise KeyboardInterrupt

    def logged(self, word: str) -> list[Any]:
        return [what[1] for what in self.log if what[0] == word]

    # -- Cluster -------------------------------------------------------------------------------

    def pair(self, path: Path, mode: Mode | None) -> EndpointPair:
        self.step("pair", (path, mode))
        if mode in self.unsupported:
            raise Unsupported(f"this kernel has no {mode} device", where="lab")
        return EndpointPair(path, mode, Place(self, "client", mode), Place(self, "server", mode))

    def host(self, node: str) -> Place:
        return Place(self, node, None)

    def expected_encapsulation(self, pair: EndpointPair) -> Encapsulation | None:
        if pair.mode is Mode.CURRENT:
            return None
        return Encapsulation.NONE if pair.mode is None else pair.mode.tunnel

    def tunnel_devices(self) -> Mapping[Encapsulation, str]:
        return TUNNELS

    def tunnel_packets(self, node: str) -> Mapping[Encapsulation, int]:
        self.step("counters", node)
        return dict(self.sent)


@dataclass
class Place:
    """An endpoint whose address tells the mode, so that a route can be answered for it."""

    world: World
    name: str
    mode: Mode | None
    kind = EndpointKind.POD
    scratch = "/nowhere"

    @property
    def node(self) -> str:
        return f"{self.name}-node" if "node" not in self.name else self.name

    @property
    def address(self) -> str:
        return f"{self.mode or 'host'}"

    def run(self, argv, *, limit: float) -> CommandResult:
        self.world.step(argv[0], (self.name, self.mode))
        out, code = "", 0
        if argv[0] == "ping":
            out, code = ("0 received", 1) if self.mode in self.world.silent else ("1 received", 0)
        elif argv[0] == "iperf3":
            out = json.dumps({"end": {"sum_received": {"bytes": 262144}}})
        elif "route" in argv:
            mode = Mode(argv[-1]) if argv[-1] != "host" else None
            usual = TUNNELS.get(mode.tunnel, "eth0") if mode else "eth0"
            device = self.world.routes.get(mode, usual)
            out = json.dumps([{"dst": "block", "dev": device, "protocol": "bird"}])
        elif "link" in argv:
            out = json.dumps([{"ifname": argv[-1], "mtu": 1500}])
        return CommandResult(tuple(argv), self.name, code, out, "", 0.001)

    def start(self, argv, *, limit: float) -> Place:
        return self

    def wait_for_output(self, text: str, *, deadline: float) -> None:
        pass

    def allocate_port(self) -> int:
        return 5201

    def __enter__(self):
        return self

    def __exit__(self, *exc: object) -> None:
        pass


@dataclass(frozen=True)
class Scripted:
    """A probe that gives what the world's script says, else 1, 2, 3, ...; and sends ten packets a run."""

    world: World = field(compare=False)
    name: str = "tcp"
    once: bool = False
    unit: Unit = Unit.BIT_PER_SECOND
    better: Better = Better.HIGHER
    tools: tuple[str, ...] = ()
    seconds: float = 1.0

    def suits(self, path: Path) -> bool:
        return True

    @contextmanager
    def open(self, pair: EndpointPair) -> Iterator[Callable[[], Measurement]]:
        cell = Cell(self.name, pair.path, pair.mode)
        self.world.step("open", cell)
        if cell in self.world.refused:
            raise self.world.refused[cell]
        self.world.open_now.add(cell)
        try:
            yield lambda: self._measure(cell)
        finally:
            self.world.open_now.discard(cell)

    def _measure(self, cell: Cell) -> Measurement:
        self.world.step("run", cell)
        script = self.world.script.get(cell, [])
        value = script.pop(0) if script else float(len(self.world.given) + 1)
        if isinstance(value, BaseException):
            raise value
        if cell.mode and cell.mode.tunnel in TUNNELS:
            self.world.sent[cell.mode.tunnel] += 10
        self.world.given.append((cell, value))
        return Measurement(value, 1.0, {"value": value})


@dataclass
class Listener:
    """An observer that can be interrupted like everything else."""

    world: World

    def block_started(self, plan: Plan, block: Block) -> None:
        self.world.step("block_started", block.name)

    def round_started(self, block: Block, number: int) -> None:
        self.world.step("round_started", number)

    def run_done(self, block: Block, number: int, cell: Cell, value: float | None) -> None:
        self.world.step("run_done", (number, cell, value))

    def round_done(self, block: Block, number: int) -> None:
        self.world.step("round_done", number)

    def block_done(self, block: Block) -> None:
        self.world.step("block_done", block.name)


@dataclass(frozen=True)
class Rounds:
    by_name: Mapping[str, Scripted]
    count: int
    warm_up_rounds: int

    def rounds_of(self, probe: Scripted) -> int:
        return self.count


def campaign_on(
    world: World, *cells: Cell, rounds: int = 4, warm_up: int = 0, alone: bool = True, **probe: Any
) -> Campaign:
    names = dict.fromkeys(cell.probe for cell in cells)
    schedule = Rounds({name: Scripted(world, name, **probe) for name in names}, rounds, warm_up)
    return Campaign(Plan.of(cells, schedule), world, Listener(world), alone=alone)


# -- order ---------------------------------------------------------------------------------------


def test_rounds_run_back_to_back_in_abba_order_with_the_control_in_each():
    world = World()
    campaign_on(world, BGP, IPIP, rounds=4).result(BGP)
    assert world.logged("run") == [HOST, BGP, IPIP, IPIP, BGP, HOST] * 2


@given(st.lists(st.integers(), min_size=1, max_size=6, unique=True), st.integers(-3, 50))
def test_over_two_rounds_everybody_stands_in_the_middle_on_average(items, number):
    first, second = order(items, number), order(items, number + 1)
    assert sorted(first) == sorted(second) == sorted(items)
    for item in items:
        assert first.index(item) + second.index(item) == len(items) - 1


def test_nothing_stands_between_the_runs_of_a_round_but_telling_the_observer():
    world = World()
    campaign_on(world, BGP, IPIP).result(BGP)
    words = [what[0] for what in world.log]
    rounds = words[words.index("round_started") : len(words) - words[::-1].index("round_done")]
    assert set(rounds) == {"round_started", "open", "run", "run_done", "round_done"}
    assert rounds.index("run") > max(i for i, word in enumerate(rounds) if word == "open")


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


# -- problems ------------------------------------------------------------------------------------


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
    assert "a small ping to server (bgp) got no answer" in result.reason
    assert result.samples == ()
    assert BGP not in world.logged("run")
    assert len(campaign.result(IPIP).samples) == 4


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
    assert result.reason == "second (2 of 9 rounds measured)"
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


# -- evidence ------------------------------------------------------------------------------------


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

    def outcome(*cells: Cell, alone: bool = True) -> Outcome:
        world = World()
        plan = Plan.of(cells, Rounds({"tcp": Leaking(world)}, 4, 0))
        return Campaign(plan, world, Listener(world), alone=alone).result(BGP).outcome

    assert outcome(BGP) is Outcome.TOOL_ERROR
    assert outcome(BGP, IPIP) is Outcome.TOOL_ERROR
    assert outcome(BGP, VXLAN) is Outcome.OK
    assert outcome(BGP, Cell("tcp", POD, Mode.CURRENT)) is Outcome.OK
    assert outcome(BGP, alone=False) is Outcome.OK


# -- Ctrl-C --------------------------------------------------------------------------------------


def steps_of_a_whole_campaign() -> int:
    world = World()
    campaign = campaign_on(world, HOST, BGP, IPIP, rounds=3, warm_up=1)
    campaign.result(HOST)
    return len(world.log)


@given(st.integers(1, steps_of_a_whole_campaign()))
def test_ctrl_c_at_any_point_loses_no_completed_sample(moment):
    world = World(interrupt_at=moment)
    campaign = campaign_on(world, HOST, BGP, IPIP, rounds=3, warm_up=1)
    with pytest.raises(KeyboardInterrupt):
        campaign.result(HOST)

    by_cell = {result.cell: result for result in campaign.results()}
    for cell in (HOST, BGP, IPIP):
        completed = tuple(value for done, value in world.given if done == cell)[1:]  # the first is warm-up
        result = by_cell.get(cell)
        assert (result.samples if result else ()) == completed
        if result and len(completed) < 3:
            assert result.details["cut_short"] == f"{len(completed)} of 3 rounds measured"
    assert not world.open_now
    with pytest.raises(KeyboardInterrupt):
        campaign.result(BGP)


def test_ctrl_c_keeps_the_blocks_before():
    ping = Cell("ping", POD, Mode.BGP)
    world = World()
    campaign = campaign_on(world, BGP, ping)
    whole = campaign.result(BGP)
    world.script[ping] = [1.0, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        campaign.result(ping)
    assert campaign.results()[0] == whole
    assert campaign.results()[1].samples == (1.0,)
    assert campaign.measuring_seconds == 8 + 2
