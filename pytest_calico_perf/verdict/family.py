"""Many comparisons, one campaign: chance is counted for all of them together."""

from __future__ import annotations

from dataclasses import replace

from pytest_calico_perf.verdict.decision import Gate


def remaining(gate: Gate, alarms: int) -> Gate:
    """How sure the next comparison of a campaign must be, after so many alarms.

    Holm's procedure (A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979), one
    comparison after the other: of m planned ones, with k alarms so far, the next alarm must be surer than
    `false_alarms` / (m - k). Where m0 of them have nothing to find, all alarms before the first false one are
    true, so k is at most m - m0, and that one had to pass `false_alarms` / m0 or less: any of the m0 does
    with a probability of at most `false_alarms`. So the order does not matter, and how the comparisons depend
    on one another does not either: cells of a campaign share machines and minutes. Holm's own order, by
    chance, is known only when the campaign ends; tests end before.

    Args:
        gate: That of the whole campaign: `comparisons` are all that are planned.
        alarms: Alarms about others that stand.
    """
    return replace(gate, comparisons=max(1, gate.comparisons - alarms))
