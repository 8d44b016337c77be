"""Small drawings as inline SVG: no script, no file beside the report, colours from the page's style."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_calico_perf.model import Summary
from pytest_calico_perf.report.markup import element, text

_WIDTH, _HEIGHT, _MARGIN = 360, 80, 8
_ROOM_FOR_TEXT = 110


def bar(summary: Summary, largest: float, colour: str, label: str, control: float | None = None) -> str:
    """A bar from 0 to the median with its interval as a whisker, as wide as its surroundings.

    Args:
        summary: What to draw.
        largest: Value at the right edge: the same for all bars that are compared.
        colour: Name of the style's colour variable: a mode, or `host`.
        label: What a screen reader says, and a pointer shows.
        control: Where to draw the dashed line of host-to-host, in the same unit.
    """

    def x(value: float) -> str:
        return f"{100 * value / largest:.2f}"

    parts = [
        element("title", text(label)),
        element("rect", class_="track", x=0, y=3, width=100, height=8),
        element("rect", x=0, y=3, width=x(summary.median), height=8, style=f"fill:var(--{colour})"),
    ]
    if control is not None:
        parts.append(_stroke("control", f"M{x(control)} 0V14"))
    if summary.low is not None and summary.high is not None:
        low, high = x(summary.low), x(summary.high)
        parts.append(_stroke("whisker", f"M{low} 7H{high}M{low} 4V10M{high} 4V10"))
    return element("svg", *parts, class_="bar", viewBox="0 0 100 14", preserveAspectRatio="none", role="img")


def line(samples: Sequence[float], rounds: Sequence[int], summary: Summary, ends: tuple[str, str]) -> str:
    """Samples in order of their rounds, with the median (dashed) and its interval (band).

    Args:
        samples: One value per round.
        rounds: Their numbers, ascending.
        summary: Their median and interval.
        ends: The smallest and the largest sample as text.
    """
    first, last = rounds[0], rounds[-1]
    low, high = min(samples), max(samples)

    def x(number: int) -> float:
        share = (number - first) / (last - first) if last > first else 0.5
        return round(_MARGIN + share * (_WIDTH - 2 * _MARGIN), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    points = [(x(number), y(value)) for number, value in zip(rounds, samples, strict=True)]
    parts = [element("title", text(f"Samples by round, {ends[0]} to {ends[1]}"))]
    if summary.low is not None and summary.high is not None:
        top, height = y(summary.high), max(1.0, y(summary.low) - y(summary.high))
        parts.append(
            element("rect", class_="band", x=_MARGIN, y=top, width=_WIDTH - 2 * _MARGIN, height=height)
        )
    parts.append(_stroke("median", f"M{_MARGIN} {y(summary.median)}H{_WIDTH - _MARGIN}"))
    parts.append(element("polyline", class_="samples", points=" ".join(f"{px},{py}" for px, py in points)))
    parts += [element("circle", cx=px, cy=py, r=2.5) for px, py in points]
    parts.append(element("text", text(ends[1]), x=_WIDTH, y=12))
    if high > low:
        parts.append(element("text", text(ends[0]), x=_WIDTH, y=_HEIGHT - 4))
    return element("svg", *parts, class_="line", width=_WIDTH + _ROOM_FOR_TEXT, height=_HEIGHT, role="img")


def _stroke(kind: str, path: str) -> str:
    # A bar is stretched to its cell; its strokes are not.
    return element("path", class_=kind, d=path, vector_effect="non-scaling-stroke")
