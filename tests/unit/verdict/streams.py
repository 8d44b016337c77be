"""A cell that is measured day after day, each run held against those before it as the gate does, and kept if it is good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import numpy as np
from numpy.random import Generator

from pytest_calico_perf.gate.comparison import compare
from pytest_calico_perf.gate.earlier import EarlierCell, EarlierRun
from pytest_calico_perf.gate.fingerprint import ClusterFacts, Fingerprint
from pytest_calico_perf.gate.past import Past
from pytest_calico_perf.gate.series import VALUE
from pytest_calico_perf.model import Cell, Mode, Outcome, Path, Unit
from pytest_calico_perf.verdict.decision import DEFAULT_GATE
from tests.unit.verdict.noise import Array
from tests.unit.verdict.trials import BETTER, TOLERANCE

CELL = Cell("tcp", Path.POD_TO_POD, Mode.BGP)
HERE = Fingerprint.of(ClusterFacts.of({"kind": "lab", "name": "lab", "nodes": [{"name": "node1"}]}), "quick")
ROUNDS = 6
GOOD_RUNS = 20
SLOWER_RUNS = 3

# The logarithms of a run's samples, of which more is better.
Day = Callable[[Generator], Array]


def days_that_differ(by: float, noise: float, disturbed: float = 0.0) -> Day:
    """Days and rounds scatter with these deviations; a share of the days loses 4 to 10 % to something else."""

    def draw(random: Generator) -> Array:
        loss = random.uniform(0.04, 0.10) if random.random() < disturbed else 0.0
        return random.normal(0, by) - loss + random.normal(0, noise, ROUNDS)

    return draw


def changing_level(levels: Sequence[float], noise: float = 0.002) -> list[list[float]]:
    """Runs whose levels are these, each with its rounds."""
    random = np.random.default_rng(5)
    return [(level * np.exp(random.normal(0, noise, ROUNDS))).tolist() for level in levels]


def outcomes(runs: Sequence[Sequence[float]]) -> list[Outcome]:
    """How each run but the first ends; the next are held against those that were kept."""
    kept: list[EarlierRun] = []
    found = []
    for number, samples in enumerate(runs):
        if kept:
            found.append(_against(kept, samples))
        if not found or found[-1] is not Outcome.REGRESSED:
            kept.append(_kept(number, samples))
    return found


@dataclass(frozen=True)
class Stream:
    """Shares of runs: `alarms` of equal ones from the tenth on, `first` and `within_three` of true losses found."""

    alarms: float
    first: float
    within_three: float


def stream(day: Day, trials: int, loss: float = 2 * TOLERANCE, seed: int = 0) -> Stream:
    """Twenty equal runs, then three that have lost as much: twice the tolerance that is asked for."""
    random = np.random.default_rng([seed, trials])
    alarms = equal = first = any_of_three = 0
    for _ in range(trials):
        days = [np.exp(day(random)) for _ in range(GOOD_RUNS + SLOWER_RUNS)]
        runs = [each.tolist() for each in days[:GOOD_RUNS]]
        runs += [(each * (1 - loss)).tolist() for each in days[GOOD_RUNS:]]
        found = [outcome is Outcome.REGRESSED for outcome in outcomes(runs)]
        before, after = found[8 : GOOD_RUNS - 1], found[GOOD_RUNS - 1 :]
        alarms, equal = alarms + sum(before), equal + len(before)
        first, any_of_three = first + after[0], any_of_three + any(after)
    return Stream(alarms / equal, first / trials, any_of_three / trials)


def _kept(number: int, samples: Sequence[float]) -> EarlierRun:
    cell = EarlierCell("ok", Unit.BIT_PER_SECOND, BETTER, dict(enumerate(samples)), {}, None)
    when = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=number)
    return EarlierRun(FilePath(f"{number}.json"), when, HERE, {}, {CELL: cell})


def _against(kept: Sequence[EarlierRun], samples: Sequence[float]) -> Outcome:
    past = Past.of(kept, CELL, (VALUE,), TOLERANCE)
    return compare(
        VALUE.of_run(past.base, CELL),
        samples,
        history=[VALUE.of_run(run, CELL) for run in past.days],
        better=BETTER,
        tolerance=TOLERANCE,
        gate=DEFAULT_GATE,
    ).outcome
