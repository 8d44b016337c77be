"""When a cell became slower: change points in the series of its runs, found by Apache Otava.

Otava (E-divisive with Student's t: Fleming et al., Hunter: Using Change Point Detection to Hunt for
Performance Regressions, ICPE 2023) needs some ten runs. It is not among our requirements: its own ones, for
clients of databases and chats, exclude ours (python-dateutil of the kubernetes client). Only the module
`otava.analysis` is imported, which needs numpy and scipy: so `pip install --no-deps` brings it.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_calico_perf.model import Better
from pytest_calico_perf.verdict import Gate

MINIMUM_RUNS = 10
INSTALL = "pip install --no-deps 'apache-otava>=0.8,<0.9'"
# What Otava proposes; a campaign of many cells asks for less (`Gate.chance_level`).
_LARGEST_CHANCE = 0.001
# A stretch of fewer runs is no level that a later one can be held against: one lucky run is not.
_SHORTEST_LEVEL = 3


@dataclass(frozen=True)
class Level:
    """A stretch of runs without a change point.

    Attributes:
        first: Index of its first run.
        runs: How many it has.
        mean: Mean of the logarithms of its values.
    """

    first: int
    runs: int
    mean: float


@dataclass(frozen=True)
class Change:
    """What the series says about the present run.

    Attributes:
        levels: Stretches between change points, in order of time; a single one when nothing changed.
        reference: The best earlier level; the present one when nothing changed.
        loss: How much worse than that the present level is, as a logarithm; negative when better.
        since: Index of the run from which on it has been worse: where the present level begins.
    """

    levels: tuple[Level, ...]
    reference: Level
    loss: float
    since: int


def available() -> bool:
    """Whether Apache Otava is installed."""
    try:
        return importlib.util.find_spec("otava.analysis") is not None
    except ModuleNotFoundError:
        return False


def change(values: Sequence[float], better: Better, gate: Gate) -> Change:
    """Change points in a series of runs, and how the last run's level compares with the best one before.

    With the best and not with the one before: several small steps down are one large one.

    Args:
        values: One value per run (the geometric mean of its samples), in order of time, this run last.
        better: Direction of the probe.
        gate: How sure to be: all series of a run together raise a false alarm in about `false_alarms` of all
            cases.

    Raises:
        ValueError: A value is not positive and finite, or there is none.
    """
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError("a history needs positive, finite values")
    logarithms = [math.log(value) for value in values]
    # Otava tests the best of all places to split at as if it had been the only one: hence "/ len(values)".
    # Measured: tests/unit/gate/test_history.py.
    chance = min(_LARGEST_CHANCE, gate.chance_level / len(values))
    ends = [0, *_change_points(values, chance), len(values)]
    levels = tuple(
        Level(first, end - first, math.fsum(logarithms[first:end]) / (end - first))
        for first, end in pairwise(ends)
    )
    *before, present = levels
    sign = -1.0 if better is Better.HIGHER else 1.0
    long_enough = [level for level in before if level.runs >= _SHORTEST_LEVEL] or before
    reference = min(long_enough, key=lambda level: sign * level.mean, default=present)
    return Change(levels, reference, sign * (present.mean - reference.mean), present.first)


def _change_points(values: Sequence[float], chance: float) -> list[int]:
    from otava.analysis import compute_change_points  # noqa: PLC0415 (optional, and scipy.stats takes a second)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, where a stretch has a single value or no spread
        points, _ = compute_change_points(list(values), window_len=max(30, len(values)), max_pvalue=chance)
    return sorted({int(point.index) for point in points if 0 < point.index < len(values)})
