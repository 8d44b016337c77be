"""Which pairs are looked at, in which order, and what one look says of another; a run's own data."""

from __future__ import annotations

import platform
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version

from pytest_calico_perf.errors import Unreachable
from pytest_calico_perf.examination import corrected, pairs_of
from pytest_calico_perf.model import LOOK_PROBE, Better, Cell, CellResult, Mode, Outcome, Path, Unit
from pytest_calico_perf.progress import Progress
from pytest_calico_perf.session import Session
from pytest_calico_perf.settings import gather, resolve
from tests.unit.campaign.world import BGP, IPIP, VXLAN, World, campaign_on


def cell(path: Path, mode: Mode | None, probe: str = LOOK_PROBE) -> Cell:
    return Cell(probe, path, mode)


def result(mode: Mode, outcome: Outcome, *works: str, path: Path = Path.POD_TO_POD) -> CellResult:
    diagnosis = {"works": list(works)} if outcome is Outcome.UNREACHABLE else {}
    return CellResult(cell(path, mode), outcome, Unit.SECOND, Better.LOWER, diagnosis=diagnosis)


def test_hosts_come_first_then_each_mode_whole_in_the_users_order():
    cells = [
        cell(path, mode, probe)
        for probe in ("ping", "tcp")
        for path in (Path.POD_TO_POD, Path.HOST_TO_POD)
        for mode in (Mode.VXLAN, Mode.BGP)
    ]
    assert pairs_of([*cells, cell(Path.HOST_TO_HOST, None, "tcp")]) == (
        cell(Path.HOST_TO_HOST, None),
        cell(Path.POD_TO_POD, Mode.VXLAN),
        cell(Path.HOST_TO_POD, Mode.VXLAN),
        cell(Path.POD_TO_POD, Mode.BGP),
        cell(Path.HOST_TO_POD, Mode.BGP),
    )


def test_a_mode_that_was_looked_at_and_is_dead_is_not_said_to_work():
    found = corrected(
        [
            result(Mode.BGP, Outcome.UNREACHABLE, "ipip", "vxlan", "vxlan-cross-subnet"),
            result(Mode.IPIP, Outcome.UNREACHABLE, "bgp", "vxlan"),
            result(Mode.VXLAN, Outcome.OK),
            result(Mode.VXLAN, Outcome.WRONG_PATH, path=Path.HOST_TO_POD),
        ]
    )
    assert [each.diagnosis.get("works") for each in found] == [
        ["vxlan", "vxlan-cross-subnet"],
        ["vxlan"],
        None,
        None,
    ]


def test_a_mode_whose_tool_failed_on_a_whole_path_is_still_said_to_work():
    slow = CellResult(cell(Path.POD_TO_POD, Mode.IPIP, "tcp"), Outcome.TOOL_ERROR, Unit.SECOND, Better.LOWER)
    dead = result(Mode.BGP, Outcome.UNREACHABLE, "ipip", "vxlan")
    lost = replace(slow, cell=cell(Path.POD_TO_POD, Mode.VXLAN, "tcp"), outcome=Outcome.UNREACHABLE)
    assert corrected([dead, slow, lost])[0].diagnosis["works"] == ["ipip"]


def test_the_record_of_a_run_that_measured_is_corrected_too():
    lost = Unreachable("no answer", diagnosis={"works": ["ipip", "vxlan"]})
    world = World(script={BGP: [lost, lost]}, routes={Mode.IPIP: "eth0"})
    campaign = campaign_on(world, BGP, IPIP, VXLAN)
    assert campaign.result(BGP).diagnosis["works"] == ["ipip", "vxlan"]
    session = Session(
        resolve(gather({"calico_cluster": "lab"}, {}, {})),
        Progress(line=lambda _: None),
        tell=lambda _: None,
        hold=nullcontext,
    )
    session._campaign = campaign
    found = {each.cell: each for each in session.record().results}
    assert found[IPIP].outcome is Outcome.WRONG_PATH
    assert found[BGP].diagnosis["works"] == ["vxlan"]


def test_a_record_says_what_started_the_run_and_what_measured():
    settings = resolve(gather({"calico_cluster": "lab"}, {}, {}))
    session = Session(
        settings,
        Progress(line=lambda _: None, rewrite=None, width=lambda: 80),
        tell=lambda _: None,
        hold=nullcontext,
        command=("pytest", "--calico-mode=bgp", "-k", "a b"),
    )
    record = session.record()
    assert record.command == ("pytest", "--calico-mode=bgp", "-k", "a b")
    distributions = ("pytest-calico-perf", "pytest", "pytest-benchmark")
    assert record.software == {
        "python": platform.python_version(),
        **{name: version(name) for name in distributions},
    }
