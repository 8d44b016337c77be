"""`@pytest.mark.calico_threshold(min="4 Gbit/s")`: what a test demands of its own cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # being installed must cost nothing
    from pytest_calico_perf.gate.rules import Rule
    from pytest_calico_perf.model import Cell

NAME = "calico_threshold"
HELP = (
    f'{NAME}(min="4 Gbit/s", p99="1.5 ms", ratio_to_host=0.9, ratio_to={{"ipip": 1.0}}, ...): what this '
    "test demands of its cells, besides the cluster file's thresholds; keys are spelt with underscores"
)


def own_rules(item: pytest.Item, cell: Cell | None) -> tuple[Rule, ...]:
    """The rules that a test's marks make for its cell; of two about the same, the closer one.

    Raises:
        pytest.UsageError: A mark demands something that cannot be, or of a test without a cell.
    """
    marks = list(item.iter_markers(NAME))
    if not marks:
        return ()
    if cell is None:
        raise pytest.UsageError(f"{item.nodeid}: {NAME} is about a cell, so the test must use calico_cell")
    chosen: dict[str, Rule | None] = {}
    for mark in marks:  # the closest comes first
        if mark.args or not mark.kwargs:
            raise pytest.UsageError(f"{item.nodeid}: the marker is {HELP}")
        for about, rule in _of_mark(item, mark.kwargs, cell).items():
            chosen.setdefault(about, rule)
    return tuple(rule for rule in chosen.values() if rule is not None)


def _of_mark(item: pytest.Item, words: Mapping[str, Any], cell: Cell) -> dict[str, Rule | None]:
    from pytest_calico_perf.gate import limits
    from pytest_calico_perf.gate.rules import RatioTo

    found: dict[str, Rule | None] = {}
    for word, written in words.items():
        key = word.replace("_", "-")
        where = f"{item.nodeid}: {NAME}({word}=...)"
        if key not in limits.keys_of(cell.probe):
            raise pytest.UsageError(f"{where}: {limits.unknown(key, cell.probe)}")
        try:
            made = dict(limits.rules(key, written, cell.probe, f"{item.nodeid}: {NAME}"))
        except limits.Misfit as error:
            raise pytest.UsageError(f"{where}: {error}") from None
        fits = (about for about, rule in made.items() if not isinstance(rule, RatioTo) or rule.suits(cell))
        found |= {about: made[about] for about in fits}
    return found
