"""Figures as properties of a test case."""

from __future__ import annotations

from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.report.junit import properties
from tests.unit.report import samples


def test_a_measured_cell_carries_its_figures_in_si_units():
    r = next(r for r in samples.record().results if r.cell.probe == "tcp" and r.cell.mode is Mode.IPIP)
    found = dict(properties(r))
    assert (found["calico.probe"], found["calico.path"], found["calico.mode"]) == (
        "tcp",
        "host-to-pod",
        "ipip",
    )
    assert (found["calico.outcome"], found["calico.unit"], found["calico.better"]) == (
        "ok",
        "bit/s",
        "higher",
    )
    assert found["calico.low"] <= found["calico.median"] <= found["calico.high"]
    assert 1e9 < found["calico.median"] < 100e9
    assert found["calico.of_host.low"] < found["calico.of_host"] < found["calico.of_host.high"] < 1
    assert found["calico.rounds"] == 10
    assert "calico.reason" not in found


def test_a_failure_has_a_reason_and_no_figure():
    found = dict(
        properties(samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "no route"))
    )
    assert found["calico.reason"] == "no route"
    assert not {"calico.median", "calico.low", "calico.of_host"} & found.keys()


def test_hosts_have_no_mode_and_one_round_has_no_interval():
    r = next(r for r in samples.record(rounds=1).results if r.cell.mode is None)
    found = dict(properties(r))
    assert "calico.mode" not in found
    assert found["calico.rounds"] == 1
    assert not {"calico.low", "calico.high"} & found.keys()
