"""A rate that changes inside a run: it collapses, drops, climbs, stands still, or hops between two levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import fmean, median
from typing import Any

from pytest_calico_perf.model import CellResult, Unit
from pytest_calico_perf.remarks.runs import Direction, directions, number, of_runs
from pytest_calico_perf.units import format_duration, format_value

# Neighbours on the machines make single intervals of a tenth of a second differ by a factor of two or three,
# but seldom three in a row, and never at the same end of one run after the other (tests/unit/test_remarks.py
# has what healthy labs on busy machines gave).
_FACTOR = 2.0
_STRETCH = 3  # intervals
_SHARE = 0.2  # of a run's intervals
_FEWEST = 8  # intervals of a run in which a stretch can be told from the rest
_RUNS = 1 / 3  # of the runs must show it, and at least two
_MOST = 60  # intervals that are looked at one by one; a longer run in as many pieces

_HOPPING_FEWEST = 20  # intervals; fewer do not tell two levels from noise
_HOPPING_FACTOR = 2.5
_BETWEEN = 0.3  # of the intervals at most are between the levels; of noise it is about half
_LEVEL = 1.15  # the factor by which an interval may be off a level and still belong to it
_PLAIN = 8.0  # the factor by which one run alone is believed; 16 processes on 2 CPUs have shown 5.5


class Shape(Enum):
    """What a run with a slow stretch looks like."""

    CLIMB = "slow at its beginning"
    DIP = "slow in its middle"
    COLLAPSE = "slow at its end"
    STALL = "nothing arrives for a while"


@dataclass(frozen=True)
class Stretch:
    """A part of a run that is far slower than the rest of it.

    Attributes:
        start: Where it begins: number of an interval, or seconds.
        end: Where the rest goes on, likewise.
        shape: What the run looks like by it.
        low: Median rate in it, in bit/s.
        high: Median rate of the rest, in bit/s.
    """

    start: float
    end: float
    shape: Shape
    low: float
    high: float


def slow_stretch(rates: Sequence[float]) -> Stretch | None:
    """The longest stretch whose every interval has at most half the median rate of the rest, if any has.

    Both the stretch and the rest are at least three intervals and a fifth of the run.
    """
    whole = len(rates)
    shortest = max(_STRETCH, math.ceil(_SHARE * whole))
    if whole < _FEWEST or max(rates) <= 0:
        return None
    slow = max(rates) / _FACTOR  # the rest's median is at most the maximum
    for length in range(whole - shortest, shortest - 1, -1):
        for start in range(whole - length + 1):
            end = start + length
            if max(rates[start:end]) > slow:
                continue
            high = median([*rates[:start], *rates[end:]])
            if max(rates[start:end]) <= high / _FACTOR:
                low = median(rates[start:end])
                return Stretch(start, end, _shape(start, end, whole, low), low, high)
    return None


def _shape(start: int, end: int, whole: int, low: float) -> Shape:
    if low == 0:
        return Shape.STALL
    if start == 0:
        return Shape.CLIMB
    return Shape.COLLAPSE if end == whole else Shape.DIP


def changing_rate(result: CellResult) -> Iterator[str]:
    """One remark per direction and shape that enough of the runs have."""
    for direction in directions(result):
        found = [stretch for run in direction.runs if (stretch := _slow_stretch_of(run))]
        hopping = [levels for run in direction.runs if (levels := two_levels(_steady(run)[0]))]
        enough = max(2, _RUNS * len(direction.runs))
        if len(hopping) >= enough:
            yield _hopping_text(hopping, direction)
            continue
        for shape in Shape:
            alike = [stretch for stretch in found if stretch.shape is shape]
            plain = any(stretch.low * _PLAIN <= stretch.high for stretch in alike)
            if alike and (plain or len(alike) >= enough):
                yield _text(shape, alike, direction)


def two_levels(rates: Sequence[float]) -> tuple[float, float] | None:
    """The two rates between which a run hops, low and high in bit/s; None where it does not, or hops once.

    They are the medians of the slowest and of the fastest third. In a run that hops few intervals are between
    them; in one that is merely noisy about half are.
    """
    if len(rates) < _HOPPING_FEWEST or slow_stretch(rates):
        return None
    ordered, third = sorted(rates), len(rates) // 3
    low, high = median(ordered[:third]), median(ordered[-third:])
    between = sum(low * _LEVEL < rate < high / _LEVEL for rate in rates)
    return (low, high) if high >= _HOPPING_FACTOR * low and between <= _BETWEEN * len(rates) else None


def _slow_stretch_of(run: Mapping[str, Any]) -> Stretch | None:
    """The slow stretch of a run, in seconds since its beginning."""
    rates, begin, seconds = _steady(run)
    found = slow_stretch(rates)
    if found is None:
        return None
    return replace(found, start=begin + found.start * seconds, end=begin + found.end * seconds)


def _steady(run: Mapping[str, Any]) -> tuple[list[float], float, float]:
    """The intervals of a run that count, in bit/s; when the first begins, and how long one is, in seconds.

    Those of a long run are taken together, so that it has no more than sixty.
    """
    rates, seconds = run.get("intervals"), number(run.get("interval_seconds"))
    if not isinstance(rates, list | tuple) or not seconds or seconds < 0:
        return [], 0.0, 0.0
    dropped = math.ceil((number(run.get("warm_up_seconds")) or 0.0) / seconds - 1e-6)
    steady = [rate for each in rates[max(0, dropped) :] if (rate := number(each)) is not None]
    together = max(1, math.ceil(len(steady) / _MOST))
    pieces = [fmean(steady[at : at + together]) for at in range(0, len(steady), together)]
    return pieces, dropped * seconds, together * seconds


def _hopping_text(hopping: Sequence[tuple[float, float]], direction: Direction) -> str:
    low, high = (format_value(median(levels), Unit.BIT_PER_SECOND) for levels in zip(*hopping, strict=True))
    return (
        f"the rate hops between two levels inside the run, {low} and {high}, "
        f"{of_runs(len(hopping), direction.runs)}{direction.says}; two paths, queues or CPUs take turns"
    )


def _text(shape: Shape, alike: Sequence[Stretch], direction: Direction) -> str:
    low, high = (
        format_value(median(rates), Unit.BIT_PER_SECOND)
        for rates in ([stretch.low for stretch in alike], [stretch.high for stretch in alike])
    )
    begins, ends = median(stretch.start for stretch in alike), median(stretch.end for stretch in alike)
    where = f"{of_runs(len(alike), direction.runs)}{direction.says}"
    first, last = format_duration(begins), format_duration(ends)
    match shape:
        case Shape.COLLAPSE:
            return (
                f"the rate collapses inside the run: from {high} to {low} after {first}, {where}; "
                "the figure is a mix of both, as where a burst is allowed and then policed"
            )
        case Shape.DIP:
            return (
                f"the rate drops inside the run: to {low} from {first} to {last}, "
                f"{high} before and after, {where}"
            )
        case Shape.CLIMB:
            return (
                f"the rate climbs for long: {low} in the first {last}, {high} from then on, "
                f"{where}; the figure holds the climb, too: measure longer, or leave out more of it"
            )
        case Shape.STALL:
            return (
                f"nothing arrives from {first} to {last} inside the run, {high} otherwise, {where}; "
                "TCP lost so much at once that it waits for its timeout"
            )
