"""The report for pytest-html: one block above its table, columns in it, a short word below each row.

Static HTML with inline SVG and no script, so that the content policy of a CI server cannot blank it. Styles
reach nothing outside `.calico-perf` but the page that holds one. pytest-html inserts what it gets as it is:
text goes through `text()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from pytest_calico_perf.model import CellResult, RunRecord
from pytest_calico_perf.report import chart
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.page import glossary, matrix, place, published
from pytest_calico_perf.report.page.cells import cells, name_of, value_words, verdicts
from pytest_calico_perf.report.page.parts import cell_id, outcome_mark
from pytest_calico_perf.report.page.top import top
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.references import Reference
from pytest_calico_perf.report.table import comparison
from pytest_calico_perf.stats import paired_ratio, summarize
from pytest_calico_perf.units import scale_for

_CONTENTS = {"where": "Where and how", "cells": "Every cell", "words": "How to read it"}


def render(
    record: RunRecord,
    *,
    key: str = "",
    references: Sequence[Reference] = (),
    style: bool = True,
    titled: bool = True,
) -> str:
    """The whole report of a run as one self-contained block of HTML.

    Args:
        record: The run.
        key: What all ids of the block begin with; where a page holds several blocks, one of its own for each.
        references: Published figures to show beside the measured ones.
        style: Whether the block brings the style: of several on a page the first is enough.
        titled: Whether the block has a title; without where the page around it bears the same.
    """
    tables = comparison(record)
    sections = [
        *matrix.sections(tables, key),
        published.section(record, references),
        place.place(record, tables, key),
        cells(record, key),
        glossary.glossary(record, tables, key),
    ]
    links = [
        element("a", title, href=f"#{key}{name}")
        for name, title in _CONTENTS.items()
        if any(f'id="{key}{name}"' in section for section in sections)
    ]
    return element(
        "div",
        # pytest-html says neither that a phone need not pretend to be wide nor which language it speaks.
        '<meta name="viewport" content="width=device-width, initial-scale=1">' if style else "",
        element("style", files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
        if style
        else "",
        top(record, titled=titled),
        element("nav", *links, aria_label="Parts of the report") if links else "",
        *sections,
        class_="calico-perf",
        lang="en",
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
            of_host = _sortable(ratio.value, ratio_text(ratio))
    return [
        element("td", median, class_="col-median"),
        element("td", interval, class_="col-interval"),
        element("td", of_host, class_="col-ofhost"),
    ]


def test_id_cell(nodeid: str) -> str:
    """The cell of a test's name, escaped: pytest-html 4.2 does not do it (pytest-html#1024)."""
    return element("td", text(nodeid), class_="col-testId")


def details_html(result: CellResult, key: str = "") -> str:
    """What unfolds below a test's row: how it ended and why, its samples drawn, where the rest is told."""
    parts = [element("p", element("b", text(name_of(result))), " ", outcome_mark(result.outcome))]
    if result.verdicts:
        parts.append(verdicts(result))
    elif result.reason:
        parts.append(element("p", text(result.reason), class_="reason"))
    if result.samples:
        summary = summarize(result.samples)
        scale = scale_for([summary], result.unit)
        ends = (scale.text(min(result.samples)), scale.text(max(result.samples)))
        parts.append(element("p", text(value_words(result))))
        parts.append(chart.line(result.samples, result.rounds, summary, ends))
    if line := result.evidence.get("line"):
        parts.append(element("p", text(line)))
    rest = "Rounds, evidence, commands and their output"
    parts.append(element("p", element("a", rest, href=f"#{cell_id(key, result.cell)}")))
    return element("div", *parts, class_="calico-perf cell", lang="en")


def _sortable(key: float, shown: str) -> str:
    return element("span", f"{key:032.12f}", hidden="hidden") + text(shown)
