"""What a cell will be held against, told before anything is measured."""

from __future__ import annotations

from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.comparison import Tolerances
from pytest_calico_perf.gate.request import By, Decides, Request
from pytest_calico_perf.model import Cell, Mode, Path
from tests.unit.gate.earlier_runs import (
    BGP,
    GATE,
    HOST,
    IPIP,
    PROFILE,
    history,
    opened,
    record,
    result,
    written,
)


def foreseen(cell=BGP, profile=PROFILE, **request) -> tuple[str, str]:
    return Baseline(Request(**request), "lab").foreseen(cell, profile, GATE)


def test_a_file_and_the_tolerance_asked_for(last_week) -> None:
    assert foreseen(file=last_week, tolerances=Tolerances(0.05, {"tcp": 0.03})) == (
        "baseline: at most 3 % worse",
        "--calico-baseline: last-week.json of 2026-11-20 10:00 UTC",
    )


def test_the_last_good_run_of_a_folder(tmp_path) -> None:
    demand, source = foreseen(folder=history(tmp_path / "runs", 2))
    assert demand == "baseline: at most 5 % worse"
    assert source.startswith("--calico-baseline-dir: 20261002T100000Z-")
    assert source.endswith(".json of 2026-10-02 10:00 UTC, the last of 2 good runs")


def test_runs_in_doubt_are_told_of(tmp_path) -> None:
    _, source = foreseen(folder=history(tmp_path / "runs", 10, levels=[1.0] * 8 + [0.9] * 2))
    assert source.startswith("--calico-baseline-dir: 20261008T100000Z-")
    assert source.endswith(
        ".json of 2026-10-08 10:00 UTC (2 later runs in doubt), the last but 2 of 10 good runs"
    )


def test_it_is_the_run_that_will_be_held_against(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    newest = record(300, control={}, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    (verdict,) = opened(folder=folder).judge(result(IPIP, 50), {}, GATE)
    _, source = foreseen(IPIP, folder=folder)
    assert verdict.rule.removeprefix("baseline ") in source


def test_the_noise_floor_of_a_history_where_it_is_wider(tmp_path) -> None:
    demand, _ = foreseen(folder=history(tmp_path / "runs", 12, days=0.05))
    assert demand.startswith("baseline: at most value ")
    assert demand.endswith(" worse (the noise floor; 5 % was asked for)")
    # The day shifts a cell and its control alike, so their ratio is known as well as it is asked for.
    assert ", ratio to host-to-host 5 % worse" in demand


def test_only_ratios_say_which_floor_is_theirs(tmp_path) -> None:
    folder = history(tmp_path / "runs", 12, days=0.05)
    assert foreseen(folder=folder, by=By.RATIO)[0] == "baseline: at most 5 % worse"
    assert foreseen(HOST, folder=folder, by=By.RATIO) == (
        "baseline: not compared",
        "--calico-baseline-dir: it is what ratios to host-to-host divide by",
    )


def test_change_points_are_told_of(tmp_path) -> None:
    demand, _ = foreseen(folder=history(tmp_path / "runs", 2), decides=Decides.HISTORY)
    assert demand == "baseline: at most 5 % worse, by change points from 10 runs on"


def test_why_there_is_none(tmp_path, last_week) -> None:
    empty = tmp_path / "empty"
    vxlan = Cell("tcp", Path.POD_TO_POD, Mode.VXLAN)
    other = {**PROFILE, "probes": {"tcp": {"command": "iperf3 -t 9", "rounds": 10}}}
    assert foreseen(folder=empty) == (
        "baseline: none",
        f"--calico-baseline-dir: no good run of lab in {empty} yet",
    )
    assert foreseen(vxlan, file=last_week)[1].endswith(
        "the baseline of 2026-11-20 10:00 UTC has no such cell"
    )
    assert "other parameters: `iperf3 -t 1` on" in foreseen(IPIP, other, file=last_week)[1]
