"""Which cells make a block, in how many rounds, and how long all of it will take. No I/O.

A block is what must be measured together to be comparable: one probe on one path, every mode, and the
same probe from host to host as the control (docs/how-it-measures.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from pytest_calico_perf.model import Cell, Mode, Path
from pytest_calico_perf.probes.base import Probe

# For the estimate only. What starting and ending a tool at both ends costs on top of its measuring time,
# and what the proofs around a block cost per cell (reachability, routes, counters); of the lab's order.
RUN_OVERHEAD = 0.02
CELL_OVERHEAD = 0.05


class Schedule(Protocol):
    """What a plan must know of a profile."""

    @property
    def by_name(self) -> Mapping[str, Probe]:
        """Probe by its name."""

    @property
    def warm_up_rounds(self) -> int:
        """Rounds before those that count; dropped."""

    def rounds_of(self, probe: Probe) -> int:
        """How many rounds of a probe count."""


@dataclass(frozen=True)
class Block:
    """One probe on one path in every mode, measured back to back in rounds.

    Attributes:
        probe: With which tool.
        path: From where to where.
        cells: One per mode, in the user's order; the only one when the path has no mode.
        rounds: Rounds that count.
        warm_up_rounds: Rounds before these; dropped.
        control: The host-to-host cell that is run in every round beside them, or None.
        control_counts: Whether the control's samples are also the result of the host-to-host cell. True in
            the first block of a probe when that cell was asked for. Of one block and not of all: the row
            then has as many samples as the others, from one stretch of time, and its round numbers pair
            with that block's cells. Every block has its own control in `CellResult.control`: that is what
            to divide by.
    """

    probe: Probe
    path: Path
    cells: tuple[Cell, ...]
    rounds: int
    warm_up_rounds: int
    control: Cell | None = None
    control_counts: bool = False

    @property
    def name(self) -> str:
        """Probe and path: `tcp pod-to-pod`; unique in a plan."""
        return f"{self.probe.name} {self.path}"

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
        return len(self.contenders) * (self.rounds + self.warm_up_rounds)

    @property
    def seconds(self) -> float:
        """Expected wall-clock time, in seconds."""
        return self.runs * (self.probe.seconds + RUN_OVERHEAD) + len(self.contenders) * CELL_OVERHEAD


@dataclass(frozen=True)
class Plan:
    """Everything that will be measured, in this order."""

    blocks: tuple[Block, ...]

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
                )
            )
        return cls(tuple(blocks))

    @cached_property
    def _homes(self) -> dict[Cell, Block]:
        return {cell: block for block in self.blocks for cell in block.results}

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

    @property
    def runs(self) -> int:
        """How often a tool will run."""
        return sum(block.runs for block in self.blocks)

    @property
    def seconds(self) -> float:
        """Expected wall-clock time of all blocks, in seconds."""
        return sum(block.seconds for block in self.blocks)


def possible_cells(modes: Sequence[Mode], paths: Sequence[Path], probes: Iterable[Probe]) -> tuple[Cell, ...]:
    """Every cell that means something, in the order probe, path, mode; host-to-host once, without a mode."""
    return tuple(
        Cell(probe.name, path, mode)
        for probe in probes
        for path in paths
        if probe.suits(path)
        for mode in (modes if path.has_mode else (None,))
    )
