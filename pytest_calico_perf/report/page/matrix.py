"""The comparison: probe by probe a table of modes by paths, and beside it what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pytest_calico_perf.model import Cell, CellResult, Outcome
from pytest_calico_perf.report.charts.distribution import distribution
from pytest_calico_perf.report.charts.dots import dots
from pytest_calico_perf.report.charts.figures import figures
from pytest_calico_perf.report.charts.past import past
from pytest_calico_perf.report.charts.timeline import timeline
from pytest_calico_perf.report.facts import FactsTable
from pytest_calico_perf.report.markup import element, grid, text
from pytest_calico_perf.report.page.parts import (
    cell_id,
    hidden,
    mode_name,
    outcome_mark,
    path_name,
    ratio_line,
    scrolling,
    sign,
    value,
)
from pytest_calico_perf.report.table import Control, Entry, ProbeTable, Table
from pytest_calico_perf.report.words import mode_words, shortened

_CHARTS = (dots, distribution, timeline, past)
_LONGEST_REASON = 140  # in the matrix; the cell's own part has all of it


def sections(tables: Sequence[Table], key: str) -> list[str]:
    """A section per probe; facts about network cards stand where the page says where it was measured."""
    probes = [table for table in tables if isinstance(table, ProbeTable)]
    charts = [[chart for draw in _CHARTS if (chart := draw(table))] for table in probes]
    drawn = iter(figures([chart for each in charts for chart in each], key))  # all at once: it is a process
    return [
        _section(table, key, list(islice(drawn, len(each))))
        for table, each in zip(probes, charts, strict=True)
    ]


def facts_section(table: FactsTable) -> str:
    """What a probe found out once, place by place."""
    failures = [
        element(
            "p", path_name(result.cell.path), ": ", outcome_mark(result.outcome), " ", text(result.reason)
        )
        for result in table.failures
    ]
    rows = [(text(name), *(text(each) for each in values)) for name, values in table.rows]
    heads = ("", *(text(column) for column in table.columns))
    return "".join((*failures, scrolling(grid(heads, rows), table.meaning) if rows else ""))


def _section(table: ProbeTable, key: str, drawn: Sequence[str]) -> str:
    title = element("h3", text(table.probe), " ", element("span", text(table.meaning), class_="meaning"))
    # Of paths that were only looked at, or are all dead, there is no value to have a unit.
    valued = table.summaries or any(entry.struck for entry in table.entries)
    subtitle = ", ".join(filter(None, (table.direction, table.rounds))) if valued else ""
    parts = [element("p", text(subtitle), class_="muted")] if subtitle else []
    if table.host:
        # Beside controls only why it failed: the values stand in their row.
        told = _failure(table.host.result, key) if table.controls else _inside(table, table.host, key)
        parts.append(element("div", element("b", "host-to-host (control)"), " ", *told, class_="host"))
    if table.paths:
        parts.append(scrolling(_matrix(table, key), f"{table.probe}: modes by paths"))
    charts = element("div", *drawn, class_="figures") if drawn else ""
    return element(
        "section", title, element("div", element("div", *parts, class_="numbers"), charts, class_="probe")
    )


def _matrix(table: ProbeTable, key: str) -> str:
    heads = ("mode", *(path_name(path) for path in table.paths))
    rows = []
    if table.controls:
        rows.append((mode_name(None), *("".join(_control(table, each)) for each in table.controls)))
    rows += [
        (mode_name(row.mode), *("".join(_inside(table, entry, key)) for entry in row.entries))
        for row in table.rows
    ]
    return grid(heads, rows, class_=f"cells{' controlled' if table.controls else ''}")


def _control(table: ProbeTable, control: Control) -> list[str]:
    parts = [value(table.scale, control.summary)] if control.summary else []
    if control.problem:
        parts.append(element("span", "! failed", class_="outcome tool-error"))
        parts.append(element("div", text(control.problem), class_="reason"))
    return parts or [_not_measured()]


def _inside(table: ProbeTable, entry: Entry | None, key: str) -> list[str]:
    """What a cell of the comparison says, top to bottom."""
    if entry is None:
        return [_not_measured()]
    result, parts = entry.result, []
    if entry.summary:
        mark = sign(Outcome.OK) + " " if result.outcome is Outcome.OK else ""
        parts.append(element("div", mark, _link(result.cell, key, value(table.scale, entry.summary))))
    if entry.struck:
        struck = element("s", value(table.scale, entry.struck))
        parts.append(element("div", hidden("not counted:"), " ", struck, class_="struck"))
    if entry.failed:
        parts += _failure(result, key)
    elif not entry.summary:
        parts.append(outcome_mark(result.outcome))
    if entry.to_base and table.base:
        parts.append(ratio_line(entry.to_base, mode_words(table.base), table.better))
    if entry.to_host:
        parts.append(ratio_line(entry.to_host, "host"))
    if entry.reverse:
        shown = text(table.scale.summary(entry.reverse))
        parts.append(
            element(
                "div", element("span", "reverse", title="from server to client"), " ", shown, class_="ratio"
            )
        )
    return parts


def _link(cell: Cell, key: str, shown: str) -> str:
    """To all that is known about the cell; hosts as the control of many have no single one."""
    return element("a", shown, href=f"#{cell_id(key, cell)}")


def _failure(result: CellResult, key: str) -> list[str]:
    # What is broken says more than what was noticed first, which the reason begins with.
    short = shortened(str(result.diagnosis.get("sentence") or result.reason), _LONGEST_REASON)
    return [
        _link(result.cell, key, outcome_mark(result.outcome)),
        element("div", text(short), class_="reason") if short else "",
    ]


def _not_measured() -> str:
    return element("span", "not measured", class_="muted")
