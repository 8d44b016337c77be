"""What cells carry beside their own samples: host-to-host as a control, and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.model import Better, CellResult, Path, RunRecord, Unit


@dataclass(frozen=True)
class HostControl:
    """Host-to-host of a probe that has no such cell: what it had in the rounds of one path.

    Attributes:
        probe: Which probe.
        beside: The path whose modes it was measured with.
        unit: Unit of its samples.
        better: Which direction of them is good.
        samples: Round number -> sample.
    """

    probe: str
    beside: Path
    unit: Unit
    better: Better
    samples: Mapping[int, float]


def host_controls(record: RunRecord) -> Iterator[HostControl]:
    """The controls that no cell of the run tells, each once; modes measured one at a time have one each."""
    told = {result.cell.probe for result in record.results if result.cell.mode is None}
    seen: list[HostControl] = []
    for result in record.results:
        cell = result.cell
        if not result.control or cell.probe in told:
            continue
        control = HostControl(cell.probe, cell.path, result.unit, result.better, result.control)
        if control not in seen:
            seen.append(control)
            yield control


def way_back(result: CellResult) -> Mapping[int, float]:
    """Round number -> rate from server to client, of probes that take both directions.

    A run's `reverse` is a value, or holds its `goodput` (bit/s); a run without one has no entry.
    """
    if len(result.runs) != len(result.rounds):
        return {}
    found = {
        number: rate_back(run.get("reverse")) for number, run in zip(result.rounds, result.runs, strict=True)
    }
    return {number: rate for number, rate in found.items() if rate is not None}


def rate_back(reverse: Any) -> float | None:
    """The rate, in bit/s, in what a run tells as `reverse`; None where there is none to believe."""
    rate = reverse.get("goodput") if isinstance(reverse, Mapping) else reverse
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        return None
    return float(rate) if 0 < rate < math.inf else None
