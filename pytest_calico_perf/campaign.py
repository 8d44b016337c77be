"""Which cell is measured when: blocks on demand, rounds in ABBA order, problems kept to their cell.

Runs are strictly one after another: two at once would measure each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TypeVar

from pytest_calico_perf.cluster.base import Cluster, EndpointPair
from pytest_calico_perf.contender import PROBLEMS, Contender
from pytest_calico_perf.errors import CellProblem, ClusterProblem, ToolProblem
from pytest_calico_perf.evidence import collect, contradiction
from pytest_calico_perf.model import Cell, CellResult, Encapsulation, Mode, Path
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.progress import Observer
from pytest_calico_perf.reachability import Reachability, check

Item = TypeVar("Item")


def order(items: Sequence[Item], number: int) -> list[Item]:
    """Who runs when in a round: ABBA, forward in even rounds and backward in odd ones.

    Over two rounds everybody stands in the middle on average, so that what drifts linearly (clock rate,
    temperature, neighbours) falls on all alike. The control takes part in it like any mode.
    """
    return list(items if number % 2 == 0 else reversed(items))


class Campaign:
    """Measures the cells of a plan on a cluster and keeps everything that was measured.

    Args:
        plan: What to measure.
        cluster: Where; provisioned.
        observer: Is told what happens.
        alone: Whether nobody else sends through the cluster's tunnels. Where others do, a counter that
            moves proves nothing against an unencapsulated mode.
    """

    def __init__(self, plan: Plan, cluster: Cluster, observer: Observer, *, alone: bool = True) -> None:
        self._plan = plan
        self._observer = observer
        self._ways = _Ways(cluster, alone=alone)
        self._runs: dict[str, _BlockRun] = {}

    def result(self, cell: Cell) -> CellResult:
        """The cell's result; its whole block is measured when the first of its cells is asked for.

        Whatever ends one cell is an outcome in its result. What ends the block (Ctrl-C, a bug) passes
        through, here and again for every other cell of the block: half a block is not measured anew.

        Raises:
            KeyError: The cell is not in the plan.
        """
        block = self._plan.block_of(cell)
        run = self._runs.get(block.name)
        if run is None:
            run = self._runs[block.name] = _BlockRun(block, self._ways)
            run.measure(self._plan, self._observer)
        if run.ended_by is not None:
            raise run.ended_by
        return run.results()[cell]

    def results(self) -> tuple[CellResult, ...]:
        """Everything known so far, in the order of the plan; of a block that was cut short what it has."""
        known = {cell: result for run in self._runs.values() for cell, result in run.results().items()}
        return tuple(known[cell] for cell in self._plan.cells if cell in known)

    @property
    def measuring_seconds(self) -> float:
        """Time in which a tool was measuring, warm-up and control included, in seconds."""
        return sum(run.measuring_seconds for run in self._runs.values())


class _Ways:
    """Whether payload gets through the pairs of a cluster: asked once, good for all blocks."""

    def __init__(self, cluster: Cluster, *, alone: bool) -> None:
        self.cluster = cluster
        self.alone = alone
        self._known: dict[tuple[Path, Mode | None], Reachability | CellProblem | ClusterProblem] = {}

    def prove(self, pair: EndpointPair) -> Reachability:
        """What the check of this pair found.

        Raises:
            CellProblem, ClusterProblem: It does not carry payload, or could not be checked.
        """
        key = (pair.path, pair.mode)
        if key not in self._known:
            try:
                self._known[key] = check(self.cluster, pair)
            except PROBLEMS as problem:
                self._known[key] = problem
        known = self._known[key]
        if isinstance(known, PROBLEMS):
            raise known
        return known


class _BlockRun:
    """A block while, and after, it is measured."""

    def __init__(self, block: Block, ways: _Ways) -> None:
        self._block = block
        self._ways = ways
        self._contenders: Mapping[Cell, Contender] = {
            cell: Contender(cell, block) for cell in block.contenders
        }
        self._complete = False
        self.ended_by: BaseException | None = None

    @property
    def measuring_seconds(self) -> float:
        return sum(contender.measuring_seconds for contender in self._contenders.values())

    def results(self) -> dict[Cell, CellResult]:
        control = self._contenders[self._block.control] if self._block.control else None
        results = (
            (cell, self._contenders[cell].result(control, complete=self._complete))
            for cell in self._block.results
        )
        return {cell: result for cell, result in results if result is not None}

    def measure(self, plan: Plan, observer: Observer) -> None:
        """Measure all of it. What is not one cell's problem ends it and is remembered."""
        try:
            observer.block_started(plan, self._block)
            with ExitStack() as stack:
                for contender in self._contenders.values():
                    stack.callback(contender.close)
                self._prepare()
                for number in range(-self._block.warm_up_rounds, self._block.rounds):
                    if not any(contender.alive for contender in self._shown()):
                        break
                    self._round(number, observer)
                self._conclude()
            self._complete = True
            observer.block_done(self._block)
        except BaseException as error:
            self.ended_by = error
            raise

    def _shown(self) -> list[Contender]:
        """Those whose results are asked for: not a control that only serves as one."""
        return [self._contenders[cell] for cell in self._block.results]

    def _alive(self) -> list[Contender]:
        return [contender for contender in self._contenders.values() if contender.alive]

    def _prepare(self) -> None:
        cluster, once = self._ways.cluster, self._block.probe.once
        for contender in self._contenders.values():
            try:
                contender.place(cluster.pair(contender.cell.path, contender.cell.mode))
                # A fact that is read once is read where no packet gets through, too: there it is wanted most.
                if not once:
                    contender.reachability = self._ways.prove(contender.pair)
            except PROBLEMS as problem:
                contender.give_up(problem)
        if once:
            return
        # After all checks, since they send packets through the tunnels, too.
        for contender in self._shown():
            if contender.alive:
                try:
                    contender.before = collect(cluster, contender.pair)
                except PROBLEMS as problem:
                    contender.give_up(problem)
                else:
                    self._judge(contender)

    def _round(self, number: int, observer: Observer) -> None:
        observer.round_started(self._block, number)
        contenders = order(self._alive(), number)
        # Opened before the first run, so that nothing stands between the runs of a round.
        for contender in contenders:
            contender.ready(number)
        for contender in contenders:
            value = contender.run(number)
            observer.run_done(self._block, number, contender.cell, value)
        observer.round_done(self._block, number)

    def _conclude(self) -> None:
        for contender in self._shown():
            if contender.runs and contender.before:
                try:
                    contender.after = collect(self._ways.cluster, contender.pair)
                except PROBLEMS as problem:
                    if contender.alive:
                        contender.give_up(problem)
                else:
                    self._judge(contender)

    def _judge(self, contender: Contender) -> None:
        """A number measured on another path than the mode's is no number."""
        assert contender.before is not None
        text = contradiction(
            self._ways.cluster,
            contender.pair,
            contender.before,
            contender.after,
            packets_expected=contender.runs,
            in_use=self._tunnels_in_use(),
        )
        if text is not None:
            remedy = "compare the IP pools and the routes of both nodes; was the cluster changed meanwhile?"
            problem = ToolProblem(
                f"the packets do not go the way of the mode: {text}",
                where=str(contender.cell),
                remedy=remedy,
            )
            contender.give_up(problem, discard=True)

    def _tunnels_in_use(self) -> set[Encapsulation]:
        """Tunnels that a contender of the block, or a stranger, may have used meanwhile."""
        looks = [contender.before for contender in self._shown() if contender.before is not None]
        if not self._ways.alone or any(look.expected is None for look in looks):
            return set(Encapsulation)
        return {look.expected for look in looks if look.expected is not None}
