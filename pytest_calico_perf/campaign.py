"""Which cell is measured when: blocks on demand, or all of them visit by visit, one mode at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_calico_perf.block_run import BlockRun, Ways
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.contender import PROBLEMS
from pytest_calico_perf.errors import CellProblem, ClusterProblem
from pytest_calico_perf.model import Cell, CellResult, Mode
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Decided, never
from pytest_calico_perf.progress import Observer
from pytest_calico_perf.units import format_duration, format_percent


class Campaign:
    """Measures the cells of a plan on a cluster and keeps everything that was measured.

    Where modes live side by side, a block is measured when the first of its cells is asked for. Where the
    cluster carries one mode at a time, that would turn it twice per block and mode; so the first cell asked
    for has all of the plan measured, visit by visit (`Plan.steps`).

    Args:
        plan: What to measure.
        cluster: Where; provisioned.
        observer: Is told what happens.
        decided: Whether a cell's verdicts need no further round; asked at the looks of a block with a
            precision, and only there.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        observer: Observer,
        *,
        decided: Decided = never,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan.one_mode_at_a_time() if cluster.serial else plan
        self._observer = observer
        self._ways = Ways(cluster)
        self._modes = _Modes(cluster, self._ways, observer)
        self._runs: dict[str, BlockRun] = {}
        self._decided = decided
        self._clock = clock

    def result(self, cell: Cell) -> CellResult:
        """The cell's result, measured if it was not yet.

        Whatever ends one cell is an outcome in its result. What ends a block (a bug, Ctrl-C) passes
        through, here and again for every other cell of the block: half a block is not measured anew.

        Raises:
            KeyError: The cell is not in the plan.
        """
        step = self._plan.step_of(cell)
        if step.name not in self._runs:
            if self._plan.serial:
                self._measure_all()
            else:
                run = self._runs[step.name] = BlockRun(step, self._ways, self._decided, self._clock)
                run.measure(step, self._plan, self._observer)
        run = self._runs[step.name]
        if run.ended_by is not None:
            raise run.ended_by
        return run.results()[cell]

    def results(self) -> tuple[CellResult, ...]:
        """Everything known so far, in the order of the plan; of a block that was cut short what it has."""
        known = {cell: result for run in self._runs.values() for cell, result in run.results().items()}
        return tuple(known[cell] for cell in self._plan.cells if cell in known)

    @property
    def note(self) -> str:
        """What a reader must know about the order of modes and the number of rounds; empty if nothing."""
        return "; ".join(filter(None, (self._plan.note, self._saved)))

    @property
    def _saved(self) -> str:
        """What looking early was worth; empty where all rounds are taken in any case."""
        runs = [run for run in self._runs.values() if run.complete and run.block.looks]
        if not runs:
            return ""
        precision = format_percent(runs[0].block.precision or 0.0)
        early = [run for run in runs if run.rounds_saved]
        if not early:
            return f"precision {precision}: every block took all of its rounds, and no time was saved"
        rounds = sum(run.rounds_saved for run in early)
        planned = sum(run.block.rounds for run in runs)
        seconds = format_duration(sum(run.seconds_saved for run in early))
        return (
            f"precision {precision}: {len(early)} of {len(runs)} blocks ended early;"
            f" {rounds} of {planned} rounds, about {seconds}, were saved"
        )

    @property
    def measuring_seconds(self) -> float:
        """Time in which a tool was measuring, warm-up and control included, in seconds."""
        return sum(run.measuring_seconds for run in self._runs.values())

    # -- one mode at a time --------------------------------------------------------------------

    def _measure_all(self) -> None:
        """Measure every step. A bug ends its block only; Ctrl-C everything that is not complete."""
        for step in self._plan.steps:
            self._runs.setdefault(step.name, BlockRun(step, self._ways))
        try:
            for step in self._plan.steps:
                self._visit(step)
        except BaseException as error:
            for run in self._runs.values():
                if not run.complete and run.ended_by is None:
                    run.ended_by = error
            raise

    def _visit(self, step: Block) -> None:
        run = self._runs[step.name]
        if run.ended_by is not None:
            return
        # A cluster is not turned for cells that are given up already.
        if step.mode and run.cells_alive:
            try:
                self._modes.turn_to(step.mode)
            except PROBLEMS as problem:
                run.give_up(problem)
        try:
            run.measure(step, self._plan, self._observer)
        except Exception as error:  # noqa: BLE001  # raised when a cell of that block is asked for
            run.ended_by = error


class _Modes:
    """The mode a cluster has, and those it could not be turned to.

    What could not be done is not tried again: a cluster that was half turned would be measured as whole
    (the broken state of labgrid's strategies).
    """

    def __init__(self, cluster: Cluster, ways: Ways, observer: Observer) -> None:
        self._cluster = cluster
        self._ways = ways
        self._observer = observer
        self._at: Mode | None = None
        self._broken: dict[Mode, CellProblem | ClusterProblem] = {}

    def turn_to(self, mode: Mode) -> None:
        """Have the cluster carry this mode.

        Raises:
            CellProblem, ClusterProblem: It does not; the same each time.
        """
        if mode in self._broken:
            raise self._broken[mode]
        if self._at is mode:
            return
        self._at = None
        self._ways.forget()
        self._observer.turning(mode)
        try:
            self._cluster.turn_to(mode)
        except PROBLEMS as problem:
            self._broken[mode] = problem
            raise
        self._at = mode
