"""The run as rows for a spreadsheet, read back as any other program reads them."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from hypothesis import given, settings

from pytest_calico_perf.model import LOOK_PROBE, Cell, Outcome, Path
from pytest_calico_perf.report.controls import host_controls
from pytest_calico_perf.report.spreadsheet import COLUMNS, rows, text
from pytest_calico_perf.stats import paired_ratio
from tests.unit.report import made, samples
from tests.unit.report.test_terminal import with_failures


def table(record) -> list[dict[str, str]]:
    found = rows(record)
    lines = found.split("\r\n")
    assert lines[-1] == ""  # RFC 4180: every line ends with CRLF
    assert not any("\n" in line or "\r" in line for line in lines)
    read = list(csv.reader(io.StringIO(found, newline=""), strict=True))
    assert read[0] == list(COLUMNS)
    assert {len(row) for row in read} == {len(COLUMNS)}
    return [dict(zip(read[0], row, strict=True)) for row in read[1:]]


def of_cell(found, result):
    key = (result.cell.probe, str(result.cell.path), str(result.cell.mode or ""))
    return [row for row in found if (row["probe"], row["path"], row["mode"]) == key]


def test_a_row_per_cell_and_round_with_what_is_true_of_the_cell_in_each():
    record = samples.record()
    found = table(record)
    assert len(found) == sum(len(result.samples) for result in record.results)
    base, ipip = (
        next(
            r
            for r in record.results
            if (r.cell.probe, r.cell.path, r.cell.mode) == ("tcp", Path.POD_TO_POD, mode)
        )
        for mode in record.modes[:2]
    )
    mine = of_cell(found, ipip)
    assert [float(row["value"]) for row in mine] == list(ipip.samples)
    assert [int(row["round"]) - 1 for row in mine] == list(ipip.rounds)  # people count from 1
    assert [float(row["reverse_value"]) for row in mine] == [run["reverse"]["goodput"] for run in ipip.runs]
    ratio = paired_ratio(base.by_round, ipip.by_round)
    for row in mine:
        number = int(row["round"]) - 1
        assert (row["unit"], row["better"], row["outcome"], row["base_mode"]) == (
            "bit/s",
            "higher",
            "ok",
            "bgp",
        )
        assert float(row["of_host"]) == ipip.by_round[number] / ipip.control[number]
        assert float(row["of_base"]) == ipip.by_round[number] / base.by_round[number]
        assert (float(row["cell_of_base"]), float(row["cell_of_base_low"])) == (ratio.value, ratio.low)
    assert {row["base_mode"] for row in of_cell(found, base)} == {""}


def test_a_failure_is_a_row_without_a_number():
    record = with_failures()
    found = table(record)
    for result in record.results:
        if not result.samples and not result.wrong_samples:
            (row,) = of_cell(found, result)
            numbers = [
                name for name in COLUMNS if name.startswith(("value", "cell_", "host_", "of_", "wrong"))
            ]
            assert [row[name] for name in numbers] == [""] * len(numbers)
            assert (row["outcome"], row["reason"]) == (str(result.outcome), result.reason)


def test_figures_of_a_wrong_path_stand_apart():
    record = with_failures()
    (off,) = (result for result in record.results if result.outcome is Outcome.WRONG_PATH)
    mine = of_cell(table(record), off)
    assert [float(row["wrong_value"]) for row in mine] == list(off.wrong_samples)
    assert {row["value"] + row["of_host"] + row["cell_median"] for row in mine} == {""}


def test_paths_that_were_only_looked_at_have_an_outcome_and_no_unit():
    looked = [
        samples.failed("ping", Path.POD_TO_POD, samples.Mode.BGP, Outcome.OK, ""),
        samples.failed("ping", Path.POD_TO_POD, samples.Mode.IPIP, Outcome.UNREACHABLE, "node2 is down"),
    ]
    looked = [dataclasses.replace(r, cell=dataclasses.replace(r.cell, probe=LOOK_PROBE)) for r in looked]
    found = table(samples.record(results=looked))
    assert [(row["mode"], row["outcome"], row["reason"]) for row in found] == [
        ("bgp", "ok", ""), ("ipip", "unreachable", "node2 is down"),
    ]  # fmt: skip
    assert {row["unit"] + row["better"] + row["value"] + row["round"] for row in found} == {""}


def without_host_to_host():
    """A run in which host-to-host was the control of pod-to-pod, and no cell."""
    record = samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,))
    return samples.record(results=[each for each in record.results if each.cell.mode])


def test_host_to_host_that_was_only_the_control_has_rows_of_its_own():
    record = without_host_to_host()
    hosts = [row for row in table(record) if row["path"] == "host-to-host"]
    control = record.results[0].control
    assert [float(row["value"]) for row in hosts] == list(control.values())
    assert {(row["mode"], row["beside"], row["unit"]) for row in hosts} == {("", "pod-to-pod", "bit/s")}
    whole = table(samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,)))
    assert not any(row["beside"] for row in whole)


@pytest.mark.parametrize(
    "hostile",
    ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", "\N{FULLWIDTH EQUALS SIGN}1", " =1"],
)
def test_nothing_from_outside_is_a_formula(hostile):
    assert text(hostile)[0] == "'"
    unit = samples.failed("tcp", Path.POD_TO_POD, samples.Mode.BGP, Outcome.TOOL_ERROR, hostile)
    own = dataclasses.replace(unit, cell=Cell(hostile, Path.POD_TO_POD, samples.Mode.BGP))
    (row,) = table(samples.record(results=[own], cluster={"name": hostile}))
    assert [row[name][0] for name in ("cluster", "probe", "reason")] == ["'"] * 3


def test_what_is_no_formula_stays_as_it_is():
    assert [text(word) for word in ("lab", "", "a=b", 'say "hi", twice')] == [
        "lab",
        "",
        "a=b",
        'say "hi", twice',
    ]


@settings(max_examples=60, deadline=None)
@given(record=made.records())
def test_any_run_is_a_table(record):
    found = table(record)
    controls = sum(len(control.samples) for control in host_controls(record))
    assert len(found) == controls + sum(
        len(result.samples) + len(result.wrong_samples) or 1 for result in record.results
    )
    for row in found:
        assert not any(value[:1] in ("=", "+", "@") for value in row.values())
