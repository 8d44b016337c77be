"""From results to verdicts: every judge is asked about a cell, and the worst answer is how the cell ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from pytest_calico_perf.gate.rules import Rule
from pytest_calico_perf.model import Cell, CellResult, Outcome, Verdict
from pytest_calico_perf.verdict import Gate, remaining

# From bad to good. What cannot be judged is open as much as what the rounds leave open.
_WORST_FIRST = (Outcome.REGRESSED, Outcome.SLOW, Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE, Outcome.OK)


class Judge(Protocol):
    """Rules of one kind."""

    @property
    def by_rounds(self) -> bool:
        """Whether more rounds of a cell would change what it says, so that rounds wait for it."""

    def comparisons(self, cells: Collection[Cell]) -> int:
        """How many comparisons it will make among the cells of a run: they share the family's error."""

    def judge(
        self, result: CellResult, results: Mapping[Cell, CellResult], gate: Gate, share: float
    ) -> Sequence[Verdict]:
        """What its rules say about a measured cell.

        Args:
            result: The cell; its outcome is `ok`.
            results: Every result known so far, all of the cell's block among them, none judged yet.
            gate: How sure to be; `comparisons` is that of the whole run.
            share: Part of the permitted error that may be spent: 1 unless rounds were added by a plan of
                several looks, and this is one of them.
        """


class Judges:
    """All judges of a run, and the alarms of its comparisons so far (`verdict.family`).

    Args:
        judges: In the order in which their verdicts are told.
        cells: The cells the run will measure.
        others: Comparisons that are made besides (by marks of tests).
    """

    def __init__(self, judges: Sequence[Judge], cells: Collection[Cell], others: int = 0) -> None:
        self._judges = tuple(judges)
        comparisons = others + sum(judge.comparisons(cells) for judge in self._judges)
        self.gate = Gate(comparisons=max(1, comparisons))
        self._alarms: dict[Cell, int] = {}

    def gate_for(self, cell: Cell) -> Gate:
        """How sure to be about a cell: alarms about others leave the family."""
        elsewhere = sum(number for other, number in self._alarms.items() if other != cell)
        return remaining(self.gate, elsewhere)

    def judged(
        self, result: CellResult, results: Mapping[Cell, CellResult], share: float = 1.0
    ) -> CellResult:
        """The result with its verdicts, its outcome and reason those of the worst."""
        if result.outcome is not Outcome.OK:
            return result
        return self.settled(result, self.verdicts(result, results, share))

    def settled(self, result: CellResult, verdicts: Sequence[Verdict]) -> CellResult:
        """The result with more verdicts, which are the last word on them."""
        told = with_verdicts(result, verdicts)
        alarms = sum(
            verdict.compares and verdict.outcome in (Outcome.SLOW, Outcome.REGRESSED)
            for verdict in told.verdicts
        )
        # Of several tests with marks of their own on one cell, those of the worst count.
        self._alarms[result.cell] = max(alarms, self._alarms.get(result.cell, 0))
        return told

    def verdicts(
        self, result: CellResult, results: Mapping[Cell, CellResult], share: float = 1.0
    ) -> tuple[Verdict, ...]:
        """What all rules say about a cell whose outcome is `ok`."""
        return self._asked(self._judges, result, results, share)

    def by_rules(
        self,
        rules: Sequence[Rule],
        result: CellResult,
        results: Mapping[Cell, CellResult],
        share: float = 1.0,
    ) -> tuple[Verdict, ...]:
        """What rules say that a test demands besides (by a mark)."""
        gate = self.gate_for(result.cell)
        return tuple(rule.verdict(result, results, gate, share) for rule in rules)

    def decided(
        self, result: CellResult, results: Mapping[Cell, CellResult], share: float, own: Sequence[Rule] = ()
    ) -> bool:
        """Whether all verdicts on a cell that is being measured are reached, and there is one.

        What cannot be judged is no verdict: rounds do not change that.
        """
        asked = [judge for judge in self._judges if judge.by_rounds]
        told = (
            *self._asked(asked, result, results, share),
            *self.by_rules(own, result, results, share),
        )
        outcomes = {verdict.outcome for verdict in told} - {Outcome.UNSUPPORTED}
        return bool(outcomes) and Outcome.INCONCLUSIVE not in outcomes

    def _asked(
        self, judges: Sequence[Judge], result: CellResult, results: Mapping[Cell, CellResult], share: float
    ) -> tuple[Verdict, ...]:
        gate = self.gate_for(result.cell)
        return tuple(verdict for judge in judges for verdict in judge.judge(result, results, gate, share))


def with_verdicts(result: CellResult, verdicts: Sequence[Verdict]) -> CellResult:
    """The result with more verdicts. Only one that was measured whole can have any."""
    told = tuple(dict.fromkeys((*result.verdicts, *verdicts)))
    if not told:
        return result
    return replace(result, verdicts=told, outcome=_worst(told), reason=_reason(told))


def _worst(verdicts: Sequence[Verdict]) -> Outcome:
    worst = min((verdict.outcome for verdict in verdicts), key=_WORST_FIRST.index)
    # A cell that was measured exists, and skipping its test would hide that nobody judged it.
    return Outcome.INCONCLUSIVE if worst is Outcome.UNSUPPORTED else worst


def _reason(verdicts: Sequence[Verdict]) -> str:
    bad = [verdict for verdict in verdicts if verdict.outcome is not Outcome.OK]
    bad.sort(key=lambda verdict: _WORST_FIRST.index(verdict.outcome))
    return "; ".join(f"{verdict.message} [{verdict.source}]" for verdict in bad)
