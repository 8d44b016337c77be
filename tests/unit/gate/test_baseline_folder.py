"""A folder of earlier runs: which of them a cell is held against, and which are kept."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_calico_perf.gate.comparison import Tolerances
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Unit
from tests.unit.gate.earlier_runs import (
    BGP,
    GATE,
    HOST,
    history,
    only,
    opened,
    record,
    result,
    tampered,
    written,
)


def test_the_first_run_in_a_folder_is_held_against_nothing_and_says_so(tmp_path) -> None:
    baseline = opened(folder=tmp_path / "new")
    assert baseline.judge(result(BGP, 2), {}, GATE) == ()
    (note,) = baseline.notes([result(BGP, 2)], GATE)
    assert "this run becomes the first baseline if it is good" in note
    assert not (tmp_path / "new").exists()


def test_the_last_good_run_is_the_baseline(tmp_path) -> None:
    folder = history(tmp_path / "runs", 4)
    (newest,) = folder.glob("*/20261004*.json")
    assert only(opened(folder=folder), result(BGP, 50)).rule == f"baseline {newest.name}"
    tampered(newest, lambda document: document["cells"][0].update(outcome="regressed"))
    assert only(opened(folder=folder), result(BGP, 50)).rule.startswith("baseline 20261003")


def test_a_file_and_a_folder_together_give_baseline_and_days(tmp_path, last_week) -> None:
    folder = history(tmp_path / "runs", 10, days=0.001)
    verdict = only(opened(file=last_week, folder=folder, tolerances=Tolerances(0.01)), result(BGP, 2))
    assert verdict.rule == "baseline last-week.json"
    assert "noise floor of 10 runs" in verdict.message


def test_days_of_the_baselines_own_software_count_where_there_are_enough(tmp_path) -> None:
    """An upgrade that gained 20 % is no scatter of days once there are three runs after it."""
    folder = history(tmp_path / "runs", 8, days=0.001)
    upgraded = {"mtu": 1400}
    for number in range(3):
        run = record(
            200 + number, facts=upgraded, factor=1.2, started=f"2026-11-0{number + 1}T10:00:00+00:00"
        )
        written(opened(folder=folder).file_for(run), run)
    current = result(BGP, 50, 1.2)
    verdict = only(opened(folder=folder, facts=upgraded), current)
    assert verdict.outcome is Outcome.OK
    assert verdict.rule.startswith("baseline 20261103")
    message = only(opened(folder=folder, facts=upgraded, tolerances=Tolerances(0.0)), current).message
    assert "the noise floor of 3 runs" in message


# -- runs in doubt ---------------------------------------------------------------------------------


def test_a_loss_that_was_kept_is_no_baseline_and_that_is_said(tmp_path) -> None:
    """Two runs lost 8 % and could not prove it; the next is held against the last one without that loss."""
    folder = history(tmp_path / "runs", 12, levels=[1.0] * 10 + [0.92] * 2)
    verdict = only(opened(folder=folder, tolerances=Tolerances(0.04)), result(BGP, 50, 0.92))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.rule.startswith("baseline 20261010")
    assert " of 2026-10-10 10:00 UTC (2 later runs in doubt): value 0.9" in verdict.message


def test_a_loss_in_doubt_is_not_taken_for_how_days_differ(tmp_path) -> None:
    for number, levels in enumerate(([1.0, 1.0], [1.0, 1.0, 0.93], [1.0, 1.0, 0.93, 0.93])):
        folder = history(tmp_path / str(number), len(levels), levels=levels)
        assert only(opened(folder=folder), result(BGP, 50, 0.88)).outcome is Outcome.REGRESSED


# -- what is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoilt",
    [
        {"interrupted": True},
        {"problem": "the cluster did not come up"},
        {"results": ()},
        *(
            {"results": (result(HOST, 1), dataclasses.replace(result(BGP, 1), outcome=outcome, reason="why"))}
            for outcome in Outcome
            if outcome not in (Outcome.OK, Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED)
        ),
    ],
)
def test_only_a_good_run_is_kept(tmp_path, spoilt) -> None:
    baseline = opened(folder=tmp_path / "runs")
    assert baseline.file_for(dataclasses.replace(record(), **spoilt)) is None
    assert not (tmp_path / "runs").exists()


def test_an_open_cell_does_not_keep_a_run_from_being_good(tmp_path) -> None:
    opened_cell = dataclasses.replace(result(BGP, 1), outcome=Outcome.INCONCLUSIVE, reason="who knows")
    unsupported = CellResult(
        Cell("tcp", Path.POD_TO_POD, Mode.VXLAN),
        Outcome.UNSUPPORTED,
        Unit.BIT_PER_SECOND,
        Better.HIGHER,
        reason="no",
    )
    run = dataclasses.replace(record(), results=(opened_cell, unsupported))
    file = opened(folder=tmp_path / "runs").file_for(run)
    written(file, run)
    assert json.loads(file.read_text())["schema"] == 2
    assert file.name.startswith("20261120T100000Z-")
    assert only(opened(folder=tmp_path / "runs"), result(BGP, 2)).outcome is Outcome.OK
