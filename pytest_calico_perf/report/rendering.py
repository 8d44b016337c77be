"""Reports of records that were read back: as text, or as a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import TextIO

from pytest_calico_perf.errors import UsageProblem
from pytest_calico_perf.report import doctor, html, side_by_side_html, side_by_side_text, terminal
from pytest_calico_perf.report.headline import headline
from pytest_calico_perf.report.lines import Line, Span, Style, one_line, wrap, write
from pytest_calico_perf.report.markup import element, text
from pytest_calico_perf.report.reading import read_record
from pytest_calico_perf.report.references import Reference
from pytest_calico_perf.report.side_by_side import NamedRun, compare
from pytest_calico_perf.report.standalone import standalone
from pytest_calico_perf.report.table import comparison, notes

# Select Graphic Rendition (ECMA-48, 8.3.117), for the markup that lines.py uses.
_CODES: Mapping[str, int] = MappingProxyType({"bold": 1, "light": 2, "red": 31, "green": 32, "yellow": 33})


def read_runs(paths: Sequence[FilePath]) -> tuple[NamedRun, ...]:
    """The records in these files, each called by the part of its path that tells it from the others.

    Raises:
        UsageProblem: One cannot be read, or is given twice.
    """
    resolved = [path.resolve() for path in paths]
    for number, path in enumerate(resolved):
        if path in resolved[:number]:
            raise UsageProblem("it is given twice", where=f"record {path}", remedy="name it once")
    return tuple(
        NamedRun(label, read_record(path)) for label, path in zip(_labels(paths), paths, strict=True)
    )


def page(runs: Sequence[NamedRun], references: Sequence[Reference] = ()) -> str:
    """One self-contained HTML document: what differs first, then each run as its own report shows it."""
    if len(runs) == 1:
        record = runs[0].record
        title = f"Calico modes on {record.cluster.get('name', '?')}"
        block = html.render(record, references=references)
        return standalone(title, block, heading="Which Calico mode is faster")
    title = f"Calico modes: {' and '.join(run.label for run in runs)}"
    blocks = [
        _heading(f"Run {run.label}")
        + html.render(run.record, key=f"r{number}-", style=number == 1, references=references)
        for number, run in enumerate(runs, start=1)
    ]
    return standalone(title, side_by_side_html.render(compare(runs)), *blocks)


def _heading(words: str) -> str:
    """Within the block's class, for its colours."""
    return element("div", element("h2", text(words)), class_="calico-perf")


def print_text(runs: Sequence[NamedRun], references: Sequence[Reference], stream: TextIO, width: int) -> None:
    """Write the terminal summary of a run, or of several what differs between them.

    Args:
        runs: One or more.
        references: Published figures to show beside each run.
        stream: Where to; coloured if it is a terminal and NO_COLOR is not set, or FORCE_COLOR is.
        width: Columns.
    """
    if len(runs) == 1:
        record = runs[0].record
        lines = terminal.render(comparison(record), width, record.problem, notes(record), headline(record))
        lines += terminal.published(record, references, width)
        lines += [Line.of(line) for line in doctor.in_short(record.results, width)]
    else:
        lines = [line for run in runs for line in (*_headline(run, width), Line())]
        lines += side_by_side_text.render(compare(runs), width)
        for run in runs if references else ():
            lines += [Line(), *wrap([Span(one_line(f"Run {run.label}"), Style.STRONG)], width)]
            lines += terminal.published(run.record, references, width)
    write(_Stream(stream), lines)


class _Stream:
    """Writes lines without a pytest around."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        environment = os.environ
        self._colour = not environment.get("NO_COLOR") and (
            bool(environment.get("FORCE_COLOR")) or (stream.isatty() and environment.get("TERM") != "dumb")
        )

    def write(self, content: str, **markup: bool) -> None:
        codes = [str(_CODES[name]) for name, wanted in markup.items() if wanted]
        plain = not (self._colour and codes)
        self._stream.write(content if plain else f"\x1b[{';'.join(codes)}m{content}\x1b[0m")

    def line(self, msg: str, **kw: bool) -> None:
        self.write(f"{msg}\n", **kw)


def _headline(run: NamedRun, width: int) -> list[Line]:
    """What came of one of several runs. Of a record anything may be in it, so it becomes one plain line."""
    said = one_line(f"{run.label}: {headline(run.record).sentence}")
    return wrap([Span(said, Style.STRONG)], width)


def _labels(paths: Sequence[FilePath]) -> list[str]:
    """File names without endings; where two are alike, with as many folders before them as it takes."""
    parts = [path.resolve().with_suffix("").parts for path in paths]
    deepest = max(len(each) for each in parts)
    for depth in range(1, deepest + 1):
        labels = ["/".join(each[-depth:]) for each in parts]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]  # alike but for the ending
