"""Our cells and blocks in a page that pytest-html itself has written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import pytest_calico_perf

CONFTEST = """
import pytest
from pytest_html import extras
from pytest_calico_perf.report import html
from tests.unit.report import samples

RECORD = samples.record(probes=("tcp",), cluster={"name": "<script>alert(1)</script>"})
RESULTS = [r for r in RECORD.results if r.control]

def pytest_generate_tests(metafunc):
    metafunc.parametrize("number", range(len(RESULTS)), ids=[f"<b>{r.cell.id}</b>" for r in RESULTS])

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        report.result = RESULTS[item.callspec.params["number"]]
        report.extras = [extras.html(html.details_html(report.result))]
    return report

def pytest_html_results_summary(prefix):
    prefix.append(html.render(RECORD))

def pytest_html_results_table_header(cells):
    cells[2:2] = html.header_cells()

def pytest_html_results_table_row(report, cells):
    cells[1] = html.test_id_cell(report.nodeid)
    cells[2:2] = html.row_cells(getattr(report, "result", None))
"""


@pytest.fixture
def page(pytester, monkeypatch):
    root = Path(pytest_calico_perf.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(root))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_cell(number): pass")
    result = pytester.runpytest_subprocess(
        "-p",
        "no:calico-perf",
        "-p",
        "no:cacheprovider",
        "--html=page.html",
        "--self-contained-html",
        timeout=120,
    )
    result.assert_outcomes(passed=12)
    return BeautifulSoup((pytester.path / "page.html").read_text(), "html.parser")


def test_the_comparison_stands_above_the_table_and_nothing_of_it_runs(page):
    block = page.select_one(".summary .calico-perf")
    assert block.h2.get_text() == "Calico modes on <script>alert(1)</script>"
    assert len(block.select("table.cells td")) == 16
    assert len(block.select("svg.chart")) == 1
    assert block.find_all("script") == []
    assert len(page.find_all("script")) == 1  # pytest-html's own


def test_rows_carry_our_columns_sortable_and_escaped(page):
    heads = [th.get_text() for th in page.select("#results-table-head th")]
    assert heads[2:5] == ["Median", "Interval", "Of host"]
    data = json.loads(page.select_one("#data-container")["data-jsonblob"])
    tests = [entry for entries in data["tests"].values() for entry in entries]
    assert len(tests) == 12
    for test in tests:
        cells = [BeautifulSoup(cell, "html.parser") for cell in test["resultsTableRow"]]
        assert len(cells) == len(heads)
        assert cells[1].find("b") is None
        assert "<b>" in cells[1].get_text()
        assert "Gbit/s" in cells[2].get_text()
        assert "svg" in test["extras"][0]["content"]
