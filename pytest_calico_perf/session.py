"""One run from end to end: settings in, cluster up, blocks measured, record out. Knows no pytest."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path as FilePath
from typing import Any

from pytest_calico_perf.campaign import Campaign
from pytest_calico_perf.cluster.base import Cluster
from pytest_calico_perf.errors import CalicoPerfError, ClusterProblem
from pytest_calico_perf.examination import Examination, corrected
from pytest_calico_perf.gate import twins
from pytest_calico_perf.gate.baseline import Baseline
from pytest_calico_perf.gate.judging import Judge, Judges, with_verdicts
from pytest_calico_perf.gate.rule_judge import RuleJudge, explanation
from pytest_calico_perf.gate.rules import Rule, RulesOf
from pytest_calico_perf.interrupts import Hold
from pytest_calico_perf.model import Cell, CellResult, Outcome, Provision, RunRecord, Verdict
from pytest_calico_perf.plan import Plan
from pytest_calico_perf.precision import looks_up_to
from pytest_calico_perf.profiles import possible_cells
from pytest_calico_perf.progress import Observer
from pytest_calico_perf.settings import Settings
from pytest_calico_perf.verdict import SequentialPlan

_SOFTWARE = ("pytest-calico-perf", "pytest", "pytest-benchmark")  # as their distributions are called
# What a result says of itself whose block was cut short (contender.py).
_CUT_SHORT = "cut_short"


class Session:
    """The run's only state. The cluster comes up when the first cell, or a test, asks for it.

    Args:
        settings: What to do.
        observer: Told about every block and round.
        tell: Told in sentences what is found and done while the cluster comes up and goes.
        hold: Gives a context in which nothing interrupts us: what must be done whole is done there.
        command: The command line that started the run, argument by argument.

    Raises:
        UsageProblem: A baseline cannot be used; nothing was touched.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        *,
        tell: Callable[[str], None],
        hold: Hold,
        command: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self._command = tuple(command)
        self.interrupted = False
        self._observer = observer
        self._tell = tell
        self._hold = hold
        self._cells: tuple[Cell, ...] = self.possible
        wanted, name = settings.baseline, settings.cluster_file.name
        self._baseline = Baseline(wanted, name) if wanted.wanted else None
        self._judges: Judges | None = None
        self._judged: dict[Cell, CellResult] = {}
        self._own_rules: dict[Cell, tuple[Rule, ...]] = {}
        self._own_verdicts: dict[Cell, tuple[Verdict, ...]] = {}
        self._cluster: Cluster | None = None
        self._campaign: Campaign | None = None
        self._examination: Examination | None = None
        self._broken: CalicoPerfError | None = None
        self._facts: Mapping[str, Any] = {}
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    @property
    def possible(self) -> tuple[Cell, ...]:
        """Every cell the settings allow."""
        return possible_cells(self.settings.modes, self.settings.profile.paths, self.settings.profile.probes)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The selected ones, in the user's order; every possible one before a selection."""
        return self._cells

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

    def select(self, cells: Iterable[Cell], own_rules: RulesOf | None = None) -> None:
        """Measure these cells and no others; to be called before the first result is asked for.

        Args:
            cells: Which.
            own_rules: What tests demand of their cells by a mark: cell -> rules.
        """
        wanted = set(cells)
        self._cells = tuple(cell for cell in self.possible if cell in wanted)
        self._own_rules = {cell: tuple(rules) for cell, rules in (own_rules or {}).items()}

    @property
    def rule_judge(self) -> RuleJudge:
        """Thresholds and expectations, as they apply to the selected cells."""
        return RuleJudge(self.settings.thresholds, self.settings.expectations, self._cells)

    def explain(self) -> list[str]:
        """Which rule each selected cell got, and from where, as lines for people."""
        baseline, profile, gate = self._baseline, self.settings.profile.describe(), self.judges.gate
        foreseen = (lambda cell: baseline.foreseen(cell, profile, gate)) if baseline else None
        return explanation(self._cells, self.rule_judge, self._own_rules, foreseen)

    @property
    def judges(self) -> Judges:
        """Everybody who has a say in how the selected cells end."""
        if self._judges is None:
            judges: list[Judge] = [self.rule_judge]
            if self._baseline is not None:
                judges.append(self._baseline)
            own = sum(rule.compares for rules in self._own_rules.values() for rule in rules)
            self._judges = Judges(judges, self._cells, own)
        return self._judges

    @property
    def cluster(self) -> Cluster:
        """The cluster, brought up at the first call.

        Raises:
            ClusterProblem: It cannot be. Said at length once; every later call fails at once and in short.
            UsageProblem: The baseline is of another cluster than the one that came up.
        """
        if self._broken is not None:
            raise ClusterProblem(
                "the cluster did not come up", remedy="the first failure of this run says why"
            )
        if self._cluster is None:
            try:
                self._cluster = self._open()
                self._facts = self._cluster.facts()
                if self._baseline is not None:
                    self._baseline.meet(self._facts, self.settings.profile.describe())
            except CalicoPerfError as error:
                self._broken = error
                raise
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

    def result(self, cell: Cell, own_rules: Sequence[Rule] = ()) -> CellResult:
        """The cell's result; its whole block is measured and judged when the first of its cells is asked for.

        Args:
            cell: Which.
            own_rules: What the asking test demands besides; its verdicts are in this result and the record.
        """
        if self._campaign is None:
            self._campaign = Campaign(self.plan, self.cluster, self._observer, decided=self._decided)
        measured = self._campaign.result(cell)
        if cell not in self._judged:
            self._judged[cell] = self._judge(measured)
        if not own_rules or measured.outcome is not Outcome.OK:
            return self._judged[cell]
        own = self.judges.by_rules(own_rules, measured, self._measured, _share(measured))
        self._own_verdicts[cell] = (*self._own_verdicts.get(cell, ()), *own)
        return self.judges.settled(self._judged[cell], own)

    def examine(self, pair: Cell) -> CellResult:
        """Whether a pair carries payload, and why not; nothing is measured.

        Args:
            pair: One of `examination.pairs_of`.

        Raises:
            ClusterProblem: The cluster cannot be brought up.
        """
        if self._examination is None:
            self._examination = Examination(self.cluster)
        return self._examination.result(pair)

    @property
    def _measured(self) -> dict[Cell, CellResult]:
        """Everything measured so far, without verdicts."""
        return {result.cell: result for result in self._campaign.results()} if self._campaign else {}

    def _judge(self, measured: CellResult) -> CellResult:
        return self.judges.judged(measured, self._measured, _share(measured))

    def _decided(self, result: CellResult, plan: SequentialPlan, look: int) -> bool:
        """Whether the verdicts of a cell that is being measured need no further round."""
        own = self._own_rules.get(result.cell, ())
        return self.judges.decided(result, self._measured, plan.share(look), own)

    def _results(self) -> tuple[CellResult, ...]:
        """Every result with its verdicts; those of a block that was cut short have none."""
        return tuple(
            self._with_past(
                with_verdicts(self._as_known(measured), self._own_verdicts.get(measured.cell, ()))
            )
            for measured in self._measured.values()
        )

    def _with_past(self, result: CellResult) -> CellResult:
        """With what it had in earlier runs, for the reports."""
        past = self._baseline.past(result) if self._baseline and result.samples else ()
        return replace(result, past=past) if past else result

    def _as_known(self, measured: CellResult) -> CellResult:
        """As its test was told; where no test asked (-x, Ctrl-C), as it would have been."""
        if measured.cell in self._judged:
            return self._judged[measured.cell]
        return measured if _CUT_SHORT in measured.details else self._judge(measured)

    def record(self) -> RunRecord:
        """Everything known so far, also in the middle of a block that was cut short."""
        if self._cluster is not None and self._cluster.serial:
            self._facts = self._cluster.facts()  # it learns about a mode when it is turned to it
            if self._baseline is not None and self._broken is None:
                self._baseline.meet(self._facts, self.settings.profile.describe())
        results = self._examination.results() if self._examination else corrected(self._results())
        return RunRecord(
            cluster={"name": self.settings.cluster_file.name, **self._facts, "notes": self._notes(results)},
            profile=self.settings.profile.describe(),
            modes=self.settings.modes,
            results=results,
            started=self._started.isoformat(timespec="seconds"),
            wall_seconds=time.monotonic() - self._clock,
            measuring_seconds=self._campaign.measuring_seconds if self._campaign else 0.0,
            interrupted=self.interrupted,
            problem=str(self._broken) if self._broken else "",
            command=self._command,
            software=_software(),
        )

    def _notes(self, results: Sequence[CellResult]) -> list[str]:
        """Sentences every report must show: the cluster's own, how was measured, and held against what."""
        notes = list(self._facts.get("notes", ()))
        if self._campaign is None:
            return notes
        compared = self._baseline.notes(results, self.judges.gate) if self._baseline else ()
        own = filter(None, [self._campaign.note, twins.note(results, self.judges.gate)])
        return [*notes, *own, *self.rule_judge.notes, *compared]

    @property
    def keeps_baselines(self) -> bool:
        """Whether good runs are kept for later ones to be held against."""
        return self.settings.baseline.folder is not None

    def baseline_file(self, record: RunRecord) -> FilePath | None:
        """Where this run's record is to be kept as a baseline; None when it was not good enough for one.

        Raises:
            RecordProblem: Its folder cannot be made.
        """
        return self._baseline.file_for(record) if self._baseline else None

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


def _software() -> dict[str, str]:
    """Versions of what measures; what is not installed as a distribution has none."""
    versions = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _share(result: CellResult) -> float:
    """Which part of the permitted error a verdict may spend: where rounds were added, that of its look."""
    stopped = result.details.get("stopped")
    plan = looks_up_to(stopped["at_most"]) if stopped else None
    return plan.share(stopped["rounds"]) if stopped and plan else 1.0
