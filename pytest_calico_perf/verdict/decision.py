"""Decision by interval: on the bad side, on the good side, or not known yet."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from pytest_calico_perf.model import Better, Outcome
from pytest_calico_perf.stats import CONFIDENCE
from pytest_calico_perf.verdict.estimate import Estimate

# Of five rounds not even smallest-to-largest holds the median with 95 %: it misses on each side in 1/2^5 of
# all cases. A t interval of so few values hangs on their noise being normal.
MINIMUM_ROUNDS = 6
# More than that nobody waits for: then the answer is "not by more rounds".
_MOST_ROUNDS = 1000
# Normal quantile of 80 %: what "probably" means in "would probably be decided".
_PROBABLY = 0.8416
_LARGEST_LOGARITHM = math.log(sys.float_info.max)


@dataclass(frozen=True)
class Gate:
    """How sure a verdict must be.

    Attributes:
        confidence: Coverage of the interval each verdict is taken by.
        false_alarms: Probability, at most, that a campaign in which nothing differs raises any alarm.
        comparisons: How many comparisons the campaign plans; they share `false_alarms`.
    """

    confidence: float = CONFIDENCE
    false_alarms: float = 0.01
    comparisons: int = 30

    @property
    def chance_level(self) -> float:
        """What chance must fall to for an alarm, whatever the other comparisons say (Bonferroni)."""
        return self.false_alarms / self.comparisons


DEFAULT_GATE = Gate()


@dataclass(frozen=True)
class Judgement:
    """A verdict and all that its message says.

    Attributes:
        outcome: `ok`, `slow`, `regressed` or `inconclusive`.
        value: Ratio of current to base, or the median in its unit.
        low: Lower end of the interval the verdict was taken by; None when there is none.
        high: Upper end of it.
        confidence: Coverage of the interval.
        limit: What the interval was held against, on the scale of `value`.
        rounds: Rounds it rests on.
        decided: Whether more rounds are not wanted: the interval decides, and an alarm is none that chance
            could raise among so many comparisons.
        rounds_needed: When not decided, how many rounds in all would do with a probability of 80 %, judged by
            the spread seen so far; None when no sensible number would.
        chance: How probable a value as bad as this is if nothing is wrong, corrected for the looks taken so
            far; None for an absolute threshold, which is no comparison.
    """

    outcome: Outcome
    value: float
    low: float | None
    high: float | None
    confidence: float | None
    limit: float
    rounds: int
    decided: bool
    rounds_needed: int | None = None
    chance: float | None = None

    @property
    def settled(self) -> Outcome:
        """The outcome; an alarm that may be chance among so many comparisons is `inconclusive`."""
        alarmed = self.outcome in (Outcome.SLOW, Outcome.REGRESSED)
        return Outcome.INCONCLUSIVE if alarmed and not self.decided else self.outcome


def within_tolerance(
    estimate: Estimate, better: Better, tolerance: float, gate: Gate = DEFAULT_GATE, share: float = 1.0
) -> Judgement:
    """`regressed` when the interval lies wholly beyond the tolerance, `ok` when wholly within it.

    Two questions are asked, and `regressed` needs both: is the loss larger than what is tolerated (the
    interval, for this comparison alone), and can it be chance (a test against *no loss*, corrected for all
    comparisons of the campaign: `family`)? So an A/A campaign raises an alarm in at most
    `gate.false_alarms` of all cases, however noisy, and a real loss need not be proven beyond the tolerance
    with the certainty that thirty comparisons ask for. A margin beside the test is also what BenchmarkDotNet
    (equivalence threshold) and criterion.rs (noise threshold) have.

    Args:
        estimate: The loss.
        better: Direction of the probe; the ratios of the judgement are current divided by base.
        tolerance: Tolerated loss as a fraction of the base: 0.05 lets bandwidth fall to 0.95 and latency rise
            to 1.05 of it. At least 0; below 1 where higher is better, else finite.
        gate: How sure to be.
        share: Part of the permitted error that may be spent on this look; 1 with a single look.

    Raises:
        ValueError: The tolerance is not a fraction.
    """
    if not 0 <= tolerance < (1 if better is Better.HIGHER else math.inf):
        raise ValueError(f"a tolerance is a fraction such as 0.05, not {tolerance}")
    limit = loss_at(1 - tolerance if better is Better.HIGHER else 1 + tolerance, better)
    return _judge(estimate, better, limit, 0.0, bad=Outcome.REGRESSED, gate=gate, share=share)


def meets_ratio(
    estimate: Estimate, better: Better, ratio: float, gate: Gate = DEFAULT_GATE, share: float = 1.0
) -> Judgement:
    """`slow` when the interval lies wholly on the bad side of a demanded ratio, `ok` when on the good side.

    For thresholds such as `ratio-to-host: 0.9` and expectations such as `bgp >= ipip * 1.0`. Here nothing is
    wrong when the true ratio is the demanded one, so chance is counted from there. A demand that stands for
    itself needs no family: `Gate(false_alarms=0.025, comparisons=1)` decides by the interval alone.

    Args:
        estimate: The loss against what is divided by.
        better: Direction of the probe: `higher` demands at least `ratio`, `lower` at most.
        ratio: Demanded ratio of current to base; positive.
        gate: How sure to be.
        share: Part of the permitted error that may be spent on this look.

    Raises:
        ValueError: The ratio is not positive and finite.
    """
    limit = loss_at(ratio, better)
    return _judge(estimate, better, limit, limit, bad=Outcome.SLOW, gate=gate, share=share)


def loss_at(ratio: float, better: Better) -> float:
    """The loss that a ratio of current to base means.

    Raises:
        ValueError: The ratio is not positive and finite.
    """
    if not 0 < ratio < math.inf:
        raise ValueError(f"a ratio is positive and finite, not {ratio}")
    return -math.log(ratio) if better is Better.HIGHER else math.log(ratio)


def ratio_at(loss: float, better: Better) -> float:
    """The ratio of current to base that a loss means; finite."""
    logarithm = -loss if better is Better.HIGHER else loss
    return math.exp(min(logarithm, _LARGEST_LOGARITHM))


def _judge(
    estimate: Estimate,
    better: Better,
    limit: float,
    innocent: float,
    *,
    bad: Outcome,
    gate: Gate,
    share: float,
) -> Judgement:
    confidence = 1 - (1 - gate.confidence) * share
    low, high = estimate.interval(confidence)
    chance = min(1.0, estimate.chance(innocent) / share)
    if estimate.rounds < MINIMUM_ROUNDS:
        outcome = Outcome.INCONCLUSIVE
    elif low > limit:
        outcome = bad
    elif high <= limit:
        outcome = Outcome.OK
    else:
        outcome = Outcome.INCONCLUSIVE
    decided = outcome is Outcome.OK or (outcome is bad and chance <= gate.chance_level)
    ends = sorted((ratio_at(low, better), ratio_at(high, better)))
    return Judgement(
        outcome=outcome,
        value=ratio_at(estimate.loss, better),
        low=ends[0],
        high=ends[1],
        confidence=confidence,
        limit=ratio_at(limit, better),
        rounds=estimate.rounds,
        decided=decided,
        rounds_needed=None if decided else _rounds_needed(estimate, limit, innocent, gate, share),
        chance=chance,
    )


def _rounds_needed(estimate: Estimate, limit: float, innocent: float, gate: Gate, share: float) -> int | None:
    """Fewest rounds after which the verdict that the estimate points to is reached with probability 80 %."""
    confidence = 1 - (1 - gate.confidence) * share
    certainty = 1 - 2 * gate.chance_level * share

    def decides(rounds: int) -> bool:
        known = estimate.after(rounds)
        luck = _PROBABLY * known.error
        if estimate.loss <= limit:
            return known.interval(confidence)[1] + luck <= limit
        return known.interval(confidence)[0] - luck > limit and known.interval(certainty)[0] - luck > innocent

    # An open verdict needs at least one round more; what decides at n decides at every larger n.
    low, high = max(estimate.rounds + 1, MINIMUM_ROUNDS), _MOST_ROUNDS
    if low > high or not decides(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle + 1, high)
    return low
