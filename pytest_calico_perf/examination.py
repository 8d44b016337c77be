"""Which paths carry payload, and why the others do not: everything but measuring (`--calico-diagnose`).

A pair's result is a cell's of the probe `reachability`, without samples, so that every report can show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_calico_perf.block_run import Ways
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.contender import PROBLEMS, outcome_of
from pytest_calico_perf.errors import CellProblem, ClusterProblem, Unreachable, WrongPath
from pytest_calico_perf.evidence import contradiction, document
from pytest_calico_perf.model import LOOK_PROBE, Better, Cell, CellResult, Mode, Outcome, Unit


def pairs_of(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The pairs that cells are measured on, each once: hosts first, then mode by mode.

    Where hosts do not reach each other nothing else will be whole; and a cluster that carries one mode at a
    time is turned once for each.
    """
    pairs = dict.fromkeys(Cell(LOOK_PROBE, cell.path, cell.mode) for cell in cells)
    modes = list(dict.fromkeys(pair.mode for pair in pairs if pair.mode))
    return tuple(sorted(pairs, key=lambda pair: modes.index(pair.mode) if pair.mode else -1))


class Examination:
    """Looks at the pairs of a cluster, each once.

    Args:
        cluster: Where; provisioned.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ways = Ways(cluster)
        self._at: Mode | None = None
        self._results: dict[Cell, CellResult] = {}

    def results(self) -> tuple[CellResult, ...]:
        """What was found so far, in order of time."""
        return corrected(tuple(self._results.values()))

    def result(self, pair: Cell) -> CellResult:
        """Whether a pair carries payload in its mode's way, and why not; looked at when first asked for.

        Args:
            pair: One of `pairs_of`.
        """
        if pair not in self._results:
            try:
                self._results[pair] = self._looked_at(pair)
            except PROBLEMS as problem:
                self._results[pair] = _failed(pair, problem)
        return self._results[pair]

    def _looked_at(self, pair: Cell) -> CellResult:
        if self._cluster.serial and pair.mode and pair.mode is not self._at:
            self._at = None
            self._ways.forget()
            self._cluster.turn_to(pair.mode)
            self._at = pair.mode
        ends = self._cluster.pair(pair.path, pair.mode)
        found = self._ways.prove(ends)
        look = self._ways.look(ends)
        wrong = contradiction(ends, look, path_mtu=found.path_mtu)
        if wrong is not None:
            raise WrongPath(
                f"packets arrive, but not by the way of the mode: {wrong}",
                where=str(pair),
                remedy="compare the IP pools and the routes of both nodes",
            )
        evidence = {**document(look, path_mtu=found.path_mtu), "reachability": found.to_json()}
        return CellResult(pair, Outcome.OK, Unit.SECOND, Better.LOWER, evidence=evidence)


def corrected(results: Sequence[CellResult]) -> tuple[CellResult, ...]:
    """The same without modes that a diagnosis took for working and that a look of their own found dead.

    A diagnosis says which modes would work as far as it saw; those that were looked at are known.

    Args:
        results: Of an examination, or of a run that measured: there a cell may end badly on a whole path.
    """
    dead = {(each.cell.path, str(each.cell.mode)) for each in results if _dead(each)}

    def works(result: CellResult) -> list[str]:
        return [mode for mode in result.diagnosis["works"] if (result.cell.path, mode) not in dead]

    return tuple(
        replace(result, diagnosis={**result.diagnosis, "works": works(result)})
        if result.diagnosis
        else result
        for result in results
    )


def _dead(result: CellResult) -> bool:
    if result.cell.probe == LOOK_PROBE:
        return result.outcome is not Outcome.OK
    return result.outcome in (Outcome.UNREACHABLE, Outcome.WRONG_PATH)


def _failed(pair: Cell, problem: CellProblem | ClusterProblem) -> CellResult:
    diagnosis = problem.diagnosis if isinstance(problem, Unreachable) else {}
    return CellResult(
        pair,
        outcome_of(problem),
        Unit.SECOND,
        Better.LOWER,
        reason=str(problem),
        diagnosis=diagnosis,
    )
