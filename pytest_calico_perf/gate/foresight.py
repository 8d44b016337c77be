"""What a cell will be held against of earlier runs, before anything is measured: for --calico-explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_calico_perf.gate import history
from pytest_calico_perf.gate.earlier import EarlierRun
from pytest_calico_perf.gate.past import Past
from pytest_calico_perf.gate.request import Decides, Request
from pytest_calico_perf.gate.series import Series, is_fact, lacks, other_command
from pytest_calico_perf.model import Cell
from pytest_calico_perf.units import format_percent
from pytest_calico_perf.verdict import Gate, floor_from_history


@dataclass(frozen=True)
class Prospect:
    """A cell that will be measured.

    Attributes:
        cell: Which.
        command: Its probe's command line in short.
        rounds: Rounds it will take, at most.
        series: What of it will be compared: its value, its ratio to host-to-host.
    """

    cell: Cell
    command: str
    rounds: int
    series: tuple[Series, ...]

    def against(
        self, runs: Sequence[EarlierRun], past: Sequence[EarlierRun], request: Request, gate: Gate
    ) -> tuple[str, str]:
        """What is demanded of it, and which run that is from, or why there is none.

        Args:
            runs: What it may be held against, the latest last; at least one.
            past: The runs of the folder, which tell the noise floor.
            request: What was asked for.
            gate: How sure to be.
        """
        if not self.series:
            return "baseline: not compared", "it is what ratios to host-to-host divide by"
        obstacles = [self._obstacle(run) for run in runs]
        fit = [run for run, obstacle in zip(runs, obstacles, strict=True) if not obstacle]
        if not fit:
            return "baseline: none", obstacles[-1]
        asked = request.tolerances.of(self.cell.probe)
        known = [run for run in past if not self._obstacle(run)]
        if is_fact(self.cell):
            chosen = Past(fit[-1], ())
        else:
            chosen = Past.of(known, self.cell, self.series, asked, fit[-1] if request.file else None)
        demand = "baseline: at most " + self._tolerances(chosen, asked, gate)
        if request.decides is Decides.HISTORY:
            demand += f", by change points from {history.MINIMUM_RUNS} runs on"
        count = f", the last of {len(fit)} good runs" if len(fit) > 1 else ""
        if chosen.in_doubt:
            count = f", the last but {chosen.in_doubt} of {len(fit)} good runs"
        return demand, f"{chosen.base.path.name} of {chosen.label}{count}"

    def _obstacle(self, run: EarlierRun) -> str:
        return lacks(run, self.cell) or other_command(run, self.cell.probe, self.command)

    def _tolerances(self, chosen: Past, asked: float, gate: Gate) -> str:
        """`5 % worse`, or as the noise floor has it: `value 8.1 %, ratio to host-to-host 12 % worse`."""
        used = {}
        for series in self.series if not is_fact(self.cell) else ():
            days = [day for run in chosen.days if (day := series.of_run(run, self.cell))]
            rounds = min(self.rounds, len(series.of_run(chosen.base, self.cell)))
            floor = floor_from_history(days, rounds, chosen.base.cells[self.cell].better, gate)
            used[series.name] = asked if floor is None else max(asked, floor)
        if all(tolerance == asked for tolerance in used.values()):
            return f"{format_percent(asked)} worse"
        told = (
            f"{name} {format_percent(tolerance) if math.isfinite(tolerance) else 'anything'}"
            for name, tolerance in used.items()
        )
        return f"{', '.join(told)} worse (the noise floor; {format_percent(asked)} was asked for)"
