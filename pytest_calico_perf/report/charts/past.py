"""A probe run after run: what earlier runs of the baseline had, and what this one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_calico_perf.model import Mode, Summary
from pytest_calico_perf.report.charts.drawing import Chart, by_path, facets, label, lines, short, slug
from pytest_calico_perf.report.table import ProbeTable
from pytest_calico_perf.units import Scale, scale_for

_RUNS = 30  # the newest that are drawn
_WIDTH, _HEIGHT = 190, 130
_NOW = "this run"


def past(table: ProbeTable) -> Chart | None:
    """The history of a probe's cells; None where no cell has one."""
    series: list[tuple[str, Mode, list[tuple[str, Summary]]]] = []
    for row in table.rows:
        for path, entry in zip(table.paths, row.entries, strict=True):
            if entry and entry.summary and entry.result.past:
                runs = [(value.label, value.summary) for value in entry.result.past[-_RUNS:]]
                series.append((str(path), row.mode, [*runs, (_NOW, entry.summary)]))
    if not series:
        return None
    scale = scale_for([summary for _, _, runs in series for _, summary in runs], table.unit)
    rows = [
        {"path": path, "mode": label(mode), "run": when, **_drawn(summary, scale.factor)}
        for path, mode, runs in series
        for when, summary in runs
    ]
    said = [(path, f"{label(mode)} {_says(runs, scale)}") for path, mode, runs in series]
    # In order of time: labels begin with the year; this run comes last.
    order = [*sorted({when for _, _, runs in series for when, _ in runs} - {_NOW}), _NOW]
    modes = list(dict.fromkeys(mode for _, mode, _ in series))
    return Chart(
        key=f"past-{slug(table.probe)}",
        title=f"{table.probe}: this run and earlier ones",
        says=f"{table.direction}. {by_path(said)}",
        how=f"[{scale.symbol}, {table.better} is better] Median and its interval, run by run, this one last. "
        "Runs of different days differ by more than the intervals say: the verdict allows for that.",
        spec=_spec(rows, modes, order, scale.symbol, list(map(str, table.paths))),
    )


def _says(runs: Sequence[tuple[str, Summary]], scale: Scale) -> str:
    (when, before), (_, now) = runs[-2:]
    return f"{scale.summary(before)} on {when}, {scale.summary(now)} in this run"


def _drawn(summary: Summary, factor: float) -> Mapping[str, float]:
    low, high = (summary.median if end is None else end for end in (summary.low, summary.high))
    return {
        "median": short(summary.median / factor),
        "low": short(low / factor),
        "high": short(high / factor),
    }


def _spec(
    rows: list[dict[str, Any]], modes: list[Mode], order: list[str], symbol: str, paths: list[str]
) -> Mapping[str, Any]:
    x = {"field": "run", "type": "ordinal", "sort": order, "title": None, "axis": {"labelAngle": -45,
         "labelOverlap": True, "labelFontSize": 9}}  # fmt: skip
    told_apart = lines(modes)
    colour = told_apart["color"]

    def y(field: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": symbol, "scale": {"zero": False},
                "axis": {"tickCount": 5}}  # fmt: skip

    layers = [
        {"mark": {"type": "rule", "strokeWidth": 4, "strokeOpacity": 0.3},
         "encoding": {"x": x, "y": y("low"), "y2": {"field": "high"}, "color": colour}},
        {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {"x": x, "y": y("median"), **told_apart}},
        {"mark": {"type": "circle", "size": 22, "fillOpacity": 1},
         "encoding": {"x": x, "y": y("median"), "color": colour}},
    ]  # fmt: skip
    return facets(rows, paths, _WIDTH, _HEIGHT, {"layer": layers})
