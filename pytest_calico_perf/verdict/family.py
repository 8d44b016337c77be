"""Many comparisons, one campaign: chance is counted for all of them together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

from pytest_calico_perf.model import Outcome
from pytest_calico_perf.verdict.decision import DEFAULT_GATE, Gate, Judgement

Key = TypeVar("Key", bound=Hashable)


def holm(chances: Mapping[Key, float]) -> dict[Key, float]:
    """Chances corrected so that the probability of any false alarm among them stays below the level.

    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979: the smallest of m
    is multiplied by m, the next by m - 1, ..., and none is smaller than the one before. No assumption about
    how the comparisons depend on one another: cells of a campaign share machines and minutes.
    """
    corrected: dict[Key, float] = {}
    before = 0.0
    ordered = sorted(chances.items(), key=lambda item: item[1])
    for place, (key, chance) in enumerate(ordered):
        before = max(before, min(1.0, chance * (len(ordered) - place)))
        corrected[key] = before
    return {key: corrected[key] for key in chances}


def settle(judgements: Mapping[Key, Judgement], gate: Gate = DEFAULT_GATE) -> dict[Key, Judgement]:
    """The verdicts of a campaign: an alarm that may be chance among so many comparisons is `inconclusive`.

    Every judgement that has a chance is a member of the family, alarm or not. `ok` stays: to overlook is
    bounded by each interval on its own.

    Args:
        judgements: Every comparison of the campaign, under any key.
        gate: `false_alarms` is what the family shares.
    """
    corrected = holm({key: known.chance for key, known in judgements.items() if known.chance is not None})
    return {
        key: _settled(judgement, corrected.get(key), gate.false_alarms)
        for key, judgement in judgements.items()
    }


def _settled(judgement: Judgement, family_chance: float | None, level: float) -> Judgement:
    settled = replace(judgement, family_chance=family_chance)
    if judgement.outcome not in (Outcome.SLOW, Outcome.REGRESSED) or family_chance is None:
        return settled
    if family_chance > level:
        return replace(settled, outcome=Outcome.INCONCLUSIVE, decided=False)
    return replace(settled, decided=True, rounds_needed=None)
