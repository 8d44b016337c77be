"""Throughput over time inside a run: whether a rate holds, ramps up or collapses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pytest_calico_perf.model import CellResult, Mode
from pytest_calico_perf.report.charts.drawing import Chart, by_path, facets, label, lines, short, slug
from pytest_calico_perf.report.table import ProbeTable

_POINTS = 60  # of a line; a longer run is drawn in means of neighbours
_WIDTH, _HEIGHT = 190, 130


def timeline(table: ProbeTable) -> Chart | None:
    """The rate inside the runs of a probe that tells it (`intervals`); None where none does."""
    scale, rows, said = table.scale, [], []
    modes: list[Mode] = []
    for row in table.rows:
        for path, entry in zip(table.paths, row.entries, strict=True):
            lines = _lines(entry.result) if entry and entry.summary else []
            if not lines:
                continue
            step, low, middle, high = _band(lines, _step(entry.result) if entry else 1.0)
            modes.append(row.mode)
            place = {"path": str(path), "mode": label(row.mode)}
            rows += [
                {**place, "second": short((nth + 0.5) * step), "low": short(low[nth] / scale.factor),
                 "median": short(middle[nth] / scale.factor), "high": short(high[nth] / scale.factor)}
                for nth in range(len(middle))
            ]  # fmt: skip
            slowest, fastest = scale.number(min(middle)), scale.number(max(middle))
            said.append((str(path), f"{label(row.mode)} between {slowest} and {fastest}"))
    if not rows:
        return None
    return Chart(
        key=f"timeline-{slug(table.probe)}",
        title=f"{table.probe}: inside a run",
        says=f"{scale.symbol}, interval by interval, median of the rounds. {by_path(said)}",
        how=f"Rate in {scale.symbol} from a run's start to its end: the line is the median of the rounds, "
        "the band goes from the slowest to the fastest. A line that falls is a rate that does not hold.",
        spec=_spec(rows, list(dict.fromkeys(modes)), scale.symbol, list(map(str, table.paths))),
    )


def _lines(result: CellResult) -> list[list[float]]:
    """The rates of every round, interval by interval."""
    found = [run.get("intervals") for run in result.runs]
    lists = [list(each) for each in found if isinstance(each, list | tuple) and len(each) > 1]
    return [
        rates
        for rates in lists
        if all(isinstance(rate, int | float) and math.isfinite(rate) for rate in rates)
    ]


def _step(result: CellResult) -> float:
    """Seconds of an interval, as the tool was told; 1, the tools' own choice, where nobody noted it."""
    steps = [run.get("interval_seconds") for run in result.runs]
    known = [float(step) for step in steps if isinstance(step, int | float) and 0 < step < math.inf]
    return known[0] if known else 1.0


def _band(lines: Sequence[list[float]], step: float) -> tuple[float, list[float], list[float], list[float]]:
    """Seconds of a point, and the smallest, median and largest rate of the rounds at each."""
    length = min(map(len, lines))
    group = -(-length // _POINTS)
    points = [
        [math.fsum(line[start : start + group]) / group for line in lines]
        for start in range(0, length - group + 1, group)
    ]
    return step * group, [min(p) for p in points], [median(p) for p in points], [max(p) for p in points]


def _spec(rows: list[dict[str, Any]], modes: list[Mode], symbol: str, paths: list[str]) -> Mapping[str, Any]:
    x = {"field": "second", "type": "quantitative", "title": "seconds into the run", "axis": {"tickCount": 5},
         "scale": {"zero": True}}  # fmt: skip
    told_apart = lines(modes)

    def y(field: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": symbol, "axis": {"tickCount": 4}}

    layers = [
        {"mark": {"type": "area", "fillOpacity": 0.13},
         "encoding": {"x": x, "y": y("low"), "y2": {"field": "high"}, "color": told_apart["color"]}},
        {"mark": {"type": "line", "strokeWidth": 1.8},
         "encoding": {"x": x, "y": {**y("median"), "scale": {"zero": True}}, **told_apart}},
    ]  # fmt: skip
    return facets(rows, paths, _WIDTH, _HEIGHT, {"layer": layers})
