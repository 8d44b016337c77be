"""Precision instead of a fixed number of rounds: when a cell is known well enough, and what to say of it.

The looks and the error they may spend are `verdict.SequentialPlan`'s; docs/how-it-measures.md says what a
user gets of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_calico_perf.model import CellResult
from pytest_calico_perf.units import format_percent, parse_fraction
from pytest_calico_perf.verdict import MINIMUM_ROUNDS, SequentialPlan, Stop, paired_estimate

# Where a precision is asked for and a number of rounds is not: no more than these.
MOST_ROUNDS = 30
# With fewer there is no look before the last round.
FEWEST_ROUNDS = 8
_COARSEST = 0.5
_OFF = ("off", "no", "false", "0")

# Whether the verdicts of a cell need no further round. Given are the result so far, the plan of looks and
# the look that was just reached: whoever takes a verdict here must take it by the look's share of the
# permitted error (`SequentialPlan.share`), or he raises the false alarms of somebody who peeks.
Decided = Callable[[CellResult, SequentialPlan, int], bool]


def never(_result: CellResult, _plan: SequentialPlan, _look: int) -> bool:
    """`Decided` where nothing is to be decided: only the precision counts."""
    return False


@dataclass(frozen=True)
class Stopped:
    """Why a cell whose rounds were not fixed took no more of them.

    Attributes:
        why: Decided, precise, or at the maximum without being either.
        rounds: Rounds that were taken.
        at_most: Rounds it could have taken.
        precision: Half width of the interval that was asked for, as a fraction of the value.
    """

    why: Stop
    rounds: int
    at_most: int
    precision: float

    @property
    def text(self) -> str:
        """One sentence: `known to 2 % after 6 of at most 10 rounds`."""
        what = {
            Stop.DECIDED: "its verdicts were decided",
            Stop.PRECISE: f"known to {format_percent(self.precision)}",
            Stop.MAXIMUM: f"not known to {format_percent(self.precision)}",
        }[self.why]
        return f"{what} after {self.rounds} of at most {self.at_most} rounds"

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {
            "why": str(self.why),
            "rounds": self.rounds,
            "at_most": self.at_most,
            "precision": self.precision,
            "text": self.text,
        }


@lru_cache(maxsize=64)
def looks_up_to(rounds: int) -> SequentialPlan | None:
    """The plan of looks for at most so many rounds; None where they leave no look before the last."""
    return SequentialPlan.up_to(rounds) if rounds >= FEWEST_ROUNDS else None


def is_known(plan: SequentialPlan, look: int, by_round: Mapping[int, float], precision: float) -> bool:
    """Whether a cell's value is known to `precision` at a look.

    It is when the interval of its median, or the t interval of the mean of its logarithms, is at most
    `precision` of the value wide on either side. The median's needs 14 rounds of 30 before order statistics
    can have the confidence that an early look asks for; the mean's can be had from the first look on. Both
    have the confidence of the look, so each of them holds its own true value however often one looks.

    Args:
        plan: The looks.
        look: One of them, just reached.
        by_round: Round -> sample, positive; rounds that were lost are missing.
        precision: Half width asked for, as a fraction of the value.

    Raises:
        ValueError: The plan has no such look, or a sample is not positive.
    """
    if plan.is_precise(look, by_round, precision):
        return True
    logarithms = [math.log(value) for number, value in by_round.items() if number < look]
    estimate = paired_estimate(logarithms)
    if estimate is None or estimate.rounds < MINIMUM_ROUNDS:
        return False
    low, high = estimate.interval(plan.confidence_at(look))
    # exp(high) - exp(low), divided by exp(mean): logarithms of large values stay small that way.
    return (_exp(high - estimate.loss) - _exp(low - estimate.loss)) / 2 <= precision


def parse_precision(value: object) -> float:
    """A precision as a person writes it: `2%`, `0.02`, `off` (0.0).

    Raises:
        ValueError: It is none, or coarser than 50 %; says what would do.
    """
    text = str(value).strip()
    shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
    if text.lower() in _OFF:
        return 0.0
    try:
        fraction = float(text)
    except ValueError:
        fraction = parse_fraction(text[:40])
    if not 0 < fraction <= _COARSEST:
        meant = f", that is {format_percent(fraction)}" if math.isfinite(fraction) and fraction > 0 else ""
        raise ValueError(
            f"{shown}{meant} is no precision: write one above 0 and up to {format_percent(_COARSEST)},"
            " such as '2%', or 'off'"
        )
    return fraction


def _exp(logarithm: float) -> float:
    return math.exp(min(logarithm, 700.0))  # wider than a float is not precise either
