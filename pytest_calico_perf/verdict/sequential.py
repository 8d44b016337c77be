"""Precision instead of a fixed length: rounds are added by a plan that is fixed before the first of them.

Looking at the data after every round and stopping when it looks good raises false alarms: each look is
another throw of the dice. Here the looks are fixed beforehand and the permitted error is spent over them,
so that all of them together err no more often than a single one would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pytest_calico_perf.stats import CONFIDENCE, summarize
from pytest_calico_perf.verdict.decision import MINIMUM_ROUNDS

# Looks lie this factor apart: what narrows with the root of the rounds gains a fifth from look to look.
_GROWTH = 1.5


class Stop(StrEnum):
    """Why no further round is needed."""

    DECIDED = "decided"
    PRECISE = "precise"
    MAXIMUM = "maximum"


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
    the true value at once with `confidence`, so the last one does too, whatever made the campaign stop.
    A single one holds it more often than that.

    Who takes a verdict at a look gives it the look's `share` (`decision.within_tolerance`, `meets_ratio`,
    `threshold.keeps_limit`).

    Attributes:
        looks: Rounds after which to look, rising; the last is the maximum.
        confidence: Of all intervals together.
    """

    looks: tuple[int, ...]
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if not self.looks or sorted(set(self.looks)) != list(self.looks) or self.looks[0] < MINIMUM_ROUNDS:
            raise ValueError(f"looks rise, and begin at {MINIMUM_ROUNDS} rounds or more, not {self.looks}")

    @classmethod
    def up_to(cls, maximum: int, first: int = MINIMUM_ROUNDS) -> Self:
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
        return cls((*looks, maximum))

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

    def confidence_at(self, look: int) -> float:
        """Of an interval at a look, so that those of all looks together have `confidence`.

        Raises:
            ValueError: The plan has no such look.
        """
        return 1 - (1 - self.confidence) * self.share(look)

    def is_precise(self, look: int, by_round: Mapping[int, float], precision: float) -> bool:
        """Whether the median of a cell that is held against nothing is known to `precision` at a look.

        The median's interval has the confidence of the look; where so few rounds cannot give it, it is not
        precise.
        """
        samples = [value for number, value in by_round.items() if number < look]
        if len(samples) < MINIMUM_ROUNDS:
            return False
        confidence = self.confidence_at(look)
        summary = summarize(samples, confidence)
        if summary.confidence is None or summary.confidence < confidence:
            return False
        if summary.low is None or summary.high is None:
            return False
        return (summary.high - summary.low) / 2 <= precision * abs(summary.median)
