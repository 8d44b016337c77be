"""How round-trip times spread: the share of echoes that were back within a time, by mode and path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_calico_perf.model import CellResult, Unit
from pytest_calico_perf.report.charts.drawing import (
    HOST,
    Chart,
    by_path,
    facets,
    label,
    lines,
    short,
    slug,
    thinned,
)
from pytest_calico_perf.report.table import ProbeTable
from pytest_calico_perf.units import Scale

_KEY = "percentiles"
_POINTS = 60  # of a curve
_WIDTH, _HEIGHT = 190, 130


def distribution(table: ProbeTable) -> Chart | None:
    """Empirical distributions of a probe whose runs tell theirs (`percentiles`); None where none does."""
    if table.unit is not Unit.SECOND:
        return None
    times: dict[tuple[str, str], list[float]] = {}
    host = _pooled(table.hosts) if table.hosts and table.hosts.samples else []
    for nth, path in enumerate(table.paths or (HOST,)):
        if host:
            times[str(path), HOST] = host
        for row in table.rows:
            entry = row.entries[nth]
            if entry and entry.summary and (pooled := _pooled(entry.result)):
                times[str(path), row.mode] = pooled
    if not times:
        return None
    scale = Scale.of((each[math.ceil(0.99 * len(each)) - 1] for each in times.values()), Unit.SECOND)
    rows = [
        {"path": path, "mode": label(mode), "time": short(time / scale.factor), "share": short(share)}
        for (path, mode), each in times.items()
        for time, share in _curve(each)
    ]
    said = [(path, f"{label(mode)} {_says(each, scale)}") for (path, mode), each in times.items()]
    modes = list(dict.fromkeys(mode for _, mode in times))
    beside = (
        " Host-to-host's echoes are those of its own cell, the same in every part."
        if host and len(table.paths) > 1
        else ""
    )
    return Chart(
        key=f"distribution-{slug(table.probe)}",
        title=f"{table.probe}: how round-trip times spread",
        says=by_path(said),
        how=f"Share of echoes, all rounds, that were back within a time in {scale.symbol}, logarithmic; "
        "further left is better, and a long tail to the right means "
        f"stragglers.{beside}",
        spec=_spec(
            rows, modes, f"round trip within [{scale.symbol}]", list(dict.fromkeys(p for p, _ in times))
        ),
    )


def _says(ordered: Sequence[float], scale: Scale) -> str:
    half, most = (scale.text(_rank(ordered, share)) for share in (0.5, 0.99))
    return f"half within {half}, 99 % within {most}"


def _pooled(result: CellResult) -> list[float]:
    """The times of all rounds; each run tells as many, so that each counts the same."""
    found = [run.get(_KEY) for run in result.runs]
    values = [value for each in found if isinstance(each, list | tuple) for value in each]
    return sorted(float(v) for v in values if isinstance(v, int | float) and 0 < v < math.inf)


def _curve(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """Time and the share of echoes that took no longer; where several took as long, the last."""
    steps = {value: (nth + 1) / len(ordered) for nth, value in enumerate(ordered)}
    kept = thinned(list(steps), _POINTS)
    return [(kept[0], 0.0), *((value, steps[value]) for value in kept)]


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]


def _spec(rows: list[dict[str, Any]], modes: list[str], title: str, paths: list[str]) -> Mapping[str, Any]:
    drawn = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.8},
        "encoding": {
            "x": {"field": "time", "type": "quantitative", "title": title,
                  "scale": {"type": "log", "nice": False}, "axis": {"tickCount": 4, "format": "~g"}},
            "y": {"field": "share", "type": "quantitative", "title": "share of echoes",
                  "axis": {"format": ".0%", "tickCount": 4}},
            **lines(modes),
        },
    }  # fmt: skip
    return facets(rows, paths, _WIDTH, _HEIGHT, drawn)
