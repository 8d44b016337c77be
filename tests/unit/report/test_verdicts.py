"""Verdicts in the reports: each of them told, none of them trusted as markup."""

from __future__ import annotations

import dataclasses

from bs4 import BeautifulSoup

from pytest_calico_perf.model import Outcome, Verdict
from pytest_calico_perf.report import html, records
from pytest_calico_perf.report.junit import properties
from pytest_calico_perf.report.table import comparison, tally
from pytest_calico_perf.report.terminal import render
from tests.unit.report import samples

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31m"
VERDICTS = (
    Verdict(
        "min: 4 Gbit/s",
        "prod.yaml:3: thresholds.tcp.min",
        Outcome.SLOW,
        f"median 3.6 Gbit/s misses {HOSTILE}",
    ),
    Verdict("ratio-to-host: 0.9", HOSTILE, Outcome.INCONCLUSIVE, "ratio 0.9 does not decide it"),
)


def judged():
    """A run in which two cells were judged: one is slow, one ok."""
    record = samples.record(probes=("tcp",))
    results = list(record.results)
    slow, fine = [number for number, r in enumerate(results) if r.control][:2]
    results[slow] = dataclasses.replace(
        results[slow], outcome=Outcome.SLOW, reason=VERDICTS[0].message, verdicts=VERDICTS
    )
    kept = dataclasses.replace(VERDICTS[0], outcome=Outcome.OK, message="median 5 Gbit/s keeps it")
    results[fine] = dataclasses.replace(results[fine], verdicts=(kept,))
    return dataclasses.replace(record, results=tuple(results)), results[slow]


def test_the_tally_counts_cells_that_were_judged_and_no_others():
    record, _ = judged()
    assert tally(record) == "1 ok, 1 slow"
    assert tally(samples.record()) == ""


def test_html_tells_every_verdict_and_runs_none():
    record, slow = judged()
    page = BeautifulSoup(html.render(record), "html.parser")
    assert "Verdicts: 1 ok, 1 slow" in page.get_text()
    details = BeautifulSoup(html.details_html(slow), "html.parser")
    rows = [
        [cell.get_text() for cell in row.find_all(["th", "td"])] for row in details.select("table.facts tr")
    ]
    assert rows[0] == ["demand", "verdict", "reasoning", "written in"]
    assert rows[1][0] == "min: 4 Gbit/s"
    assert rows[1][1].endswith(" slow")
    assert rows[1][2].startswith("median 3.6 Gbit/s misses <img")
    assert rows[1][3] == "prod.yaml:3: thresholds.tcp.min"
    assert rows[2][1].endswith(" inconclusive")
    assert rows[2][2] == "ratio 0.9 does not decide it"
    assert not page.find_all("img")
    assert not details.find_all("img")


def test_json_and_junit_have_each_verdict():
    record, slow = judged()
    cells = records.document(record)["cells"]
    [told] = [cell["verdicts"] for cell in cells if cell["outcome"] == "slow"]
    assert told == [
        {
            "rule": v.rule,
            "source": v.source,
            "outcome": str(v.outcome),
            "message": v.message,
            "compares": v.compares,
        }
        for v in VERDICTS
    ]
    found = [value for name, value in properties(slow) if name == "calico.verdict"]
    assert found == [f"{v.outcome}: {v.message} [{v.source}]" for v in VERDICTS]


def test_the_terminal_is_left_alone():
    record, _ = judged()
    lines = [line.text for line in render(comparison(record), 100)]
    assert any("slow [1]" in line for line in lines)
    assert not any("\x1b" in line for line in lines)
