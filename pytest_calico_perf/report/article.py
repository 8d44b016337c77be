"""The published comparison's own table: sender and receiver averages per scenario, and ping, units right.

The article averaged column 7 of ten runs of `iperf3 -c TARGET` and called it Mbps whatever unit iperf3 had
chosen; here the same arithmetic means are taken over bit/s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from pytest_calico_perf.model import CellResult, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.units import format_value

SCENARIOS = {
    Path.HOST_TO_HOST: "physical-physical",
    Path.HOST_TO_POD: "physical-pod",
    Path.POD_TO_POD: "pod-pod across nodes",
}


def published_averages(record: RunRecord) -> list[str]:
    """The lines of that table: scenario by scenario, mode by mode; a dead path says so and has no number."""
    rows = [("scenario", "mode", "sender", "receiver", "ping")]
    results = {(r.cell.probe, r.cell.path, r.cell.mode): r for r in record.results}
    for path, scenario in SCENARIOS.items():
        for mode in record.modes if path.has_mode else (None,):
            tcp = results.get(("tcp", path, mode))
            ping = results.get(("ping", path, mode))
            if tcp is None and ping is None:
                continue
            rows.append((scenario, str(mode or "-"), _mean(tcp, "sent"), _mean(tcp, "received"), _ping(ping)))
    if len(rows) == 1:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return ["", "As the article prints it: means of the iperf3 runs and of the first echoes", *lines]


def _mean(result: CellResult | None, key: str) -> str:
    if result is None:
        return "not measured"
    rates = [float(run[key]) for run in _numbers(result.runs, key)]
    return format_value(fmean(rates), Unit.BIT_PER_SECOND) if rates else str(result.outcome)


def _ping(result: CellResult | None) -> str:
    if result is None:
        return "not measured"
    means = [float(run["mean"]) for run in _numbers(result.runs, "mean")]
    if result.outcome is not Outcome.OK or not means:
        return str(result.outcome)
    return format_value(fmean(means), Unit.SECOND)


def _numbers(runs: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    return [run for run in runs if isinstance(run.get(key), int | float)]
