"""From specifications to figures of the page: inline SVG that says in words what it shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path as FilePath
from xml.etree import ElementTree as ET

from pytest_calico_perf.report.charts.drawing import Chart
from pytest_calico_perf.report.markup import element, text

_RENDERER = FilePath(__file__).with_name("renderer.py")
_DEADLINE = 120.0  # seconds for all drawings of a page; they take about one

# The major version the specifications are written for; vl-convert holds several.
_LANGUAGE = "https://vega.github.io/schema/vega-lite/v5.json"
_NAMESPACE = "{http://www.w3.org/2000/svg}"
# What children of a group have in common is said once, by the group.
_INHERITED = (
    "fill", "stroke", "stroke-width", "stroke-dasharray", "fill-opacity", "stroke-opacity", "font-size",
    "font-weight", "text-anchor",
)  # fmt: skip
_NEEDLESS = {"class", "role", "pointer-events", "font-family", "stroke-miterlimit", "cursor"}
_DECIMALS = re.compile(r"\d+\.\d{3,}")
_CIRCLE = re.compile(r"M([\d.]+),0A\1,\1,0,1,1,-\1,0A\1,\1,0,1,1,\1,0")
_MOVED = re.compile(r"translate\((-?[\d.]+),(-?[\d.]+)\)")
_AXIS = {
    "labelColor": "var(--muted)",
    "titleColor": "var(--muted)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "gridColor": "var(--line)",
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
}
_CONFIG = {
    "aria": False,  # the drawing speaks as a whole
    "font": "Arial",
    "background": None,
    # A reader's fonts may be wider than those it was laid out with.
    "padding": {"left": 14, "right": 10, "top": 2, "bottom": 2},
    "view": {"stroke": None},
    "axis": _AXIS,
    "header": {"labelColor": "var(--text)", "labelFontSize": 12, "title": None, "titleFontSize": 11},
    "legend": {
        "labelColor": "var(--text)",
        "labelFontSize": 11,
        "title": None,
        "orient": "top",
        "symbolType": "stroke",
    },
}


def figures(charts: Sequence[Chart], key: str = "") -> list[str]:
    """The charts as figures with their captions, drawn together; one that cannot be drawn is told in words.

    Args:
        charts: What to draw.
        key: What all ids of this record on the page begin with.
    """
    if not charts:
        return []
    drawings, why_not = _drawings(charts)
    return [
        _figure(chart, _svg(chart, drawing, f"{key}chart-{chart.key}") if drawing else _words(chart, why_not))
        for chart, drawing in zip(charts, drawings, strict=True)
    ]


def _figure(chart: Chart, shown: str) -> str:
    caption = element("figcaption", element("b", text(chart.title)), " ", text(chart.how))
    return element("figure", caption, shown)


def _words(chart: Chart, why_not: str) -> str:
    return element("p", text(f"{chart.says} (Not drawn: {why_not}.)"))


def _drawings(charts: Sequence[Chart]) -> tuple[list[str | None], str]:
    """Vega's SVG for each chart, None for what it could not draw, and why not.

    A page without pictures is better than none: whatever becomes of the renderer, the report is written.
    """
    specs = [{"$schema": _LANGUAGE, "config": _CONFIG, **chart.spec} for chart in charts]
    nothing: list[str | None] = [None] * len(charts)
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_RENDERER)],
            input=json.dumps(specs),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return nothing, f"the renderer took longer than {_DEADLINE:.0f} s"
    except OSError as error:
        return nothing, f"the renderer could not be started: {error.strerror or error}"
    said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    if done.returncode:
        return nothing, f"the renderer ended with exit code {done.returncode}: {said}"
    try:
        drawings = json.loads(done.stdout)
    except ValueError:
        return nothing, "the renderer printed no JSON"
    if not isinstance(drawings, list) or len(drawings) != len(charts):
        return nothing, "the renderer drew something else"
    return [drawing if isinstance(drawing, str) else None for drawing in drawings], said


def _svg(chart: Chart, drawing: str, name: str) -> str:
    root = ET.fromstring(drawing)  # noqa: S314 (by our own renderer, of our own specification)
    _slim(root)
    ids = f"{name}-title", f"{name}-says"
    inside = "".join(ET.tostring(child, encoding="unicode") for child in root)
    return element(
        "svg",
        element("title", text(chart.title), id=ids[0]),
        element("desc", text(chart.says), id=ids[1]),
        inside,
        class_="chart",
        role="img",
        aria_labelledby=" ".join(ids),
        viewBox=f"0 0 {root.get('width')} {root.get('height')}",
        style=f"width:{root.get('width')}px",
    )


def _slim(parent: ET.Element) -> None:
    """Take out what draws nothing: Vega's own page needs it, ours has many drawings and two megabytes."""
    parent.tag = parent.tag.removeprefix(_NAMESPACE)
    for child in list(parent):
        if child.get("display") == "none" or child.get("d") in ("", "M0,0h0v0h0Z"):
            parent.remove(child)
            continue
        if child.get("class") in ("background", "foreground"):
            parent.remove(child)
            continue
        _slim(child)
    kept = {
        key: _DECIMALS.sub(lambda found: f"{float(found[0]):.2f}", value)
        for key, value in parent.attrib.items()
        if key not in _NEEDLESS and not key.startswith("aria-") and (key, value) != ("opacity", "1")
    }
    parent.attrib.clear()
    parent.attrib.update(kept)
    _round_dot(parent)
    _flatten(parent)
    for key in _INHERITED:
        values = {child.get(key) for child in parent}
        if len(parent) > 1 and len(values) == 1 and None not in values:
            parent.set(key, values.pop() or "")
            for child in parent:
                del child.attrib[key]


def _round_dot(drawn: ET.Element) -> None:
    """A circle as the one element SVG has for it; Vega writes two arcs and a translation."""
    radius, place = _CIRCLE.match(drawn.get("d", "")), _MOVED.fullmatch(drawn.get("transform", ""))
    if drawn.tag == "path" and radius and place:
        del drawn.attrib["d"], drawn.attrib["transform"]
        drawn.tag = "circle"
        drawn.attrib.update(cx=place[1], cy=place[2], r=radius[1])


def _flatten(parent: ET.Element) -> None:
    """Groups that group nothing give way to what is in them."""
    for index in range(len(parent) - 1, -1, -1):
        child = parent[index]
        if child.tag == "g" and (not child.attrib or not len(child)):
            parent.remove(child)
            for nth, grandchild in enumerate(child):
                parent.insert(index + nth, grandchild)
