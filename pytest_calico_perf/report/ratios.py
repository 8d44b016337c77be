"""A ratio as tables and digests show it: as exact as its interval, and no more."""

from __future__ import annotations

from pytest_calico_perf.model import Ratio
from pytest_calico_perf.report.words import ratio_numbers


def ratio_text(ratio: Ratio) -> str:
    """`0.986 (0.981 to 0.991)`: value and 95 % interval as the page rounds them; of one round the value."""
    value, *ends = ratio_numbers(ratio)
    return f"{value} ({ends[0]} to {ends[1]})" if ends else value
