"""One cell's samples in order of time, drawn by hand: a hundred of them must weigh little."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_calico_perf.model import Summary
from pytest_calico_perf.report.markup import element, text

_WIDTH, _HEIGHT, _MARGIN = 360, 80, 8
_ROOM_FOR_TEXT = 110


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
    said = f"Samples by round, {ends[0]} to {ends[1]}"
    parts = [element("title", text(said))]
    if summary.low is not None and summary.high is not None:
        top, height = y(summary.high), max(1.0, y(summary.low) - y(summary.high))
        parts.append(
            element("rect", class_="band", x=_MARGIN, y=top, width=_WIDTH - 2 * _MARGIN, height=height)
        )
    parts.append(element("path", class_="median", d=f"M{_MARGIN} {y(summary.median)}H{_WIDTH - _MARGIN}"))
    parts.append(element("polyline", class_="samples", points=" ".join(f"{px},{py}" for px, py in points)))
    parts += [element("circle", cx=px, cy=py, r=2.5) for px, py in points]
    parts.append(element("text", text(ends[1]), x=_WIDTH, y=12))
    if high > low:
        parts.append(element("text", text(ends[0]), x=_WIDTH, y=_HEIGHT - 4))
    width = _WIDTH + _ROOM_FOR_TEXT
    return element(
        "svg",
        *parts,
        class_="line",
        viewBox=f"0 0 {width} {_HEIGHT}",
        width=width,
        role="img",
        aria_label=said,
    )
