"""A/A: one mode under two names in the same run tells how sharp a comparison of modes can be here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_calico_perf.gate.series import is_fact
from pytest_calico_perf.model import Cell, CellResult, Mode
from pytest_calico_perf.units import format_count, format_percent
from pytest_calico_perf.verdict import MINIMUM_ROUNDS, Gate, floor_from_pairs, losses
from pytest_calico_perf.verdict.decision import DEFAULT_GATE


def note(results: Sequence[CellResult], gate: Gate) -> str:
    """What the A/A pairs of a run say, in a sentence; empty where there is none.

    `current` is the mode of the cluster's own pool. Measured beside that mode by its name, it is the same
    thing twice, on pods of its own: their ratio is 1, and what is seen of it is noise.

    Args:
        results: All of the run.
        gate: How sure verdicts must be. A run that demands nothing, and so makes no comparison, tells what
            one of thirty would find.
    """
    pairs: dict[str, list[tuple[CellResult, CellResult]]] = {}
    for pair in _twins(results):
        pairs.setdefault(pair[0].cell.probe, []).append(pair)
    family = replace(gate, comparisons=max(gate.comparisons, DEFAULT_GATE.comparisons))
    told = [text for probe, found in pairs.items() if (text := _floor(probe, found, family))]
    if not told:
        return ""
    mode = next(iter(pairs.values()))[0][0].cell.mode
    return (
        f"current is {mode} here, so their ratios are noise alone (A/A). In runs like this one, among "
        f"{family.comparisons} comparisons, an expectation closer to 1 than this would mostly be "
        f"inconclusive, and a loss of twice as much is found: {'; '.join(told)}"
    )


def _twins(results: Sequence[CellResult]) -> Iterator[tuple[CellResult, CellResult]]:
    """A mode and `current`, on the same path by the same probe, where the latter is the former."""
    by_cell = {result.cell: result for result in results if result.samples and not is_fact(result.cell)}
    for cell, result in by_cell.items():
        if cell.mode is not Mode.CURRENT:
            continue
        for mode in _modes_of_pools(result.evidence):
            twin = by_cell.get(Cell(cell.probe, cell.path, mode))
            if twin is not None:
                yield twin, result


def _modes_of_pools(evidence: Mapping[str, Any]) -> set[Mode]:
    """The mode of the pool that the two ends' addresses are from: one, or none that is known."""
    pools = [end.get("pool") for key in ("client", "server") if (end := evidence.get(key))]
    modes = {Mode(pool["mode"]) for pool in pools if pool and pool.get("mode") in set(Mode)}
    return modes if len(modes) == 1 else set()


def _floor(probe: str, pairs: Sequence[tuple[CellResult, CellResult]], gate: Gate) -> str:
    """`tcp 4.1 % (2 pairs)`."""
    better = pairs[0][0].better
    found = [list(losses(one.by_round, two.by_round, better).values()) for one, two in pairs]
    rounds = min(map(len, found))
    floor = floor_from_pairs(found, rounds, better, gate, demanded=True)
    if floor is None or rounds < MINIMUM_ROUNDS:
        return ""
    told = format_percent(floor) if math.isfinite(floor) else "none will do"
    return f"{probe} {told} ({format_count(len(pairs), 'pair')})"
