"""Per probe: every round a point, the median and its interval on top, modes below one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_calico_perf.model import CellResult, Summary
from pytest_calico_perf.report.charts.drawing import HOST, Chart, by_path, colours, label, short, slug
from pytest_calico_perf.report.table import ProbeTable
from pytest_calico_perf.stats import summarize

_STEP, _WIDTH = 17, 330
_DRAWN = 100  # rounds of a cell that are drawn; of more every n-th
# Below this share of the largest value the axis starts at 0, so that lengths compare; above it dots merge.
_FROM_ZERO = 0.75


def dots(table: ProbeTable) -> Chart | None:
    """The chart of a probe; None where no cell has a sample."""
    rows = [row for row in _rows(table) if row[2]]
    if not rows:
        return None
    scale = table.scale
    points: list[dict[str, Any]] = []
    intervals: list[dict[str, Any]] = []
    said: list[tuple[str, str]] = []
    for path, mode, samples in rows:
        summary = summarize(samples)
        place = {"path": path, "mode": label(mode)}
        every = -(-len(samples) // _DRAWN)
        points += [{**place, "value": short(value / scale.factor)} for value in samples[::every]]
        intervals.append({**place, **_interval(summary, scale.factor)})
        said.append((path, f"{label(mode)} {scale.summary(summary)}"))
    modes = list(dict.fromkeys(mode for _, mode, _ in rows))
    paths = list(dict.fromkeys(path for path, _, _ in rows))
    values = [row[key] for row in intervals for key in ("low", "high")] + [row["value"] for row in points]
    from_zero = min(values) < _FROM_ZERO * max(values)
    axis = "" if from_zero else "; the axis does not start at 0"
    return Chart(
        key=f"dots-{slug(table.probe)}",
        title=f"{table.probe}: every round",
        says=f"{table.direction}. {by_path(said)}",
        how=f"[{table.direction}] A faint dot is a round, the bar the interval of the median, which is the "
        f"notch{axis}.",
        spec=_spec(
            points,
            intervals,
            modes,
            f"{scale.symbol} ({table.better} is better)",
            zero=from_zero,
            paths=paths,
        ),
    )


def _rows(table: ProbeTable) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Path, mode or host-to-host, and samples: in the order in which they are drawn."""
    if not table.paths and table.host:
        yield HOST, HOST, table.host.result.samples
    for index, path in enumerate(table.paths):
        entries = [(row.mode, entry) for row in table.rows if (entry := row.entries[index])]
        controls: list[CellResult] = [entry.result for _, entry in entries if entry.result.control]
        if controls:
            yield str(path), HOST, tuple(controls[0].control.values())
        for mode, entry in entries:
            yield str(path), str(mode), entry.result.samples if entry.summary else ()


def _interval(summary: Summary, factor: float) -> Mapping[str, float]:
    low, high = (summary.median if end is None else end for end in (summary.low, summary.high))
    ends = {"low": low, "high": high, "median": summary.median}
    return {key: short(value / factor) for key, value in ends.items()}


def _spec(
    points: list[dict[str, Any]],
    intervals: list[dict[str, Any]],
    modes: list[str],
    title: str,
    *,
    zero: bool,
    paths: list[str],
) -> dict[str, Any]:
    order = [label(mode) for mode in modes]
    y = {
        "field": "mode",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"ticks": False, "domain": False, "labelColor": "var(--text)"},
    }
    colour = {"field": "mode", "type": "nominal", "scale": colours(modes), "legend": None}

    def x(field: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero, "nice": True},
                "axis": {"tickCount": 6}}  # fmt: skip

    return {
        "data": {"values": [*intervals, *points]},
        "facet": {"row": {"field": "path", "type": "nominal", "sort": paths,
                          "header": {"labelAngle": 0, "labelOrient": "top", "labelAnchor": "start",
                                     "labelPadding": 2, "labelFontWeight": "bold"}}},
        "spacing": 6,
        "resolve": {"scale": {"y": "independent"}},
        "spec": {
            "width": _WIDTH,
            "height": {"step": _STEP},
            "layer": [
                {"mark": {"type": "rule", "strokeWidth": 7, "strokeOpacity": 0.35},
                 "encoding": {"x": x("low"), "x2": {"field": "high"}, "y": y, "color": colour}},
                {"mark": {"type": "circle", "size": 22, "fillOpacity": 0.55},
                 "encoding": {"x": x("value"), "y": y, "color": colour}},
                {"mark": {"type": "tick", "thickness": 2.5, "size": 14, "color": "var(--text)"},
                 "encoding": {"x": x("median"), "y": y}},
            ],
        },
    }  # fmt: skip
