"""The comparison as aligned plain text, for a terminal, a log or a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from pytest_calico_perf.model import CellResult, Outcome, Path
from pytest_calico_perf.report.facts import FactsTable
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
from pytest_calico_perf.units import Scale, format_ratio

NOT_MEASURED = "not measured"
_REVERSE = "reverse"
_OF_HOST = "of host"
_GAP = "  "
_LONGEST_REASON = 600
_NARROWEST = 40


def render(tables: Iterable[Table], width: int, problem: str = "", notes: Iterable[str] = ()) -> list[str]:
    """Lines of text, at most `width` columns wide where words and numbers allow it.

    Paths that do not fit side by side go into a further block below, under the same modes.

    Args:
        tables: What to show, in this order.
        width: Columns of the terminal.
        problem: What kept the run from measuring (`RunRecord.problem`); stands above all else.
        notes: What the cluster wants said beside its figures (`table.notes`).
    """
    tables = tuple(tables)
    width = max(width, _NARROWEST)
    lines = _wrap(f"{NOTHING_MEASURED}: {one_line(problem)}", width) if problem else []
    if lines and tables:
        lines.append("")
    sentences = (*explanation(tables), *(one_line(note) for note in notes))
    lines += [line for sentence in sentences for line in _wrap(sentence, width)]
    for table in tables:
        if lines:
            lines.append("")
        lines += _facts(table, width) if isinstance(table, FactsTable) else _probe(table, width)
    return lines


def one_line(text: str) -> str:
    """`text` without what would move the cursor: control characters go, white space becomes one blank."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


class _Notes:
    """Reasons told below a table; cells refer to them by number, and equal reasons share one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def refer(self, word: str, why: str) -> str:
        reason = one_line(why) or "no reason was given"
        return f"{word} [{self._numbers.setdefault(reason, len(self._numbers) + 1)}]"

    def lines(self, width: int) -> Iterator[str]:
        for reason, number in self._numbers.items():
            yield from _wrap(reason, width, f"  [{number}] ")


def _probe(table: ProbeTable, width: int) -> list[str]:
    scale, notes = table.scale, _Notes()
    title = ": ".join(filter(None, (one_line(table.probe), table.meaning)))
    lines = _wrap(", ".join(filter(None, (f"{title} [{table.direction}]", table.rounds))), width)
    if table.host:
        if table.controls:
            host = _failure(table.host.result, notes)  # the values stand in the row of the controls
        else:
            said = _lines(table.host, table, scale, notes)
            host = "; ".join(f"{label} {text}".strip() for label, text in said)
        lines += _wrap(f"{Path.HOST_TO_HOST} (control): {host}", width, "  ")
    if table.paths:
        controls = [[("", _control(control, scale, notes))] for control in table.controls]
        modes = [[_lines(entry, table, scale, notes) for entry in row.entries] for row in table.rows]
        cells = [controls, *modes] if controls else modes
        widest = max(len(text) for row in cells for cell in row for _, text in cell)
        widest = max(widest, *(len(path) for path in table.paths))
        for span in _spans(len(table.paths), widest, width - _label_width(table)):
            lines += ["", *_block(table, [row[span] for row in cells], table.paths[span])]
    return lines + list(notes.lines(width))


def _lines(entry: Entry | None, table: ProbeTable, scale: Scale, notes: _Notes) -> list[tuple[str, str]]:
    """Lines of a cell with their labels; the first has none, it stands beside the mode."""
    if entry is None:
        return [("", NOT_MEASURED)]
    words = [scale.summary(entry.summary)] if entry.summary else []
    if entry.failed or not words:
        words.append(_failure(entry.result, notes) if entry.failed else Outcome.OK)
    lines = [("", " ".join(words))]
    if entry.reverse:
        lines.append((_REVERSE, scale.summary(entry.reverse)))
    if entry.to_base:
        says = verdict(entry.to_base, table.better)
        word = "" if says is Verdict.UNDECIDED else f" {says}"
        lines.append((f"of {table.base}", format_ratio(entry.to_base) + word))
    if entry.to_host:
        lines.append((_OF_HOST, format_ratio(entry.to_host)))
    return lines


def _control(control: Control, scale: Scale, notes: _Notes) -> str:
    words = [scale.summary(control.summary)] if control.summary else []
    if control.problem:
        words.append(notes.refer("failed", control.problem))
    return " ".join(words) or NOT_MEASURED


def _failure(result: CellResult, notes: _Notes) -> str:
    return notes.refer(result.outcome, result.reason)


def _heads(table: ProbeTable) -> list[str]:
    """What stands before the rows."""
    return [*([Path.HOST_TO_HOST] if table.controls else []), *(row.mode for row in table.rows)]


def _block(table: ProbeTable, rows: list[list[list[tuple[str, str]]]], paths: Sequence[Path]) -> list[str]:
    """Some of a table's paths side by side: for each mode the lines that any of its cells has."""
    columns: list[list[str]] = [[""], *([str(path)] for path in paths)]
    for head, cells in zip(_heads(table), rows, strict=True):
        present = {label for cell in cells for label, _ in cell}
        labels = [label for label in ("", _REVERSE, f"of {table.base}", _OF_HOST) if label in present]
        columns[0] += [f"  {label}" if label else head for label in labels]
        for column, cell in zip(columns[1:], cells, strict=True):
            column += [dict(cell).get(label, "") for label in labels]
    return _grid(columns)


def _label_width(table: ProbeTable) -> int:
    return max(_widest(_heads(table)), len(f"  of {table.base}"), len(f"  {_OF_HOST}"))


def _spans(columns: int, each: int, width: int) -> Iterator[slice]:
    """As few groups of columns as fit, of about equal size: 2 and 2 read better than 3 and 1."""
    most = max(1, width // (each + len(_GAP)))
    groups = -(-columns // most)
    size = -(-columns // groups)
    return (slice(start, start + size) for start in range(0, columns, size))


def _grid(columns: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns padded to their width, with a rule under the first line."""
    widths = [_widest(column) for column in columns]
    rows = list(zip_longest(*columns, fillvalue=""))
    rows.insert(1, tuple("-" * width for width in widths))
    return [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _facts(table: FactsTable, width: int) -> list[str]:
    notes = _Notes()
    lines = _wrap(": ".join(filter(None, (one_line(table.probe), table.meaning))), width)
    lines += [f"  {result.cell.path}: {_failure(result, notes)}" for result in table.failures]
    if table.rows:
        names = ["", *(one_line(name) for name, _ in table.rows)]
        columns = [
            [one_line(place), *(one_line(values[index]) for _, values in table.rows)]
            for index, place in enumerate(table.columns)
        ]
        each = max(_widest(column) for column in columns)
        for span in _spans(len(columns), each, width - _widest(names)):
            lines += ["", *_grid([names, *columns[span]])]
    return lines + list(notes.lines(width))


def _widest(lines: Iterable[str]) -> int:
    return max((len(line) for line in lines), default=0)


def _wrap(text: str, width: int, lead: str = "") -> list[str]:
    # A number and its percent sign stay on one line.
    glued = text.replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(glued, width, initial_indent=lead, subsequent_indent=" " * len(lead))
    return [line.replace("\N{NO-BREAK SPACE}%", " %") for line in lines] or [lead]
