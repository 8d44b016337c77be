"""The comparison as HTML, read the way a browser reads it."""

from __future__ import annotations

import dataclasses
import re

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.report.html import (
    details_html,
    header_cells,
    render,
    row_cells,
)
from pytest_calico_perf.report.html import (
    test_id_cell as id_cell,
)
from tests.unit.report import samples
from tests.unit.report.test_terminal import HOSTILE, paces, slow_host, with_failures, without_control

VOID = {"meta", "br", "img", "hr", "input", "link"}


def soup(markup: str) -> BeautifulSoup:
    return BeautifulSoup(markup, "html.parser")


def section(page, probe):
    return next(s for s in page.find_all("section") if s.h3.get_text().startswith(probe))


def test_modes_are_rows_below_host_to_host_and_paths_are_columns():
    tcp = section(soup(render(samples.record())), "tcp").table
    heads = [th.get_text() for th in tcp.thead.find_all("th")]
    assert heads == [
        "mode",
        "host-to-pod",
        "pod-to-host",
        "pod-to-pod",
        "pod-to-pod-same-node",
    ]
    rows = tcp.tbody.find_all("tr")
    assert [row.th.get_text() for row in rows] == ["host-to-host", "bgp", "ipip", "vxlan"]
    assert [len(row.find_all("td")) for row in rows] == [4, 4, 4, 4]
    pod_to_pod = rows[2].find_all("td")[2].get_text(" ", strip=True)
    assert re.search(
        r"^[\d.]+ \([\d.]+ to [\d.]+\) .*of bgp 0\.\d+ \(0\.\d+ to 0\.\d+\) worse of host 0\.\d+ \(.*\) reverse ",
        pod_to_pod,
    )


def test_each_column_shows_the_control_its_ratios_divide_by():
    page = soup(render(paces()))
    host, bgp = section(page, "tcp").table.tbody.find_all("tr")
    assert [td.select_one(".value").get_text() for td in host.find_all("td")] == ["53.0", "47.5"]
    assert "of host 1.305" in bgp.find_all("td")[1].get_text(" ", strip=True)
    # The dashed line stands at the end of the control's own bar.
    for control, cell in zip(host.find_all("td"), bgp.find_all("td"), strict=True):
        x = re.match(r"M([\d.]+)", cell.select_one("svg .control")["d"]).group(1)
        assert x == control.find_all("rect")[1]["width"]
        assert control.select_one("svg .control") is None
    assert len({line["d"] for line in page.select("svg .control")}) == 2


def test_a_control_that_failed_says_so_in_its_column():
    page = soup(render(without_control("no echo <b>came</b>")))
    host, bgp = section(page, "tcp").table.tbody.find_all("tr")
    first, second = host.find_all("td")
    assert second.get_text(" ", strip=True) == "failed no echo <b>came</b>"
    assert (first.select_one(".outcome"), second.svg) == (None, None)
    assert bgp.find_all("td")[1].select_one("svg .control") is None


def test_host_to_host_measured_alone_is_shown_alone():
    page = soup(render(samples.record(probes=("tcp",), paths=(), modes=())))
    tcp = section(page, "tcp")
    assert tcp.table is None
    assert re.match(
        r"host-to-host \(control\) [\d.]+ \(", tcp.select_one("div.host").get_text(" ", strip=True)
    )
    assert "dashed" not in page.select_one(".how").get_text()


def test_a_host_to_host_that_missed_a_threshold_says_so_beside_its_row():
    page = soup(render(slow_host()))
    told = section(page, "tcp").select_one("div.host").get_text(" ", strip=True)
    assert told == "host-to-host (control) slow too slow for a host"


def test_what_kept_the_run_from_measuring_stands_above_everything():
    page = soup(render(samples.record(results=[], problem=f"lab: no BIRD {HOSTILE}")))
    told = page.select_one(".alarm.problem").get_text()
    assert told.startswith("Nothing could be measured: lab: no BIRD <script>")
    assert page.find_all("script") == []
    assert soup(render(samples.record())).select_one(".problem") is None


def test_a_bar_per_value_and_a_whisker_per_interval_inside_its_drawing():
    page = soup(render(samples.record()))
    bars = page.select("section svg.bar")
    assert len(bars) == 3 * (4 + 3 * 4)
    for drawn in bars:
        assert drawn.title.get_text()
        _, bar = drawn.find_all("rect")
        assert 0 < float(bar["width"]) <= 100
        low, high = (
            float(x) for x in re.match(r"M([\d.]+) 7H([\d.]+)", drawn.select_one(".whisker")["d"]).groups()
        )
        assert 0 <= low <= float(bar["width"]) <= high <= 100


@pytest.mark.parametrize(
    "record",
    [
        samples.record(),
        with_failures(),
        samples.record(rounds=1),
        samples.record(modes=(Mode.VXLAN,)),
        samples.record(results=[]),
        samples.record(results=[samples.link()]),
    ],
)
def test_markup_is_balanced_static_and_scoped(record):
    markup = render(record)
    page = soup(markup)
    for name in {tag.name for tag in page.find_all(True)} - VOID:
        assert len(re.findall(rf"<{name}[ >]", markup)) == markup.count(f"</{name}>"), name
    assert page.find_all("script") == []
    assert [tag.name for tag in page.find_all(recursive=False)] == ["div"]
    assert all(not key.startswith("on") for tag in page.find_all(True) for key in tag.attrs)
    rules = re.sub(r"/\*.*?\*/|@media[^{]*\{", "", page.style.string, flags=re.DOTALL)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(",")]
    assert selectors
    outside = [selector for selector in selectors if not selector.startswith(".calico-perf")]
    # Of pytest-html's page only the order of its parts is ours, and only where there is a comparison.
    assert all(selector.startswith("body:has(.calico-perf)") for selector in outside)


def test_every_mode_has_a_colour_in_both_schemes():
    light, dark = soup(render(samples.record())).style.string.split("@media")
    for mode in (*Mode, "host"):
        assert f"--{mode}:" in light
        assert f"--{mode}:" in dark


def test_every_outcome_is_told_with_its_reason():
    page = soup(render(with_failures()))
    told = {tag.get_text() for tag in page.select(".outcome")}
    assert told == {"unreachable", "tool-error", "unsupported", "slow", "regressed", "inconclusive"}
    text = page.get_text(" ", strip=True)
    assert "why tcp vxlan failed" in text
    assert "not measured" in text
    slow = next(td for td in page.find_all("td") if "too slow" in td.get_text())
    assert slow.select_one(".value")
    dead = next(td for td in page.find_all("td") if "why tcp vxlan failed" in td.get_text())
    assert dead.select_one(".value") is None
    assert dead.svg is None


def test_a_run_cut_short_says_so():
    assert "cut short" in soup(render(samples.record(interrupted=True))).get_text()
    assert "cut short" not in soup(render(samples.record())).get_text()


def test_hostile_strings_stay_text():
    record = samples.record(
        results=[
            samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.TOOL_ERROR, HOSTILE),
            dataclasses.replace(samples.link(), details={HOSTILE: {HOSTILE: HOSTILE}}),
        ],
        cluster={"name": HOSTILE},
        profile={"name": HOSTILE},
    )
    page = soup(render(record))
    assert page.find_all("script") == []
    assert "<script>alert('x')</script>" in page.h2.get_text()
    assert "<script>" in page.select_one(".reason").get_text()
    assert "<script>" in page.select_one("table.facts td").get_text()


def test_a_cluster_without_facts_and_a_run_without_time_are_no_trouble():
    page = soup(render(samples.record(cluster={}, profile={}, wall_seconds=0.0, results=[])))
    assert "a cluster without a name" in page.h2.get_text()


# -- pytest-html's own table -------------------------------------------------------------------


def test_header_and_row_have_the_same_columns():
    heads, cells = soup("".join(header_cells())), soup("".join(row_cells(None)))
    columns = [th["data-column-type"] for th in heads.find_all("th")]
    assert [td["class"] for td in cells.find_all("td")] == [[f"col-{column}"] for column in columns]
    assert all(re.fullmatch(r"\w+", column) for column in columns)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_cells_sort_as_text_in_the_order_of_their_values(column):
    scattered = [samples.record(rounds=10, noise=n).results for n in (0.001, 0.05, 0.3)]
    results = [r for results in scattered for r in results if r.control]
    shown = sorted(row_cells(r)[column] for r in results)
    # What pytest-html's own code cuts out of a cell to sort by.
    keys = [re.search(r"<td.*?>(.*?)</td>", cell).group(1) for cell in shown]
    numbers = [float(re.search(r"\d+\.\d{12}", key).group()) for key in keys]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 20


def test_cells_read_well_and_hide_the_sort_key():
    r = next(r for r in samples.record().results if r.cell.probe == "ping" and r.cell.mode is Mode.IPIP)
    median, interval, of_host = (soup(cell) for cell in row_cells(r))
    for cell in (median, interval, of_host):
        assert cell.span.has_attr("hidden")
        cell.span.decompose()
    assert re.fullmatch(r"[\d.]+ us", median.get_text())
    assert re.fullmatch(r"[\d.]+ to [\d.]+ us", interval.get_text())
    assert re.fullmatch(r"1\.\d{3} \(1\.\d{3} to 1\.\d{3}\)", of_host.get_text())


@pytest.mark.parametrize("reason", ["", HOSTILE])
def test_cells_hold_no_line_end_and_no_cell_within(reason):
    failed = samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.TOOL_ERROR, reason)
    for cell in (*row_cells(failed), *header_cells(), id_cell(f"test_x.py::test[{HOSTILE}]")):
        assert "\n" not in cell
        assert cell.count("<td") <= 1
    assert soup(id_cell("t[<script>]")).td.get_text() == "t[<script>]"


def test_details_show_samples_evidence_and_reason():
    r = next(r for r in samples.record().results if r.cell.probe == "tcp" and r.cell.mode is Mode.IPIP)
    details = soup(details_html(dataclasses.replace(r, outcome=Outcome.SLOW, reason="too slow")))
    text = details.get_text(" ", strip=True)
    assert "slow too slow" in text
    assert "Gbit/s, higher is better; 10 rounds; interval with 98 % confidence" in text
    assert "198.19.2.0/26 via 198.18.0.12 dev tunl0 proto bird onlink" in text
    assert len(details.select("svg.line circle")) == 10
    heights = [float(c["cy"]) for c in details.select("svg.line circle")]
    # Higher values are drawn higher: at a smaller y.
    in_order = [y for _, y in sorted(zip(r.samples, heights, strict=True))]
    assert in_order == sorted(in_order, reverse=True)
    assert len(set(in_order)) > 5


def test_details_of_a_failure_a_single_sample_and_equal_samples():
    failed = samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, HOSTILE)
    page = soup(details_html(failed))
    assert page.find_all(["script", "svg"]) == []
    assert "<script>" in page.get_text()
    for values in ((5e9,), (5e9, 5e9)):
        drawn = soup(details_html(samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.OK, "", values)))
        assert len(drawn.select("circle")) == len(values)
