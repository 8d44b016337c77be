"""Earlier runs of known truth, as the files a user has: seeded noise around a level of each cell."""

from __future__ import annotations

import json
from pathlib import Path as FilePath

import numpy as np

from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.request import Request
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.report import records
from pytest_calico_perf.verdict import Gate

HOST = Cell("tcp", Path.HOST_TO_HOST, None)
BGP = Cell("tcp", Path.POD_TO_POD, Mode.BGP)
IPIP = Cell("tcp", Path.POD_TO_POD, Mode.IPIP)
SPEEDS = {HOST: 17e9, BGP: 15e9, IPIP: 10e9}
FACTS = {
    "kind": "lab",
    "name": "lab",
    "nodes": [
        {"name": name, "kernel": "Linux 6.18.0", "cpu": "EPYC", "cpus": 2} for name in ("node1", "node2")
    ],
    "pair": ["node1", "node2"],
    "mtu": 1500,
    "pools": [{"mode": "bgp", "pod_mtu": 1500}, {"mode": "ipip", "pod_mtu": 1480}],
}
NODE3 = {
    "nodes": [
        {"name": name, "kernel": "Linux 6.18.0", "cpu": "EPYC", "cpus": 2} for name in ("node1", "node3")
    ],
    "pair": ["node1", "node3"],
}
GATE = Gate(comparisons=5)
PROFILE = {"name": "quick", "rounds": 10, "probes": {"tcp": {"command": "iperf3 -t 1", "rounds": 10}}}


def result(
    cell, seed, factor=1.0, *, noise=0.01, rounds=10, day=0.0, host_factor=1.0, version="3.12", **fields
):
    """A cell's result; its control has noise of its own, and both share the day's shift."""
    random = np.random.default_rng([seed, len(str(cell))])
    numbers = tuple(range(rounds))

    def values(level):
        return tuple(float(v) for v in level * np.exp(random.normal(day, noise, rounds)))

    known = {"details": {"version_client": version}} if cell.probe == "tcp" else {}
    return CellResult(
        cell,
        Outcome.OK,
        Unit.BIT_PER_SECOND,
        Better.HIGHER,
        **{
            "samples": values(SPEEDS[cell] * factor),
            "rounds": numbers,
            "control": dict(zip(numbers, values(SPEEDS[HOST] * host_factor), strict=True))
            if cell.mode
            else {},
            **known,
            **fields,
        },
    )


def record(
    seed=1, cells=(HOST, BGP, IPIP), facts=None, profile=None, started="2026-11-20T10:00:00+00:00", **how
):
    return RunRecord(
        cluster={**FACTS, **(facts or {})},
        profile={**PROFILE, **(profile or {})},
        modes=(Mode.BGP, Mode.IPIP),
        results=tuple(result(cell, seed, **how) for cell in cells),
        started=started,
        wall_seconds=60.0,
        measuring_seconds=50.0,
    )


def written(path: FilePath, of: RunRecord) -> FilePath:
    records.write(records.document(of), path)
    return path


def opened(facts=None, profile=None, **request) -> Baseline:
    baseline = Baseline(Request(**request), "lab")
    return baseline.meet({**FACTS, **(facts or {})}, {**PROFILE, **(profile or {})})


def history(folder: FilePath, runs: int, *, levels=None, days=0.005, seed=100, **how) -> FilePath:
    """A folder with a run a day, as the plugin leaves it; `levels` has the factor of each."""
    shifts = np.random.default_rng(seed).normal(0, days, runs)
    for number in range(runs):
        run = record(
            seed + number, started=f"2026-10-{number + 1:02}T10:00:00+00:00", day=float(shifts[number]),
            factor=levels[number] if levels else 1.0, **how,
        )  # fmt: skip
        path = opened(folder=folder).file_for(run)
        assert path is not None
        written(path, run)
    return folder


def only(baseline: Baseline, current: CellResult):
    (verdict,) = baseline.judge(current, {}, GATE)
    return verdict


def tampered(path: FilePath, change) -> FilePath:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path
