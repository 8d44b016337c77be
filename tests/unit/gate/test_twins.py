"""One mode under two names: what a run says of its own noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pytest_calico_perf.gate import twins
from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.units import format_percent
from pytest_calico_perf.verdict import Gate, floor_from_pairs, losses
from tests.unit.gate.results import cell, result

GATE = Gate(comparisons=4)
BOTH_WAYS = (Path.POD_TO_POD, Path.HOST_TO_POD)


def measured(mode, seed, path=Path.POD_TO_POD, probe="tcp", noise=0.02, pool="bgp"):
    of = cell(probe, mode, path)
    level = 1e10 if probe == "tcp" else 5e-5
    samples = level * np.exp(np.random.default_rng([seed, len(str(of))]).normal(0, noise, 8))
    ends = {"server": {"pool": {"mode": pool}}, "client": {"pool": None}}
    return dataclasses.replace(result(of, samples.tolist()), evidence=ends)


def block(**how):
    return [
        measured(mode, seed, path, **how)
        for path in BOTH_WAYS
        for seed, mode in enumerate((Mode.BGP, Mode.CURRENT))
    ]


def test_current_beside_its_own_mode_tells_the_noise_floor():
    run = block()
    pairs = [list(losses(a.by_round, b.by_round, a.better).values()) for a, b in (run[:2], run[2:])]
    floor = floor_from_pairs(pairs, 8, run[0].better, Gate(comparisons=30), demanded=True)
    text = twins.note(run, GATE)
    assert text.startswith("current is bgp here, so their ratios are noise alone (A/A).")
    assert text.endswith(f": tcp {format_percent(floor)} (2 pairs)")


def test_each_probe_has_its_own():
    text = twins.note([*block(), *block(probe="ping", noise=0.4)], GATE)
    assert "tcp " in text
    assert text.endswith("ping none will do (2 pairs)")


@pytest.mark.parametrize("run", [
    [], block(pool="ipip"), block()[:1], block()[1:2],
    [dataclasses.replace(each, evidence={}) for each in block()],
    [dataclasses.replace(each, samples=(), rounds=(), outcome=Outcome.UNREACHABLE, reason="dead") for each in block()],
    [dataclasses.replace(each, samples=each.samples[:5], rounds=tuple(range(5))) for each in block()],
])  # fmt: skip
def test_where_nothing_was_measured_twice_nothing_is_said(run):
    assert twins.note(run, GATE) == ""


def test_ends_of_different_pools_are_no_twin():
    mixed = {"server": {"pool": {"mode": "bgp"}}, "client": {"pool": {"mode": "ipip"}}}
    assert twins.note([dataclasses.replace(each, evidence=mixed) for each in block()], GATE) == ""
