"""What a report may show of earlier runs: the same cell's values, in order of time, and no others."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.request import By, Request
from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.stats import summarize
from tests.unit.gate.earlier_runs import BGP, HOST, history, opened, record, result, written


def test_a_file_is_one_earlier_run(tmp_path):
    before = record(seed=1)
    [past] = opened(file=written(tmp_path / "last.json", before)).past(result(BGP, 2))
    assert past.label == "2026-11-20 10:00 UTC"
    [same] = [each for each in before.results if each.cell == BGP]
    assert past.summary == summarize(same.samples)


def test_a_folder_is_a_series_in_order_of_time(tmp_path):
    past = opened(folder=history(tmp_path / "runs", 5)).past(result(HOST, 9))
    assert len(past) == 5
    assert [each.label for each in past] == sorted(each.label for each in past)


def test_what_the_earlier_run_has_not_is_not_shown(tmp_path):
    baseline = opened(file=written(tmp_path / "last.json", record(cells=(HOST,))))
    assert baseline.past(result(BGP, 2)) == ()


def test_values_of_other_parameters_are_not_shown(tmp_path):
    other = {"probes": {"tcp": {"command": "iperf3 -t 60", "rounds": 10}}}
    baseline = opened(file=written(tmp_path / "last.json", record(profile=other)))
    assert baseline.past(result(BGP, 2)) == ()


def test_values_of_another_place_are_not_shown_where_only_ratios_are_compared(tmp_path):
    file = written(tmp_path / "last.json", record())
    assert opened(file=file, by=By.RATIO).past(result(BGP, 2)) == ()


def test_a_fact_has_no_series(tmp_path):
    link = dataclasses.replace(result(HOST, 1), cell=Cell("link", Path.HOST_TO_HOST, None))
    assert opened(file=written(tmp_path / "last.json", record())).past(link) == ()


@pytest.mark.parametrize("mode", [Mode.BGP, Mode.IPIP])
def test_nothing_is_known_before_the_cluster_is(tmp_path, mode):
    baseline = Baseline(Request(file=written(tmp_path / "last.json", record())), "lab")
    assert baseline.past(result(Cell("tcp", Path.POD_TO_POD, mode), 1)) == ()
