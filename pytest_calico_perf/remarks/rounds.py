"""Rounds that do not belong together: two groups with nothing between, one far away, some without a value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_calico_perf.model import CellResult, Unit
from pytest_calico_perf.parsing import mappings, one_line
from pytest_calico_perf.remarks.runs import number
from pytest_calico_perf.units import format_column

# By these limits each rule flags fewer than 1 % of unimodal cells, be their noise normal, uniform,
# exponential or lognormal, small or large, and the first one with Student's heavy tails, too: far ones are
# what the second looks for (tests/unit/test_remarks_rounds.py simulates them).
_GROUPED_ROUNDS = 8  # fewer do not tell two groups from chance
_SMALLEST_GROUP = 3
_GAP = 3.0  # times the spread of either group
_GROUPS_DIFFER = 1.1  # a factor: below it nobody cares
_ODD_ROUNDS = 8
_FAR = 4.0  # times the spread of all others
_ODD_DIFFERS = 1.5  # a factor

# Seconds by which round-trip times may differ for no other reason than how deeply which CPU sleeps: a
# server's deepest state takes this long to leave (exit_latency in drivers/idle/intel_idle.c).
_WAKING = 1e-4


def two_groups(result: CellResult) -> Iterator[str]:
    """The rounds fall into two groups: a mean of both describes none of them."""
    samples = result.samples
    split = gap_between_groups(samples)
    if split is None:
        return
    ordered = sorted(samples)
    low, high = ordered[:split], ordered[split:]
    if _hardly_differ(low[-1], high[0], result.unit):
        return
    slow_from, slow_to, fast_from, fast_to = format_column((low[0], low[-1], high[0], high[-1]), result.unit)
    text = (
        f"the rounds fall into two groups: {len(low)} at {slow_from} to {slow_to}, "
        f"{len(high)} at {fast_from} to {fast_to}, none between"
    )
    turn = _turn(samples, low[-1])
    if turn is None:
        yield f"{text}; two paths, two queues or two CPU frequencies take turns"
    else:
        yield f"{text}; they change sides for good after round {result.rounds[turn - 1] + 1}"


def gap_between_groups(samples: Sequence[float]) -> int | None:
    """How many of the sorted samples are in the lower of two groups; None where there are not two.

    Each group has at least three rounds and a fifth of all, and the gap between them (of logarithms, as
    ratios count) is at least three times as wide as the wider of both.
    """
    rounds = len(samples)
    if rounds < _GROUPED_ROUNDS or min(samples) <= 0:
        return None
    smallest = max(_SMALLEST_GROUP, math.ceil(rounds / 5))
    logs = sorted(map(math.log, samples))
    split = max(range(smallest, rounds - smallest + 1), key=lambda k: logs[k] - logs[k - 1])
    gap = logs[split] - logs[split - 1]
    widest = max(logs[split - 1] - logs[0], logs[-1] - logs[split])
    return split if gap >= max(math.log(_GROUPS_DIFFER), _GAP * widest) else None


def _hardly_differ(one: float, other: float, unit: Unit) -> bool:
    return unit is Unit.SECOND and abs(one - other) < _WAKING


def _turn(samples: Sequence[float], highest_low: float) -> int | None:
    """The number of samples before all change sides for good; None when they go to and fro."""
    sides = [sample <= highest_low for sample in samples]
    turns = [index for index in range(1, len(sides)) if sides[index] is not sides[index - 1]]
    return turns[0] if len(turns) == 1 else None


def odd_round(result: CellResult) -> Iterator[str]:
    """One round is far from all others."""
    index = far_from_others(result.samples)
    if index is None:
        return
    others = sorted(sample for place, sample in enumerate(result.samples) if place != index)
    value = result.samples[index]
    if _hardly_differ(value, others[0] if value < others[0] else others[-1], result.unit):
        return
    odd, least, most = format_column((value, others[0], others[-1]), result.unit)
    yield (
        f"round {result.rounds[index] + 1} is far from the others: {odd} against {least} to {most}; "
        "something else happened in it"
    )


def far_from_others(samples: Sequence[float]) -> int | None:
    """Index of the one sample that is far from all others; None where there is none.

    Its distance to the nearest (of logarithms) is at least four times the spread of all others, and a
    factor of 1.5.
    """
    if len(samples) < _ODD_ROUNDS or min(samples) <= 0:
        return None
    logs = sorted(map(math.log, samples))
    below, above = logs[1] - logs[0], logs[-1] - logs[-2]
    distance, spread = (below, logs[-1] - logs[1]) if below > above else (above, logs[-2] - logs[0])
    if distance < max(math.log(_ODD_DIFFERS), _FAR * spread):
        return None
    return samples.index(min(samples) if below > above else max(samples))


def lost_rounds(result: CellResult) -> Iterator[str]:
    """Some rounds gave no value: failed requests, a dead server."""
    lost = result.details.get("lost_rounds")
    counting = [entry for entry in mappings(lost) if (number(entry.get("round")) or 0) >= 0]
    if counting:
        rounds = len(result.samples) + len(counting)
        reason = one_line(counting[-1].get("reason"), 300)
        yield f"{len(counting)} of {rounds} rounds gave no value: {reason}"
