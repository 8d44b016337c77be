"""Cells against earlier runs of known truth: what is found, and what a verdict says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.comparison import Comparison, Tolerances
from pytest_calico_perf.gate.request import By, Request
from pytest_calico_perf.model import Better, Cell, CellResult, Outcome, Path, Unit
from pytest_calico_perf.verdict import Gate, Judgement
from tests.unit.gate.earlier_runs import BGP, GATE, HOST, IPIP, history, only, opened, record, result, written


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


def test_values_are_told_without_the_stall_that_is_left_out_of_the_comparison(tmp_path) -> None:
    calm = result(BGP, 50, noise=0.002, rounds=6)
    stalled = dataclasses.replace(calm, samples=(calm.samples[0] / 3, *calm.samples[1:]))
    baseline = opened(folder=history(tmp_path / "runs", 8, noise=0.002))
    assert only(baseline, stalled).message.startswith("15.0 Gbit/s against 15.")


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


def test_hosts_are_not_blamed_by_a_control_that_is_too_noisy_to_say(tmp_path) -> None:
    folder = history(tmp_path / "runs", 8)
    noisy = result(IPIP, 50, 0.88)
    control = {number: value * (1 + 0.2 * (number % 2 - 0.5)) for number, value in noisy.control.items()}
    verdict = only(opened(folder=folder), dataclasses.replace(noisy, control=control))
    assert verdict.outcome is Outcome.REGRESSED
    assert "hosts lost as much" not in verdict.message


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


def test_a_baseline_of_too_few_rounds_says_that_more_of_this_run_will_not_do(tmp_path) -> None:
    file = written(tmp_path / "a.json", record(rounds=5))
    verdict = only(opened(file=file), result(BGP, 2, 0.5, rounds=100))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the baseline has 5 rounds, at least 6 are needed: make a new one" in verdict.message


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


def test_one_disturbed_run_does_not_widen_the_tolerance_for_long(tmp_path) -> None:
    disturbed = history(tmp_path / "disturbed", 12, levels=[1.0] * 7 + [0.88] + [1.0] * 4, days=0.001)
    quiet = history(tmp_path / "quiet", 12, days=0.001)
    for folder in (quiet, disturbed):
        assert only(opened(folder=folder), result(BGP, 50, 0.9)).outcome is Outcome.REGRESSED


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


def test_an_early_look_is_held_against_the_tolerance_of_all_rounds(tmp_path) -> None:
    """Else six of thirty rounds would be `ok` within a floor three times as wide, and the rest never measured."""
    planned = {"probes": {"tcp": {"command": "iperf3 -t 1", "rounds": 30}}}
    folder = history(tmp_path / "runs", 12, noise=0.06, days=0.001, rounds=30)
    baseline = opened(folder=folder, profile=planned)
    early = [
        baseline.judge(result(BGP, seed, 0.92, noise=0.06, rounds=6), {}, GATE, 0.04)[0] for seed in range(40)
    ]
    assert not any(verdict.outcome is Outcome.OK for verdict in early)


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


# -- the family ------------------------------------------------------------------------------------


def test_nothing_is_judged_before_the_place_is_known(last_week) -> None:
    with pytest.raises(RuntimeError):
        Baseline(Request(file=last_week), "lab").judge(result(BGP, 2), {}, GATE)


def test_comparisons_are_counted_for_the_family(last_week) -> None:
    assert opened(file=last_week).comparisons([HOST, BGP, IPIP]) == 5
    assert opened(file=last_week, by=By.RATIO).comparisons([HOST, BGP, IPIP]) == 2
