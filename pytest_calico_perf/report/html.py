"""The comparison for pytest-html: one block above its table, columns in it, details below each row.

Static HTML with inline SVG and no script, so that the content policy of a CI server cannot blank it; styles
reach nothing outside `.calico-perf` but the order of the page's parts. pytest-html inserts what it gets as
it is: text goes through `text()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from pytest_calico_perf.model import CellResult, Outcome, Path, Ratio, RunRecord, Summary
from pytest_calico_perf.report import chart
from pytest_calico_perf.report.facts import FactsTable, flatten
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.table import (
    NOTHING_MEASURED,
    Control,
    Entry,
    ProbeTable,
    Table,
    Verdict,
    comparison,
    explanation,
    notes,
    tally,
    verdict,
)
from pytest_calico_perf.stats import paired_ratio, summarize
from pytest_calico_perf.units import format_duration, format_percent, format_ratio, scale_for

_HOW_BARS_READ = "Bars start at 0; a whisker is the interval"
_HOW_CONTROLS_READ = ", a dashed line the column's host-to-host"
_CUT_SHORT = "The run was cut short: what is missing here was not measured."


def render(record: RunRecord) -> str:
    """The whole comparison of a run as one self-contained block of HTML."""
    tables = comparison(record)
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    sentences = explanation(tables)
    controlled = any(isinstance(table, ProbeTable) and table.controls for table in tables)
    bars = f"{_HOW_BARS_READ}{_HOW_CONTROLS_READ if controlled else ''}."
    how = [_sentence(sentence) for sentence in (*sentences, bars, *notes(record))] if sentences else []
    return element(
        "div",
        element("style", style),
        _heading(record),
        element("ul", *how, class_="how") if how else "",
        *(_section(table) for table in tables),
        _cluster(record.cluster),
        class_="calico-perf",
    )


def header_cells() -> list[str]:
    """Head of the columns `row_cells` fills, sortable."""
    columns = {"median": "Median", "interval": "Interval", "ofhost": "Of host"}
    return [element("th", title, class_="sortable", data_column_type=key) for key, title in columns.items()]


def row_cells(result: CellResult | None) -> list[str]:
    """A test's cells under `header_cells`; empty ones for a test without a result.

    pytest-html finds what it sorts by with a regular expression that stops at a line end, and compares it
    as text (its basereport.py and sort.js): so there is no line end, and a hidden zero-padded number first.
    """
    median = interval = of_host = ""
    if result is not None and result.samples:
        summary = summarize(result.samples)
        scale = scale_for([summary], result.unit)
        median = _sortable(summary.median, scale.text(summary.median))
        if summary.low is not None and summary.high is not None:
            ends = f"{scale.number(summary.low)} to {scale.text(summary.high)}"
            interval = _sortable(summary.high - summary.low, ends)
        if ratio := paired_ratio(result.control, result.by_round):
            of_host = _sortable(ratio.value, format_ratio(ratio))
    return [
        element("td", median, class_="col-median"),
        element("td", interval, class_="col-interval"),
        element("td", of_host, class_="col-ofhost"),
    ]


def test_id_cell(nodeid: str) -> str:
    """The cell of a test's name, escaped: pytest-html 4.2 does not do it (pytest-html#1024)."""
    return element("td", text(nodeid), class_="col-testId")


def details_html(result: CellResult) -> str:
    """What unfolds below a test's row: its samples drawn, why it failed, details and evidence."""
    parts = [element("p", element("b", text(result.cell)), " ", _outcome(result.outcome))]
    if result.verdicts:
        parts.append(_verdicts(result))
    elif result.reason:
        parts.append(element("p", text(result.reason), class_="reason"))
    if result.samples:
        summary = summarize(result.samples)
        scale = scale_for([summary], result.unit)
        words = [
            f"{scale.summary(summary)} {scale.symbol}, {result.better} is better",
            "1 round" if summary.n == 1 else f"{summary.n} rounds",
        ]
        if summary.confidence is not None:
            words.append(f"interval with {summary.confidence * 100:.0f} % confidence")
        parts.append(element("p", text("; ".join(words))))
        ends = (scale.text(min(result.samples)), scale.text(max(result.samples)))
        parts.append(chart.line(result.samples, result.rounds, summary, ends))
    parts += [_facts("evidence", result.evidence), _facts("details (SI units)", result.details)]
    return element("div", *parts, class_="calico-perf cell")


def _verdicts(result: CellResult) -> str:
    """What each rule says, the source of the rule beside it."""
    rows = [(v.rule, (f"{v.outcome}: {v.message}", v.source)) for v in result.verdicts]
    return _grid(("rule", "verdict", "from"), rows)


def _heading(record: RunRecord) -> str:
    words = [
        ", ".join(record.modes),
        f"profile {record.profile.get('name', 'without a name')}",
        f"started {record.started.replace('T', ' ')}",
        f"took {format_duration(record.wall_seconds)}",
    ]
    if record.wall_seconds > 0:
        words.append(f"{format_percent(record.measuring_seconds / record.wall_seconds)} of it measuring")
    return "".join(
        (
            element("h2", text(f"Calico modes on {record.cluster.get('name', 'a cluster without a name')}")),
            element("p", " &middot; ".join(text(word) for word in words if word), class_="run"),
            _problem(record.problem) if record.problem else "",
            element("p", _CUT_SHORT, class_="alarm") if record.interrupted else "",
            element("p", text(f"Verdicts: {counted}"), class_="run") if (counted := tally(record)) else "",
        )
    )


def _cluster(facts: Mapping[str, Any]) -> str:
    """All that is known about where it was measured, to unfold; the notes stand at the top already."""
    known = _facts("fact", {name: value for name, value in facts.items() if name != "notes"})
    return element("details", element("summary", "Where it was measured"), known) if known else ""


def _problem(problem: str) -> str:
    return element("p", element("b", f"{NOTHING_MEASURED}:"), " ", text(problem), class_="alarm problem")


def _sentence(sentence: str) -> str:
    label, colon, rest = sentence.partition(": ")
    return (
        element("li", element("b", text(label + ":")), " ", text(rest))
        if colon
        else element("li", text(sentence))
    )


def _section(table: Table) -> str:
    title = element("h3", text(table.probe), " ", element("span", text(table.meaning), class_="meaning"))
    if isinstance(table, FactsTable):
        return element("section", title, _facts_table(table))
    subtitle = ", ".join(filter(None, (table.direction, table.rounds)))
    parts = [element("p", text(subtitle), class_="muted")]
    if table.paths:
        parts.append(_probe_table(table))
    if table.host:
        # Beside controls only why it failed: the values stand in their row.
        inside = _failure(table.host.result) if table.controls else _inside(table, table.host)
        parts.insert(1, element("div", element("b", "host-to-host (control)"), " ", *inside, class_="host"))
    return element("section", title, *parts)


def _probe_table(table: ProbeTable) -> str:
    heads = [element("th", "mode"), *(element("th", text(path)) for path in table.paths)]
    controls = table.controls or (None,) * len(table.paths)
    rows = [
        element(
            "tr",
            _row_head(row.mode, row.mode),
            *(
                element("td", *_inside(table, entry, control))
                for entry, control in zip(row.entries, controls, strict=True)
            ),
        )
        for row in table.rows
    ]
    if table.controls:
        cells = (element("td", *_inside_control(table, control)) for control in table.controls)
        rows.insert(0, element("tr", _row_head(Path.HOST_TO_HOST, "host"), *cells, class_="host"))
    return element("table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="cells")


def _row_head(title: str, colour: str) -> str:
    key = element("span", class_="key", style=f"background:var(--{colour})")
    return element("th", key, text(title), scope="row")


def _inside_control(table: ProbeTable, control: Control) -> list[str]:
    parts = []
    if control.summary:
        name = f"{table.probe} {Path.HOST_TO_HOST} beside {control.path}"
        parts += [_value(table, control.summary), _bar(table, control.summary, name, "host")]
    if control.problem:
        parts.append(element("span", "failed", class_="outcome"))
        parts.append(element("div", text(control.problem), class_="reason"))
    return parts or [_not_measured()]


def _inside(table: ProbeTable, entry: Entry | None, control: Control | None = None) -> list[str]:
    """What a cell of the comparison says, top to bottom."""
    if entry is None:
        return [_not_measured()]
    parts = []
    if entry.summary:
        cell = entry.result.cell
        beside = control.summary if control else None
        parts += [_value(table, entry.summary)]
        parts.append(_bar(table, entry.summary, str(cell), cell.mode or "host", beside))
    if entry.failed:
        parts += _failure(entry.result)
    elif not entry.summary:
        parts.append(_outcome(entry.result.outcome))
    if entry.to_base:
        parts.append(_ratio(f"of {table.base}", entry.to_base, verdict(entry.to_base, table.better)))
    if entry.to_host:
        parts.append(_ratio("of host", entry.to_host, Verdict.UNDECIDED))
    if entry.reverse:
        label = element("span", "reverse", class_="label")
        parts.append(element("div", label, " ", text(table.scale.summary(entry.reverse)), class_="ratio"))
    return parts


def _value(table: ProbeTable, summary: Summary) -> str:
    number = table.scale.number
    value = element("span", number(summary.median), class_="value")
    if summary.low is None or summary.high is None:
        return value
    interval = element("span", f"({number(summary.low)} to {number(summary.high)})", class_="interval")
    return f"{value} {interval}"


def _bar(table: ProbeTable, summary: Summary, name: str, colour: str, control: Summary | None = None) -> str:
    return chart.bar(
        summary,
        largest=max(s.median if s.high is None else s.high for s in table.summaries),
        colour=colour,
        label=f"{name}: {table.scale.summary(summary)} {table.scale.symbol}",
        control=control.median if control else None,
    )


def _ratio(label: str, ratio: Ratio, says: Verdict) -> str:
    word = "" if says is Verdict.UNDECIDED else element("b", says)
    return element(
        "div",
        element("span", text(label), class_="label"),
        " ",
        text(format_ratio(ratio)),
        " ",
        word,
        class_=f"ratio {says}",
    )


def _failure(result: CellResult) -> list[str]:
    return [_outcome(result.outcome), element("div", text(result.reason), class_="reason")]


def _not_measured() -> str:
    return element("span", "not measured", class_="muted")


def _outcome(outcome: Outcome) -> str:
    return element("span", outcome, class_="muted" if outcome is Outcome.OK else "outcome")


def _facts_table(table: FactsTable) -> str:
    failures = [
        element("p", text(result.cell.path), ": ", _outcome(result.outcome), " ", text(result.reason))
        for result in table.failures
    ]
    grid = _grid(("", *table.columns), table.rows) if table.rows else ""
    return "".join((*failures, grid))


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    rows = [(name, (value,)) for name, value in flatten(facts).items()]
    return _grid((title, ""), rows) if rows else ""


def _grid(heads: tuple[str, ...], rows: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    body = [
        element("tr", element("th", text(name), scope="row"), *(element("td", text(v)) for v in values))
        for name, values in rows
    ]
    head = element("thead", element("tr", *(element("th", text(title)) for title in heads)))
    return element("table", head, element("tbody", *body), class_="facts")


def _sortable(key: float, shown: str) -> str:
    return element("span", f"{key:032.12f}", hidden="hidden") + text(shown)
