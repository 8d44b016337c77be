"""What one of the two runs lacks: cells, samples, the control. Never passed in silence."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_calico_perf.gate.request import By
from pytest_calico_perf.model import Outcome
from tests.unit.gate.earlier_runs import (
    BGP,
    GATE,
    HOST,
    IPIP,
    history,
    only,
    opened,
    record,
    result,
    tampered,
    written,
)


def test_a_cell_the_baseline_lacks_is_open_never_ok(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(cells=(HOST, BGP)))
    verdict = only(opened(file=file), result(IPIP, 2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "has no such cell" in verdict.message


def test_a_cell_that_failed_in_the_baseline_is_open(tmp_path) -> None:
    def kill(document) -> None:
        document["cells"][1].update(outcome="unreachable", samples=[], rounds=[])

    file = tampered(written(tmp_path / "a.json", record()), kill)
    verdict = only(opened(file=file), result(BGP, 2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "it was unreachable" in verdict.message


def test_a_cell_that_was_on_a_wrong_path_is_never_compared_whatever_samples_a_file_gives_it(tmp_path) -> None:
    file = written(tmp_path / "before.json", record())

    def wrong(document) -> None:
        for cell in document["cells"]:
            cell["outcome"] = "wrong-path"

    verdict = only(opened(file=tampered(file, wrong)), result(BGP, 2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "has no sample of it: it was wrong-path" in verdict.message


def test_a_cell_this_run_lacks_is_noted(last_week) -> None:
    notes = opened(file=last_week).notes(
        [result(HOST, 2), dataclasses.replace(result(BGP, 2), samples=(), rounds=())], GATE
    )
    (note,) = notes
    assert note == (
        "in the baseline of 2026-11-20 10:00 UTC, but without a sample in this run: "
        "tcp pod-to-pod bgp, tcp pod-to-pod ipip"
    )


def test_a_cell_that_the_last_run_lacks_too_is_still_missing(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    few = record(300, cells=(HOST,), started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(few), few)
    (note,) = opened(folder=folder).notes([result(HOST, 50)], GATE)
    assert note == (
        "in the baseline of 2026-10-03 10:00 UTC, but without a sample in this run: "
        "tcp pod-to-pod bgp, tcp pod-to-pod ipip"
    )


def test_a_cell_the_last_run_lacks_is_held_against_the_run_before(tmp_path) -> None:
    folder = history(tmp_path / "runs", 4)
    (newest,) = folder.glob("*/20261004*.json")
    tampered(newest, lambda document: document["cells"].pop(1))
    assert only(opened(folder=folder), result(BGP, 50)).rule.startswith("baseline 20261003")
    assert only(opened(folder=folder), result(IPIP, 50)).rule == f"baseline {newest.name}"


# -- the control -----------------------------------------------------------------------------------


def test_the_ratio_needs_a_control(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(control={}))
    verdict = only(opened(file=file, by=By.RATIO), result(BGP, 2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "host-to-host control" in verdict.message


def test_a_ratio_that_cannot_be_compared_is_said(tmp_path) -> None:
    baseline = opened(folder=history(tmp_path / "runs", 8))
    verdict = only(baseline, dataclasses.replace(result(IPIP, 50), control={}))
    assert verdict.outcome is Outcome.OK
    assert "ratio to host-to-host not compared: no round with a control in this run" in verdict.message


@pytest.mark.parametrize("control", [{}, {3: 17e9}], ids=["none", "one-round"])
def test_a_run_that_lost_its_control_gives_way_to_one_that_has_it(tmp_path, control) -> None:
    """Else a slower tunnel on a faster machine would pass."""
    folder = history(tmp_path / "runs", 8)
    newest = record(300, control=control, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    verdict = only(opened(folder=folder), result(IPIP, 50, host_factor=1.25))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.rule.startswith("baseline 20261008")


def test_a_run_of_few_rounds_does_not_blind_those_after_it(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    short = record(300, rounds=3, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(short), short)
    assert only(opened(folder=folder), result(BGP, 50, 0.8)).outcome is Outcome.REGRESSED
