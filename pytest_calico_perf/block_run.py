"""A block while it is measured: ends looked up and proven, rounds in ABBA order, problems kept to their cell.

Runs are strictly one after another: two at once would measure each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeVar

from pytest_calico_perf.cluster.base import Cluster, EndpointPair
from pytest_calico_perf.cluster.recording import Recorder
from pytest_calico_perf.contender import PROBLEMS, Contender
from pytest_calico_perf.diagnosis.doctor import diagnose
from pytest_calico_perf.errors import CellProblem, ClusterProblem, Unreachable, WrongPath
from pytest_calico_perf.evidence import (
    Counters,
    Evidence,
    Ground,
    OwnRun,
    Watch,
    collect,
    contradiction,
    ground_of,
    moved,
    read,
)
from pytest_calico_perf.model import Cell, CellResult, Mode, Outcome, Path, Ran
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Decided, Stopped, is_known, never
from pytest_calico_perf.progress import Observer, Value
from pytest_calico_perf.reachability import Reachability, check
from pytest_calico_perf.verdict import SequentialPlan, Stop

Item = TypeVar("Item")


def order(items: Sequence[Item], number: int) -> list[Item]:
    """Who runs when in a round: ABBA BAAB BAAB ABBA, forward or backward by the Thue-Morse sequence.

    Over two rounds everybody stands in the middle on average, so that what drifts linearly (clock rate,
    temperature, neighbours) falls on all alike. Plain alternation would have the same contender on both sides
    of every boundary between rounds, and where a run resembles the one before it, such rounds look surer
    than they are (docs/how-it-decides.md). The control takes part in it like any mode.
    """
    return list(items if number.bit_count() % 2 == 0 else reversed(items))


class Ways:
    """The pairs of a cluster, and whether payload gets through them: asked once, good for all blocks."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._known: dict[tuple[Path, Mode | None], Reachability | CellProblem | ClusterProblem] = {}
        self._checks: dict[tuple[Path, Mode | None], Recorder] = {}
        self._ground: Ground | None = None

    def prove(self, pair: EndpointPair) -> Reachability:
        """What the check of this pair found.

        Raises:
            CellProblem, ClusterProblem: It does not carry payload, or could not be checked. An `Unreachable`
                says why.
        """
        key = (pair.path, pair.mode)
        if key not in self._known:
            recorder = self._checks[key] = Recorder()
            try:
                self._known[key] = check(recorder.pair(pair))
            except Unreachable as problem:
                self._known[key] = self.explained(pair, problem)
            except PROBLEMS as problem:
                self._known[key] = problem
        known = self._known[key]
        if isinstance(known, PROBLEMS):
            raise known
        return known

    def checked_by(self, pair: EndpointPair) -> tuple[Ran, ...]:
        """The commands that checked this pair, for every cell of it; none where nobody checked."""
        recorder = self._checks.get((pair.path, pair.mode))
        return recorder.commands if recorder else ()

    def look(self, pair: EndpointPair, watch: Watch = lambda node: node) -> Evidence:
        """What both nodes say about this pair now.

        Args:
            pair: Which.
            watch: Wraps each node before it is asked.

        Raises:
            CellProblem, ClusterProblem: A node has no route, says nothing or cannot be asked. An
                `Unreachable` says why.
        """
        if self._ground is None:
            self._ground = ground_of(self.cluster)
        try:
            return collect(self.cluster, pair, self._ground, watch=watch)
        except Unreachable as problem:
            found = self._known[pair.path, pair.mode] = self.explained(pair, problem)
            raise found from None

    def counters(self, pair: EndpointPair) -> Counters:
        """What the tunnels of both nodes have sent by now.

        Raises:
            CellProblem, ClusterProblem: A node says nothing or cannot be asked.
        """
        return read(self.cluster, pair)

    def explained(self, pair: EndpointPair, problem: Unreachable) -> Unreachable:
        """The same problem with its cause, as far as it can be found."""
        diagnosis = diagnose(self.cluster, pair, problem)
        sentence = diagnosis.sentence
        if diagnosis.findings:  # else it repeats what the problem said
            sentence = f"{problem.what}: {sentence}"
        return Unreachable(
            sentence,
            where=problem.where,
            remedy=diagnosis.remedy,
            symptom=problem.symptom,
            diagnosis=diagnosis.to_json(),
        )

    def forget(self) -> None:
        """Ask anew: the cluster has changed, and its pods are others."""
        self._known.clear()
        self._checks.clear()
        self._ground = None


class BlockRun:
    """A block while, and after, it is measured: in one visit, or in several where a cluster is turned.

    Args:
        block: Which one; its first step.
        ways: Where.
        decided: Whether a cell's verdicts need no further round.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        block: Block,
        ways: Ways,
        decided: Decided = never,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._block = block
        self._ways = ways
        self._decided = decided
        self._clock = clock
        self._rounds_taken = 0
        self._rounds_began: float | None = None
        self._rounds_seconds = 0.0
        self._stopped: Mapping[Cell, Stopped] = {}
        self._contenders: Mapping[Cell, Contender] = {
            cell: Contender(cell, block) for cell in block.contenders
        }
        self.complete = False
        self.ended_by: BaseException | None = None

    @property
    def measuring_seconds(self) -> float:
        """Time in which a tool was measuring, in seconds."""
        return sum(contender.measuring_seconds for contender in self._contenders.values())

    @property
    def cells_alive(self) -> bool:
        """Whether a cell other than the control still takes part."""
        return any(self._contenders[cell].alive for cell in self._block.cells)

    def results(self) -> dict[Cell, CellResult]:
        """What is known of its cells."""
        control = self._contenders[self._block.control] if self._block.control else None
        rounds = self._rounds_taken if self._stopped else None
        results = (
            (
                cell,
                self._contenders[cell].result(
                    control, complete=self.complete, rounds=rounds, stopped=self._stopped.get(cell)
                ),
            )
            for cell in self._block.results
        )
        return {cell: result for cell, result in results if result is not None}

    def give_up(self, problem: CellProblem | ClusterProblem) -> None:
        """End what is left of its cells, but not the control: hosts have no mode."""
        for cell in self._block.cells:
            if self._contenders[cell].alive:
                self._contenders[cell].give_up(problem)

    def measure(self, step: Block, plan: Plan, observer: Observer) -> None:
        """Measure the rounds of a step. What is not one cell's problem ends the block and is remembered."""
        try:
            observer.block_started(plan, step)
            with ExitStack() as stack:
                for contender in self._contenders.values():
                    stack.callback(contender.close)
                judged = self._prepare() if self._anybody else []
                for number in step.numbers:
                    if not self._anybody:
                        break
                    self._round(step, number, observer)
                    if self._may_end(step, number):
                        observer.block_stopped(step, tuple(self._stopped.values()))
                        break
                self._conclude(judged)
            observer.block_done(step)
            self.complete = step.last
        except BaseException as error:
            self.ended_by = error
            raise

    @property
    def block(self) -> Block:
        """The block; its first step."""
        return self._block

    @property
    def rounds_saved(self) -> int:
        """Rounds that need not be taken, since every cell was known well enough before."""
        return self._block.rounds - self._rounds_taken if self._stopped else 0

    @property
    def seconds_saved(self) -> float:
        """What these would have taken at the pace of those that were, in seconds."""
        return self.rounds_saved * self._rounds_seconds / max(self._rounds_taken, 1)

    def _may_end(self, step: Block, number: int) -> bool:
        """Whether the round just taken was the last one needed; remembers why."""
        plan, look = step.looks, number + 1
        if plan is None or step.precision is None or look not in plan.looks:
            return False
        why = {
            contender.cell: self._settled(contender, plan, look, step.precision)
            for contender in self._shown()
            if contender.alive and contender.problem is None
        }
        if look < plan.maximum and (not why or Stop.MAXIMUM in why.values()):
            return False
        self._stopped = {
            cell: Stopped(reason, look, plan.maximum, step.precision) for cell, reason in why.items()
        }
        return look < plan.maximum

    def _settled(self, contender: Contender, plan: SequentialPlan, look: int, precision: float) -> Stop:
        """Why a cell needs no further round at a look; `MAXIMUM` if it would need one."""
        # With more than a third of the rounds lost, what is left would be a selection of the good moments.
        if 3 * contender.lost_rounds > look:
            return Stop.MAXIMUM
        control = self._contenders[self._block.control] if self._block.control else None
        result = contender.result(control, complete=True)
        if result is not None and self._decided(result, plan, look):
            return Stop.DECIDED
        return Stop.PRECISE if is_known(plan, look, contender.samples, precision) else Stop.MAXIMUM

    @property
    def _anybody(self) -> bool:
        """Whether somebody is left whose result is asked for."""
        return any(contender.alive for contender in self._shown())

    def _shown(self) -> list[Contender]:
        """Those whose results are asked for: not a control that only serves as one."""
        return [self._contenders[cell] for cell in self._block.results]

    def _alive(self) -> list[Contender]:
        return [contender for contender in self._contenders.values() if contender.alive]

    def _prepare(self) -> list[Contender]:
        """Give everybody who is alive its ends, and prove them; returns whose way is to be judged later."""
        cluster, once = self._ways.cluster, self._block.probe.once
        for contender in self._alive():
            try:
                contender.place(cluster.pair(contender.cell.path, contender.cell.mode))
                # A fact that is read once is read where no packet gets through, too: there it is wanted most.
                if not once:
                    try:
                        contender.visit.reachability = self._ways.prove(contender.visit.pair)
                    finally:
                        contender.visit.checked_by = self._ways.checked_by(contender.visit.pair)
            except PROBLEMS as problem:
                contender.give_up(problem)
        # After all checks, since they send packets through the tunnels, too. The control is judged like
        # the others, whether or not it is shown: they are all divided by it.
        judged = [] if once else self._alive()
        for contender in judged:
            try:
                contender.visit.before = self._ways.look(contender.visit.pair, contender.watch)
            except PROBLEMS as problem:
                contender.give_up(problem)
            else:
                self._judge(contender)
        return judged

    def _round(self, step: Block, number: int, observer: Observer) -> None:
        observer.round_started(step, number)
        if number >= 0 and self._rounds_began is None:
            self._rounds_began = self._clock()
        contenders = order(self._alive(), number)
        # Opened before the first run, so that nothing stands between the runs of a round.
        for contender in contenders:
            contender.ready(number)
        for contender in contenders:
            value = self._run(contender, number)
            observer.run_done(step, number, contender.cell, value)
        if number >= 0 and self._rounds_began is not None:
            self._rounds_taken += 1
            self._rounds_seconds = self._clock() - self._rounds_began
        observer.round_done(step, number)

    def _run(self, contender: Contender, number: int) -> Value:
        """Take a run; the first one of a visit between two readings of the tunnels' counters.

        That is a warm-up run where there are any. A reading is over before the tool starts, and falls to
        every contender of the round alike.
        """
        visit = contender.visit
        earlier = self._counters(contender) if visit.before and not visit.own else None
        value = contender.run(number)
        if earlier and number in visit.taken and (later := self._counters(contender)):
            shared = self._ways.cluster.shared
            visit.own = OwnRun(earlier, later, moved([visit.taken[number]]), shared)
            self._judge(contender)
        wrong = isinstance(contender.problem, WrongPath)
        return Outcome.WRONG_PATH if wrong and value is not None else value

    def _counters(self, contender: Contender) -> Counters | None:
        """Read now; None where a node does not answer: the next run is then tried."""
        try:
            return self._ways.counters(contender.visit.pair)
        except PROBLEMS:
            return None

    def _conclude(self, judged: Sequence[Contender]) -> None:
        for contender in judged:
            ended_by = contender.problem
            if isinstance(ended_by, Unreachable):
                # In mid-run: the check before it found a way, so what is wrong is wrong now.
                if not ended_by.diagnosis:
                    contender.give_up(self._ways.explained(contender.visit.pair, ended_by))
            elif contender.visit.taken and contender.visit.before:
                try:
                    contender.visit.after = self._ways.look(contender.visit.pair, contender.watch)
                except PROBLEMS as problem:
                    if contender.alive:
                        contender.give_up(problem)
                else:
                    self._judge(contender)

    def _judge(self, contender: Contender) -> None:
        """A number measured on another path than the mode's is no number."""
        visit = contender.visit
        assert visit.before is not None
        text = contradiction(
            visit.pair,
            visit.before,
            visit.after,
            moved=visit.moved,
            own=visit.own,
            path_mtu=visit.path_mtu,
            mss=visit.certain_mss,
        )
        if text is not None:
            problem = WrongPath(
                f"the packets do not go the way of the mode: {text}",
                remedy="compare the IP pools and both nodes' routes; was the cluster changed meanwhile?",
            )
            contender.distrust(problem)
