"""Several runs side by side as aligned text."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_calico_perf.model import Outcome, Ratio
from pytest_calico_perf.report.lines import Line, Span, Style, grid, one_line, wrap
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.side_by_side import Difference, RunTable, Side, SideBySide
from pytest_calico_perf.report.table import Verdict, verdict
from pytest_calico_perf.units import Scale

_STYLES = {Verdict.BETTER: Style.GOOD, Verdict.WORSE: Style.BAD, Verdict.UNDECIDED: Style.PLAIN}
_LONGEST_LABEL = 24


def render(compared: SideBySide, width: int) -> list[Line]:
    """Lines of text, at most `width` columns wide where words and numbers allow it.

    Below each cell stand the runs: value and ratio to host, and beside them their change.
    """
    lines = wrap([Span("Runs", Style.STRONG)], width)
    for run in compared.runs:
        record = run.record
        told = f"{record.cluster.get('name', '?')}, {record.started.replace('T', ' ')}, profile"
        told = f"{told} {record.profile.get('name', '?')}, modes {', '.join(record.modes)}"
        cut = "; cut short" if record.interrupted else ""
        problem = f"; nothing could be measured: {record.problem}" if record.problem else ""
        lines += wrap(one_line(f"{told}{cut}{problem}"), width, f"  {_label(run.label)}: ")
    for difference in compared.differences:
        lines += [line for text in differing(difference) for line in wrap(one_line(text), width)]
    lines.append(Line())
    lines += [line for sentence in compared.words for line in wrap(one_line(sentence), width)]
    for table in compared.tables:
        lines += [Line(), *_table(table, compared, width)]
    return lines


def differing(difference: Difference) -> Iterator[str]:
    """What differs between the first run and another, in sentences; `there` is the first."""
    if difference.unknown:
        yield f"{difference.label}: a record does not say enough to tell whether the places differ."
    if difference.place:
        yield f"{difference.label} is of another place: {'; '.join(difference.place)}."
    if difference.software:
        yield f"Changed in {difference.label}: {'; '.join(difference.software)}."


def said(side: Side, scale: Scale) -> str:
    """What a run has of a cell: value and interval, or why it has none."""
    outcome = side.result.outcome if side.result else None
    if side.summary is None:
        return outcome or "not measured"
    more = "as the control" if side.is_control else outcome
    return f"{scale.summary(side.summary)}{'' if more is Outcome.OK else f' {more}'}"


def _table(table: RunTable, compared: SideBySide, width: int) -> Iterator[Line]:
    first, scale = _label(compared.runs[0].label), table.scale
    yield from wrap([Span(one_line(table.title), Style.STRONG)], width)
    yield Line()
    columns = [[Line.of(head, Style.STRONG)] for head in ("", "value", f"of {first}")]
    obstacles: dict[str, int] = {}

    def add(*cells: Line) -> None:
        for column, cell in zip(columns, (*cells, Line(), Line()), strict=False):
            column.append(cell)

    for row in table.rows:
        cell = row.cell
        add(Line.of(f"{cell.path} {cell.mode}" if cell.mode else cell.path, Style.STRONG))
        for run, side in zip(compared.runs, row.sides, strict=True):
            change = _ratio(side.change, table)
            if side.obstacle:
                number = obstacles.setdefault(one_line(side.obstacle), len(obstacles) + 1)
                change = Line.of(f"not comparable [{number}]", Style.FAINT)
            add(Line.of(f"  {_label(run.label)}"), Line.of(said(side, scale)), change)
            if side.to_host:
                host = Line.of(ratio_text(side.to_host))
                add(Line.of("    of host", Style.FAINT), host, _ratio(side.change_of_host, table))
    yield from grid(columns)
    for obstacle, number in obstacles.items():
        yield from wrap(obstacle, width, f"  [{number}] ")


def _ratio(ratio: Ratio | None, table: RunTable) -> Line:
    if ratio is None:
        return Line()
    says = verdict(ratio, table.better)
    word = "" if says is Verdict.UNDECIDED else f" {says}"
    return Line((Span(ratio_text(ratio)), Span(word, _STYLES[says])))


def _label(label: str) -> str:
    line = one_line(label)
    return line if len(line) <= _LONGEST_LABEL else f"{line[: _LONGEST_LABEL - 3]}..."
