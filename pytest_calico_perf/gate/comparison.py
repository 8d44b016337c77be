"""One cell against an earlier run of it: the value and its ratio to host-to-host, each with its tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_calico_perf.model import Better, Outcome, Ratio
from pytest_calico_perf.units import format_count, format_percent, format_ratio
from pytest_calico_perf.verdict import (
    MINIMUM_ROUNDS,
    Gate,
    Judgement,
    between_runs,
    floor_from_history,
    smallest_tolerance,
    unpaired_estimate,
    within_tolerance,
)
from pytest_calico_perf.verdict.decision import ratio_at

DEFAULT_TOLERANCE = 0.05


@dataclass(frozen=True)
class Tolerances:
    """Tolerated losses as fractions, before the noise floor is looked at.

    Attributes:
        usual: For probes without one of their own.
        by_probe: Probe -> its own.
    """

    usual: float = DEFAULT_TOLERANCE
    by_probe: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, probe: str) -> float:
        """The tolerance of a probe."""
        return self.by_probe.get(probe, self.usual)


@dataclass(frozen=True)
class Comparison:
    """A cell's samples, or its ratios to host-to-host, held against those of an earlier run.

    Attributes:
        judgement: The verdict; None where there is none (too few samples, or too much noise).
        tolerance: Tolerated loss that was used: the larger one of what was asked for and the floor.
        asked: Tolerated loss that was asked for.
        history: Runs the floor was learnt from; 0 when only the two runs' own spread is known.
        comparisons: Among how many it had to be no chance.
        why_not: Why there is no verdict; empty when there is one.
    """

    judgement: Judgement | None
    tolerance: float
    asked: float
    history: int
    comparisons: int = 1
    why_not: str = ""

    @property
    def outcome(self) -> Outcome:
        """The judgement's; `inconclusive` where there is none."""
        return self.judgement.settled if self.judgement else Outcome.INCONCLUSIVE

    def text(self) -> str:
        """`0.872 (0.841 to 0.904), tolerated down to 0.950`, and why the tolerance is wider."""
        judgement = self.judgement
        if judgement is None:
            return self.why_not
        ratio = format_ratio(Ratio(judgement.value, judgement.low, judgement.high, judgement.rounds))
        bound = "down to" if judgement.limit < 1 else "up to"
        limit = format_ratio(Ratio(judgement.limit, None, None, judgement.rounds))
        text = f"{ratio}, tolerated {bound} {limit}"
        if self.tolerance > self.asked:
            known = f"{self.history} runs" if self.history else "the two runs"
            floor, asked = format_percent(self.tolerance), format_percent(self.asked)
            text += f" (the noise floor of {known}, {floor}, is wider than {asked})"
        return text

    @property
    def what_would_decide(self) -> str:
        """Of an open verdict: how many rounds would probably decide it, or what would instead."""
        if self.judgement is None and math.isfinite(self.tolerance):
            return ""
        if self.judgement is not None and self.judgement.rounds_needed is not None:
            what = f"{self.judgement.rounds_needed} would probably decide it"
        elif self.history:
            what = "more would not decide it, since runs of this cell differ by as much"
        else:
            what = "more would not decide it, a history of three runs would (--calico-baseline-dir)"
        if self.judgement is not None and self.judgement.outcome is Outcome.REGRESSED:
            among = f"among {self.comparisons} comparisons " if self.comparisons > 1 else ""
            what += f": beyond what is tolerated, but {among}that may be chance"
        return what


def compare(
    base: Sequence[float],
    current: Sequence[float],
    *,
    history: Sequence[Sequence[float]],
    better: Better,
    tolerance: float,
    gate: Gate,
    share: float = 1.0,
    planned: int = 0,
) -> Comparison:
    """Hold `current` against `base`, with what the history says about days.

    The tolerance is never tighter than the noise floor (`verdict.floor`): of the history where it has three
    runs, else of the two runs' own spread, a day being taken to shift a run as much as a round is shifted.

    Args:
        base: Samples, or ratios to host-to-host, of the earlier run; positive.
        current: The same of this run.
        history: The same of every known run under the same conditions, `base` among them.
        better: Direction of the probe.
        tolerance: Tolerated loss that was asked for, as a fraction.
        gate: How sure to be, and among how many comparisons.
        share: Part of the permitted error that may be spent on this look.
        planned: Rounds that `current` may take. The floor is that of so many, or the first look, with few of
            them, would be held against the widest tolerance.
    """
    between = between_runs(history)
    estimate = unpaired_estimate(base, current, better, between)
    rounds = min(len(base), len(current))
    known = between.runs if between else 0
    if len(base) < MINIMUM_ROUNDS:
        has = format_count(len(base), "round")
        why = f"the baseline has {has}, at least {MINIMUM_ROUNDS} are needed: make a new one"
        return Comparison(None, tolerance, tolerance, known, why_not=why)
    if estimate is None:
        why = f"{format_count(len(current), 'round')} in this run, at least {MINIMUM_ROUNDS} are needed"
        return Comparison(None, tolerance, tolerance, known, why_not=why)
    most = min(len(base), max(len(current), planned))
    floor = floor_from_history(history, most, better, gate) if between else None
    if floor is None:
        floor = smallest_tolerance(estimate.error, estimate.degrees, better, gate)
    used = max(tolerance, floor)
    if not math.isfinite(used):
        low, high = sorted(ratio_at(loss, better) for loss in estimate.interval(gate.confidence))
        ratio = Ratio(ratio_at(estimate.loss, better), low, high, rounds)
        why = f"{format_ratio(ratio)}, which is too noisy for any tolerance"
        return Comparison(None, used, tolerance, known, why_not=why)
    judgement = within_tolerance(estimate, better, used, gate, share)
    return Comparison(judgement, used, tolerance, known, gate.comparisons)
