"""Of the earlier runs of a cell: which it is held against, and which say how days differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_calico_perf.gate.earlier import EarlierRun
from pytest_calico_perf.gate.fingerprint import differences
from pytest_calico_perf.gate.series import Series
from pytest_calico_perf.model import Cell
from pytest_calico_perf.verdict import MINIMUM_ROUNDS, last_standing
from pytest_calico_perf.verdict.baseline import MINIMUM_RUNS as MINIMUM_DAYS
from pytest_calico_perf.verdict.baseline import mean_of_run
from pytest_calico_perf.verdict.standing import RUNS


@dataclass(frozen=True)
class Past:
    """What a cell is held against, of runs that may be.

    Attributes:
        base: The run it is compared with.
        days: Runs that say how days differ, in order of time; fewer than three say nothing.
        in_doubt: How many runs after `base` are passed over (`verdict.standing`).
    """

    base: EarlierRun
    days: tuple[EarlierRun, ...]
    in_doubt: int = 0

    @property
    def label(self) -> str:
        """When the baseline was, and what is passed over: `2026-11-20 14:40 UTC (a later run in doubt)`."""
        if not self.in_doubt:
            return self.base.label
        later = "a later run" if self.in_doubt == 1 else f"{self.in_doubt} later runs"
        return f"{self.base.label} ({later} in doubt)"

    @classmethod
    def of(
        cls,
        runs: Sequence[EarlierRun],
        cell: Cell,
        series: Sequence[Series],
        tolerance: float,
        file: EarlierRun | None = None,
    ) -> Past:
        """The last run that stands is the baseline; it and those before it say how days differ.

        Of runs that lost rounds, or their control, none is a baseline while another has enough of all series.

        Args:
            runs: Those of the folder, in order of time, each with comparable samples of the cell; at least
                one where there is no file.
            cell: Which.
            series: What of it is compared.
            tolerance: Tolerated loss that was asked for, as a fraction.
            file: The run to be held against, whatever the folder says.
        """
        whole = [run for run in runs if all(len(each.of_run(run, cell)) >= MINIMUM_ROUNDS for each in series)]
        runs = whole or runs
        means = [[_mean(each, run, cell) for run in runs] for each in series]
        last = last_standing(means, runs[-1].cells[cell].better, tolerance) if runs else -1
        until = runs[: last + 1]
        if file is not None:
            return cls(file, _days(file, until))
        return cls(runs[last], _days(runs[last], until), len(runs) - 1 - last)


def _days(base: EarlierRun, runs: Sequence[EarlierRun]) -> tuple[EarlierRun, ...]:
    """The newest runs on the baseline's software, where there are three: an upgrade is no scatter of days."""
    alike = [run for run in runs if not differences(run.fingerprint.software, base.fingerprint.software)]
    return tuple((alike if len(alike) >= MINIMUM_DAYS else runs)[-RUNS:])


def _mean(series: Series, run: EarlierRun, cell: Cell) -> float:
    samples = series.of_run(run, cell)
    return mean_of_run(samples) if samples else math.nan
