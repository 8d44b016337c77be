"""Every cell of the run, a line each that opens to all that is known about it: for whoever doubts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_calico_perf.model import CellResult, RunRecord, Unit
from pytest_calico_perf.report import chart
from pytest_calico_perf.report.facts import flatten, in_words
from pytest_calico_perf.report.markup import element, grid, text
from pytest_calico_perf.report.page.commands import commands, output_share, told_first
from pytest_calico_perf.report.page.dead import diagnosis
from pytest_calico_perf.report.page.parts import cell_id, outcome_mark, scrolling
from pytest_calico_perf.report.table import base_result, only_looked_at
from pytest_calico_perf.report.words import mode_words, ratio_words
from pytest_calico_perf.stats import paired_ratio, summarize
from pytest_calico_perf.units import Scale, format_value, scale_for

# Drawn or told above, and long.
_DRAWN = {"intervals", "percentiles", "interval_seconds"}

# Details by name that are in the probe's own unit, and endings of names that do not say theirs.
_OF_UNIT = {
    Unit.SECOND: ("median", "p50", "p90", "p99", "min", "max", "mean", "jitter", "resolution"),
    Unit.BIT_PER_SECOND: ("goodput", "sent", "received"),
}
_IN_BYTES = ("mss", "mtu")


def cells(record: RunRecord, key: str) -> str:
    """The section: a line per cell in the order of the plan."""
    if not record.results:
        return ""
    share = output_share(record)
    elsewhere = {cell: cell_id(key, first) for cell, first in told_first(record).items()}
    lines = [
        _cell(record, result, key, diagnosis(result.diagnosis, share, elsewhere.get(result.cell, "")), share)
        for result in record.results
    ]
    inside = "the proof of the path" if only_looked_at(record) else "samples, the proof of the path, verdicts"
    lead = f"Each line opens to {inside}, and the commands with their output."
    return element(
        "section",
        element("h3", "Every cell", id=f"{key}cells"),
        element("p", lead, class_="muted"),
        *lines,
        class_="every",
    )


def name_of(result: CellResult) -> str:
    """`tcp pod-to-pod IPIP`."""
    cell = result.cell
    return f"{cell.probe} {cell.path}{f' {mode_words(cell.mode)}' if cell.mode else ''}"


def value_words(result: CellResult) -> str:
    """Median, interval, unit, direction, rounds and confidence, in words; empty without samples."""
    if not result.samples:
        return ""
    summary = summarize(result.samples)
    scale = scale_for([summary], result.unit)
    words = [
        f"{scale.summary(summary)} {scale.symbol}, {result.better} is better",
        "1 round" if summary.n == 1 else f"median of {summary.n} rounds",
    ]
    if summary.confidence is not None:
        words.append(f"interval with {summary.confidence * 100:.0f} % confidence")
    return "; ".join(words)


def _cell(record: RunRecord, result: CellResult, key: str, dead: str, share: int) -> str:
    samples = result.samples or result.wrong_samples
    shown = ""
    if samples:
        summary = summarize(samples)
        scale = scale_for([summary], result.unit)
        shown = text(f"{scale.summary(summary)} {scale.symbol}")
        shown = shown if result.samples else element("s", shown)
    head = element(
        "summary",
        element("b", text(name_of(result))),
        " ",
        element("span", shown, class_="shown"),
        " ",
        outcome_mark(result.outcome),
    )
    parts = [*_said(result), *_figures(record, result), _evidence(result), dead]
    parts += [
        _facts("What the tool said (median of the runs)", result.details, result.unit),
        commands(result.commands, share),
    ]
    # The id is inside, so that a link to it opens what is closed around it.
    return element("details", head, element("div", *parts, id=cell_id(key, result.cell)), class_="cell")


def verdicts(result: CellResult) -> str:
    """What each rule demands, what it says and why, and where it is written."""
    rows = [(text(v.rule), outcome_mark(v.outcome), text(v.message), text(v.source)) for v in result.verdicts]
    return grid(("demand", "verdict", "reasoning", "written in"), rows) if rows else ""


def _said(result: CellResult) -> list[str]:
    parts = []
    if result.verdicts:
        parts.append(verdicts(result))
    elif result.diagnosis.get("sentence"):
        pass  # which says the same, and more, right below
    elif result.reason:
        parts.append(element("p", text(result.reason), class_="reason"))
    elif result.samples:
        parts.append(
            element(
                "p",
                "Nothing was demanded of it: there is no threshold, expectation or baseline.",
                class_="muted",
            )
        )
    parts += [
        element("p", element("b", "Remark:"), " ", text(remark), class_="remark") for remark in result.remarks
    ]
    return parts


def _figures(record: RunRecord, result: CellResult) -> list[str]:
    """Samples in words, as a drawing and as a table, with what they were divided by."""
    if not result.samples:
        if not result.wrong_samples:
            return []
        values = ", ".join(format_value(value, result.unit) for value in result.wrong_samples)
        return [element("p", "Measured on another path, counted nowhere: ", element("s", text(values)))]
    summary = summarize(result.samples)
    scale = scale_for([summary], result.unit)
    ends = (scale.text(min(result.samples)), scale.text(max(result.samples)))
    parts = [
        element("p", text(value_words(result))),
        chart.line(result.samples, result.rounds, summary, ends),
        _spread(result.samples, scale),
        _rounds(record, result, scale),
    ]
    if ratio := paired_ratio(result.control, result.by_round):
        parts.insert(1, element("p", text(f"{ratio_words(ratio)} of host-to-host")))
    base = base_result(record, result)
    if base and base.cell.mode and (ratio := paired_ratio(base.by_round, result.by_round)):
        parts.insert(1, element("p", text(f"{ratio_words(ratio)} of {mode_words(base.cell.mode)}")))
    return parts


def _spread(samples: Sequence[float], scale: Scale) -> str:
    """How the rounds lie: smallest, quarters and largest."""
    ordered = sorted(samples)
    if len(ordered) < 2:
        return ""
    quarters = [ordered[round(share * (len(ordered) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
    words = ", ".join(scale.number(value) for value in quarters)
    return element(
        "p",
        text(f"From the smallest round to the largest, by quarters: {words} {scale.symbol}"),
        class_="muted",
    )


def _rounds(record: RunRecord, result: CellResult, scale: Scale) -> str:
    """Round by round what this cell, the first mode and the hosts had."""
    base = base_result(record, result)
    columns: list[tuple[str, Mapping[int, float]]] = [(name_of(result), result.by_round)]
    if base and base.samples and base.cell.mode:
        columns.append((mode_words(base.cell.mode), base.by_round))
    if result.control:
        columns.append(("host-to-host", result.control))
    rows = [
        (text(title), *(text(scale.number(values.get(number))) for number in result.rounds))
        for title, values in columns
    ]
    # A record counts from 0, people and the progress line from 1.
    heads = (text(f"{scale.symbol}, round"), *(str(number + 1) for number in result.rounds))
    return scrolling(grid(heads, rows, class_="facts rounds"), f"{name_of(result)}: samples by round")


def _evidence(result: CellResult) -> str:
    facts = _without_repeats(result.evidence)
    line = facts.pop("line", "")
    said = element("p", element("b", "Evidence:"), " ", text(line), class_="evidence") if line else ""
    return said + _facts("What proves the path", facts, result.unit)


def _without_repeats(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what a look after the last round found as it was before the first."""
    before, after = flatten(evidence), evidence.get("after")
    facts = {name: value for name, value in evidence.items() if name != "after"}
    if isinstance(after, Mapping):
        changed = {name: value for name, value in flatten(after).items() if before.get(name) != value}
        facts |= {f"after.{name}": value for name, value in changed.items()}
    return facts


def _facts(title: str, facts: Mapping[str, Any], unit: Unit) -> str:
    rows = [
        (text(f"{_in_order(name)}{_unit(name, unit)}"), text(value))
        for name, value in flatten(_told(facts)).items()
    ]
    if not rows:
        return ""
    return element("details", element("summary", text(title)), grid((), rows))


def _unit(name: str, unit: Unit) -> str:
    """` [s]` behind the name of a fact whose unit is known by it; figures are SI. Empty behind others."""
    last = name.rpartition(".")[2]
    if last in _OF_UNIT.get(unit, ()):
        return f" [{unit}]"
    return " [bytes]" if last.rpartition("_")[2] in _IN_BYTES else ""


def _in_order(name: str) -> str:
    """A name out of `flatten` as words, its group first: `forward.mtu` -> `forward MTU`."""
    return in_words(".".join(reversed(name.split("."))))


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _told(value) if isinstance(value, Mapping) else value
        for name, value in facts.items()
        if name not in _DRAWN
    }
