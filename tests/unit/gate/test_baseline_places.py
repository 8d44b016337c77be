"""Earlier runs of another place, of other software, by other parameters: what is compared, and what is said."""

from __future__ import annotations

import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate.request import By
from pytest_calico_perf.model import Outcome
from tests.unit.gate.earlier_runs import (
    BGP,
    GATE,
    HOST,
    IPIP,
    NODE3,
    history,
    only,
    opened,
    record,
    result,
    written,
)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"name": "prod"}, "cluster lab there, prod here"),
        ({"kind": "kubernetes"}, "kind lab there, kubernetes here"),
        (
            {"nodes": [{"name": "node9", "cpu": "EPYC", "cpus": 2}], "pair": []},
            "nodes node1 to node2 there, node9 here",
        ),
        ({"link_rate": 1e9}, None),  # unknown there
    ],
)
def test_another_place_is_refused_and_the_way_out_named(last_week, facts, message) -> None:
    if message is None:
        opened(file=last_week, facts=facts)
        return
    with pytest.raises(SettingProblem, match="--calico-baseline-by=ratio") as problem:
        opened(file=last_week, facts=facts)
    assert message in str(problem.value)
    assert "\n" not in str(problem.value)


def test_the_other_direction_is_another_place(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    swapped = opened(folder=folder, facts={"pair": ["node2", "node1"]})
    assert "nodes node1 to node2 there, node2 to node1 here" in only(swapped, result(BGP, 50)).message


def test_the_ratio_travels_to_another_place(last_week) -> None:
    """Twice the machine: values mean nothing, the tunnel's share of the hosts does."""
    there = {"name": "prod", "nodes": [{"name": "big", "cpu": "Xeon", "cpus": 64}]}
    baseline = opened(file=last_week, facts=there, by=By.RATIO)
    same = only(baseline, result(IPIP, 2, 2.0, host_factor=2.0))
    assert same.outcome is Outcome.OK
    assert "value" not in same.message
    assert only(baseline, result(IPIP, 2, 1.5, host_factor=2.0)).outcome is Outcome.REGRESSED
    assert baseline.judge(result(HOST, 2), {}, GATE) == ()
    (note, *_) = baseline.notes([], GATE)
    assert (
        "is of another place, so only ratios to host-to-host were compared: cluster lab there, prod here"
        in note
    )


# -- a folder of several places --------------------------------------------------------------------


def test_each_place_has_runs_of_its_own(tmp_path) -> None:
    folder = history(tmp_path / "runs", 2)
    assert only(opened(folder=folder, facts=NODE3), result(BGP, 50, 0.5)).outcome is not Outcome.REGRESSED
    assert only(opened(folder=folder, facts={"mtu": 9000}), result(BGP, 50, 0.5)).outcome is Outcome.REGRESSED


def test_a_folder_with_runs_of_another_place_only_decides_nothing_and_names_what_differs(tmp_path) -> None:
    folder = history(tmp_path / "runs", 10)
    baseline = opened(folder=folder, facts=NODE3)
    verdict = only(baseline, result(BGP, 50, 0.5))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nodes node1 to node2 there, node1 to node3 here" in verdict.message
    assert "--calico-baseline-by=ratio" in verdict.message
    assert "no good run of this cluster at this place in " in baseline.notes([result(BGP, 50)], GATE)[0]


def test_ratios_are_held_against_a_folder_of_another_place(tmp_path) -> None:
    baseline = opened(folder=history(tmp_path / "runs", 10), facts=NODE3, by=By.RATIO)
    assert only(baseline, result(IPIP, 50, 0.5, host_factor=0.5)).outcome is Outcome.OK
    assert only(baseline, result(IPIP, 50, 0.5)).outcome is Outcome.REGRESSED
    assert "is of another place, so only ratios" in baseline.notes([result(IPIP, 50)], GATE)[0]


def test_one_run_of_this_place_does_not_make_the_ratios_of_others_forgotten(tmp_path) -> None:
    """A loss of a tenth is found with ten runs of another place; a single own one would be too few for it."""
    folder = history(tmp_path / "runs", 10, noise=0.02, days=0.001)
    own = record(300, facts=NODE3, noise=0.02, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder, facts=NODE3).file_for(own), own)
    verdict = only(opened(folder=folder, facts=NODE3, by=By.RATIO), result(IPIP, 50, 0.88, noise=0.02))
    assert verdict.outcome is Outcome.REGRESSED


def test_runs_of_this_place_are_found_whatever_their_folder_is_called(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    (place,) = folder.iterdir()
    place.rename(folder / "lab-000000000000")
    assert only(opened(folder=folder), result(BGP, 50, 0.8)).outcome is Outcome.REGRESSED


def test_a_place_that_only_one_of_the_two_tells_of_is_said(tmp_path) -> None:
    folder = history(tmp_path / "runs", 2)
    message = only(opened(folder=folder, facts={"link_rate": 1e9}), result(BGP, 50)).message
    assert "is of another place: link rate is told by one of them only; compare what travels" in message


# -- software and parameters -----------------------------------------------------------------------


def test_other_software_is_compared_and_named(last_week) -> None:
    newer = {
        "nodes": [
            {"name": name, "kernel": "Linux 6.19.0", "cpu": "EPYC", "cpus": 2} for name in ("node1", "node2")
        ],
        "mtu": 9000,
        "pools": [{"mode": "bgp", "pod_mtu": 9000}],
    }
    baseline = opened(file=last_week, facts=newer, profile={"name": "standard"})
    assert only(baseline, result(BGP, 2, 0.8)).outcome is Outcome.REGRESSED
    (note, *_) = baseline.notes([], GATE)
    for change in (
        "kernel Linux 6.18.0 there, Linux 6.19.0 here", "MTU 1500 there, 9000 here",
        "pod MTU of bgp 1500 there, 9000 here", "profile quick there, standard here",
    ):  # fmt: skip
        assert change in note
    assert note.endswith(" (what that does to hosts, too, --calico-baseline-by=ratio leaves out)")
    assert "ipip" not in note


def test_a_calico_version_is_named(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(facts={"calico": {"version": "v3.28.1"}}))
    baseline = opened(file=file, facts={"calico": {"version": "v3.29.0"}})
    assert "Calico v3.28.1 there, v3.29.0 here" in baseline.notes([], GATE)[0]


def test_what_changed_is_told_of_the_run_that_was_compared_with(tmp_path) -> None:
    """The newest run came with another MTU and a loss; the one before it is the baseline."""
    folder = history(tmp_path / "runs", 10)
    newer = {"mtu": 1400}
    slower = record(300, facts=newer, factor=0.9, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(slower), slower)
    baseline = opened(folder=folder, facts=newer)
    assert "(a later run in doubt)" in only(baseline, result(BGP, 50, 0.9)).message
    assert (
        "since the baseline of 2026-10-10 10:00 UTC changed: MTU 1500 there, 1400 here"
        in (baseline.notes([result(BGP, 50, 0.9)], GATE)[0])
    )


def test_by_ratio_nothing_is_said_of_a_run_that_only_hosts_have(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    newest = record(300, facts={"mtu": 1400}, control={}, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    results = [result(HOST, 50), result(BGP, 50), result(IPIP, 50)]
    assert not any("MTU" in note for note in opened(folder=folder, by=By.RATIO).notes(results, GATE))


@pytest.mark.parametrize(("there", "here", "comparable"), [
    ("3.12", "3.15", True), ("3.16", "3.21", True), ("3.15", "3.16", False), ("3.17.1", "3.9", False),
])  # fmt: skip
def test_iperf3_is_another_tool_since_3_16(tmp_path, there, here, comparable) -> None:
    file = written(tmp_path / "a.json", record(version=there))
    verdict = only(opened(file=file), result(BGP, 2, 0.5, version=here))
    assert (verdict.outcome is Outcome.REGRESSED) is comparable
    if not comparable:
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert "iperf3" in verdict.message


def test_other_parameters_of_a_probe_are_not_compared(last_week) -> None:
    profile = {"probes": {"tcp": {"command": "iperf3 -t 9", "rounds": 10}}}
    verdict = only(opened(file=last_week, profile=profile), result(BGP, 2, 0.5))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "`iperf3 -t 1` on 2026-11-20 10:00 UTC, `iperf3 -t 9` here" in verdict.message
