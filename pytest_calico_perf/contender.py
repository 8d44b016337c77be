"""One cell's part in a block: its visits, its samples, the rounds it lost, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from statistics import median
from types import MappingProxyType
from typing import Any

from pytest_calico_perf.cluster.base import Endpoint, EndpointPair
from pytest_calico_perf.cluster.recording import Recorder
from pytest_calico_perf.errors import (
    CellProblem,
    ClusterProblem,
    ToolProblem,
    Unreachable,
    Unsupported,
    WrongPath,
)
from pytest_calico_perf.evidence import Evidence, Moved, OwnRun, document, moved
from pytest_calico_perf.model import NOTHING, Cell, CellResult, Measurement, Outcome, Ran
from pytest_calico_perf.plan import Block
from pytest_calico_perf.precision import Stopped
from pytest_calico_perf.probes.base import Measure
from pytest_calico_perf.reachability import Reachability
from pytest_calico_perf.remarks import remarks

_OUTCOMES = {
    Unsupported: Outcome.UNSUPPORTED,
    Unreachable: Outcome.UNREACHABLE,
    WrongPath: Outcome.WRONG_PATH,
}

# What ends one cell and lets the others go on. Anything else is a bug, or the user's Ctrl-C.
PROBLEMS = (CellProblem, ClusterProblem)


@dataclass
class Visit:
    """A stretch of rounds at one pair: all rounds, or half of them where modes are measured one at a time.

    Attributes:
        pair: The two ends.
        reachability: What was found before it, unless the probe needs no path.
        before: A look at the path before the first packet.
        after: The same after the last.
        own: What the tunnels of both nodes counted around one of its runs.
        checked_by: The commands that checked its pair; other cells of the pair have the same.
        taken: Round -> what it gave; negative: warm-up. All that is told of samples is derived from it, so
            that an interrupt between two statements cannot part a sample from its details.
    """

    pair: EndpointPair
    reachability: Reachability | None = None
    before: Evidence | None = None
    after: Evidence | None = None
    own: OwnRun | None = None
    checked_by: tuple[Ran, ...] = ()
    taken: dict[int, Measurement] = field(default_factory=dict)

    @property
    def counting(self) -> dict[int, Measurement]:
        """Round -> what it gave, without warm-up."""
        return {number: measurement for number, measurement in self.taken.items() if number >= 0}

    @property
    def moved(self) -> Moved:
        """What it sent at least, warm-up included."""
        return moved(self.taken.values())

    @property
    def path_mtu(self) -> int | None:
        """Largest packet that got through unfragmented before it, in bytes."""
        return self.reachability.path_mtu if self.reachability else None

    @property
    def mss(self) -> int | None:
        """Largest TCP segment of the measured connections, in bytes; None where no tool told one."""
        told = [measurement.details.get("mss") for measurement in self.taken.values()]
        return max((mss for mss in told if isinstance(mss, int)), default=None)

    @property
    def certain_mss(self) -> int | None:
        """The same where it must fit the path from the start; None where the path tells ends to send less.

        A connection begins with what its own interface takes (RFC 1191), and its MSS is told as it began.
        """
        found = self.reachability
        told = found is not None and found.interface_mtu != found.path_mtu
        return None if told else self.mss

    def to_json(self) -> dict[str, Any]:
        """What it proves."""
        seen = self.before
        shown = document(seen, self.after, own=self.own, path_mtu=self.path_mtu, mss=self.mss) if seen else {}
        if self.reachability:
            shown["reachability"] = self.reachability.to_json()
        return shown


class Contender:
    """A cell while its block is measured.

    It may lose a round: its samples stay, its probe is opened anew and gets another chance in the next
    round. It is given up after two lost rounds in a row, or when more than a third of the rounds that
    count are lost: what is left would be a selection of the good moments.

    One that is on the wrong path before it is measured takes one round all the same: what a tool says of a
    path that is not the mode's is worth seeing, struck through.
    """

    def __init__(self, cell: Cell, block: Block) -> None:
        self.cell = cell
        self._ended_by: CellProblem | ClusterProblem | None = None
        self._wrong: WrongPath | None = None
        self._block = block
        self._visits: list[Visit] = []
        self._lost: list[tuple[int, str]] = []
        self._lost_in_a_row = 0
        self._measure: Measure | None = None
        self._recorder = Recorder()
        # Bounded apart, so that neither crowds the other out.
        self._looks = Recorder()
        self._open = ExitStack()

    @property
    def alive(self) -> bool:
        """Whether it still takes part."""
        return self._ended_by is None

    @property
    def problem(self) -> CellProblem | ClusterProblem | None:
        """What keeps it from being a result; what was wrong with its path counts more than how it ended."""
        return self._wrong or self._ended_by

    @property
    def visit(self) -> Visit:
        """The present visit; there once `place` was called."""
        return self._visits[-1]

    @property
    def measuring_seconds(self) -> float:
        """Time its tool spent measuring, warm-up included, in seconds."""
        return sum(measurement.seconds for visit in self._visits for measurement in visit.taken.values())

    @property
    def lost_rounds(self) -> int:
        """How many of the rounds that count gave no sample."""
        return sum(1 for number, _ in self._lost if number >= 0)

    @property
    def samples(self) -> dict[int, float]:
        """Round -> its value, in order of time; none of a wrong path."""
        return {} if self._wrong else _values(self._visits)

    def place(self, pair: EndpointPair) -> None:
        """Begin a visit at these two ends."""
        self._visits.append(Visit(pair))
        self._lost_in_a_row = 0

    def give_up(self, problem: CellProblem | ClusterProblem) -> None:
        """End it with a problem, or tell more about the one that ended it."""
        self._ended_by = problem

    def distrust(self, problem: WrongPath) -> None:
        """Its path is not the mode's: nothing it gives, or gave, is a sample."""
        self._wrong = self._wrong or problem
        if self.visit.counting:
            self.give_up(self._wrong)

    def watch(self, node: Endpoint) -> Endpoint:
        """The node, as it is to be asked for evidence of this cell: it notes the commands."""
        return self._looks.endpoint(node)

    def ready(self, number: int) -> None:
        """Have the probe open for a round; failing to open it loses the round."""
        if self._measure is None:
            watched = self._recorder.pair(self.visit.pair)
            try:
                self._measure = self._open.enter_context(self._block.probe.open(watched))
            except PROBLEMS as problem:
                self._lose(number, problem)

    def run(self, number: int) -> float | None:
        """Take the sample of a round (negative: warm-up, dropped); None when there is none."""
        if self._measure is None:
            return None
        try:
            self.visit.taken[number] = measurement = self._checked(self._measure())
        except PROBLEMS as problem:
            self._lose(number, problem)
            return None
        self._lost_in_a_row = 0
        if self._wrong and number >= 0:
            self.give_up(self._wrong)
        return measurement.value

    def close(self) -> None:
        """Stop what the probe keeps running. Its last words change nothing about samples already taken."""
        self._measure = None
        with suppress(*PROBLEMS):
            self._open.close()

    def result(
        self,
        control: Contender | None,
        *,
        complete: bool,
        rounds: int | None = None,
        stopped: Stopped | None = None,
    ) -> CellResult | None:
        """What is known; None when nothing is, in a block that was cut short.

        Args:
            control: The host-to-host control of its block.
            complete: Whether the block came to its end.
            rounds: Rounds that its block took, where it took fewer than planned.
            stopped: Why it took no more, where their number was not fixed.
        """
        samples, problem = self.samples, self.problem
        if problem is None and not samples and not complete:
            return None
        probe = self._block.probe
        told = self._told(control, complete=complete)
        if stopped:
            told["stopped"] = stopped.to_json()
        taken = {number: measurement for visit in self._visits for number, measurement in visit.taken.items()}
        result = CellResult(
            cell=self.cell,
            outcome=Outcome.OK if problem is None else outcome_of(problem),
            unit=probe.unit,
            better=probe.better,
            samples=tuple(samples.values()),
            rounds=tuple(samples),
            reason=self._reason(rounds or self._block.rounds),
            details=told,
            runs=tuple(taken[number].details for number in samples),
            evidence=self._evidence(),
            control=MappingProxyType(dict(control.samples) if control and control is not self else {}),
            diagnosis=problem.diagnosis if isinstance(problem, Unreachable) else NOTHING,
            # Of all visits: a cell that was half on another path is of none.
            wrong_samples=tuple(_values(self._visits).values()) if self._wrong else (),
            commands=self._commands(),
        )
        return replace(result, remarks=remarks(result))

    # -- inside --------------------------------------------------------------------------------

    def _checked(self, measurement: Measurement) -> Measurement:
        probe, value = self._block.probe, measurement.value
        fact = value is None and probe.once
        if not fact and (value is None or not math.isfinite(value) or value <= 0):
            raise ToolProblem(f"{probe.name} gave {value}, which cannot be true", where=str(self.cell))
        return measurement

    def _lose(self, number: int, problem: CellProblem | ClusterProblem) -> None:
        self.close()
        self._lost.append((number, str(problem)))
        self._lost_in_a_row += 1
        hopeless = isinstance(problem, Unsupported) or self._lost_in_a_row >= 2
        if hopeless or 3 * self.lost_rounds > self._block.rounds:
            self.give_up(problem)

    def _reason(self, rounds: int) -> str:
        if self.problem is None:
            return ""
        measured = len(self.samples)
        some = 0 < measured < rounds or self._lost
        if not some or isinstance(self.problem, Unsupported | WrongPath):
            return str(self.problem)
        return f"{self.problem} ({measured} of {rounds} rounds measured)"

    def _told(self, control: Contender | None, *, complete: bool) -> dict[str, Any]:
        told = merged(
            [measurement.details for visit in self._visits for measurement in visit.counting.values()]
        )
        if self._lost:
            told["lost_rounds"] = [{"round": number, "reason": text} for number, text in self._lost]
        if self.problem is None and not complete:
            told["cut_short"] = f"{len(self.samples)} of {self._block.rounds} rounds measured"
        if control and control is not self and control.problem is not None:
            told["control_problem"] = str(control.problem)
        if self._block.mode:
            told["visits"] = [list(visit.counting) for visit in self._visits]
        return told

    def _commands(self) -> tuple[Ran, ...]:
        """What measured it, then what proved its path."""
        checks = dict.fromkeys(ran for visit in self._visits for ran in visit.checked_by)
        return (*self._recorder.commands, *checks, *self._looks.commands)

    def _evidence(self) -> dict[str, Any]:
        """Of the first visit, as everything else shows it; of a second one beside it."""
        first, *later = [visit.to_json() for visit in self._visits] or [{}]
        return {**first, "second_visit": later[-1]} if any(later) else first


def _values(visits: Iterable[Visit]) -> dict[int, float]:
    """Round -> its value, in order of time."""
    return {
        number: measurement.value
        for visit in visits
        for number, measurement in visit.counting.items()
        if measurement.value is not None
    }


def outcome_of(problem: CellProblem | ClusterProblem) -> Outcome:
    """How a cell ends that met this problem."""
    for kind, outcome in _OUTCOMES.items():
        if isinstance(problem, kind):
            return outcome
    return Outcome.TOOL_ERROR


def merged(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Details of several runs as one, key by key over the runs that have the key.

    Numbers become their median over the runs, mappings are merged likewise; anything else (names, lists of
    intervals) is kept where all runs agree and left out where they do not: `CellResult.runs` has it all.
    """
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for details in rounds for key in details):
        values = [details[key] for details in rounds if details.get(key) is not None]
        if all(_is_number(value) for value in values):
            result[key] = median(values) if values else None
        elif all(isinstance(value, Mapping) for value in values):
            result[key] = merged(values)
        elif all(type(value) is type(values[0]) and value == values[0] for value in values):
            result[key] = values[0]
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
