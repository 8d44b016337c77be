"""One run from end to end: settings in, cluster up, blocks measured, record out. Knows no pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.errors import CalicoPerfError, ClusterProblem
from pytest_calico_perf.interrupts import Hold
from pytest_calico_perf.model import Cell, CellResult, Provision, RunRecord
from pytest_calico_perf.plan import Plan, possible_cells
from pytest_calico_perf.progress import Observer
from pytest_calico_perf.settings import Settings


class Session:
    """The run's only state. The cluster comes up when the first cell, or a test, asks for it.

    Args:
        settings: What to do.
        observer: Told about every block and round.
        tell: Told in sentences what is found and done while the cluster comes up and goes.
        hold: Gives a context in which nothing interrupts us: what must be done whole is done there.
    """

    def __init__(
        self, settings: Settings, observer: Observer, *, tell: Callable[[str], None], hold: Hold
    ) -> None:
        self.settings = settings
        self.interrupted = False
        self._observer = observer
        self._tell = tell
        self._hold = hold
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
        return self._plan_of(self._cells)

    @property
    def whole_plan(self) -> Plan:
        """Blocks and rounds of every cell the settings allow."""
        return self._plan_of(self.possible)

    def _plan_of(self, cells: tuple[Cell, ...]) -> Plan:
        plan = Plan.of(cells, self.settings.profile)
        return plan.one_mode_at_a_time() if self.settings.provision is Provision.SWITCH else plan

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
        # A backend is imported when a run needs it: neither must cost the other's users anything.
        from pytest_calico_perf.clusterfile import KubernetesFile, LabFile

        settings, file = self.settings, self.settings.cluster_file
        if isinstance(file, LabFile):
            from pytest_calico_perf.cluster.lab.cluster import LabCluster

            return LabCluster(file, settings.modes).__enter__()
        if isinstance(file, KubernetesFile):
            from pytest_calico_perf.cluster.kubernetes import open_cluster

            return open_cluster(
                file,
                settings.modes,
                paths=settings.profile.paths,
                provision=settings.provision,
                tell=self._tell,
                hold=self._hold,
            ).__enter__()
        raise TypeError(f"no backend for {type(file).__name__}")

    def result(self, cell: Cell) -> CellResult:
        """The cell's result; its whole block is measured when the first of its cells is asked for."""
        if self._campaign is None:
            self._campaign = Campaign(self.plan, self.cluster, self._observer)
        return self._campaign.result(cell)

    def record(self) -> RunRecord:
        """Everything known so far, also in the middle of a block that was cut short."""
        if self._cluster is not None and self._cluster.serial:
            self._facts = self._cluster.facts()  # it learns about a mode when it is turned to it
        return RunRecord(
            cluster={"name": self.settings.cluster_file.name, **self._facts, "notes": self._notes()},
            profile=self.settings.profile.describe(),
            modes=self.settings.modes,
            results=self._campaign.results() if self._campaign else (),
            started=self._started.isoformat(timespec="seconds"),
            wall_seconds=time.monotonic() - self._clock,
            measuring_seconds=self._campaign.measuring_seconds if self._campaign else 0.0,
            interrupted=self.interrupted,
            problem=str(self._broken) if self._broken else "",
        )

    def _notes(self) -> list[str]:
        """Sentences every report must show: the cluster's own, and how the modes were measured."""
        note = self._campaign.note if self._campaign else ""
        return [*self._facts.get("notes", ()), *([note] if note else [])]

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
        try:
            cluster.__exit__(None, None, None)
        except ClusterProblem as error:
            return str(error)
        except KeyboardInterrupt:
            return f"{cluster.name}: removing what the run made was interrupted; {cluster.how_to_enter()[-1]}"
        return ""
