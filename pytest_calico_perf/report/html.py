"""The comparison for pytest-html: one block above its table, columns in it, details below each row.

Static HTML with inline SVG and no script, so that the content policy of a CI server cannot blank it; styles
reach nothing outside `.calico-perf`. pytest-html inserts what it gets as it is: text goes through `text()`.
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
    Entry,
    ProbeTable,
    Table,
    Verdict,
    comparison,
    explanation,
    verdict,
)
from pytest_calico_perf.stats import paired_ratio, summarize
from pytest_calico_perf.units import format_duration, format_percent, format_ratio, scale_for

_HOW_BARS_READ = "Bars start at 0; a dashed line is the median of host-to-host, a whisker the interval."
_CUT_SHORT = "The run was cut short: what is missing here was not measured."


def render(record: RunRecord) -> str:
    """The whole comparison of a run as one self-contained block of HTML."""
    tables = comparison(record)
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    sentences = explanation(tables)
    how = [_sentence(sentence) for sentence in (*sentences, _HOW_BARS_READ)] if sentences else []
    return element(
        "div",
        element("style", style),
        _heading(record),
        element("ul", *how, class_="how") if how else "",
        *(_section(table) for table in tables),
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
    if result.reason:
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
            element("p", " &middot; ".join(text(word) for word in words), class_="run"),
            element("p", _CUT_SHORT, class_="alarm") if record.interrupted else "",
        )
    )


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
    return element("section", title, element("p", text(subtitle), class_="muted"), _probe_table(table))


def _probe_table(table: ProbeTable) -> str:
    columns = (*([Path.HOST_TO_HOST] if table.host else []), *table.paths)
    heads = [element("th", "mode"), *(element("th", text(path)) for path in columns)]
    # Hosts have no mode: one cell beside all rows.
    host = ""
    if table.host:
        host = element("td", *_inside(table, table.host), class_="host", rowspan=max(1, len(table.rows)))
    rows = [
        element("tr", _mode_head(row.mode), host if row is table.rows[0] else "", *cells)
        for row in table.rows
        for cells in [[element("td", *_inside(table, entry)) for entry in row.entries]]
    ]
    return element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *(rows or [element("tr", element("th", "-", scope="row"), host)])),
        class_="cells",
    )


def _mode_head(mode: str) -> str:
    return element(
        "th", element("span", class_="key", style=f"background:var(--{mode})"), text(mode), scope="row"
    )


def _inside(table: ProbeTable, entry: Entry | None) -> list[str]:
    """What a cell of the comparison says, top to bottom."""
    if entry is None:
        return [element("span", "not measured", class_="muted")]
    parts = []
    if entry.summary:
        parts += [_value(table, entry.summary), _bar(table, entry, entry.summary)]
    if entry.failed or not entry.summary:
        parts.append(_outcome(entry.result.outcome))
    if entry.failed:
        parts.append(element("div", text(entry.result.reason), class_="reason"))
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


def _bar(table: ProbeTable, entry: Entry, summary: Summary) -> str:
    summaries = [other.summary for other in table.entries if other.summary]
    host = table.host.summary if table.host and table.host is not entry else None
    return chart.bar(
        summary,
        largest=max(s.median if s.high is None else s.high for s in summaries),
        colour=entry.result.cell.mode or "host",
        label=f"{entry.result.cell}: {table.scale.summary(summary)} {table.scale.symbol}",
        control=host.median if host else None,
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
