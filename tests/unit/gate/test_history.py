"""Change points in series of known truth, by Apache Otava; and what happens where it is not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate import history as change_points
from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.comparison import Tolerances
from pytest_calico_perf.gate.judging import Judges
from pytest_calico_perf.gate.request import Decides, Request
from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.verdict import Gate
from tests.unit.gate.earlier_runs import BGP, HOST, history, opened, result

GATE = Gate(comparisons=30)
with_otava = pytest.mark.skipif(
    importlib.util.find_spec("otava") is None, reason="needs apache-otava: docs/baselines.md"
)


def series(seed: int, *stretches: tuple[int, float], noise: float = 0.01) -> list[float]:
    random = np.random.default_rng(seed)
    return [
        float(10e9 * level * np.exp(random.normal(0, noise)))
        for runs, level in stretches
        for _ in range(runs)
    ]


@with_otava
def test_a_step_is_found_where_it_is_and_as_large_as_it_is() -> None:
    found = change_points.change(series(1, (12, 1.0), (6, 0.9)), Better.HIGHER, GATE)
    assert found.since == 12
    assert found.loss == pytest.approx(-np.log(0.9), abs=0.02)
    assert [level.runs for level in found.levels] == [12, 6]


@with_otava
def test_for_the_better_is_no_loss() -> None:
    values = series(1, (12, 1.0), (6, 0.9))
    assert change_points.change(values, Better.LOWER, GATE).loss < -0.05
    assert change_points.change(values[::-1], Better.HIGHER, GATE).loss < -0.05


@with_otava
def test_several_small_steps_are_one_large_one() -> None:
    found = change_points.change(
        series(3, (12, 1.0), (12, 0.96), (12, 0.92), noise=0.004), Better.HIGHER, GATE
    )
    assert len(found.levels) == 3
    assert found.loss == pytest.approx(-np.log(0.92), abs=0.01)


@with_otava
def test_what_went_down_and_came_back_is_well() -> None:
    found = change_points.change(series(4, (12, 1.0), (6, 0.8), (12, 1.0)), Better.HIGHER, GATE)
    assert found.loss < 0.02


@with_otava
@pytest.mark.parametrize("values", [[1e9] * 12, [1e9] * 11 + [5e8], [1e9]])
def test_series_without_noise(values) -> None:
    found = change_points.change(values, Better.HIGHER, GATE)
    assert found.loss == pytest.approx(np.log(2) if values[-1] != values[0] else 0.0)


@with_otava
@pytest.mark.parametrize("noise", [0.01, 0.03])
@pytest.mark.parametrize("runs", [10, 20])
def test_where_nothing_changed_next_to_nothing_is_found(runs, noise) -> None:
    """A run of 30 cells has 60 series: one change point in 3000 of them is one in fifty such runs, shown or not."""
    gate = Gate(comparisons=60)
    quiet = [
        change_points.change(series(seed, (runs, 1.0), noise=noise), Better.HIGHER, gate)
        for seed in range(3000)
    ]
    assert sum(len(found.levels) > 1 for found in quiet) <= 1
    assert sum(found.loss > 0.05 for found in quiet) <= 1


@with_otava
@pytest.mark.parametrize(("noise", "after"), [(0.01, 2), (0.03, 10)])
def test_a_loss_of_ten_percent_is_found_some_runs_after_it_began(noise, after) -> None:
    gate = Gate(comparisons=60)
    stepped = [
        change_points.change(series(seed, (12, 1.0), (after, 0.9), noise=noise), Better.HIGHER, gate)
        for seed in range(200)
    ]
    assert sum(found.loss > 0.05 for found in stepped) >= 190


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_a_failure_never_becomes_a_value(values) -> None:
    with pytest.raises(ValueError, match="positive, finite"):
        change_points.change(values, Better.HIGHER, GATE)


# -- as the gate -----------------------------------------------------------------------------------


@with_otava
def test_history_as_the_gate_finds_what_began_some_runs_ago(tmp_path) -> None:
    """Two small losses, each tolerated, so that the last good run as a baseline sees nothing."""
    folder = history(tmp_path / "runs", 16, levels=[1.0] * 6 + [0.97] * 4 + [0.93] * 6)
    current = result(BGP, 50, 0.9)
    (by_last,) = opened(folder=folder, tolerances=Tolerances(0.08)).judge(current, {}, GATE)
    assert by_last.outcome is not Outcome.REGRESSED
    (verdict,) = opened(folder=folder, decides=Decides.HISTORY).judge(current, {}, GATE)
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.source == "--calico-gate"
    assert "value worse by " in verdict.message
    assert "since 2026-10-11 10:00 UTC" in verdict.message
    assert "17 runs" in verdict.message


@with_otava
def test_history_as_the_gate_lets_equal_runs_pass(tmp_path) -> None:
    folder = history(tmp_path / "runs", 12)
    (verdict,) = opened(folder=folder, decides=Decides.HISTORY).judge(result(BGP, 50), {}, GATE)
    assert verdict.outcome is Outcome.OK


@with_otava
def test_with_fewer_than_ten_runs_the_last_good_one_decides_and_that_is_said(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    (verdict,) = opened(folder=folder, decides=Decides.HISTORY).judge(result(BGP, 50, 0.8), {}, GATE)
    assert verdict.outcome is Outcome.REGRESSED
    assert "change points need 10 runs, this is number 9" in verdict.message


@with_otava
def test_few_rounds_decide_nothing_by_history_either(tmp_path) -> None:
    folder = history(tmp_path / "runs", 12)
    baseline = opened(folder=folder, decides=Decides.HISTORY)
    (verdict,) = baseline.judge(result(BGP, 50, 0.5, rounds=1), {}, GATE)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "1 round in this run, at least 6 are needed" in verdict.message
    (valued,) = baseline.judge(result(BGP, 50, control={}), {}, GATE)
    assert "ratio to host-to-host not compared: too few runs with a control" in valued.message


@with_otava
def test_a_look_at_change_points_pays_its_share(tmp_path) -> None:
    folder = history(tmp_path / "runs", 16, levels=[1.0] * 12 + [0.88] * 4, days=0.05, seed=200)
    baseline = opened(folder=folder, decides=Decides.HISTORY)
    alone, first_of_five = (
        baseline.judge(result(HOST, 50, 0.88), {}, GATE, share)[0] for share in (1.0, 0.04)
    )
    assert (alone.outcome, first_of_five.outcome) == (Outcome.REGRESSED, Outcome.OK)


@with_otava
def test_no_round_waits_for_change_points(tmp_path) -> None:
    folder = history(tmp_path / "runs", 16, levels=[1.0] * 12 + [0.88] * 4)
    current = result(BGP, 50, 0.88)
    baseline = opened(folder=folder, decides=Decides.HISTORY)
    judges = Judges([baseline], [BGP])
    assert judges.judged(current, {}).outcome is Outcome.REGRESSED
    assert not judges.decided(current, {}, 1.0)
    assert Judges([opened(folder=folder)], [BGP]).decided(current, {}, 1.0)


@with_otava
def test_change_points_are_shown_whatever_the_gate_is(tmp_path) -> None:
    folder = history(tmp_path / "runs", 16, levels=[1.0] * 12 + [0.88] * 4)
    *_, note = opened(folder=folder).notes([result(BGP, 50, 0.88)], GATE)
    assert note.startswith("change points in the history: tcp pod-to-pod bgp: value worse by 1")


def test_without_otava_the_gate_is_refused_with_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(change_points, "available", lambda: False)
    with pytest.raises(SettingProblem, match="pip install --no-deps 'apache-otava"):
        Baseline(Request(folder=tmp_path, decides=Decides.HISTORY), "lab")
    folder = history(tmp_path / "runs", 12)
    *_, note = opened(folder=folder).notes([result(BGP, 50)], GATE)
    assert note.startswith("change points in the history were not looked for: that needs Apache Otava (pip ")
