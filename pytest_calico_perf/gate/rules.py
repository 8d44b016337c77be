"""Rules: what a person demands of a cell, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pytest_calico_perf.gate.quantities import Quantity
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Ratio, Summary, Verdict
from pytest_calico_perf.units import format_count, format_ratio
from pytest_calico_perf.verdict import (
    MINIMUM_ROUNDS,
    Gate,
    Judgement,
    keeps_limit,
    keeps_mean,
    losses,
    meets_ratio,
    paired_estimate,
)


class Rule(Protocol):
    """One demand; what it is of is another's business."""

    @property
    def text(self) -> str:
        """As a person wrote it: `min: 4 Gbit/s`."""

    @property
    def source(self) -> str:
        """Where it was written."""

    @property
    def compares(self) -> bool:
        """Whether it is a comparison, which shares the error of the run's family."""

    def verdict(
        self, result: CellResult, results: Mapping[Cell, CellResult], gate: Gate, share: float = 1.0
    ) -> Verdict:
        """What it says about a measured cell; arguments as in `judging.Judge`."""


RulesOf = Mapping[Cell, Sequence[Rule]]


@dataclass(frozen=True)
class Limit:
    """A quantity is to keep a limit in its unit.

    Attributes:
        quantity: What is limited.
        limit: The limit, SI.
        text: As it was written.
        source: Where.
    """

    quantity: Quantity
    limit: float
    text: str
    source: str

    compares: ClassVar[bool] = False

    def verdict(
        self,
        result: CellResult,
        results: Mapping[Cell, CellResult],  # noqa: ARG002 - a limit needs no other cell
        gate: Gate,
        share: float = 1.0,
    ) -> Verdict:
        """Held against the interval of the median, or of the mean where the rounds add up."""
        values = self.quantity.values(result)
        if not values:
            told = f"no run told {self.quantity.key}, so there is no verdict on {self.text}"
            return Verdict(self.text, self.source, Outcome.UNSUPPORTED, told)
        judge = keeps_mean if self.quantity.adds_up else keeps_limit
        judgement = judge(values, self.quantity.better, self.limit, gate, share)
        summary = Summary(
            judgement.value, judgement.low, judgement.high, judgement.confidence, judgement.rounds
        )
        what = f"mean {self.quantity.key}" if self.quantity.adds_up else self.quantity.key
        what = what if self.quantity.field else "median"
        told = message(f"{what} {self.quantity.text(summary)}", judgement, self.text, gate)
        return Verdict(self.text, self.source, judgement.outcome, told)


@dataclass(frozen=True)
class RatioTo:
    """The cell divided by another one of its block, round by round, is to keep a ratio.

    Attributes:
        base: The mode it is divided by, on the same path; None for the block's host-to-host control.
        ratio: At least that where higher is better, at most where lower is.
        better: Direction of the probe.
        text: As it was written.
        source: Where.
    """

    base: Mode | None
    ratio: float
    better: Better
    text: str
    source: str

    compares: ClassVar[bool] = True

    def base_cell(self, cell: Cell) -> Cell:
        """What `cell` is divided by."""
        if self.base is None:
            return Cell(cell.probe, Path.HOST_TO_HOST, None)
        return Cell(cell.probe, cell.path, self.base)

    def suits(self, cell: Cell) -> bool:
        """Whether the cell can be divided by it at all: not by itself."""
        return cell.path.has_mode and cell.mode is not self.base

    def verdict(
        self, result: CellResult, results: Mapping[Cell, CellResult], gate: Gate, share: float = 1.0
    ) -> Verdict:
        """Held against the interval of the paired ratio; an alarm that may be chance is none."""
        base, lack = self._base(result, results)
        estimate = paired_estimate(losses(base, result.by_round, self.better).values())
        name = self.base or Path.HOST_TO_HOST
        if not base.keys() & result.by_round.keys():
            told = f"no verdict on {self.text}: {lack}"
            return Verdict(self.text, self.source, Outcome.UNSUPPORTED, told)
        if estimate is None:
            told = f"one round with {name}: no verdict on {self.text} with fewer than {MINIMUM_ROUNDS} rounds"
            return Verdict(self.text, self.source, Outcome.INCONCLUSIVE, told)
        judgement = meets_ratio(estimate, self.better, self.ratio, gate, share)
        ratio = Ratio(judgement.value, judgement.low, judgement.high, judgement.rounds)
        told = message(f"ratio to {name} {format_ratio(ratio)}", judgement, self.text, gate)
        return Verdict(self.text, self.source, judgement.settled, told, compares=True)

    def _base(
        self, result: CellResult, results: Mapping[Cell, CellResult]
    ) -> tuple[Mapping[int, float], str]:
        """The samples divided by, and why there may be none."""
        if self.base is None:
            why = result.details.get("control_problem", "")
            return result.control, f"its host-to-host control has no sample{f' ({why})' if why else ''}"
        other = results.get(self.base_cell(result.cell))
        if other is None:
            return {}, f"{self.base} was not measured"
        why = f": {other.reason}" if other.reason else ""
        return other.by_round, f"{self.base} has no sample of the same rounds ({other.outcome}{why})"


def message(value: str, judgement: Judgement, text: str, gate: Gate) -> str:
    """What a verdict tells: value and interval, rounds, the rule, and what would decide it if nothing did."""
    rounds = format_count(judgement.rounds, "round")
    if judgement.rounds < MINIMUM_ROUNDS:
        return f"{value} over {rounds}: no verdict on {text} with fewer than {MINIMUM_ROUNDS} rounds"
    value = f"{value} over {rounds}"
    if judgement.outcome is Outcome.OK:
        return f"{value} keeps {text}"
    if judgement.settled is Outcome.SLOW:
        return f"{value} misses {text}"
    doubt = "the interval holds the limit"
    if judgement.outcome is Outcome.SLOW:
        among = f"among {gate.comparisons} comparisons " if gate.comparisons > 1 else ""
        doubt = f"it is beyond the limit, but {among}that may be chance"
    return f"{value} does not decide {text}: {doubt}; {advice(judgement)}"


def advice(judgement: Judgement) -> str:
    """How many rounds would probably decide what is open."""
    if judgement.rounds_needed is None:
        return "more rounds would hardly decide it"
    return f"about {judgement.rounds_needed} rounds would probably decide it (80 %)"
