"""What a chart is before it is drawn, and what all charts share: colours, dashes, labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_calico_perf.model import Mode, Path
from pytest_calico_perf.report.words import mode_words

HOST = str(Path.HOST_TO_HOST)
# Told apart in grey and by any eye: of lines by their dashes.
_DASHES: Mapping[str, list[int]] = {
    HOST: [1, 1],
    Mode.BGP: [1, 0],
    Mode.IPIP: [6, 2],
    Mode.IPIP_CROSS_SUBNET: [6, 2, 1, 2],
    Mode.VXLAN: [2, 2],
    Mode.VXLAN_CROSS_SUBNET: [2, 2, 6, 2],
    Mode.CURRENT: [10, 3],
}


@dataclass(frozen=True)
class Chart:
    """A drawing before it is drawn.

    Attributes:
        key: Unique on the page; only [a-z0-9-].
        title: What it shows, one line.
        says: What is seen in it, in numbers: for whoever does not see it.
        spec: Vega-Lite, its data inline; colours are variables of the page's style.
        how: How to read it, a sentence below it.
    """

    key: str
    title: str
    says: str
    spec: Mapping[str, Any]
    how: str


def colours(modes: Iterable[str]) -> dict[str, list[str]]:
    """A Vega-Lite scale: mode, or host-to-host, to its variable of the style."""
    known = list(modes)
    return {
        "domain": [label(mode) for mode in known],
        "range": [f"var(--{'host' if mode == HOST else mode})" for mode in known],
    }


def dashes(modes: Iterable[str]) -> dict[str, list[Any]]:
    """A Vega-Lite scale: mode, or host-to-host, to the dashes of its line."""
    known = list(modes)
    return {"domain": [label(mode) for mode in known], "range": [_DASHES[mode] for mode in known]}


def label(mode: str) -> str:
    """How a mode, or host-to-host, is called in a chart."""
    return HOST if mode == HOST else mode_words(Mode(mode))


def facets(
    rows: Sequence[Mapping[str, Any]], paths: Sequence[str], width: int, height: int, drawn: Mapping[str, Any]
) -> dict[str, Any]:
    """Vega-Lite of one drawing per path, two beside each other.

    Args:
        rows: The data; each row names its `path`.
        paths: Their order.
        width: Of one drawing, in pixels.
        height: Of one drawing, in pixels.
        drawn: What is drawn in each: mark and encoding, or layers of them.
    """
    return {
        "data": {"values": list(rows)},
        "facet": {
            "field": "path",
            "type": "nominal",
            "sort": list(paths),
            "header": {"labelFontWeight": "bold"},
        },
        "columns": 2,
        "spec": {"width": width, "height": height, **drawn},
    }


def lines(modes: Iterable[str]) -> dict[str, Any]:
    """The encoding that tells modes apart, by colour and by dashes."""
    known = list(modes)
    return {
        "color": {"field": "mode", "type": "nominal", "scale": colours(known)},
        "strokeDash": {"field": "mode", "type": "nominal", "scale": dashes(known)},
    }


def slug(name: str) -> str:
    """A name as part of an id."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())


def short(value: float) -> float:
    """A coordinate: no drawing shows more digits."""
    return float(f"{value:.5g}")


def by_path(said: Iterable[tuple[str, str]]) -> str:
    """Pairs of path and words as sentences, one per path."""
    paths: dict[str, list[str]] = {}
    for path, words in said:
        paths.setdefault(path, []).append(words)
    return " ".join(f"{path}: {', '.join(each)}." for path, each in paths.items())


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many of `values`, evenly spread, first and last among them: a line needs no more points."""
    if len(values) <= most:
        return list(values)
    return [values[round(nth * (len(values) - 1) / (most - 1))] for nth in range(most)]
