"""What a probe is: one tool run that yields one number with a unit and a direction, plus details."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from pytest_calico_perf.cluster.base import CommandResult, EndpointPair
from pytest_calico_perf.model import Better, Measurement, Path, Unit

# Takes one sample. Raises ToolProblem when the tool failed in any way, Unreachable when it says so.
Measure = Callable[[], Measurement]


class Probe(Protocol):
    """A tool with its parameters: a frozen dataclass, so that a profile is a plain value."""

    @property
    def name(self) -> str:
        """Its word of the glossary: `ping`, `tcp`, ..."""

    @property
    def unit(self) -> Unit:
        """Unit of its samples."""

    @property
    def better(self) -> Better:
        """Which direction of them is good."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Programs an endpoint must have."""

    @property
    def seconds(self) -> float:
        """Expected wall-clock time of one sample, in seconds: for the plan's estimate only."""

    @property
    def once(self) -> bool:
        """Whether it states a fact (link) that is read once instead of sampled in rounds."""

    def suits(self, path: Path) -> bool:
        """Whether it means something on that path: link is read on hosts only."""

    def lasting(self, seconds: float) -> Self:
        """The same probe with its measuring time set, in seconds; one that counts scales its count."""

    def describe(self) -> str:
        """The command lines in short, for header and report: `iperf3 -t 1 -P 1`."""

    def open(self, pair: EndpointPair) -> AbstractContextManager[Measure]:
        """Make ready what must live as long as a block (an nginx); yields what takes a sample.

        Raises:
            ToolProblem: A tool is missing or its server does not come up.
        """


def has_run(result: CommandResult) -> CommandResult:
    """Return the result if the tool ran to an end of its own, whatever that end was.

    Exit codes are not believed beyond that (iperf3 -J ends with 0 when it was refused): the parser judges.

    Raises:
        ToolProblem: It is not installed there, or its time limit ended it.
    """
    return result.check() if result.timed_out or result.exit_code == 127 else result
