"""One block of cells measured in a lab that is up already, without a pytest run around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.model import Cell, CellResult, Mode
from pytest_calico_perf.plan import Block, Plan
from pytest_calico_perf.precision import Stopped
from pytest_calico_perf.probes.base import Probe
from pytest_calico_perf.profiles import Profile


class Listener:
    """An observer that has something happen at the end of a round."""

    def __init__(self, then: Callable[[int], object] = lambda _: None) -> None:
        self._then = then

    def round_done(self, block: Block, number: int) -> None:
        self._then(number)

    def turning(self, mode: Mode) -> None: ...

    def block_started(self, plan: Plan, block: Block) -> None: ...

    def round_started(self, block: Block, number: int) -> None: ...

    def run_done(self, block: Block, number: int, cell: Cell, value: float | None) -> None: ...

    def block_stopped(self, block: Block, stopped: Sequence[Stopped]) -> None: ...

    def block_done(self, block: Block) -> None: ...


def measured(
    cluster: Cluster,
    cells: Sequence[Cell],
    probe: Probe,
    *,
    rounds: int = 1,
    then: Callable[[int], object] = lambda _: None,
) -> list[CellResult]:
    """The results of cells of one probe; `then` is called with the number of each round that is over."""
    paths = tuple(dict.fromkeys(cell.path for cell in cells))
    profile = Profile("short", rounds, warm_up_rounds=0, paths=paths, probes=(probe,))
    campaign = Campaign(Plan.of(cells, profile), cluster, Listener(then))
    return [campaign.result(cell) for cell in cells]
