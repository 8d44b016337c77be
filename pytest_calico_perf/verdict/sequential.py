"""Precision instead of a fixed length: rounds are added by a plan that is fixed before the first of them.

Looking at the data after every round and stopping when it looks good raises false alarms: each look is
another throw of the dice. Here the looks are fixed beforehand and the permitted error is spent over them,
so that all of them together err no more often than a single one would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.stats import summarize
from pytest_calico_perf.verdict.decision import (
    DEFAULT_GATE,
    MINIMUM_ROUNDS,
    Gate,
    Judgement,
    meets_ratio,
    within_tolerance,
)
from pytest_calico_perf.verdict.estimate import paired_estimate
from pytest_calico_perf.verdict.threshold import keeps_limit

# Values of the rounds so far and the share of the error that this look may spend -> verdict, or None where
# there are too few values for one.
Judge = Callable[[Sequence[float], float], Judgement | None]

# Looks lie this factor apart: what narrows with the root of the rounds gains a fifth from look to look.
_GROWTH = 1.5


class Stop(StrEnum):
    """Why no further round is needed."""

    DECIDED = "decided"
    PRECISE = "precise"
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class Step:
    """What a look says.

    Attributes:
        stop: Why to stop; None to go on to the next look.
        judgement: The verdict so far, by the repeated confidence interval; None with too few values.
    """

    stop: Stop | None
    judgement: Judgement | None


@dataclass(frozen=True)
class SequentialPlan:
    """The looks of a campaign and how its permitted error is shared among them.

    Spending follows Lan and DeMets (Discrete sequential boundaries for clinical trials, Biometrika 1983) with
    the power family of Kim and DeMets (Biometrika 1987): after a fraction t of the rounds, t^2 of the error
    has been spent. O'Brien and Fleming's shape spends so little early (5 in 10^7 after 6 of 30 rounds) that
    Student's t with five degrees of freedom would hardly ever stop; the square lets a clear case go early and
    keeps half of the error for the last look.

    What a look may spend is used as its own error level. That is a union bound: the looks together err at
    most as often as the shares add up to, exactly, for t with few degrees of freedom as well, whatever the
    correlation between the looks. The boundaries of the joint normal distribution (Jennison and Turnbull,
    Group Sequential Methods, ch. 19) would be up to 7 % narrower, and for so few rounds only approximately
    true.

    The interval of a look is a repeated confidence interval (Jennison and Turnbull, ch. 9): all of them hold
    the true value at once with `gate.confidence`, so the last one does too, whatever made the campaign stop.
    A single one holds it more often than that.

    Attributes:
        looks: Rounds after which to look, rising; the last is the maximum.
        gate: How sure verdicts must be, over all looks and comparisons.
    """

    looks: tuple[int, ...]
    gate: Gate = DEFAULT_GATE

    def __post_init__(self) -> None:
        if not self.looks or sorted(set(self.looks)) != list(self.looks) or self.looks[0] < MINIMUM_ROUNDS:
            raise ValueError(f"looks rise, and begin at {MINIMUM_ROUNDS} rounds or more, not {self.looks}")

    @classmethod
    def up_to(cls, maximum: int, first: int = 6, gate: Gate = DEFAULT_GATE) -> Self:
        """Looks from `first` rounds to `maximum`, each half as many again: 6, 9, 14, 21, 30.

        Raises:
            ValueError: The maximum is below the six rounds that any verdict needs.
        """
        looks: list[int] = []
        look = first
        # One that comes shortly before the maximum would cost error and save next to nothing.
        while look * 1.2 <= maximum:
            looks.append(look)
            look = math.ceil(look * _GROWTH)
        return cls((*looks, maximum), gate)

    @property
    def maximum(self) -> int:
        """Rounds after which it ends in any case."""
        return self.looks[-1]

    def next_look(self, rounds: int) -> int | None:
        """The next look after `rounds` rounds; None when the maximum is reached."""
        return next((look for look in self.looks if look > rounds), None)

    def share(self, look: int) -> float:
        """The part of the permitted error that is spent at a look; over all looks they add up to 1.

        Raises:
            ValueError: The plan has no such look.
        """
        place = self.looks.index(look)
        before = self.looks[place - 1] if place else 0
        return (look**2 - before**2) / self.maximum**2

    def decide(
        self, look: int, by_round: Mapping[int, float], judge: Judge, precision: float | None = None
    ) -> Step:
        """Whether to stop at a look, and the verdict.

        Args:
            look: A look of this plan, just reached.
            by_round: Round number (from 0) -> loss or sample; rounds that failed are missing.
            judge: How to judge them: `tolerance_judge`, `ratio_judge` or `limit_judge`.
            precision: Stop as well when the interval's half width is at most this fraction of the value.

        Raises:
            ValueError: The plan has no such look.
        """
        judged = {
            at: judge([value for number, value in by_round.items() if number < at], self.share(at))
            for at in self.looks[: self.looks.index(look) + 1]
        }
        judgement = judged[look]
        last = Stop.MAXIMUM if look == self.maximum else None
        if judgement is None:
            return Step(last, None)
        # The evidence of an earlier look stands: each was given its share, and chance had to pass them all.
        chances = [known.chance for known in judged.values() if known and known.chance is not None]
        chance = min(chances, default=None)
        decided = judgement.decided or (
            judgement.outcome in (Outcome.SLOW, Outcome.REGRESSED)
            and chance is not None
            and chance <= self.gate.chance_level
        )
        judgement = replace(
            judgement,
            chance=chance,
            decided=decided,
            rounds_needed=None if decided else judgement.rounds_needed,
        )
        if decided:
            return Step(Stop.DECIDED, judgement)
        if precision is not None and _is_precise(judgement.low, judgement.value, judgement.high, precision):
            return Step(Stop.PRECISE, judgement)
        return Step(last, judgement)

    def is_precise(self, look: int, by_round: Mapping[int, float], precision: float) -> bool:
        """Whether the median of a cell that is held against nothing is known to `precision` at a look.

        The median's interval has the confidence of the look; where so few rounds cannot give it, it is not
        precise.
        """
        samples = [value for number, value in by_round.items() if number < look]
        if len(samples) < MINIMUM_ROUNDS:
            return False
        confidence = 1 - (1 - self.gate.confidence) * self.share(look)
        summary = summarize(samples, confidence)
        if summary.confidence is None or summary.confidence < confidence:
            return False
        return _is_precise(summary.low, summary.median, summary.high, precision)


def tolerance_judge(better: Better, tolerance: float, gate: Gate = DEFAULT_GATE) -> Judge:
    """Judges losses by `decision.within_tolerance`."""

    def judge(values: Sequence[float], share: float) -> Judgement | None:
        estimate = paired_estimate(values)
        return within_tolerance(estimate, better, tolerance, gate, share) if estimate else None

    return judge


def ratio_judge(better: Better, ratio: float, gate: Gate = DEFAULT_GATE) -> Judge:
    """Judges losses by `decision.meets_ratio`."""

    def judge(values: Sequence[float], share: float) -> Judgement | None:
        estimate = paired_estimate(values)
        return meets_ratio(estimate, better, ratio, gate, share) if estimate else None

    return judge


def limit_judge(better: Better, limit: float, gate: Gate = DEFAULT_GATE) -> Judge:
    """Judges samples by `threshold.keeps_limit`."""

    def judge(values: Sequence[float], share: float) -> Judgement | None:
        return keeps_limit(values, better, limit, gate, share) if values else None

    return judge


def _is_precise(low: float | None, value: float, high: float | None, precision: float) -> bool:
    return low is not None and high is not None and (high - low) / 2 <= precision * abs(value)
