"""What a campaign tells while it runs, and how that reads: one live line, or one line a round.

Writing is the caller's: two callables. Nothing here knows a terminal, or pytest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from pytest_calico_perf.model import Cell, Mode, Outcome
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Stopped
from pytest_calico_perf.units import format_duration, format_value

# The plan's estimate counts as if this much of it, in seconds, had come true already: the first runs of a
# campaign say little about its pace.
_TRUST = 10.0


Value = float | Literal[Outcome.WRONG_PATH] | None
"""A run's value in the probe's unit; None when the round was lost, and no number on a wrong path."""


class Observer(Protocol):
    """Is told what happens, between measurements; must return at once."""

    def turning(self, mode: Mode) -> None:
        """The cluster, which carries one mode at a time, is turned to this one; takes a while."""

    def block_started(self, plan: Plan, block: Block) -> None:
        """A block, or a part of one, begins: its ends are looked up and proven reachable."""

    def round_started(self, block: Block, number: int) -> None:
        """A round begins; negative numbers are warm-up."""

    def run_done(self, block: Block, number: int, cell: Cell, value: Value) -> None:
        """A cell's run is over, with what came of it."""

    def round_done(self, block: Block, number: int) -> None:
        """Every cell of the round had its run."""

    def block_stopped(self, block: Block, stopped: Sequence[Stopped]) -> None:
        """The block needs no further round: what is said of each of its cells that is alive."""

    def block_done(self, block: Block) -> None:
        """The block, or this part of it, is over."""


class Progress:
    """Events in, lines out: step k of n, round i of r, its values per mode, time left.

    Args:
        line: Writes a line for good. Without `rewrite` it is given one line a round.
        rewrite: Replaces the live line. Given everything when there is one; `line` is then not used.
        width: Asked for the columns the live line may fill; a longer one would wrap and stay.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        line: Callable[[str], None],
        rewrite: Callable[[str], None] | None = None,
        width: Callable[[], int] = lambda: 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._rewrite = rewrite
        self._width = width
        self._clock = clock
        self._plan = Plan(())
        self._started: float | None = None
        self._done: dict[int, float] = {}  # step of the plan -> which share of it is over
        self._values: dict[Cell, Value] = {}  # of this round only
        self._live = False

    def turning(self, mode: Mode) -> None:
        self._started = self._clock() if self._started is None else self._started
        text = f"turning the cluster to {mode}"
        if self._rewrite is None:
            self._line(text)
        else:
            self._show_live(text)

    def block_started(self, plan: Plan, block: Block) -> None:
        self._plan = plan
        self._started = self._clock() if self._started is None else self._started
        self._values = {}
        self._done[self._step(block)] = 0.0
        self._show_live(f"{self._place(block)}, checking reachability")

    def round_started(self, block: Block, number: int) -> None:
        self._values = {}
        self._show_live(self.describe(block, number))

    def run_done(self, block: Block, number: int, cell: Cell, value: Value) -> None:
        self._values[cell] = value
        self._show_live(self.describe(block, number))

    def round_done(self, block: Block, number: int) -> None:
        self._done[self._step(block)] = (block.numbers.index(number) + 1) / len(block.numbers)
        if self._rewrite is None:
            self._line(self.describe(block, number))

    def block_stopped(self, block: Block, stopped: Sequence[Stopped]) -> None:
        # One sentence for all: cells of a block differ at most in whether verdicts or precision ended them.
        told = "; ".join(dict.fromkeys(each.text for each in stopped))
        if self._rewrite is None:
            self._line(f"{self._place(block)}: {told}")

    def block_done(self, block: Block) -> None:
        self._done[self._step(block)] = 1.0
        self.close()

    def close(self) -> None:
        """Take the live line away. Idempotent."""
        if self._live and self._rewrite is not None:
            self._live = False
            self._rewrite("")

    @property
    def seconds_left(self) -> float:
        """The plan's estimate for what is not done, corrected by the pace so far, in seconds."""
        shares = ((step.seconds, self._done.get(i, 0.0)) for i, step in enumerate(self._plan.steps))
        planned = [(seconds * share, seconds * (1 - share)) for seconds, share in shares]
        done, left = sum(pair[0] for pair in planned), sum(pair[1] for pair in planned)
        elapsed = 0.0 if self._started is None else self._clock() - self._started
        return left * (elapsed + _TRUST) / (done + _TRUST)

    def describe(self, block: Block, number: int) -> str:
        """The line for a round: `[2/8] tcp pod-to-pod, round 3/10: bgp 9.41 Gbit/s, ...; 38 s left`."""
        kind, which, of = (
            ("round", number + 1, f"at most {block.rounds}" if block.looks else block.rounds)
            if number >= 0
            else ("warm-up", number + 1 + block.warm_up_rounds, block.warm_up_rounds)
        )
        values = ", ".join(
            f"{cell.mode or 'host'} {self._value(block, cell)}"
            for cell in block.contenders
            if cell in self._values
        )
        # A fact that is read once is no number to watch.
        told = f": {values}" if values and not block.probe.once else ""
        left = format_duration(self.seconds_left)
        between = " of " if isinstance(of, str) else "/"
        return f"{self._place(block)}, {kind} {which}{between}{of}{told}; {left} left"

    def _place(self, block: Block) -> str:
        return f"[{self._step(block) + 1}/{len(self._plan.steps)}] {block.name}"

    def _step(self, block: Block) -> int:
        """Its place in the plan; a block may have a name in common with its other half."""
        return self._plan.steps.index(block)

    def _value(self, block: Block, cell: Cell) -> str:
        value = self._values[cell]
        if value is Outcome.WRONG_PATH:
            return str(value)
        return "lost" if value is None else format_value(value, block.probe.unit)

    def _show_live(self, text: str) -> None:
        if self._rewrite is not None:
            self._live = True
            self._rewrite(text[: max(self._width() - 1, 1)])
