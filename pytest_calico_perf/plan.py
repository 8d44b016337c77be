"""Which cells make a block, in how many rounds, and how long all of it will take. No I/O.

A block is what must be measured together to be comparable: one probe on one path, every mode, and the
same probe from host to host as the control (docs/how-it-measures.md).

Where a cluster can carry only one mode at a time, each mode has blocks of its own, and each of these is
measured in two visits to the mode: see `Plan.steps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.precision import looks_up_to
from pytest_calico_perf.probes.base import Probe
from pytest_calico_perf.verdict import SequentialPlan

# For the estimate only. What starting and ending a tool at both ends costs on top of its measuring time,
# and what the proofs around a block cost per cell (reachability, routes, counters); of the lab's order.
RUN_OVERHEAD = 0.02
CELL_OVERHEAD = 0.05
# What turning a cluster to another mode costs: a restart of Felix, routes that settle (Calico's own
# end-to-end test, ipip.go, waits up to 30 s for them) and new pods.
SWITCH_OVERHEAD = 45.0


class Schedule(Protocol):
    """What a plan must know of a profile."""

    @property
    def by_name(self) -> Mapping[str, Probe]:
        """Probe by its name."""

    @property
    def warm_up_rounds(self) -> int:
        """Rounds before those that count; dropped."""

    @property
    def precision(self) -> float | None:
        """To which fraction of its value a cell need be known; None where the rounds are fixed."""

    def rounds_of(self, probe: Probe) -> int:
        """How many rounds of a probe count; with a precision, at most."""


@dataclass(frozen=True)
class Block:
    """One probe on one path in every mode, measured back to back in rounds.

    Attributes:
        probe: With which tool.
        path: From where to where.
        cells: One per mode, in the user's order; the only one when the path has no mode.
        rounds: Rounds that count; with a precision, at most.
        warm_up_rounds: Rounds before these; dropped.
        control: The host-to-host cell that is run in every round beside them, or None.
        control_counts: Whether the control's samples are also the result of the host-to-host cell. True in
            the first block of a probe when that cell was asked for. Of one block and not of all: the row
            then has as many samples as the others, from one stretch of time, and its round numbers pair
            with that block's cells. Every block has its own control in `CellResult.control`: that is what
            to divide by.
        mode: The only mode it measures, where modes are measured one at a time; None where they are
            measured side by side, and for hosts.
        part: Which of its rounds this visit takes; None for all.
        switches: Whether the cluster must be turned to `mode` before.
        precision: It may end early, when every cell is known to this fraction of its value; None where all
            rounds are taken.
    """

    probe: Probe
    path: Path
    cells: tuple[Cell, ...]
    rounds: int
    warm_up_rounds: int
    control: Cell | None = None
    control_counts: bool = False
    mode: Mode | None = None
    part: range | None = None
    switches: bool = False
    precision: float | None = None

    @property
    def name(self) -> str:
        """Probe, path and the only mode if it has but one: `tcp pod-to-pod`; the same in both visits."""
        return f"{self.probe.name} {self.path} {self.mode}" if self.mode else f"{self.probe.name} {self.path}"

    @property
    def counting(self) -> range:
        """Numbers of the rounds that count and are taken now."""
        return range(self.rounds) if self.part is None else self.part

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of all rounds taken now. Negative ones are warm-up, at each visit: its pods are new."""
        return (*range(-self.warm_up_rounds, 0), *self.counting)

    @property
    def last(self) -> bool:
        """Whether no round is left for another visit."""
        return self.counting.stop == self.rounds

    @cached_property
    def looks(self) -> SequentialPlan | None:
        """After which rounds to ask whether it may end; None where all rounds are taken in any case."""
        return None if self.precision is None else looks_up_to(self.rounds)

    @property
    def contenders(self) -> tuple[Cell, ...]:
        """Everything that runs in a round: the control first."""
        return (self.control, *self.cells) if self.control else self.cells

    @property
    def results(self) -> tuple[Cell, ...]:
        """The cells whose results come from here."""
        return self.contenders if self.control_counts else self.cells

    @property
    def runs(self) -> int:
        """How often the tool will run."""
        return len(self.contenders) * len(self.numbers)

    @property
    def seconds(self) -> float:
        """Expected wall-clock time, in seconds; of all rounds."""
        measuring = self.runs * (self.probe.seconds + RUN_OVERHEAD)
        return measuring + len(self.contenders) * CELL_OVERHEAD + (SWITCH_OVERHEAD if self.switches else 0.0)


@dataclass(frozen=True)
class Plan:
    """Everything that will be measured.

    Attributes:
        blocks: What is compared with what, in the user's order.
        serial: Whether the cluster carries one mode at a time.
    """

    blocks: tuple[Block, ...]
    serial: bool = False

    @classmethod
    def of(cls, cells: Iterable[Cell], schedule: Schedule) -> Plan:
        """Gather cells into blocks; blocks come in the order in which their first cell does.

        The host-to-host cell of a probe has no block of its own when another block of that probe is
        planned: it is the control of all of them. A probe that is taken once has neither control
        nor warm-up.
        """
        members: dict[tuple[str, Path], list[Cell]] = {}
        for cell in dict.fromkeys(cells):
            members.setdefault((cell.probe, cell.path), []).append(cell)
        blocks: list[Block] = []
        shown: set[str] = set()
        for (name, path), ours in members.items():
            probe = schedule.by_name[name]
            host = Cell(name, Path.HOST_TO_HOST, None)
            has_others = any(key[0] == name and key[1].has_mode for key in members)
            if not path.has_mode and has_others and not probe.once:
                continue
            controlled = path.has_mode and not probe.once and probe.suits(Path.HOST_TO_HOST)
            counts = controlled and (name, Path.HOST_TO_HOST) in members and name not in shown
            if counts:
                shown.add(name)
            blocks.append(
                Block(
                    probe=probe,
                    path=path,
                    cells=tuple(ours),
                    rounds=schedule.rounds_of(probe),
                    warm_up_rounds=0 if probe.once else schedule.warm_up_rounds,
                    control=host if controlled else None,
                    control_counts=counts,
                    precision=None if probe.once else schedule.precision,
                )
            )
        return cls(tuple(blocks))

    def one_mode_at_a_time(self) -> Plan:
        """The same cells for a cluster that carries one mode at a time."""
        return replace(self, serial=True)

    @cached_property
    def steps(self) -> tuple[Block, ...]:
        """What is measured, in order of time: the blocks themselves where modes live side by side.

        One mode at a time, every mode is visited twice, on a way out and back: A B C C B A. A visit takes
        half of the rounds of every block, on the way back in reversed order. So the rounds of each cell of a
        block lie around the same moment on average, and what drifts linearly falls on all modes alike, as
        ABBA does within a round. Hosts have no mode: a block without one comes first, in one piece. All
        rounds are taken: how many go into the way out must be known before the first.
        """
        if not self.serial:
            return self.blocks
        modes = self._modes
        out = [piece for mode in modes for piece in self._visit(mode, self.blocks, back=False)]
        back = [
            piece for mode in reversed(modes) for piece in self._visit(mode, self.blocks[::-1], back=True)
        ]
        steps = [replace(block, precision=None) for block in self.blocks if not block.path.has_mode]
        at: Mode | None = None
        for piece in (*out, *back):
            steps.append(replace(piece, switches=piece.mode is not at))
            at = piece.mode
        return tuple(steps)

    @property
    def order_of_modes(self) -> tuple[Mode, ...]:
        """The modes as the cluster is turned to them: A B C B A. Empty where they live side by side."""
        return tuple(step.mode for step in self.steps if step.switches and step.mode)

    @property
    def note(self) -> str:
        """What a reader of the figures must know about the order; empty where modes live side by side."""
        fixed = ""
        if self.serial and any(block.looks for block in self.blocks):
            fixed = "the rounds were fixed: a precision has no effect where modes are measured one at a time"
        if len(self.order_of_modes) < 2:
            return fixed
        order = ", ".join(self.order_of_modes)
        said = (
            f"modes were measured one at a time, in the order {order}: rounds of the same number are paired, "
            "but lie minutes apart; a steady drift falls on all modes alike, whatever else changed meanwhile "
            "does not; each mode has a host-to-host control of its own, of the same minutes"
        )
        return f"{said}; {fixed}" if fixed else said

    @property
    def adaptive(self) -> bool:
        """Whether a step may end before all of its rounds are taken."""
        return any(step.looks for step in self.steps)

    @property
    def _modes(self) -> tuple[Mode, ...]:
        modes = (cell.mode for block in self.blocks for cell in block.cells if cell.mode)
        return tuple(dict.fromkeys(modes))

    def _visit(self, mode: Mode, blocks: Iterable[Block], *, back: bool) -> Iterator[Block]:
        for block in blocks:
            cells = tuple(cell for cell in block.cells if cell.mode is mode)
            half = -(-block.rounds // 2)
            part = range(half, block.rounds) if back else range(half)
            if cells and part:
                # Every mode has a control of its own; that of the first is the host-to-host cell's result.
                counts = block.control_counts and cells[0] == block.cells[0]
                yield replace(block, cells=cells, control_counts=counts, mode=mode, part=part, precision=None)

    @cached_property
    def _homes(self) -> dict[Cell, Block]:
        return {cell: block for block in self.blocks for cell in block.results}

    @cached_property
    def _first_steps(self) -> dict[Cell, Block]:
        return {cell: step for step in reversed(self.steps) for cell in step.results}

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every planned cell once, block by block."""
        return tuple(self._homes)

    def block_of(self, cell: Cell) -> Block:
        """The block a cell's result comes from.

        Raises:
            KeyError: The cell is not in the plan.
        """
        return self._homes[cell]

    def step_of(self, cell: Cell) -> Block:
        """The first step that measures what becomes a cell's result.

        Raises:
            KeyError: The cell is not in the plan.
        """
        return self._first_steps[cell]

    @property
    def runs(self) -> int:
        """How often a tool will run."""
        return sum(step.runs for step in self.steps)

    @property
    def seconds(self) -> float:
        """Expected wall-clock time of all steps, in seconds; of all rounds."""
        return sum(step.seconds for step in self.steps)
