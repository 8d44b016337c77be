"""The gate against earlier runs: which of them a cell is held against, and what is said when none fits."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Self

from pytest_calico_perf.errors import SettingProblem
from pytest_calico_perf.gate import history
from pytest_calico_perf.gate.comparison import Comparison, compare
from pytest_calico_perf.gate.earlier import EarlierRun, read_run
from pytest_calico_perf.gate.fingerprint import ClusterFacts, Fingerprint, differences
from pytest_calico_perf.gate.foresight import Prospect
from pytest_calico_perf.gate.past import Past
from pytest_calico_perf.gate.request import FILE_FLAG, FOLDER_FLAG, GATE_FLAG, By, Decides, Request
from pytest_calico_perf.gate.series import RATIO, VALUE, Series, is_fact, lacks, other_command, unlike
from pytest_calico_perf.gate.store import Store
from pytest_calico_perf.model import Better, Cell, CellResult, Outcome, PastValue, Path, RunRecord, Verdict
from pytest_calico_perf.stats import summarize
from pytest_calico_perf.units import format_percent, format_value
from pytest_calico_perf.verdict import Gate, across_days
from pytest_calico_perf.verdict.decision import loss_at, ratio_at

_SHOWN = 10  # of a list in a note


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
            raise SettingProblem(
                "needs Apache Otava, which is not installed",
                where=GATE_FLAG,
                remedy="pip install --no-deps 'apache-otava>=0.8,<0.9'",
            )
        self._file = read_run(request.file) if request.file else None
        self._store = Store(request.folder, cluster) if request.folder else None
        self._cluster = cluster
        self._here: Fingerprint | None = None
        self._commands: Mapping[str, str] = {}
        self._runs: tuple[EarlierRun, ...] = ()

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
        self._runs = self._store.runs_at(here) if self._store else ()
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
        known = self._known_runs
        if not result.samples or not known or not self._series_of(result.cell):
            return ()
        obstacles = [self._obstacle(run, result) for run in known]
        comparable = [run for run, obstacle in zip(known, obstacles, strict=True) if not obstacle]
        if not comparable:
            return (self._verdict(known[-1], Outcome.INCONCLUSIVE, obstacles[-1]),)
        if is_fact(result.cell):
            return (self._of_fact(comparable[-1], result),)
        if self._request.decides is Decides.HISTORY:
            past = self._past(result)
            if len(past) + 1 >= history.MINIMUM_RUNS:
                return (self._by_history(past, result, gate),)
        return (self._against(self._past_of(comparable, result), result, gate, share),)

    def _against(self, past: Past, result: CellResult, gate: Gate, share: float) -> Verdict:
        base, cell = past.base, result.cell
        earlier = base.cells[cell]
        compared: dict[str, Comparison] = {}
        for series in self._series_of(cell):
            before = series.of(earlier.samples, earlier.control)
            now = series.of(result.by_round, result.control)
            if before and now:
                compared[series.name] = compare(
                    before,
                    now,
                    history=[day for run in past.days if (day := series.of_run(run, cell))],
                    better=result.better,
                    tolerance=self._request.tolerances.of(cell.probe),
                    gate=gate,
                    share=share,
                )
        if not compared:
            text = "a run without host-to-host control: there is no ratio to compare"
            return self._verdict(base, Outcome.INCONCLUSIVE, text)
        value, ratio = (
            compared[series.name].outcome if series.name in compared else None for series in (VALUE, RATIO)
        )
        outcome = across_days(value or ratio or Outcome.INCONCLUSIVE, ratio)
        then = format_value(_centre(earlier.samples.values()), result.unit)
        now_text = format_value(_centre(result.samples), result.unit)
        parts = [f"{name} {each.text()}" for name, each in compared.items()]
        text = f"{now_text} against {then} of {past.label}: {'; '.join(parts)}"
        text += f"; {min(len(earlier.samples), len(result.samples))} rounds"
        if value is Outcome.REGRESSED and ratio is Outcome.OK:
            text += "; hosts lost as much, so look at link and machines, not at the mode"
        open_ones = (each for each in compared.values() if each.outcome is Outcome.INCONCLUSIVE)
        if outcome is Outcome.INCONCLUSIVE and (what := next(open_ones).what_would_decide):
            text += f", {what}"
        if self._request.decides is Decides.HISTORY:
            runs = len(self._past(result)) + 1
            text += f" (change points need {history.MINIMUM_RUNS} runs, this is number {runs})"
        return self._verdict(base, outcome, text, compares=True)

    def _of_fact(self, base: EarlierRun, result: CellResult) -> Verdict:
        """A link's speed is read, not sampled: it is what it was, or it is not."""
        before, now = next(iter(base.cells[result.cell].samples.values())), result.samples[0]
        sign = -1.0 if result.better is Better.HIGHER else 1.0
        worse = sign * math.log(now / before) > self._limit(result)
        text = f"{format_value(now, result.unit)}, and {format_value(before, result.unit)} on {base.label}"
        return self._verdict(base, Outcome.REGRESSED if worse else Outcome.OK, text)

    def _by_history(self, past: Sequence[EarlierRun], result: CellResult, gate: Gate) -> Verdict:
        outcome, texts = Outcome.OK, []
        tolerated = format_percent(self._request.tolerances.of(result.cell.probe))
        for series in self._series_of(result.cell):
            runs, found = _change(series, past, result, gate)
            if found is not None and found.loss > self._limit(result):
                outcome = Outcome.REGRESSED
                texts.append(f"{_change_text(series, runs, found, result.better)}, tolerated {tolerated}")
            elif found is not None:
                texts.append(f"{series.name} without a lasting loss of more than {tolerated}")
        if not texts:
            outcome, texts = Outcome.INCONCLUSIVE, ["too few runs with a host-to-host control"]
        text = f"{'; '.join(texts)}; {len(past) + 1} runs"
        if outcome is Outcome.REGRESSED:
            text += "; if that was wanted, remove the older records from the folder"
        return Verdict(f"history {self._request.folder}", GATE_FLAG, outcome, text, compares=True)

    def _limit(self, result: CellResult) -> float:
        tolerance = self._request.tolerances.of(result.cell.probe)
        return loss_at(1 - tolerance if result.better is Better.HIGHER else 1 + tolerance, result.better)

    # -- for the reports -----------------------------------------------------------------------

    def past(self, result: CellResult) -> tuple[PastValue, ...]:
        """What the cell had in the runs it may be held against, in order of time; none before `meet`.

        Nor where only ratios are compared: then those values may be another place's.
        """
        if self._here is None or self._request.by is By.RATIO or is_fact(result.cell):
            return ()
        known = [run for run in self._known_runs if not self._obstacle(run, result)]
        return tuple(
            PastValue(run.label, summarize(tuple(run.cells[result.cell].samples.values()))) for run in known
        )

    def notes(self, results: Sequence[CellResult], gate: Gate) -> tuple[str, ...]:
        """What every report must say: what differs, what is missing on this side, where levels changed."""
        if self._here is None:
            return ()
        known = self._known_runs
        if not known:
            first = "nothing was compared, and this run becomes the first baseline if it is good"
            return (f"no good run of this cluster in {self._request.folder} yet: {first}",)
        base, notes = known[-1], []
        if foreign := differences(base.fingerprint.place, self._here.place):
            notes.append(
                f"the baseline of {base.label} is of another place, so only ratios to host-to-host were "
                f"compared: {'; '.join(foreign)}"
            )
        if changed := differences(base.fingerprint.software, self._here.software):
            note = f"since the baseline of {base.label} changed: {'; '.join(changed)}"
            if self._request.by is By.VALUE:
                note += " (what that does to hosts, too, --calico-baseline-by=ratio leaves out)"
            notes.append(note)
        if not base.commands:
            notes.append(f"{base.path} does not say with which parameters its probes ran")
        measured = {result.cell for result in results if result.samples}
        gone = [str(cell) for cell, earlier in base.cells.items() if earlier.samples and cell not in measured]
        if gone:
            notes.append(f"in the baseline of {base.label}, but without a sample in this run: {_some(gone)}")
        return (*notes, *self._change_notes(results, gate))

    def _change_notes(self, results: Sequence[CellResult], gate: Gate) -> Iterator[str]:
        if not history.available():
            return
        lines = []
        for result in results:
            past = self._past(result)
            if is_fact(result.cell) or len(past) + 1 < history.MINIMUM_RUNS:
                continue
            for series in self._series_of(result.cell):
                runs, found = _change(series, past, result, gate)
                if found is not None and len(found.levels) > 1:
                    lines.append(f"{result.cell}: {_change_text(series, runs, found, result.better)}")
        if lines:
            yield f"change points in the history: {_some(lines, '; ')}"

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

    def _past(self, result: CellResult) -> tuple[EarlierRun, ...]:
        """The runs of the folder that measured this cell as this run does, in order of time."""
        return tuple(run for run in self._runs if not self._obstacle(run, result))

    def _past_of(self, comparable: Sequence[EarlierRun], result: CellResult) -> Past:
        """What the cell is held against: the file that was named, else what stands of the folder."""
        cell = result.cell
        runs = self._past(result) if self._file else comparable
        tolerance = self._request.tolerances.of(cell.probe)
        return Past.of(runs, cell, self._series_of(cell), tolerance, self._file)

    def _verdict(
        self, base: EarlierRun, outcome: Outcome, message: str, *, compares: bool = False
    ) -> Verdict:
        flag = FILE_FLAG if self._file else FOLDER_FLAG
        return Verdict(f"baseline {base.path.name}", flag, outcome, message, compares)


def _change(
    series: Series, past: Sequence[EarlierRun], result: CellResult, gate: Gate
) -> tuple[tuple[EarlierRun, ...], history.Change | None]:
    """The runs that have the series, and what it says about this one; None where they are too few."""
    runs = tuple(run for run in past if series.of_run(run, result.cell))
    now = series.of(result.by_round, result.control)
    if not now or len(runs) + 1 < history.MINIMUM_RUNS:
        return runs, None
    values = [*(_centre(series.of_run(run, result.cell)) for run in runs), _centre(now)]
    return runs, history.change(values, result.better, gate)


def _change_text(series: Series, runs: Sequence[EarlierRun], found: history.Change, better: Better) -> str:
    """`value worse by 12 % since 2026-11-23 14:40 UTC`, against the best level before."""
    when = f"since {runs[found.since].label}" if found.since < len(runs) else "in this run"
    size = format_percent(abs(ratio_at(found.loss, better) - 1))
    return f"{series.name} {'worse' if found.loss > 0 else 'better'} by {size} {when}"


def _centre(samples: Iterable[float]) -> float:
    """The geometric mean, which the comparison is about."""
    logarithms = [math.log(sample) for sample in samples]
    return math.exp(math.fsum(logarithms) / len(logarithms))


def _some(things: Sequence[str], joint: str = ", ") -> str:
    more = len(things) - _SHOWN
    return joint.join(things[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
