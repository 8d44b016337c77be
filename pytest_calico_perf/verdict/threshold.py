"""Absolute thresholds: `min: 4 Gbit/s`, `p99: 1.5 ms` by the median, `loss: 0.1 %` by the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_calico_perf.model import Better, Outcome, Summary
from pytest_calico_perf.stats import summarize, t_quantile
from pytest_calico_perf.verdict.decision import DEFAULT_GATE, MINIMUM_ROUNDS, Gate, Judgement
from pytest_calico_perf.verdict.estimate import mean_and_variance

# The normal quantiles of 80 % and 97.5 % in proportion: how much narrower the interval must become than
# what just touches the limit, for the next one to be clear of it with a probability of 80 %.
_PROBABLY = 1 + 0.8416 / 1.9600
_MOST_ROUNDS = 1000


def keeps_limit(
    samples: Sequence[float], better: Better, limit: float, gate: Gate = DEFAULT_GATE, share: float = 1.0
) -> Judgement:
    """`slow` when the interval of the median lies wholly on the bad side of `limit`, `ok` on the good side.

    The median and its interval between order statistics (`stats.summarize`), not the mean of logarithms: for
    six to twenty rounds only its coverage is known whatever the noise looks like. A t interval of skewed
    samples misses on the one side more often than it says (a queue that fills in one round of ten moves a
    mean, and thresholds are about the usual), and a loss of 0 has no logarithm. The price is an interval
    about a quarter wider on well-behaved noise, and six rounds before there is any verdict.

    The rounds must come from one distribution for that: of a machine that drifts, the interval covers what
    it had during this run. A threshold relative to host-to-host (`decision.meets_ratio`) is the remedy.

    Args:
        samples: One value per round, in the unit of `limit`; finite.
        better: `higher` makes `limit` a minimum, `lower` a maximum.
        limit: The threshold.
        gate: How sure to be. A threshold is no A/A comparison and no member of the family: each errs on its
            own, `slow` in at most 2.5 % of the cells whose true median is exactly at the limit, and the
            judgement has no `chance`.
        share: Part of the permitted error that may be spent on this look.

    Raises:
        ValueError: There is no sample, or one is not finite.
    """
    confidence = 1 - (1 - gate.confidence) * share
    summary = summarize(samples, confidence)
    # An early look asks for more than so few order statistics may have.
    sure = summary.confidence is not None and summary.confidence >= confidence
    return _held(summary, better, limit, decides=sure)


def keeps_mean(
    samples: Sequence[float], better: Better, limit: float, gate: Gate = DEFAULT_GATE, share: float = 1.0
) -> Judgement:
    """The same for what adds up over the rounds (packets lost, segments sent again): by t of the mean.

    Their median says nothing: where two rounds of ten lose half of their packets, it is 0. A loss in few of
    the rounds widens the interval, so it is `inconclusive` at least. Of events so rare that no round had one,
    nothing is known; that is `ok`.

    Args:
        samples: One value per round, none below 0.
        better: `higher` makes `limit` a minimum, `lower` a maximum.
        limit: The threshold.
        gate: How sure to be; as in `keeps_limit`.
        share: Part of the permitted error that may be spent on this look.

    Raises:
        ValueError: There is no sample.
    """
    if not samples:
        raise ValueError("a mean needs at least one sample")
    n = len(samples)
    mean = math.fsum(samples) / n
    summary = Summary(mean, None, None, None, n)
    if n > 1:
        confidence = 1 - (1 - gate.confidence) * share
        _, variance = mean_and_variance(samples)
        margin = t_quantile(n - 1, confidence) * math.sqrt(variance / n)
        summary = Summary(mean, max(0.0, mean - margin), mean + margin, confidence, n)
    return _held(summary, better, limit)


def _held(summary: Summary, better: Better, limit: float, *, decides: bool = True) -> Judgement:
    """An interval held against a limit."""
    outcome = Outcome.INCONCLUSIVE
    if decides and summary.n >= MINIMUM_ROUNDS:
        outcome = _side(summary, better, limit)
    decided = outcome is not Outcome.INCONCLUSIVE
    return Judgement(
        outcome=outcome,
        value=summary.median,
        low=summary.low,
        high=summary.high,
        confidence=summary.confidence,
        limit=limit,
        rounds=summary.n,
        decided=decided,
        rounds_needed=None if decided else _rounds_needed(summary, limit),
    )


def _side(summary: Summary, better: Better, limit: float) -> Outcome:
    assert summary.low is not None
    assert summary.high is not None
    worst, best = (summary.low, summary.high) if better is Better.HIGHER else (-summary.high, -summary.low)
    bound = limit if better is Better.HIGHER else -limit
    if best < bound:
        return Outcome.SLOW
    return Outcome.OK if worst >= bound else Outcome.INCONCLUSIVE


def _rounds_needed(summary: Summary, limit: float) -> int | None:
    """Rounds after which the interval, narrowing with their root, would be clear of the limit."""
    fewest = max(summary.n + 1, MINIMUM_ROUNDS)
    if summary.low is None or summary.high is None or summary.n < MINIMUM_ROUNDS:
        # So few samples say nothing about the spread.
        return fewest
    distance = abs(summary.median - limit)
    if distance == 0:
        return None
    towards = summary.high - summary.median if limit > summary.median else summary.median - summary.low
    narrower = _PROBABLY * towards / distance
    needed = math.ceil(min(_MOST_ROUNDS + 1, summary.n * narrower * narrower))  # ** would overflow
    return max(needed, fewest) if needed <= _MOST_ROUNDS else None
