"""The comparison as aligned text, for a terminal, a log or a mail: colour only adds to what words say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_calico_perf.model import CellResult, Outcome, Path, Ratio, RunRecord
from pytest_calico_perf.report.doctor import footnote
from pytest_calico_perf.report.facts import FactsTable
from pytest_calico_perf.report.headline import Headline
from pytest_calico_perf.report.lines import Line, Span, Style, grid, one_line, widest, wrap
from pytest_calico_perf.report.ratios import ratio_text
from pytest_calico_perf.report.references import Reference, reference_rows, sentences
from pytest_calico_perf.report.table import (
    NOTHING_MEASURED,
    Control,
    Entry,
    ProbeTable,
    Table,
    Verdict,
    explanation,
    verdict,
)
from pytest_calico_perf.units import Scale

NOT_MEASURED = "not measured"
_REVERSE = "reverse"
_OF_HOST = "of host"
_NOT_COUNTED = "not counted"
_GAP = "  "
_NARROWEST = 40

OUTCOME_STYLES = {
    Outcome.OK: Style.PLAIN,
    Outcome.INCONCLUSIVE: Style.DOUBT,
    Outcome.UNSUPPORTED: Style.FAINT,
}
_VERDICT_STYLES = {Verdict.BETTER: Style.GOOD, Verdict.WORSE: Style.BAD}

_Cell = list[tuple[str, Line]]


def render(
    tables: Iterable[Table],
    width: int,
    problem: str = "",
    notes: Iterable[str] = (),
    headline: Headline | None = None,
) -> list[Line]:
    """Lines of text, at most `width` columns wide where words and numbers allow it.

    Paths that do not fit side by side go into a further block below, under the same modes.

    Args:
        tables: What to show, in this order.
        width: Columns of the terminal.
        problem: What kept the run from measuring (`RunRecord.problem`); stands above all else.
        notes: What the cluster wants said beside its figures (`table.notes`).
        headline: What came of the run, in a sentence; stands first.
    """
    tables = tuple(tables)
    width = max(width, _NARROWEST)
    lines = _headline(headline, width) if headline else []
    if problem and headline is None:
        lines += wrap([Span(f"{NOTHING_MEASURED}: {one_line(problem)}", Style.BAD)], width)
    if lines and tables:
        lines.append(Line())
    sentences = (*explanation(tables), *(one_line(note) for note in notes))
    lines += [line for sentence in sentences for line in wrap(sentence, width)]
    for table in tables:
        if lines:
            lines.append(Line())
        lines += _facts(table, width) if isinstance(table, FactsTable) else _probe(table, width)
    return lines


def _headline(headline: Headline, width: int) -> list[Line]:
    """Its sentence, each clause as it is to be taken."""
    last = len(headline.clauses) - 1
    spans = []
    for index, clause in enumerate(headline.clauses):
        text = one_line(clause.text)
        text = f"{text[:1].upper()}{text[1:]}" if index == 0 else text
        stop = ";" if index < last else "" if text.endswith(".") else "."
        style = Style(clause.tone)
        spans.append(Span(f"{text}{stop} ", Style.STRONG if style is Style.PLAIN else style))
    return wrap(spans, width)


class _Notes:
    """Sentences told below a table; cells refer to them by number, and equal ones share one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def refer(self, why: str) -> str:
        reason = one_line(why) or "no reason was given"
        return f"[{self._numbers.setdefault(reason, len(self._numbers) + 1)}]"

    def lines(self, width: int) -> Iterator[Line]:
        for reason, number in self._numbers.items():
            yield from wrap(reason, width, f"  [{number}] ")


def _probe(table: ProbeTable, width: int) -> list[Line]:
    scale, notes = table.scale, _Notes()
    title = ": ".join(filter(None, (one_line(table.probe), table.meaning)))
    if table.summaries or any(entry.struck for entry in table.entries):
        title = f"{title} [{table.direction}]"  # where there is no figure, there is no unit
    heading = ", ".join(filter(None, (title, table.rounds)))
    lines = wrap([Span(heading, Style.STRONG)], width)
    if table.host:
        if table.controls:
            said = _failure(table.host.result, notes)  # the values stand in the row of the controls
        else:
            parts = [(label, text) for label, text in _lines(table.host, table, scale, notes)]
            said = Line()
            for number, (label, text) in enumerate(parts):
                said += Line.of(f"{'; ' if number else ''}{label}{' ' if label else ''}") + text
        lines += wrap((Span(f"{Path.HOST_TO_HOST} (control): "), *said.spans), width, _GAP)
    if table.paths:
        controls: list[list[_Cell]] = [[[("", _control(each, scale, notes))] for each in table.controls]]
        modes = [[_lines(entry, table, scale, notes) for entry in row.entries] for row in table.rows]
        cells = [*controls, *modes] if table.controls else modes
        most = max(len(text) for row in cells for cell in row for _, text in cell)
        most = max(most, widest(table.paths))
        for span in _spans(len(table.paths), most, width - _label_width(table, cells)):
            lines += [Line(), *_block(table, [row[span] for row in cells], table.paths[span])]
    return lines + list(notes.lines(width))


def _lines(entry: Entry | None, table: ProbeTable, scale: Scale, notes: _Notes) -> _Cell:
    """Lines of a cell with their labels; the first has none, it stands beside the mode."""
    if entry is None:
        return [("", Line.of(NOT_MEASURED, Style.FAINT))]
    words = [Line.of(scale.summary(entry.summary))] if entry.summary else []
    if entry.failed:
        words.append(_failure(entry.result, notes))
    elif not words:
        words.append(Line.of(Outcome.OK))
    words += [Line.of(notes.refer(remark)) for remark in entry.result.remarks]
    lines = [("", _spaced(words))]
    if entry.struck:
        lines.append((_NOT_COUNTED, Line.of(scale.summary(entry.struck), Style.FAINT)))
    if entry.reverse:
        lines.append((_REVERSE, Line.of(scale.summary(entry.reverse))))
    if entry.to_base:
        lines.append((f"of {table.base}", _ratio(entry.to_base, verdict(entry.to_base, table.better))))
    if entry.to_host:
        lines.append((_OF_HOST, Line.of(ratio_text(entry.to_host))))
    return lines


def _ratio(ratio: Ratio, says: Verdict) -> Line:
    if says is Verdict.UNDECIDED:
        return Line.of(ratio_text(ratio))
    return Line((Span(f"{ratio_text(ratio)} "), Span(says, _VERDICT_STYLES[says])))


def _control(control: Control, scale: Scale, notes: _Notes) -> Line:
    words = [Line.of(scale.summary(control.summary))] if control.summary else []
    if control.problem:
        words.append(Line.of(f"failed {notes.refer(control.problem)}", Style.BAD))
    return _spaced(words) if words else Line.of(NOT_MEASURED, Style.FAINT)


def _failure(result: CellResult, notes: _Notes) -> Line:
    style = OUTCOME_STYLES.get(result.outcome, Style.BAD)
    return Line((Span(result.outcome, style), Span(f" {notes.refer(footnote(result))}")))


def _spaced(words: Sequence[Line]) -> Line:
    line = words[0]
    for word in words[1:]:
        line = line + Line.of(" ") + word
    return line


def _heads(table: ProbeTable) -> list[str]:
    """What stands before the rows."""
    return [*([Path.HOST_TO_HOST] if table.controls else []), *(row.mode for row in table.rows)]


def _labels(table: ProbeTable, cells: Iterable[_Cell]) -> list[str]:
    """The labels that any of these cells has, in their order."""
    present = {label for cell in cells for label, _ in cell}
    known = ("", _NOT_COUNTED, _REVERSE, f"of {table.base}", _OF_HOST)
    return [label for label in known if label in present]


def _block(table: ProbeTable, rows: list[list[_Cell]], paths: Sequence[Path]) -> list[Line]:
    """Some of a table's paths side by side: for each mode the lines that any of its cells has."""
    columns = [[Line()], *([Line.of(path, Style.STRONG)] for path in paths)]
    for head, cells in zip(_heads(table), rows, strict=True):
        labels = _labels(table, cells)
        columns[0] += [
            Line.of(f"{_GAP}{label}", Style.FAINT) if label else Line.of(head, Style.STRONG)
            for label in labels
        ]
        for column, cell in zip(columns[1:], cells, strict=True):
            column += [dict(cell).get(label, Line()) for label in labels]
    return grid(columns)


def _label_width(table: ProbeTable, rows: Iterable[Iterable[_Cell]]) -> int:
    labels = _labels(table, (cell for row in rows for cell in row))
    return max(widest(_heads(table)), len(_GAP) + widest(labels))


def _spans(columns: int, each: int, width: int) -> Iterator[slice]:
    """As few groups of columns as fit, of about equal size: 2 and 2 read better than 3 and 1."""
    most = max(1, width // (each + len(_GAP)))
    groups = -(-columns // most)
    size = -(-columns // groups)
    return (slice(start, start + size) for start in range(0, columns, size))


def _facts(table: FactsTable, width: int) -> list[Line]:
    notes = _Notes()
    heading = ": ".join(filter(None, (one_line(table.probe), table.meaning)))
    lines = wrap([Span(heading, Style.STRONG)], width)
    for result in table.failures:
        lines.append(Line.of(f"{_GAP}{result.cell.path}: ") + _failure(result, notes))
    if table.rows:
        names = [Line(), *(Line.of(one_line(name)) for name, _ in table.rows)]
        columns = [
            [
                Line.of(one_line(place), Style.STRONG),
                *(Line.of(one_line(values[index])) for _, values in table.rows),
            ]
            for index, place in enumerate(table.columns)
        ]
        each = max(widest(column) for column in columns)
        for span in _spans(len(columns), each, width - widest(names)):
            lines += [Line(), *grid([names, *columns[span]])]
    return lines + list(notes.lines(width))


def published(record: RunRecord, references: Sequence[Reference], width: int) -> list[Line]:
    """Published ratios beside the measured ones, with all that speaks against comparing them.

    Args:
        record: The run.
        references: What to show; nothing is written without any.
        width: Columns of the terminal.
    """
    if not references:
        return []
    heading = "Published ratios beside those of this run; they judge nothing"
    lines = [Line(), *wrap([Span(heading, Style.STRONG)], width)]
    notes = _Notes()
    rows = reference_rows(record, references)
    if rows:
        columns = [[Line.of(title, Style.STRONG)] for title in ("", "divided by", "here", "published", "by")]
        for row in rows:
            by = f"{row.reference} {notes.refer(row.note)}" if row.note else row.reference
            here = Line.of(ratio_text(row.measured)) if row.measured else Line.of(row.outcome, Style.FAINT)
            cell, by = one_line(f"{row.probe} {row.path} {row.mode}"), one_line(by)
            told = (Line.of(cell), Line.of(row.base), here, Line.of(f"{row.published:.3f}"), Line.of(by))
            for column, text in zip(columns, told, strict=True):
                column.append(text)
        lines += [Line(), *grid(columns), *notes.lines(width)]
    for sentence in sentences(record, references):
        lines += [Line(), *wrap(one_line(sentence, longest=2000), width)]
    return lines
