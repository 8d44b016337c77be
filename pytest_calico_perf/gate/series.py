"""What of a cell is compared with an earlier run, and why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_calico_perf.gate.earlier import EarlierCell, EarlierRun
from pytest_calico_perf.gate.fingerprint import threaded_iperf3
from pytest_calico_perf.model import Cell, CellResult, Outcome
from pytest_calico_perf.probes import PROBES
from pytest_calico_perf.verdict import ratios_to_control


@dataclass(frozen=True)
class Series:
    """A quantity of one cell: its value, or its ratio to host-to-host."""

    name: str
    of: Callable[[Mapping[int, float], Mapping[int, float]], tuple[float, ...]]

    def of_run(self, run: EarlierRun, cell: Cell) -> tuple[float, ...]:
        """What an earlier run has of it."""
        return self.of(run.cells[cell].samples, run.cells[cell].control)


VALUE = Series("value", lambda samples, _control: tuple(samples.values()))
RATIO = Series("ratio to host-to-host", ratios_to_control)


def lacks(run: EarlierRun, cell: Cell) -> str:
    """Why an earlier run has nothing of a cell; empty when it has."""
    earlier = run.cells.get(cell)
    if earlier is None:
        return f"the baseline of {run.label} has no such cell"
    # What was measured on another mode's path is kept out of comparisons, whatever a file says it is.
    if not earlier.samples or earlier.outcome == Outcome.WRONG_PATH:
        return f"the baseline of {run.label} has no sample of it: it was {earlier.outcome}"
    return ""


def other_command(run: EarlierRun, probe: str, here: str) -> str:
    """Whether an earlier run's probe had other parameters, in words; empty when not, or not known."""
    there = run.commands.get(probe)
    if there and here and there != here:
        return f"other parameters: `{there}` on {run.label}, `{here}` here"
    return ""


def unlike(earlier: EarlierCell, result: CellResult) -> str:
    """Why samples of two runs are not of the same kind; empty when they are."""
    if (earlier.unit, earlier.better) != (result.unit, result.better):
        return f"it was measured in {earlier.unit} there, in {result.unit} here"
    here = threaded_iperf3(result.details)
    if None not in (earlier.threaded, here) and earlier.threaded is not here:
        words = {True: "3.16 or later", False: "before 3.16"}
        return f"iperf3 {words[bool(earlier.threaded)]} there, {words[bool(here)]} here"
    return ""


def is_fact(cell: Cell) -> bool:
    """Whether the probe reads a fact once, instead of taking samples."""
    return bool(getattr(PROBES.get(cell.probe), "once", False))
