from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Better, Cell, Mode, Path, Unit
from pytest_calico_perf.plan import Plan
from pytest_calico_perf.profiles import possible_cells

HOST = Path.HOST_TO_HOST


@dataclass(frozen=True)
class Tool:
    """A probe as far as a plan goes."""

    name: str
    seconds: float = 1.0
    once: bool = False
    hosts: bool = True
    unit: Unit = Unit.SECOND
    better: Better = Better.LOWER
    tools: tuple[str, ...] = ()

    def suits(self, path):
        return self.hosts or path is not HOST


@dataclass(frozen=True)
class Rounds:
    by_name: Mapping[str, Tool]
    count: int = 5
    warm_up_rounds: int = 1
    precision: float | None = None

    def rounds_of(self, probe):
        return 1 if probe.once else self.count


PING, TCP, LINK = Tool("ping"), Tool("tcp", seconds=2.0), Tool("link", once=True)
ALL = Rounds({tool.name: tool for tool in (PING, TCP, LINK)})


def plan_of(*cells, schedule=ALL):
    return Plan.of(cells, schedule)


def cell(probe, path, mode=None):
    return Cell(probe, Path(path), Mode(mode) if mode else None)


def test_a_block_has_every_mode_of_a_probe_on_a_path_in_the_users_order():
    plan = plan_of(*(cell("tcp", "pod-to-pod", mode) for mode in ("vxlan", "bgp", "ipip")))
    (block,) = plan.blocks
    assert block.name == "tcp pod-to-pod"
    assert [str(c.mode) for c in block.cells] == ["vxlan", "bgp", "ipip"]
    assert (block.rounds, block.warm_up_rounds) == (5, 1)


def test_host_to_host_is_the_control_of_every_block_and_the_result_of_the_first():
    host = cell("tcp", "host-to-host")
    plan = plan_of(host, cell("tcp", "host-to-pod", "bgp"), cell("tcp", "pod-to-pod", "bgp"))
    first, second = plan.blocks
    assert (first.control, second.control) == (host, host)
    assert (first.control_counts, second.control_counts) == (True, False)
    assert plan.block_of(host) is first
    assert plan.cells == (host, *first.cells, *second.cells)


def test_the_control_runs_also_when_nobody_asked_for_its_cell():
    plan = plan_of(cell("tcp", "pod-to-pod", "bgp"))
    (block,) = plan.blocks
    assert block.control == cell("tcp", "host-to-host")
    assert plan.cells == block.cells
    with pytest.raises(KeyError):
        plan.block_of(block.control)


def test_host_to_host_alone_has_a_block_of_its_own():
    host = cell("tcp", "host-to-host")
    plan = plan_of(host, cell("ping", "pod-to-pod", "bgp"))
    assert plan.block_of(host).cells == (host,)
    assert plan.block_of(host).control is None


def test_a_probe_that_means_nothing_between_hosts_has_no_control():
    pods = Tool("pods", hosts=False)
    (block,) = plan_of(cell("pods", "pod-to-pod", "bgp"), schedule=Rounds({"pods": pods})).blocks
    assert block.control is None


def test_a_fact_is_read_once_without_warm_up_or_control():
    plan = plan_of(cell("link", "host-to-host"))
    (block,) = plan.blocks
    assert (block.rounds, block.warm_up_rounds, block.control, block.runs) == (1, 0, None, 1)


def test_a_fact_of_hosts_and_pods_is_a_block_each():
    plan = plan_of(cell("link", "host-to-host"), cell("link", "pod-to-pod", "bgp"))
    assert [block.name for block in plan.blocks] == ["link host-to-host", "link pod-to-pod"]
    assert [block.control for block in plan.blocks] == [None, None]


def test_the_estimate_counts_warm_up_and_control():
    (block,) = plan_of(cell("tcp", "pod-to-pod", "bgp"), cell("tcp", "pod-to-pod", "ipip")).blocks
    assert block.runs == 3 * 6
    assert block.seconds >= block.runs * TCP.seconds
    assert block.seconds == pytest.approx(block.runs * TCP.seconds, rel=0.06)


def test_possible_cells_are_in_the_order_probe_path_mode_with_host_to_host_once():
    modes = (Mode.IPIP, Mode.BGP)
    cells = possible_cells(modes, (HOST, Path.POD_TO_POD), (TCP, Tool("pods", hosts=False)))
    assert [str(c) for c in cells] == [
        "tcp host-to-host",
        "tcp pod-to-pod ipip",
        "tcp pod-to-pod bgp",
        "pods pod-to-pod ipip",
        "pods pod-to-pod bgp",
    ]


tools = st.lists(
    st.builds(
        Tool,
        name=st.sampled_from(["ping", "tcp", "udp", "http"]),
        seconds=st.floats(0.1, 60),
        once=st.booleans(),
        hosts=st.booleans(),
    ),
    min_size=1,
    unique_by=lambda tool: tool.name,
)


@given(
    tools=tools,
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True),
    paths=st.lists(st.sampled_from(Path), min_size=1, unique=True),
    data=st.data(),
    warm_up=st.integers(0, 3),
    count=st.integers(1, 20),
)
def test_every_selected_cell_is_measured_by_exactly_one_block(tools, modes, paths, data, warm_up, count):
    possible = possible_cells(modes, paths, tools)
    selected = data.draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    plan = Plan.of(selected, Rounds({tool.name: tool for tool in tools}, count, warm_up))

    assert sorted(plan.cells, key=str) == sorted(selected, key=str)
    homes = [c for block in plan.blocks for c in block.results]
    assert len(homes) == len(set(homes))
    for c in selected:
        block = plan.block_of(c)
        assert block.probe.name == c.probe
        assert c in block.contenders
        assert len(set(block.contenders)) == len(block.contenders)
    assert len({block.name for block in plan.blocks}) == len(plan.blocks)
    assert plan.runs == sum(block.runs for block in plan.blocks)
    assert plan.seconds >= sum(block.runs * block.probe.seconds for block in plan.blocks)
