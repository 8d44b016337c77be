"""Several runs beside one another, as a plain value: two clusters, or before and after an upgrade.

Runs are not paired: they were measured on other days, maybe elsewhere, so a difference between two of them
is known far less well than one between two modes of a run (`verdict.baseline`). Nothing here is a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from pytest_calico_perf.gate.fingerprint import ClusterFacts, Fingerprint, differences, threaded_iperf3
from pytest_calico_perf.model import Better, Cell, CellResult, Ratio, RunRecord, Summary, Unit
from pytest_calico_perf.report.table import FACTS_PROBE, Verdict, verdict
from pytest_calico_perf.stats import CONFIDENCE, paired_ratio, summarize
from pytest_calico_perf.units import Scale, scale_for
from pytest_calico_perf.verdict.baseline import ratios_to_control, unpaired_estimate

_LARGEST_LOSS = 700.0  # beyond it, exp() is infinite

_OF_FIRST = (
    "of {first}: the run's geometric mean divided by that of {first}, and a 95 % interval. The runs were"
    " measured at different times, so nothing is paired, and two days differ even where nothing changed. By"
    " how much is not known here; the interval supposes, by as much as two rounds do. A folder of baselines"
    " (--calico-baseline-dir) learns it from three runs on, and judges."
)
_OF_HOST = (
    "of host: the value divided by host-to-host of the same round. Its change is what to look at where the"
    " machines differ."
)
_OTHER_PLACE = "The places differ, so that a changed value says more about the machines than about Calico."
_BY_CHANCE = (
    "better, worse: the interval excludes 1. Of the {all} intervals here {excluded} do; if nothing had"
    " changed, up to about {expected} would."
)


@dataclass(frozen=True)
class NamedRun:
    """A run and what it is called here.

    Attributes:
        label: Short and unlike the others': the file's name without its ending.
        record: The run.
    """

    label: str
    record: RunRecord


@dataclass(frozen=True)
class Side:
    """What one run has of a cell.

    Attributes:
        result: The result; None where the run has none: it did not measure the cell, or host-to-host only as
            the control of others.
        summary: Median and interval; None without samples.
        to_host: Ratio to host-to-host of the same rounds.
        change: The geometric mean of its samples divided by the first run's, with an interval for two days
            that differ by as much as two rounds do; None in the first run, and where nothing can be compared.
        change_of_host: The same of the ratios to host-to-host, which travel between clusters.
        obstacle: Why they cannot be compared; empty where they can, or where one of them has no sample.
        is_control: Whether `summary` is of host-to-host as the control beside the first path.
    """

    result: CellResult | None
    summary: Summary | None = None
    to_host: Ratio | None = None
    change: Ratio | None = None
    change_of_host: Ratio | None = None
    obstacle: str = ""
    is_control: bool = False


@dataclass(frozen=True)
class CellRow:
    """A cell in every run, in the order of the runs."""

    cell: Cell
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class RunTable:
    """The cells of one probe.

    Attributes:
        probe: Its name.
        unit: Unit of its samples.
        better: Which direction of them is good.
        rows: Its cells, in the order in which the runs have them.
    """

    probe: str
    unit: Unit
    better: Better
    rows: tuple[CellRow, ...]

    @property
    def scale(self) -> Scale:
        """One prefix and precision for all values of the table."""
        return scale_for(self._summaries, self.unit)

    @property
    def title(self) -> str:
        """`tcp [Gbit/s, higher is better]`; where there is no figure, there is no unit."""
        if not self._summaries:
            return self.probe
        return f"{self.probe} [{self.scale.symbol}, {self.better} is better]"

    @property
    def _summaries(self) -> tuple[Summary, ...]:
        return tuple(side.summary for row in self.rows for side in row.sides if side.summary)


@dataclass(frozen=True)
class Difference:
    """What differs between the first run and another one.

    Attributes:
        label: The other run.
        place: Nodes, processors, wiring: with any of these, values are of other machines.
        software: Kernel, Calico, MTUs, profile.
        unknown: Whether one of the two does not say enough to tell.
    """

    label: str
    place: tuple[str, ...]
    software: tuple[str, ...]
    unknown: bool = False


@dataclass(frozen=True)
class SideBySide:
    """Several runs, compared with the first of them.

    Attributes:
        runs: In the user's order.
        tables: Probe by probe; facts such as a link's speed are left out.
        differences: For each run but the first.
    """

    runs: tuple[NamedRun, ...]
    tables: tuple[RunTable, ...]
    differences: tuple[Difference, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Sentences that say how to read it, and how far to trust it."""
        first = self.runs[0].label
        says = [
            verdict(change, table.better)
            for table in self.tables
            for row in table.rows
            for side in row.sides
            for change in (side.change, side.change_of_host)
            if change and change.low is not None  # of one round there is none
        ]
        changes = any(side.change for table in self.tables for row in table.rows for side in row.sides)
        sentences = ["Values are medians of the rounds with their intervals."]
        if changes:
            sentences += [_OF_FIRST.format(first=first), _OF_HOST]
        if says:
            excluded = sum(each is not Verdict.UNDECIDED for each in says)
            expected = max(1, round(len(says) * (1 - CONFIDENCE)))
            chance = _BY_CHANCE.format(all=len(says), excluded=excluded, expected=expected)
            sentences.append(chance)
        if any(difference.place for difference in self.differences):
            sentences.append(_OTHER_PLACE)
        return tuple(sentences)


def compare(runs: Sequence[NamedRun]) -> SideBySide:
    """Hold every run against the first.

    Args:
        runs: Two or more, with different labels.
    """
    by_run = [{result.cell: result for result in run.record.results} for run in runs]
    cells = dict.fromkeys(cell for results in by_run for cell in results if cell.probe != FACTS_PROBE)
    commands = [_commands(run.record) for run in runs]
    tables = []
    for probe in dict.fromkeys(cell.probe for cell in cells):
        rows = []
        for cell in (cell for cell in cells if cell.probe == probe):
            base = by_run[0].get(cell)
            sides = [_side(None, base, "")]
            for results, command in zip(by_run[1:], commands[1:], strict=True):
                other = _other_command(commands[0].get(probe, ""), command.get(probe, ""))
                sides.append(_side(base, results.get(cell), other))
            if cell.mode is None:
                sides = [
                    _control(probe, results) if side.result is None else side
                    for side, results in zip(sides, by_run, strict=True)
                ]
            rows.append(CellRow(cell, tuple(sides)))
        known = next(side.result for row in rows for side in row.sides if side.result)
        tables.append(RunTable(probe, known.unit, known.better, tuple(rows)))
    return SideBySide(tuple(runs), tuple(tables), tuple(_difference(runs[0], run) for run in runs[1:]))


def _side(base: CellResult | None, result: CellResult | None, other_command: str) -> Side:
    if result is None or not result.samples:
        return Side(result)
    obstacle = (_unlike(base, result) or other_command) if base is not None and base.samples else ""
    comparable = base is not None and bool(base.samples) and not obstacle
    return Side(
        result=result,
        summary=summarize(result.samples),
        to_host=paired_ratio(result.control, result.by_round) if result.cell.path.has_mode else None,
        change=_change(base.samples, result.samples, result.better) if base and comparable else None,
        change_of_host=_change_of_host(base, result) if base and comparable else None,
        obstacle=obstacle,
    )


def _control(probe: str, results: Mapping[Cell, CellResult]) -> Side:
    """Host-to-host of a run in which it was no cell: what it had beside the first path that has a control."""
    controls = (result.control for cell, result in results.items() if cell.probe == probe and result.control)
    found = next(controls, None)
    return Side(None, summarize(list(found.values())), is_control=True) if found else Side(None)


def _change_of_host(base: CellResult, result: CellResult) -> Ratio | None:
    before = ratios_to_control(base.by_round, base.control)
    now = ratios_to_control(result.by_round, result.control)
    return _change(before, now, result.better) if before and now else None


def _change(before: Sequence[float], now: Sequence[float], better: Better) -> Ratio:
    n = min(len(before), len(now))
    estimate = unpaired_estimate(before, now, better)
    if estimate is None:  # a single round has no spread
        return Ratio(_mean(now) / _mean(before), None, None, n)
    low, high = sorted(_ratio_at(loss, better) for loss in estimate.interval(CONFIDENCE))
    return Ratio(_ratio_at(estimate.loss, better), low, high, n)


def _ratio_at(loss: float, better: Better) -> float:
    """A loss as a ratio: it is positive where worse, so its sign turns with the direction."""
    bounded = max(-_LARGEST_LOSS, min(loss, _LARGEST_LOSS))
    return math.exp(-bounded if better is Better.HIGHER else bounded)


def _mean(values: Iterable[float]) -> float:
    logarithms = [math.log(value) for value in values]
    return math.exp(math.fsum(logarithms) / len(logarithms))


def _unlike(base: CellResult, result: CellResult) -> str:
    if (base.unit, base.better) != (result.unit, result.better):
        return f"measured in {base.unit} there, in {result.unit} here"
    there, here = threaded_iperf3(base.details), threaded_iperf3(result.details)
    if None not in (there, here) and there is not here:
        words = {True: "3.16 or later", False: "before 3.16"}
        return f"iperf3 {words[bool(there)]} there, {words[bool(here)]} here"
    return ""


def _commands(record: RunRecord) -> dict[str, str]:
    """Probe -> its command line in short; empty where the record does not say."""
    probes = record.profile.get("probes")
    known = probes if isinstance(probes, dict) else {}
    return {name: str(probe.get("command", "")) for name, probe in known.items() if isinstance(probe, dict)}


def _other_command(there: str, here: str) -> str:
    return f"other parameters: `{there}` there, `{here}` here" if there and here and there != here else ""


def _difference(first: NamedRun, other: NamedRun) -> Difference:
    before, now = _fingerprint(first.record), _fingerprint(other.record)
    if before is None or now is None:
        return Difference(other.label, (), (), unknown=True)
    return Difference(
        other.label, differences(before.place, now.place), differences(before.software, now.software)
    )


def _fingerprint(record: RunRecord) -> Fingerprint | None:
    """None where the facts are not enough, as of a cluster that did not come up."""
    try:
        return Fingerprint.of(ClusterFacts.of(record.cluster), str(record.profile.get("name", "")))
    except ValidationError:
        return None
