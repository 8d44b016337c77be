"""The gate against earlier runs: which of them a cell is held against, and what is said when none fits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Self

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate import history
from pytest_calico_perf.gate.against import against, fact_against
from pytest_calico_perf.gate.baseline_notes import some, what_differs, what_is_missing
from pytest_calico_perf.gate.earlier import EarlierRun, read_run
from pytest_calico_perf.gate.fingerprint import ClusterFacts, Fingerprint, differences
from pytest_calico_perf.gate.foresight import Prospect
from pytest_calico_perf.gate.levels import by_levels, changes
from pytest_calico_perf.gate.past import Past
from pytest_calico_perf.gate.request import FILE_FLAG, FOLDER_FLAG, GATE_FLAG, By, Decides, Request
from pytest_calico_perf.gate.series import RATIO, VALUE, Series, is_fact, lacks, other_command, unlike
from pytest_calico_perf.gate.store import Store
from pytest_calico_perf.model import Cell, CellResult, Outcome, PastValue, Path, RunRecord, Verdict
from pytest_calico_perf.stats import summarize
from pytest_calico_perf.verdict import Gate


class Baseline:
    """Holds each cell of a run against earlier runs. Built before anything is touched; then `meet`, `judge`.

    Args:
        request: What was asked for.
        cluster: Name of the cluster that will be measured.

    Raises:
        UsageProblem: A file or folder cannot be used; nothing was touched.
    """

    def __init__(self, request: Request, cluster: str) -> None:
        self._request = request
        if request.decides is Decides.HISTORY and not history.available():
            what = "needs Apache Otava, which is not installed"
            raise SettingProblem(what, where=GATE_FLAG, remedy=history.INSTALL)
        self._file = read_run(request.file) if request.file else None
        self._store = Store(request.folder, cluster) if request.folder else None
        self._cluster = cluster
        self._here: Fingerprint | None = None
        self._commands: Mapping[str, str] = {}
        self._rounds: Mapping[str, int] = {}
        self._runs: tuple[EarlierRun, ...] = ()
        self._elsewhere: EarlierRun | None = None  # where no run of the folder is of this place

    # -- when the cluster is up ----------------------------------------------------------------

    def meet(self, cluster: Mapping[str, Any], profile: Mapping[str, Any]) -> Self:
        """Learn where this run measures, and how; to be called before the first `judge`.

        Args:
            cluster: The cluster's facts.
            profile: What `Profile.describe` says.

        Raises:
            SettingProblem: The baseline is of another place, so its values say nothing about this one.
        """
        here = self._here = Fingerprint.of(ClusterFacts.of(cluster), str(profile.get("name", "")))
        probes = profile.get("probes", {})
        self._commands = {name: str(probe["command"]) for name, probe in probes.items()}
        self._rounds = {name: int(probe.get("rounds", 0)) for name, probe in probes.items()}
        if self._store:
            anywhere = self._store.candidates
            # Ratios travel: by them, runs of every place count.
            self._runs = anywhere if self._request.by is By.RATIO else self._store.runs_at(here)
            self._elsewhere = anywhere[-1] if anywhere and not self._runs else None
        if self._file and self._request.by is By.VALUE:
            foreign = differences(self._file.fingerprint.place, here.place)
            if foreign:
                raise SettingProblem(
                    f"{self._file.path} is of another place: {'; '.join(foreign)}",
                    where=FILE_FLAG,
                    remedy="compare what travels, the ratios to host-to-host: --calico-baseline-by=ratio",
                )
        return self

    def foreseen(self, cell: Cell, profile: Mapping[str, Any], gate: Gate) -> tuple[str, str]:
        """What a cell would be held against, as far as it is known before the cluster is up.

        Args:
            cell: Which.
            profile: What `Profile.describe` says.
            gate: How sure to be, with the run's number of comparisons.

        Returns:
            The demand (`baseline: at most 5 % worse`), and where it is from, or why there is none.
        """
        candidates = self._store.candidates if self._store else ()
        runs = (self._file,) if self._file else candidates
        if not runs:
            return (
                "baseline: none",
                f"{FOLDER_FLAG}: no good run of {self._cluster} in {self._request.folder} yet",
            )
        probe = profile.get("probes", {}).get(cell.probe, {})
        prospect = Prospect(cell, probe.get("command", ""), probe.get("rounds", 0), self._series_of(cell))
        demand, source = prospect.against(runs, candidates, self._request, gate)
        return demand, f"{FILE_FLAG if self._file else FOLDER_FLAG}: {source}"

    @property
    def by_rounds(self) -> bool:
        """Change points are a matter of runs: more rounds of this one hardly change what they say."""
        return self._request.decides is Decides.BASELINE

    def comparisons(self, cells: Collection[Cell]) -> int:
        """How many comparisons are planned: of each cell its value, and its ratio where it can have one."""
        return sum(len(self._series_of(cell)) for cell in cells if not is_fact(cell))

    # -- cell by cell --------------------------------------------------------------------------

    def judge(
        self, result: CellResult, results: Mapping[Cell, CellResult], gate: Gate, share: float = 1.0
    ) -> Sequence[Verdict]:
        """The verdict on a cell; none for one without samples, or where no earlier run is known.

        Args:
            result: The cell; its outcome is `ok`.
            results: Every result known so far; not needed, each cell is held against its own past.
            gate: How sure to be, with the run's number of comparisons.
            share: Part of the permitted error that may be spent on this look.

        Raises:
            RuntimeError: `meet` was not called.
        """
        del results
        if self._here is None:
            raise RuntimeError("meet() comes first")
        known, series = self._known_runs, self._series_of(result.cell)
        if not result.samples or not series:
            return ()
        if not known:
            return (self._of_another_place(self._elsewhere),) if self._elsewhere else ()
        comparable = self._comparable(result)
        if not comparable:
            return (self._verdict(known[-1], Outcome.INCONCLUSIVE, self._obstacle(known[-1], result)),)
        if is_fact(result.cell):
            base = comparable[-1]
            return (self._verdict(base, *fact_against(base, result, self._request)),)
        runs = self._past(result)
        if self._request.decides is Decides.HISTORY and len(runs) + 1 >= history.MINIMUM_RUNS:
            outcome, text = by_levels(runs, result, series, self._request, gate, share=share)
            return (Verdict(f"history {self._request.folder}", GATE_FLAG, outcome, text, compares=True),)
        past = self._past_of(comparable, result)
        planned = self._rounds.get(result.cell.probe, 0)
        outcome, text = against(past, result, series, self._request, gate, share=share, planned=planned)
        if self._request.decides is Decides.HISTORY:
            text += f" (change points need {history.MINIMUM_RUNS} runs, this is number {len(runs) + 1})"
        return (self._verdict(past.base, outcome, text, compares=True),)

    def _of_another_place(self, there: EarlierRun) -> Verdict:
        """Earlier runs of this cluster there are, but no value of theirs can be compared."""
        assert self._here
        before, now = there.fingerprint.place, self._here.place
        untold = [f"{field} is told by one of them only" for field in before.keys() ^ now.keys()]
        foreign = differences(before, now) or sorted(untold)
        text = f"the run of {there.label} is of another place: {'; '.join(foreign)}"
        remedy = "compare what travels, the ratios to host-to-host: --calico-baseline-by=ratio"
        return self._verdict(there, Outcome.INCONCLUSIVE, f"{text}; {remedy}")

    # -- for the reports -----------------------------------------------------------------------

    def past(self, result: CellResult) -> tuple[PastValue, ...]:
        """What the cell had in the runs it may be held against, in order of time; none before `meet`.

        Nor where only ratios are compared: then those values may be another place's.
        """
        if self._here is None or self._request.by is By.RATIO or is_fact(result.cell):
            return ()
        return tuple(
            PastValue(run.label, summarize(tuple(run.cells[result.cell].samples.values())))
            for run in self._comparable(result)
        )

    def notes(self, results: Sequence[CellResult], gate: Gate) -> tuple[str, ...]:
        """What every report must say: what differs, what is missing on this side, where levels changed."""
        if self._here is None:
            return ()
        known = self._known_runs
        if not known:
            place = "at this place " if self._elsewhere else ""
            first = "nothing was compared, and this run becomes the first baseline if it is good"
            return (f"no good run of this cluster {place}in {self._request.folder} yet: {first}",)
        measured = [result for result in results if result.samples]
        bases = {id(run): run for result in measured for run in self._bases(result)}
        used = [run for run in known if id(run) in bases] or [known[-1]]
        return (
            *what_differs(used, self._here, self._request.by),
            *what_is_missing(known, {result.cell for result in measured}),
            *self._level_notes(measured, gate),
        )

    def _bases(self, result: CellResult) -> tuple[EarlierRun, ...]:
        """The run a cell is held against, if there is one."""
        comparable = self._comparable(result)
        if not comparable or not self._series_of(result.cell):
            return ()
        if is_fact(result.cell):
            return (comparable[-1],)
        return (self._past_of(comparable, result).base,)

    def _level_notes(self, measured: Sequence[CellResult], gate: Gate) -> Iterator[str]:
        pasts = [(result, self._past(result)) for result in measured if not is_fact(result.cell)]
        long = [(result, past) for result, past in pasts if len(past) + 1 >= history.MINIMUM_RUNS]
        if long and not history.available():
            what = "change points in the history were not looked for: that needs Apache Otava"
            yield f"{what} ({history.INSTALL})"
            return
        lines: list[str] = []
        for result, past in long:
            lines += changes(past, result, self._series_of(result.cell), gate)
        if lines:
            yield f"change points in the history: {some(lines, '; ')}"

    def file_for(self, record: RunRecord) -> FilePath | None:
        """Where the record of this run is kept as a baseline; None when it is not (see `Store.file_for`).

        Raises:
            RecordProblem: Its folder cannot be made.
        """
        if self._store is None or self._here is None:
            return None
        return self._store.file_for(record, self._here)

    # -- which runs ----------------------------------------------------------------------------

    @property
    def _known_runs(self) -> tuple[EarlierRun, ...]:
        """What a cell may be held against, the latest last: the file that was named, else the folder's."""
        return (self._file,) if self._file else self._runs

    def _series_of(self, cell: Cell) -> tuple[Series, ...]:
        if self._request.by is By.RATIO:
            return (RATIO,) if cell.path is not Path.HOST_TO_HOST else ()
        return (VALUE, RATIO) if cell.path is not Path.HOST_TO_HOST else (VALUE,)

    def _obstacle(self, run: EarlierRun, result: CellResult) -> str:
        """Why a cell cannot be held against a run; empty when it can."""
        cell = result.cell
        return (
            lacks(run, cell)
            or unlike(run.cells[cell], result)
            or other_command(run, cell.probe, self._commands.get(cell.probe, ""))
        )

    def _comparable(self, result: CellResult) -> tuple[EarlierRun, ...]:
        """Those of the known runs that it can be held against."""
        return tuple(run for run in self._known_runs if not self._obstacle(run, result))

    def _past(self, result: CellResult) -> tuple[EarlierRun, ...]:
        """The runs of the folder that measured this cell as this run does, in order of time."""
        return tuple(run for run in self._runs if not self._obstacle(run, result))

    def _past_of(self, comparable: Sequence[EarlierRun], result: CellResult) -> Past:
        """What the cell is held against: the file that was named, else what stands of the folder."""
        cell, series = result.cell, self._series_of(result.cell)
        have = [each for each in series if each.of(result.by_round, result.control)] or series
        runs = self._past(result) if self._file else comparable
        return Past.of(runs, cell, have, self._request.tolerances.of(cell.probe), self._file)

    def _verdict(
        self, base: EarlierRun, outcome: Outcome, message: str, *, compares: bool = False
    ) -> Verdict:
        flag = FILE_FLAG if self._file else FOLDER_FLAG
        return Verdict(f"baseline {base.path.name}", flag, outcome, message, compares)
