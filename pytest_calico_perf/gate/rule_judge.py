"""Thresholds and expectations of a run, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from pytest_calico_perf.gate.expectations import Expectation
from pytest_calico_perf.gate.rules import RatioTo, Rule, RulesOf
from pytest_calico_perf.gate.thresholds import Thresholds
from pytest_calico_perf.model import Cell, CellResult, Verdict
from pytest_calico_perf.verdict import Gate


class RuleJudge:
    """Which rule each cell got, and what it says.

    Args:
        thresholds: By probe, path and mode.
        expectations: Mode against mode.
        cells: The cells of the run. A rule that holds one of them against a cell that is not among them
            cannot be kept or missed in this run: `notes` tells of it.
    """

    def __init__(
        self, thresholds: Thresholds, expectations: Sequence[Expectation], cells: Collection[Cell]
    ) -> None:
        self._rules: dict[Cell, tuple[Rule, ...]] = {}
        left_out: list[RatioTo] = []
        met: set[Expectation] = set()
        for cell in cells:
            kept: list[Rule] = []
            for rule in _demands(cell, thresholds, expectations, met):
                if isinstance(rule, RatioTo) and rule.base and rule.base_cell(cell) not in cells:
                    left_out.append(rule)
                else:
                    kept.append(rule)
            self._rules[cell] = tuple(kept)
        notes = [
            f"{rule.text} was not judged everywhere: {rule.base} is not measured beside it [{rule.source}]"
            for rule in left_out
        ]
        notes += [
            f"{each.text} was not judged: no cell of this run is meant by it [{each.source}]"
            for each in expectations
            if each not in met
        ]
        self.notes = tuple(dict.fromkeys(notes))

    def rules_of(self, cell: Cell) -> tuple[Rule, ...]:
        """The rules of a cell."""
        return self._rules.get(cell, ())

    by_rounds = True

    def comparisons(self, cells: Collection[Cell]) -> int:
        """Those rules that are ratios."""
        return sum(rule.compares for cell in cells for rule in self.rules_of(cell))

    def judge(
        self, result: CellResult, results: Mapping[Cell, CellResult], gate: Gate, share: float
    ) -> Sequence[Verdict]:
        """What the cell's rules say."""
        return tuple(rule.verdict(result, results, gate, share) for rule in self.rules_of(result.cell))


def _demands(
    cell: Cell, thresholds: Thresholds, expectations: Sequence[Expectation], met: set[Expectation]
) -> Iterator[Rule]:
    yield from thresholds.of(cell)
    for expectation in expectations:
        rule = expectation.of(cell)
        if rule is not None:
            met.add(expectation)
            yield rule


def explanation(
    cells: Collection[Cell],
    judge: RuleJudge,
    own: RulesOf,
    foreseen: Callable[[Cell], tuple[str, str]] | None = None,
) -> list[str]:
    """Which rule each cell got, and from where, as lines for people.

    Args:
        cells: Of these.
        judge: Thresholds and expectations.
        own: What tests demand of their cells by a mark.
        foreseen: What a cell will be held against of earlier runs, and where that is from; None without any.
    """
    lines: list[str] = []
    for cell in cells:
        told = [(rule.text, rule.source) for rule in (*judge.rules_of(cell), *own.get(cell, ()))]
        if foreseen is not None:
            told.append(foreseen(cell))
        lines.append(str(cell) if told else f"{cell}: nothing is demanded")
        width = max((len(text) for text, _ in told), default=0)
        lines += [f"  {text.ljust(width)}  {source}" for text, source in told]
    if foreseen is not None:
        lines += [
            "With fewer than three earlier runs, the noise of the two compared may widen a tolerance.",
            "Whether earlier runs are of the same place (docs/baselines.md) is known when the cluster is up.",
        ]
    return [*lines, *judge.notes]
