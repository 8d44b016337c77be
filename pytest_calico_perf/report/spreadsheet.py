"""The run as rows for a spreadsheet: CSV as in RFC 4180, one row per cell and round.

One row per round, because that is what a pivot table, a chart or a data frame wants; what is true of the
whole cell (interval, ratios, outcome) is repeated in each of its rows. SI units, in a column of their own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from pytest_calico_perf.model import LOOK_PROBE, CellResult, Outcome, Path, RunRecord
from pytest_calico_perf.report.controls import HostControl, host_controls, way_back
from pytest_calico_perf.report.lines import one_line
from pytest_calico_perf.report.table import base_result
from pytest_calico_perf.stats import paired_ratio, summarize

COLUMNS = (
    "cluster",
    "started",
    "probe",
    "path",
    "mode",  # empty for host-to-host
    "outcome",
    "round",  # from 1
    "value",  # empty where the cell has no sample
    "unit",  # empty where paths were looked at and nothing was measured
    "better",
    "host_value",  # host-to-host of the same round
    "of_host",  # this round's value divided by it
    "base_mode",  # the run's first mode
    "base_value",  # its value of the same round
    "of_base",  # this round's value divided by it
    "cell_rounds",
    "cell_median",
    "cell_low",
    "cell_high",
    "cell_confidence",
    "cell_of_host",
    "cell_of_host_low",
    "cell_of_host_high",
    "cell_of_base",
    "cell_of_base_low",
    "cell_of_base_high",
    "wrong_value",  # measured on a path that is not the mode's: counts nowhere
    "reason",
    "reverse_value",  # the same round from server to client
    "beside",  # of host-to-host as a control only: the path it was measured with
)

# What makes a spreadsheet take a text for a formula, also full-width (OWASP, CSV Injection).
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)

_Row = dict[str, object]


def rows(record: RunRecord) -> str:
    """The run as CSV: a header, then a row per cell and round, and one for a cell without a sample.

    Host-to-host that was no cell, only the control of others, has its rows at the end, path by path.

    A figure that does not exist is empty and never 0. Text from outside that a spreadsheet would take for a
    formula gets an apostrophe in front, which keeps it text.
    """
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, restval="")  # RFC 4180: CRLF, quotes doubled
    writer.writeheader()
    for result in record.results:
        whole = _whole(record, result)
        writer.writerows({**whole, **each} for each in _rounds(record, result))
    for control in host_controls(record):
        whole = _whole_control(record, control)
        numbered = sorted(control.samples.items())
        writer.writerows({**whole, "round": number + 1, "value": value} for number, value in numbered)
    return stream.getvalue()


def text(value: object) -> str:
    """`value` as a cell of a spreadsheet: on one line, and no formula."""
    line = one_line(str(value))
    return f"'{line}" if line.startswith(_FORMULA) else line


def _whole(record: RunRecord, result: CellResult) -> _Row:
    """What is true of the cell in all of its rounds."""
    cell, base = result.cell, base_result(record, result)
    looked_at = cell.probe == LOOK_PROBE
    found: _Row = {
        "cluster": text(record.cluster.get("name", "")),
        "started": text(record.started),
        "probe": text(cell.probe),
        "path": str(cell.path),
        "mode": str(cell.mode or ""),
        "outcome": str(result.outcome),
        "unit": "" if looked_at else str(result.unit),
        "better": "" if looked_at else str(result.better),
        "base_mode": str(base.cell.mode) if base and not looked_at else "",
        "reason": text(result.reason),
    }
    if result.samples:
        found |= _summary(result.samples)
    pairs = {"host": result.control, "base": base.by_round if base else {}}
    for word, divisor in pairs.items():
        if ratio := paired_ratio(divisor, result.by_round):
            name = f"cell_of_{word}"
            found |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    return found


def _whole_control(record: RunRecord, control: HostControl) -> _Row:
    return {
        "cluster": text(record.cluster.get("name", "")),
        "started": text(record.started),
        "probe": text(control.probe),
        "path": str(Path.HOST_TO_HOST),
        "beside": str(control.beside),
        "outcome": str(Outcome.OK),
        "unit": str(control.unit),
        "better": str(control.better),
        **_summary(tuple(control.samples.values())),
    }


def _summary(samples: Sequence[float]) -> _Row:
    summary = summarize(samples)
    return {
        "cell_rounds": summary.n,
        "cell_median": summary.median,
        "cell_low": summary.low,
        "cell_high": summary.high,
        "cell_confidence": summary.confidence,
    }


def _rounds(record: RunRecord, result: CellResult) -> Iterator[_Row]:
    base = base_result(record, result)
    divisors = {"host": result.control, "base": base.by_round if base else {}}
    back = way_back(result)
    for number, value in result.by_round.items():
        row: _Row = {"round": number + 1, "value": value, "reverse_value": back.get(number, "")}
        for word, divisor in divisors.items():
            if number in divisor:
                row |= {f"{word}_value": divisor[number], f"of_{word}": value / divisor[number]}
        yield row
    for value in result.wrong_samples:
        yield {"wrong_value": value}
    if not result.samples and not result.wrong_samples:
        yield {}
