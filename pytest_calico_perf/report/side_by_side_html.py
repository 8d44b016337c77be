"""Several runs side by side as a block of static HTML, in the style of the comparison (`style.css`)."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_calico_perf.model import Outcome, Ratio
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.side_by_side import RunTable, Side, SideBySide
from pytest_calico_perf.report.side_by_side_text import differing, said
from pytest_calico_perf.report.table import Verdict, verdict

_WHOLE = 2  # columns of the runs whose words are not broken: cluster and start


def render(compared: SideBySide) -> str:
    """The comparison of the runs; the block of each run itself is `html.render`'s."""
    sentences = [*(s for each in compared.differences for s in differing(each)), *compared.words]
    return element(
        "div",
        element("h2", "Runs side by side"),
        _runs(compared),
        element("ul", *(element("li", text(sentence)) for sentence in sentences), class_="how"),
        *(_table(table, compared) for table in compared.tables),
        class_="calico-perf",
        lang="en",
    )


def _runs(compared: SideBySide) -> str:
    heads = ("run", "cluster", "started", "profile", "modes", "what came of it")
    rows = []
    for run in compared.runs:
        record = run.record
        cells = (
            record.cluster.get("name", "?"),
            record.started.replace("T", " "),
            record.profile.get("name", "?"),
            ", ".join(record.modes),
            headline(record).sentence,
        )
        # A name or a time that is broken anywhere, as long words of a page are, is hard to read.
        whole = "white-space:nowrap"
        kept = (element("td", text(cell), style=whole) for cell in cells[:_WHOLE])
        rest = (element("td", text(cell)) for cell in cells[_WHOLE:])
        rows.append(element("tr", _head(run.label), *kept, *rest))
    return _grid("The runs", heads, rows)


def _table(table: RunTable, compared: SideBySide) -> str:
    first, scale = compared.runs[0].label, table.scale
    heads = ("cell", "run", "value", "of host", f"of {first}", f"of host, of {first}")
    rows = []
    for row in table.rows:
        cell = f"{row.cell.path} {row.cell.mode}" if row.cell.mode else str(row.cell.path)
        heads_of_cell = [_head(cell, rowspan=len(row.sides))]  # one for all of its runs
        for run, side in zip(compared.runs, row.sides, strict=True):
            parts = (
                _value(side, text(said(side, scale))),
                text(ratio_text(side.to_host)) if side.to_host else "",
                text(f"not comparable: {side.obstacle}") if side.obstacle else _ratio(side.change, table),
                _ratio(side.change_of_host, table),
            )
            cells = (element("td", part) for part in parts)
            rows.append(element("tr", *heads_of_cell, _head(run.label), *cells))
            heads_of_cell = []
    return element("section", element("h3", text(table.title)), _grid(table.title, heads, rows))


def _value(side: Side, words: str) -> str:
    failed = side.result is not None and side.result.outcome is not Outcome.OK
    return element("b", words) if failed else words


def _ratio(ratio: Ratio | None, table: RunTable) -> str:
    if ratio is None:
        return ""
    says = verdict(ratio, table.better)
    word = "" if says is Verdict.UNDECIDED else f" {element('b', says)}"
    return element("span", text(ratio_text(ratio)), word, class_=f"ratio {says}")


def _head(words: str, rowspan: int = 1) -> str:
    return element("th", text(words), scope="row", rowspan=rowspan)


def _grid(caption: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    """A table that a narrow screen scrolls by itself, reachable by keyboard."""
    head = element("tr", *(element("th", text(title), scope="col") for title in heads))
    table = element("table", element("thead", head), element("tbody", *rows), class_="facts")
    return element(
        "div",
        table,
        role="region",
        aria_label=" ".join(caption.split()),
        tabindex="0",
        style="overflow-x:auto",
    )
