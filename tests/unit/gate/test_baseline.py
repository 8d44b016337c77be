"""Cells against earlier runs of known truth: what is found, what is refused, and what is said when none fits."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.comparison import Comparison, Tolerances
from pytest_calico_perf.gate.request import By, Request
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Unit
from pytest_calico_perf.verdict import Gate, Judgement
from tests.unit.gate.earlier_runs import (
    BGP,
    HOST,
    IPIP,
    history,
    opened,
    record,
    result,
    tampered,
    written,
)

GATE = Gate(comparisons=5)
NODE3 = {
    "nodes": [
        {"name": name, "kernel": "Linux 6.18.0", "cpu": "EPYC", "cpus": 2} for name in ("node1", "node3")
    ],
    "pair": ["node1", "node3"],
}


def only(baseline: Baseline, current: CellResult):
    (verdict,) = baseline.judge(current, {}, GATE)
    return verdict


@pytest.fixture
def last_week(tmp_path):
    return written(tmp_path / "last-week.json", record(seed=1))


# -- what is found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [HOST, BGP, IPIP])
@pytest.mark.parametrize(
    ("factor", "outcome"), [(1.0, Outcome.OK), (1.2, Outcome.OK), (0.8, Outcome.REGRESSED)]
)
def test_a_cell_against_a_file(last_week, cell, factor, outcome) -> None:
    verdict = only(opened(file=last_week), result(cell, 2, factor))
    assert verdict.outcome is outcome
    assert verdict.rule == "baseline last-week.json"
    assert verdict.source == "--calico-baseline"


def test_the_message_has_values_ratio_interval_limit_and_rounds(tmp_path) -> None:
    file = written(tmp_path / "quiet.json", record(noise=0.002))
    message = only(opened(file=file), result(BGP, 2, 0.8, noise=0.002)).message
    assert message.startswith("12.0 Gbit/s against 15.0 Gbit/s of 2026-11-20 10:00 UTC: value 0.8")
    assert "tolerated down to 0.950" in message
    assert "ratio to host-to-host 0.799 (" in message
    assert message.endswith("; 10 rounds")


def test_latency_regresses_upwards(tmp_path) -> None:
    cell = Cell("ping", Path.HOST_TO_HOST, None)

    def ping(level: float) -> CellResult:
        samples = tuple(level * (1 + 0.001 * (number % 3)) for number in range(10))
        return CellResult(cell, Outcome.OK, Unit.SECOND, Better.LOWER, samples, tuple(range(10)))

    before = dataclasses.replace(record(), results=(ping(50e-6),))
    baseline = opened(file=written(tmp_path / "ping.json", before))
    assert only(baseline, ping(40e-6)).outcome is Outcome.OK
    assert only(baseline, ping(60e-6)).outcome is Outcome.REGRESSED


def test_a_slower_tunnel_on_a_faster_machine_shows_in_the_ratio(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    verdict = only(opened(folder=folder), result(IPIP, 50, 1.0, host_factor=1.25))
    assert verdict.outcome is Outcome.REGRESSED
    assert "ratio to host-to-host 0.8" in verdict.message


def test_where_hosts_lost_as_much_the_message_says_so(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    link = only(opened(folder=folder), result(IPIP, 50, 0.8, host_factor=0.8))
    assert link.outcome is Outcome.REGRESSED
    assert link.message.endswith("; hosts lost as much, so look at link and machines, not at the mode")
    assert "hosts" not in only(opened(folder=folder), result(IPIP, 50, 0.8)).message.replace(
        "host-to-host", ""
    )


def test_an_open_verdict_says_what_would_decide_it(last_week) -> None:
    current = result(BGP, 2, 0.93, noise=0.03)
    verdict = only(opened(file=last_week), current)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "would" in verdict.message.rpartition("10 rounds, ")[2]


def test_a_few_rounds_decide_nothing(last_week) -> None:
    verdict = only(opened(file=last_week), result(BGP, 2, 0.5, rounds=5))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "would probably decide it" in verdict.message
    single = only(opened(file=last_week), result(BGP, 2, 0.5, rounds=1))
    assert single.outcome is Outcome.INCONCLUSIVE
    assert "1 round in this run, at least 6 are needed" in single.message


def test_an_alarm_that_may_be_chance_among_many_comparisons_is_none() -> None:
    judgement = Judgement(Outcome.REGRESSED, 0.9, 0.88, 0.92, 0.95, 0.95, 10, decided=True)
    assert Comparison(judgement, 0.05, 0.05, 0).outcome is Outcome.REGRESSED
    by_chance = dataclasses.replace(judgement, decided=False, rounds_needed=14)
    assert Comparison(by_chance, 0.05, 0.05, 0).outcome is Outcome.INCONCLUSIVE
    assert Comparison(by_chance, 0.05, 0.05, 0, 30).what_would_decide == (
        "14 would probably decide it: beyond what is tolerated, but among 30 comparisons that may be chance"
    )


# -- tolerance and floor ---------------------------------------------------------------------------


def test_a_tolerance_of_its_own_for_a_probe(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    current = result(BGP, 50, 0.85)
    assert only(opened(folder=folder), current).outcome is Outcome.REGRESSED
    wide = Tolerances(0.05, {"tcp": 0.25})
    assert only(opened(folder=folder, tolerances=wide), current).outcome is Outcome.OK


def test_the_tolerance_is_never_tighter_than_the_floor(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8, days=0.03)
    message = only(opened(folder=folder, tolerances=Tolerances(0.001)), result(BGP, 50)).message
    assert "the noise floor of 8 runs" in message
    assert "is wider than 0.1 %" in message


def test_history_makes_the_gate_sharper_than_two_runs_alone(tmp_path) -> None:
    """A loss of 8 % that two runs cannot tell from a bad day is found with ten quiet ones."""
    folder = history(tmp_path / "runs", 10, noise=0.02, days=0.001)
    (last,) = list(folder.glob("*/20261010*.json"))
    current = result(BGP, 50, 0.92, noise=0.02)
    assert only(opened(file=last), current).outcome is Outcome.INCONCLUSIVE
    assert only(opened(folder=folder, tolerances=Tolerances(0.03)), current).outcome is Outcome.REGRESSED


def test_days_that_differ_are_learnt_from_the_history(tmp_path) -> None:
    """Where days differ by 5 %, a day of 8 % less is no alarm."""
    folder = history(tmp_path / "runs", 10, days=0.05)
    assert only(opened(folder=folder), result(HOST, 50, 0.92)).outcome is not Outcome.REGRESSED


def test_false_alarms_and_power_on_simulated_days(tmp_path) -> None:
    """Ten runs of history, days that differ by 1 %: no alarm in 100 equal cells, nearly all losses of 20 % found."""
    folder = history(tmp_path / "runs", 10, days=0.01)
    baseline = opened(folder=folder)
    gate = Gate(comparisons=30)
    rng = np.random.default_rng(7)

    def outcomes(factor: float) -> list[Outcome]:
        return [
            baseline.judge(result(BGP, 1000 + n, factor, day=float(rng.normal(0, 0.01))), {}, gate)[0].outcome
            for n in range(100)
        ]

    assert outcomes(1.0).count(Outcome.REGRESSED) == 0
    assert outcomes(0.8).count(Outcome.REGRESSED) >= 95


# -- foreign baselines -----------------------------------------------------------------------------


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


def test_the_ratio_needs_a_control(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(control={}))
    verdict = only(opened(file=file, by=By.RATIO), result(BGP, 2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "host-to-host control" in verdict.message


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


# -- missing cells ---------------------------------------------------------------------------------


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


def test_what_is_too_noisy_for_any_tolerance_shows_its_ratio(tmp_path) -> None:
    cell = Cell("ping", Path.HOST_TO_HOST, None)

    def ping(factor: float) -> CellResult:
        samples = tuple(factor * level for level in (5e-6, 9e-6, 40e-6, 6e-6, 20e-6, 7e-6))
        return CellResult(cell, Outcome.OK, Unit.SECOND, Better.LOWER, samples, tuple(range(6)))

    before = dataclasses.replace(record(), results=(ping(1.0),))
    verdict = only(opened(file=written(tmp_path / "ping.json", before)), ping(1.5))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "value 1.500 (" in verdict.message
    assert "), which is too noisy for any tolerance; 6 rounds, more would not decide it, a history" in (
        verdict.message
    )


def test_a_cell_this_run_lacks_is_noted(last_week) -> None:
    notes = opened(file=last_week).notes(
        [result(HOST, 2), dataclasses.replace(result(BGP, 2), samples=(), rounds=())], GATE
    )
    (note,) = notes
    assert note == (
        "in the baseline of 2026-11-20 10:00 UTC, but without a sample in this run: "
        "tcp pod-to-pod bgp, tcp pod-to-pod ipip"
    )


def test_nothing_is_judged_before_the_place_is_known(last_week) -> None:
    with pytest.raises(RuntimeError):
        Baseline(Request(file=last_week), "lab").judge(result(BGP, 2), {}, GATE)


# -- a link's speed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "outcome"), [(10e9, Outcome.OK), (25e9, Outcome.OK), (1e9, Outcome.REGRESSED)]
)
def test_a_fact_is_what_it_was_or_it_is_not(tmp_path, now, outcome) -> None:
    cell = Cell("link", Path.HOST_TO_HOST, None)

    def link(speed: float) -> CellResult:
        return CellResult(cell, Outcome.OK, Unit.BIT_PER_SECOND, Better.HIGHER, (speed,), (0,))

    file = written(tmp_path / "a.json", dataclasses.replace(record(), results=(link(10e9),)))
    baseline = opened(file=file)
    assert only(baseline, link(now)).outcome is outcome
    assert baseline.comparisons([cell]) == 0


def test_comparisons_are_counted_for_the_family(last_week) -> None:
    assert opened(file=last_week).comparisons([HOST, BGP, IPIP]) == 5
    assert opened(file=last_week, by=By.RATIO).comparisons([HOST, BGP, IPIP]) == 2


# -- the folder ------------------------------------------------------------------------------------


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


def test_a_cell_the_last_run_lacks_is_held_against_the_run_before(tmp_path) -> None:
    folder = history(tmp_path / "runs", 4)
    (newest,) = folder.glob("*/20261004*.json")
    tampered(newest, lambda document: document["cells"].pop(1))
    assert only(opened(folder=folder), result(BGP, 50)).rule.startswith("baseline 20261003")
    assert only(opened(folder=folder), result(IPIP, 50)).rule == f"baseline {newest.name}"


def test_each_place_has_runs_of_its_own(tmp_path) -> None:
    folder = history(tmp_path / "runs", 2)
    assert only(opened(folder=folder, facts=NODE3), result(BGP, 50, 0.5)).outcome is not Outcome.REGRESSED
    assert only(opened(folder=folder, facts={"mtu": 9000}), result(BGP, 50, 0.5)).outcome is Outcome.REGRESSED


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


def test_a_loss_that_was_kept_is_no_baseline_and_that_is_said(tmp_path) -> None:
    """Two runs lost 8 % and could not prove it; the next is held against the last one without that loss."""
    folder = history(tmp_path / "runs", 12, levels=[1.0] * 10 + [0.92] * 2)
    verdict = only(opened(folder=folder, tolerances=Tolerances(0.04)), result(BGP, 50, 0.92))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.rule.startswith("baseline 20261010")
    assert " of 2026-10-10 10:00 UTC (2 later runs in doubt): value 0.9" in verdict.message


def test_one_disturbed_run_does_not_widen_the_tolerance_for_long(tmp_path) -> None:
    disturbed = history(tmp_path / "disturbed", 12, levels=[1.0] * 7 + [0.88] + [1.0] * 4, days=0.001)
    quiet = history(tmp_path / "quiet", 12, days=0.001)
    for folder in (quiet, disturbed):
        assert only(opened(folder=folder), result(BGP, 50, 0.9)).outcome is Outcome.REGRESSED


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


def test_the_other_direction_is_another_place(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    swapped = opened(folder=folder, facts={"pair": ["node2", "node1"]})
    assert "nodes node1 to node2 there, node2 to node1 here" in only(swapped, result(BGP, 50)).message


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


def test_a_cell_that_the_last_run_lacks_too_is_still_missing(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    few = record(300, cells=(HOST,), started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(few), few)
    (note,) = opened(folder=folder).notes([result(HOST, 50)], GATE)
    assert note == (
        "in the baseline of 2026-10-03 10:00 UTC, but without a sample in this run: "
        "tcp pod-to-pod bgp, tcp pod-to-pod ipip"
    )


def test_a_run_that_lost_its_control_gives_way_to_one_that_has_it(tmp_path) -> None:
    """Else a slower tunnel on a faster machine would pass."""
    folder = history(tmp_path / "runs", 8)
    newest = record(300, control={}, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    verdict = only(opened(folder=folder), result(IPIP, 50, host_factor=1.25))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.rule.startswith("baseline 20261008")


def test_a_control_of_one_round_is_none(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    newest = record(300, control={3: 17e9}, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    verdict = only(opened(folder=folder), result(IPIP, 50, host_factor=1.25))
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.rule.startswith("baseline 20261008")


def test_a_run_of_few_rounds_does_not_blind_those_after_it(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    short = record(300, rounds=3, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(short), short)
    assert only(opened(folder=folder), result(BGP, 50, 0.8)).outcome is Outcome.REGRESSED


def test_a_loss_in_doubt_is_not_taken_for_how_days_differ(tmp_path) -> None:
    for number, levels in enumerate(([1.0, 1.0], [1.0, 1.0, 0.93], [1.0, 1.0, 0.93, 0.93])):
        folder = history(tmp_path / str(number), len(levels), levels=levels)
        assert only(opened(folder=folder), result(BGP, 50, 0.88)).outcome is Outcome.REGRESSED


def test_runs_of_this_place_are_found_whatever_their_folder_is_called(tmp_path) -> None:
    folder = history(tmp_path / "runs", 3)
    (place,) = folder.iterdir()
    place.rename(folder / "lab-000000000000")
    assert only(opened(folder=folder), result(BGP, 50, 0.8)).outcome is Outcome.REGRESSED


def test_a_place_that_only_one_of_the_two_tells_of_is_said(tmp_path) -> None:
    folder = history(tmp_path / "runs", 2)
    message = only(opened(folder=folder, facts={"link_rate": 1e9}), result(BGP, 50)).message
    assert "is of another place: link rate is told by one of them only; compare what travels" in message


def test_by_ratio_nothing_is_said_of_a_run_that_only_hosts_have(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    newest = record(300, facts={"mtu": 1400}, control={}, started="2026-11-01T10:00:00+00:00")
    written(opened(folder=folder).file_for(newest), newest)
    results = [result(HOST, 50), result(BGP, 50), result(IPIP, 50)]
    assert not any("MTU" in note for note in opened(folder=folder, by=By.RATIO).notes(results, GATE))


def test_values_are_told_without_the_stall_that_is_left_out_of_the_comparison(tmp_path) -> None:
    calm = result(BGP, 50, noise=0.002, rounds=6)
    stalled = dataclasses.replace(calm, samples=(calm.samples[0] / 3, *calm.samples[1:]))
    baseline = opened(folder=history(tmp_path / "runs", 8, noise=0.002))
    assert only(baseline, stalled).message.startswith("15.0 Gbit/s against 15.")


def test_a_ratio_that_cannot_be_compared_is_said(tmp_path) -> None:
    baseline = opened(folder=history(tmp_path / "runs", 8))
    verdict = only(baseline, dataclasses.replace(result(IPIP, 50), control={}))
    assert verdict.outcome is Outcome.OK
    assert "ratio to host-to-host not compared: no round with a control in this run" in verdict.message


def test_a_baseline_of_too_few_rounds_says_that_more_of_this_run_will_not_do(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(rounds=5))
    verdict = only(opened(file=file), result(BGP, 2, 0.5, rounds=100))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the baseline has 5 rounds, at least 6 are needed: make a new one" in verdict.message


def test_an_early_look_is_held_against_the_tolerance_of_all_rounds(tmp_path) -> None:
    """Else six of thirty rounds would be `ok` within a floor three times as wide, and the rest never measured."""
    planned = {"probes": {"tcp": {"command": "iperf3 -t 1", "rounds": 30}}}
    folder = history(tmp_path / "runs", 12, noise=0.06, days=0.001, rounds=30)
    baseline = opened(folder=folder, profile=planned)
    early = [
        baseline.judge(result(BGP, seed, 0.92, noise=0.06, rounds=6), {}, GATE, 0.04)[0] for seed in range(40)
    ]
    assert not any(verdict.outcome is Outcome.OK for verdict in early)


def test_hosts_are_not_blamed_by_a_control_that_is_too_noisy_to_say(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    noisy = result(IPIP, 50, 0.88)
    control = {number: value * (1 + 0.2 * (number % 2 - 0.5)) for number, value in noisy.control.items()}
    verdict = only(opened(folder=folder), dataclasses.replace(noisy, control=control))
    assert verdict.outcome is Outcome.REGRESSED
    assert "hosts lost as much" not in verdict.message
