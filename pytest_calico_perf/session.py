"""One run from end to end: settings in, cluster up, blocks measured, record out. Knows no pytest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.errors import CalicoPerfError, ClusterProblem
from pytest_calico_perf.model import Cell, CellResult, RunRecord
from pytest_calico_perf.plan import Plan, possible_cells
from pytest_calico_perf.progress import Observer
from pytest_calico_perf.settings import Settings


class Session:
    """The run's only state. The cluster comes up when the first cell, or a test, asks for it.

    Args:
        settings: What to do.
        observer: Told about every block and round.
    """

    def __init__(self, settings: Settings, observer: Observer) -> None:
        self.settings = settings
        self.interrupted = False
        self._observer = observer
        self._cells: tuple[Cell, ...] = self.possible
        self._cluster: Cluster | None = None
        self._campaign: Campaign | None = None
        self._broken: CalicoPerfError | None = None
        self._facts: Mapping[str, Any] = {}
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    @property
    def possible(self) -> tuple[Cell, ...]:
        """Every cell the settings allow."""
        return possible_cells(self.settings.modes, self.settings.profile.paths, self.settings.profile.probes)

    @property
    def plan(self) -> Plan:
        """Blocks and rounds of the selected cells."""
        return Plan.of(self._cells, self.settings.profile)

    @property
    def whole_plan(self) -> Plan:
        """Blocks and rounds of every cell the settings allow."""
        return Plan.of(self.possible, self.settings.profile)

    def select(self, cells: Iterable[Cell]) -> None:
        """Measure these cells and no others; to be called before the first result is asked for."""
        wanted = set(cells)
        self._cells = tuple(cell for cell in self.possible if cell in wanted)

    @property
    def cluster(self) -> Cluster:
        """The cluster, brought up at the first call.

        Raises:
            ClusterProblem: It cannot be. Said at length once; every later call fails at once and in short.
        """
        if self._broken is not None:
            raise ClusterProblem(
                "the cluster did not come up", remedy="the first failure of this run says why"
            )
        if self._cluster is None:
            try:
                self._cluster = self._open()
            except CalicoPerfError as error:
                self._broken = error
                raise
            self._facts = self._cluster.facts()
        return self._cluster

    def _open(self) -> Cluster:
        # A backend is imported when a run needs it: the lab must not cost a Kubernetes user anything.
        from pytest_calico_perf.cluster.lab.cluster import LabCluster
        from pytest_calico_perf.clusterfile import LabFile

        file = self.settings.cluster_file
        if not isinstance(file, LabFile):
            raise TypeError(f"no backend for {type(file).__name__}")
        return LabCluster(file, self.settings.modes).__enter__()

    def result(self, cell: Cell) -> CellResult:
        """The cell's result; its whole block is measured when the first of its cells is asked for."""
        if self._campaign is None:
            self._campaign = Campaign(self.plan, self.cluster, self._observer)
        return self._campaign.result(cell)

    def record(self) -> RunRecord:
        """Everything known so far, also in the middle of a block that was cut short."""
        return RunRecord(
            cluster={"name": self.settings.cluster_file.name, **self._facts},
            profile=self.settings.profile.describe(),
            modes=self.settings.modes,
            results=self._campaign.results() if self._campaign else (),
            started=self._started.isoformat(timespec="seconds"),
            wall_seconds=time.monotonic() - self._clock,
            measuring_seconds=self._campaign.measuring_seconds if self._campaign else 0.0,
            interrupted=self.interrupted,
            problem=str(self._broken) if self._broken else "",
        )

    def keep(self) -> list[str]:
        """Leave the cluster up; returns the lines that say how to enter it and how to take it down."""
        if self._cluster is None:
            return []
        self._cluster.keep()
        lines, self._cluster = self._cluster.how_to_enter(), None
        return lines

    def close(self) -> str:
        """Restore everything. Idempotent. Returns what could not be restored, in words, or nothing."""
        cluster, self._cluster = self._cluster, None
        if cluster is None:
            return ""
        with suppress(KeyboardInterrupt):  # a second Ctrl-C must not leave a cluster half restored
            try:
                cluster.__exit__(None, None, None)
            except ClusterProblem as error:
                return str(error)
        return ""
