"""The comparison as a plain value: probe by probe, modes as rows, paths as columns.

All that is computed for a report is computed here; what renders it only lays it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_calico_perf.model import (
    LOOK_PROBE,
    Better,
    CellResult,
    Mode,
    Outcome,
    Path,
    Ratio,
    RunRecord,
    Summary,
    Unit,
)
from pytest_calico_perf.report.controls import rate_back
from pytest_calico_perf.report.facts import FactsTable, facts_table
from pytest_calico_perf.stats import CONFIDENCE, paired_ratio, summarize
from pytest_calico_perf.units import Scale, scale_for

# The probe that states facts instead of taking samples (docs/how-it-measures.md, Probes).
FACTS_PROBE = "link"

# What stands before RunRecord.problem.
NOTHING_MEASURED = "Nothing could be measured"

# Where a result says what happened to its control.
_LOST = "control_problem"

_MEANINGS = {
    "ping": "round-trip time",
    "tcp": "TCP throughput, one stream",
    "tcp-parallel": "TCP throughput, parallel streams",
    "udp": "UDP throughput received",
    "iperf": "TCP throughput, iperf 2",
    "http": "HTTP requests, a new connection each",
    "http-keepalive": "HTTP requests over kept connections",
    "connect": "new TCP connections",
    "link": "network devices of the nodes",
    LOOK_PROBE: "whether paths carry payload",
}


class Verdict(StrEnum):
    """What a ratio's interval says against 1."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"  # 1 lies in the interval, or one round gives none


def verdict(ratio: Ratio, better: Better) -> Verdict:
    """Whether the interval of `ratio` lies on one side of 1, and whether that is the good side."""
    if ratio.low is None or ratio.high is None or ratio.low <= 1 <= ratio.high:
        return Verdict.UNDECIDED
    return Verdict.BETTER if (ratio.low > 1) is (better is Better.HIGHER) else Verdict.WORSE


@dataclass(frozen=True)
class Entry:
    """A cell of the comparison.

    Attributes:
        result: What it was made from.
        summary: Median and interval of its samples; None without samples.
        to_base: Ratio to the first mode on the same path; None in the first mode's own row.
        to_host: Ratio to the control of its column.
        reverse: Median and interval of the opposite direction, where the probe takes both.
        struck: Median and interval of what was measured on a path that was not the mode's: to be shown struck
            through, and part of no ratio.
    """

    result: CellResult
    summary: Summary | None
    to_base: Ratio | None = None
    to_host: Ratio | None = None
    reverse: Summary | None = None
    struck: Summary | None = None

    @property
    def failed(self) -> bool:
        """Whether there is a reason to tell."""
        return self.result.outcome is not Outcome.OK


@dataclass(frozen=True)
class Control:
    """Host-to-host beside one path: what it had in the rounds in which the modes of that path were measured.

    Every column has one of its own. A machine that changes its pace between two blocks gives them controls
    that differ, and a ratio to host is only to be understood beside the one it divides by.

    Attributes:
        path: The column.
        summary: Median and interval; None without samples.
        problem: Why samples are missing; empty if nothing is known to have gone wrong.
    """

    path: Path
    summary: Summary | None
    problem: str = ""


@dataclass(frozen=True)
class Row:
    """One mode; `entries` are in the order of the table's paths, None where nothing was measured."""

    mode: Mode
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True)
class ProbeTable:
    """All cells of one probe.

    Attributes:
        probe: Its name.
        unit: Unit of its samples.
        better: Which direction of them is good.
        base: The mode ratios divide by: the run's first.
        paths: Columns.
        rows: One per mode, the base first.
        controls: The row of host-to-host, which has no mode: one per path; empty when no path has a control.
        hosts: host-to-host as a cell of its own, whatever became of it; None where it was none.
        host: host-to-host where it is not that row, or there is more to say than a row can: measured alone,
            or failed.
    """

    probe: str
    unit: Unit
    better: Better
    base: Mode | None
    paths: tuple[Path, ...]
    rows: tuple[Row, ...]
    controls: tuple[Control, ...] = ()
    host: Entry | None = None
    hosts: CellResult | None = None

    @property
    def meaning(self) -> str:
        """What the probe measures, in words; empty for one of a test author's own."""
        return _MEANINGS.get(self.probe, "")

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry, host-to-host first, then row by row; not the controls."""
        cells = tuple(entry for row in self.rows for entry in row.entries if entry is not None)
        return (self.host, *cells) if self.host else cells

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Every value of the client's direction, the controls first."""
        shown = (*(c.summary for c in self.controls), *(e.summary for e in self.entries))
        return tuple(summary for summary in shown if summary)

    @property
    def scale(self) -> Scale:
        """One prefix and precision for all values of the table."""
        reverse = [entry.reverse for entry in self.entries if entry.reverse]
        struck = [entry.struck for entry in self.entries if entry.struck]
        # What counts nowhere sets the scale only where nothing else does.
        return scale_for((*self.summaries, *reverse) or struck, self.unit)

    @property
    def direction(self) -> str:
        """`Gbit/s, higher is better`."""
        return f"{self.scale.symbol}, {self.better} is better"

    @property
    def rounds(self) -> str:
        """`10 rounds`, or `7 to 10 rounds` where cells differ; empty when no cell has a sample."""
        counts = {summary.n for summary in self.summaries}
        if not counts:
            return ""
        span = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        return f"{span} round" if counts == {1} else f"{span} rounds"


Table = ProbeTable | FactsTable


def comparison(record: RunRecord) -> tuple[Table, ...]:
    """The tables of a run, in the order in which its probes appear; facts last."""
    by_probe: dict[str, list[CellResult]] = {}
    for result in record.results:
        by_probe.setdefault(result.cell.probe, []).append(result)
    facts = by_probe.pop(FACTS_PROBE, None)
    tables: list[Table] = [_probe_table(probe, results, record.modes) for probe, results in by_probe.items()]
    return (*tables, facts_table(facts, _MEANINGS[FACTS_PROBE])) if facts else tuple(tables)


def explanation(tables: Iterable[Table]) -> tuple[str, ...]:
    """Sentences that say how to read `tables`: only of what appears in them."""
    probes = [table for table in tables if isinstance(table, ProbeTable)]
    entries = [entry for table in probes for entry in table.entries]
    summaries = [summary for table in probes for summary in table.summaries]
    if not summaries:
        return ()
    sentences = [_interval_sentence(summaries)]
    if any(table.controls for table in probes):
        sentences.append(
            "host-to-host: the control. Hosts have no mode: it was measured once in every round of a path, "
            "beside its modes, and each column shows its own."
        )
    if ratios := [entry.to_base for entry in entries if entry.to_base]:
        base = probes[0].base
        sentence = f"of {base}: divided by {base}'s value of the same round"
        if any(ratio.low is not None for ratio in ratios):
            sentence += (
                ", mean of the rounds and 95 % interval; called better or worse where that excludes 1, "
                "otherwise no difference is shown"
            )
        sentences.append(f"{sentence}.")
    if any(entry.to_host for entry in entries):
        sentences.append("of host: divided by the value of the column's host-to-host in the same round.")
    if any(entry.reverse for entry in entries):
        sentences.append("reverse: the same from server to client.")
    return tuple(sentences)


def only_looked_at(record: RunRecord) -> bool:
    """Whether paths were looked at and nothing was to be measured."""
    return bool(record.results) and all(result.cell.probe == LOOK_PROBE for result in record.results)


def notes(record: RunRecord) -> tuple[str, ...]:
    """What the cluster wants said beside its figures: sentences among its facts."""
    found = record.cluster.get("notes", ())
    return tuple(str(note) for note in found) if isinstance(found, list | tuple) else ()


def tally(record: RunRecord) -> str:
    """How the cells that were judged ended: `5 ok, 1 slow, 2 inconclusive`; empty without a rule."""
    judged = [result.outcome for result in record.results if result.verdicts]
    counts = ((outcome, judged.count(outcome)) for outcome in Outcome)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts if count)


def base_result(record: RunRecord, cell_result: CellResult) -> CellResult | None:
    """The first mode's result on the path and probe of `cell_result`; None for that mode itself."""
    cell = cell_result.cell
    if cell.mode is None or not record.modes or cell.mode is record.modes[0]:
        return None
    same = (r for r in record.results if r.cell.probe == cell.probe and r.cell.path is cell.path)
    return next((r for r in same if r.cell.mode is record.modes[0]), None)


def _interval_sentence(summaries: Sequence[Summary]) -> str:
    confidences = [summary.confidence for summary in summaries if summary.confidence is not None]
    if not confidences:
        return "Values are of a single round, so there is no interval."
    sentence = "Values are medians of the rounds; the true median lies within the parentheses"
    if min(confidences) >= CONFIDENCE:
        return f"{sentence} with 95 % confidence."
    return f"{sentence} with at least {min(confidences) * 100:.0f} % confidence (95 % takes six rounds)."


def _probe_table(probe: str, results: Sequence[CellResult], modes: Sequence[Mode]) -> ProbeTable:
    cells = {(result.cell.mode, result.cell.path): result for result in results}
    paths = tuple(dict.fromkeys(result.cell.path for result in results if result.cell.path.has_mode))
    seen = dict.fromkeys(result.cell.mode for result in results if result.cell.mode is not None)
    ordered = [mode for mode in (*modes, *seen) if mode in seen]
    base = modes[0] if modes else None
    controls = tuple(_control(path, [r for r in results if r.cell.path is path]) for path in paths)
    if not any(control.summary or control.problem for control in controls):
        controls = ()
    host = cells.get((None, Path.HOST_TO_HOST))
    apart = host is not None and (not controls or host.outcome is not Outcome.OK)
    rows = tuple(
        Row(
            mode,
            tuple(
                _entry(result, None if mode is base else cells.get((base, path)))
                if (result := cells.get((mode, path)))
                else None
                for path in paths
            ),
        )
        for mode in dict.fromkeys(ordered)
    )
    return ProbeTable(
        probe=probe,
        unit=results[0].unit,
        better=results[0].better,
        base=base,
        paths=paths,
        rows=rows,
        controls=controls,
        host=_entry(host, None) if host and apart else None,
        hosts=host,
    )


def _control(path: Path, results: Sequence[CellResult]) -> Control:
    # All modes of a path share one control, but for those measured one at a time: each has its own.
    controls: list[Mapping[int, float]] = []
    for result in results:
        if result.control and result.control not in controls:
            controls.append(result.control)
    samples = [value for control in controls for value in control.values()]
    problems = (str(result.details[_LOST]) for result in results if _LOST in result.details)
    return Control(path, summarize(samples) if samples else None, next(problems, ""))


def _entry(result: CellResult, base: CellResult | None) -> Entry:
    own = result.by_round
    return Entry(
        result=result,
        summary=summarize(result.samples) if result.samples else None,
        to_base=paired_ratio(base.by_round, own) if base else None,
        to_host=paired_ratio(result.control, own) if result.cell.path.has_mode else None,
        reverse=_reverse(result) if result.samples else None,
        struck=summarize(result.wrong_samples) if result.wrong_samples else None,
    )


def _reverse(result: CellResult) -> Summary | None:
    """The opposite direction, where the runs tell it."""
    values = [rate_back(run.get("reverse")) for run in result.runs or (result.details,)]
    known = [value for value in values if value is not None]
    return summarize(known) if known else None
