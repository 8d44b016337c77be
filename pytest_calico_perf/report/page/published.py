"""What others published beside what was measured here: ratios, their source and what is not comparable."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_calico_perf.model import Mode, RunRecord
from pytest_calico_perf.report.markup import element, grid, text
from pytest_calico_perf.report.page.parts import mode_name, outcome_mark, path_name, ratio_line, scrolling
from pytest_calico_perf.report.references import HOST, Reference, ReferenceRow, reference_rows, sentences
from pytest_calico_perf.report.words import mode_words, number

_HEADS = ("probe", "better", "path", "mode", "divided by", "measured here", "published", "by", "remark")


def section(record: RunRecord, references: Sequence[Reference]) -> str:
    """The section; empty without references."""
    if not references:
        return ""
    better = {result.cell.probe: result.better for result in record.results}
    rows = [_row(row, better.get(row.probe, "")) for row in reference_rows(record, references)]
    said = [element("li", text(sentence)) for sentence in sentences(record, references)]
    table = (
        scrolling(grid(_HEADS, rows), "published figures")
        if rows
        else element("p", "None of their figures is of a cell of this run.")
    )
    title = element("h3", "Beside published figures")
    lead = "Ratios of other machines, kernels and packet sizes: to be read beside ours, never as limits. "
    lead += "In parentheses the 95 % interval."
    return element("section", title, element("p", lead, class_="muted"), table, element("ul", *said))


def _row(row: ReferenceRow, better: str) -> tuple[str, ...]:
    measured = ratio_line(row.measured, "") if row.measured else outcome_mark(row.outcome)
    return (
        text(row.probe),
        text(better),
        path_name(row.path),
        mode_name(row.mode),
        text("host-to-host" if row.base == HOST else mode_words(Mode(row.base))),
        measured,
        text(number(row.published, 2)),
        text(row.reference),
        text(row.note),
    )
