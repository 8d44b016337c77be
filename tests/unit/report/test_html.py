"""The comparison as HTML, read the way a browser reads it."""

from __future__ import annotations

import dataclasses
import re

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.model import Mode, Outcome, Path
from pytest_calico_perf.report.charts import figures
from pytest_calico_perf.report.html import (
    details_html,
    header_cells,
    render,
    row_cells,
)
from pytest_calico_perf.report.html import (
    test_id_cell as id_cell,
)
from pytest_calico_perf.report.words import ratio_numbers
from pytest_calico_perf.stats import paired_ratio
from tests.unit.report import samples
from tests.unit.report.test_terminal import HOSTILE, paces, slow_host, with_failures, without_control


@pytest.fixture(autouse=True)
def undrawn(tmp_path, monkeypatch):
    """Charts are told in words here: what they look like is the business of test_charts.py and of the browser."""
    (tmp_path / "renderer.py").write_text("print('no JSON')")
    monkeypatch.setattr(figures, "_RENDERER", tmp_path / "renderer.py")


VOID = {"meta", "br", "img", "hr", "input", "link"}


def soup(markup: str) -> BeautifulSoup:
    return BeautifulSoup(markup, "html.parser")


def section(page, probe):
    return next(s for s in page.find_all("section") if s.h3.get_text().startswith(probe))


def matrix(page, probe):
    """Mode -> its cells' texts."""
    table = section(page, probe).select_one("table.cells")
    return {
        row.th.get_text(): [td.get_text(" ", strip=True) for td in row.find_all("td")]
        for row in table.tbody.find_all("tr")
    }


def test_modes_are_rows_below_host_to_host_and_paths_are_columns():
    page = soup(render(samples.record()))
    heads = [th.get_text() for th in section(page, "tcp").select("table.cells thead th")]
    assert heads == ["mode", "host-to-pod", "pod-to-host", "pod-to-pod", "pod-to-pod-same-node"]
    rows = matrix(page, "tcp")
    assert list(rows) == ["host-to-host", "BGP", "IPIP", "VXLAN"]
    assert {len(cells) for cells in rows.values()} == {4}
    assert re.search(
        r"^. [\d.]+ Gbit/s \([\d.]+ to [\d.]+\) 0\.\d+ \(0\.\d+ to 0\.\d+\) of BGP . worse"
        r" 0\.\d+ \(.*\) of host reverse ",
        rows["IPIP"][2],
    )


def test_every_table_tells_which_way_its_heads_read():
    page = soup(render(samples.record()))
    assert page.select("table")
    for table in page.select("table"):
        assert all(th.get("scope") in ("row", "col") for th in table.find_all("th"))
        assert all(th.get_text(strip=True) for th in table.find_all("th"))


def test_each_column_shows_the_control_its_ratios_divide_by():
    rows = matrix(soup(render(paces())), "tcp")
    assert rows["host-to-host"] == ["53.0 Mbit/s (53.0 to 53.0)", "47.5 Mbit/s (47.5 to 47.5)"]
    assert "1.305 (1.305 to 1.305) of host" in rows["BGP"][1]


def test_a_control_that_failed_says_so_in_its_column():
    page = soup(render(without_control("no echo <b>came</b>")))
    assert matrix(page, "tcp")["host-to-host"][1] == "! failed no echo <b>came</b>"


def test_host_to_host_measured_alone_is_shown_alone():
    page = soup(render(samples.record(probes=("tcp",), paths=(), modes=())))
    tcp = section(page, "tcp")
    assert tcp.table is None
    shown = tcp.select_one("div.host").get_text(" ", strip=True)
    assert re.match(r"host-to-host \(control\) . [\d.]+ Gbit/s \(", shown)


def test_a_host_to_host_that_missed_a_threshold_says_so_beside_its_row():
    page = soup(render(slow_host()))
    told = section(page, "tcp").select_one("div.host").get_text(" ", strip=True)
    assert re.fullmatch(r"host-to-host \(control\) \S slow too slow for a host", told)


def test_what_kept_the_run_from_measuring_stands_above_everything():
    page = soup(render(samples.record(results=[], problem=f"lab: no BIRD {HOSTILE}")))
    assert "bad: Nothing could be measured: lab: no BIRD" in page.select_one(".headline").get_text()
    told = page.select_one(".alarm").get_text()
    assert told.startswith("Nothing could be measured: lab: no BIRD <script>")
    assert page.find_all("script") == []
    assert soup(render(samples.record())).select_one(".alarm") is None


def test_every_cell_links_to_all_that_is_known_about_it():
    page = soup(render(with_failures(), key="r2-"))
    targets = {tag["id"] for tag in page.find_all(id=True)}
    links = [a["href"].removeprefix("#") for a in page.find_all("a")]
    assert len(links) > 30
    assert set(links) <= targets
    assert all(target.startswith("r2-") for target in targets)


def test_what_was_measured_on_another_path_is_struck_through_and_in_no_ratio():
    usual = samples.record(probes=("tcp",))
    results = [
        dataclasses.replace(
            r, outcome=Outcome.WRONG_PATH, samples=(), rounds=(), wrong_samples=r.samples, reason="not tunl0"
        )
        if (r.cell.mode, r.cell.path) == (Mode.IPIP, Path.POD_TO_POD)
        else r
        for r in usual.results
    ]
    page = soup(render(dataclasses.replace(usual, results=tuple(results))))
    cell = section(page, "tcp").select("table.cells tbody tr")[2].find_all("td")[2]
    assert re.search(r"not counted:\s+[\d.]+ Gbit/s", cell.get_text(" ", strip=True))
    assert cell.s.select_one(".value")
    assert "of BGP" not in cell.get_text()
    assert "of host" not in cell.get_text()
    assert "wrong-path" in cell.get_text()


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
        # What SVG draws may close itself.
        begun = re.findall(rf"<{name}(?: [^>]*)?(?<!/)>", markup)
        assert len(begun) == markup.count(f"</{name}>"), name
    assert page.find_all("script") == []
    assert [tag.name for tag in page.find_all(recursive=False)] == ["div"]
    assert page.find_all(["link", "img", "iframe", "object"]) == []
    assert all(not key.startswith("on") for tag in page.find_all(True) for key in tag.attrs)
    rules = re.sub(r"/\*.*?\*/|@media[^{]*\{|:is\([^)]*\)", "", page.style.string, flags=re.DOTALL)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(",")]
    assert selectors
    outside = [selector for selector in selectors if not selector.startswith(".calico-perf")]
    # Of pytest-html's page only the order of its parts is ours, and only where there is a comparison.
    assert all(selector.startswith("body:has(.calico-perf)") for selector in outside), outside


def test_every_mode_has_a_colour_in_both_schemes():
    light, dark = soup(render(samples.record())).style.string.split("@media screen")
    for mode in (*Mode, "host"):
        assert f"--{mode}:" in light
        assert f"--{mode}:" in dark


def test_every_outcome_is_told_by_sign_word_and_meaning():
    page = soup(render(with_failures()))
    marks = page.select("section .outcome")
    assert {tag.get_text(" ", strip=True).split()[-1] for tag in marks} == set(Outcome)
    signs = {tag.get_text(" ", strip=True).split()[-1]: tag.select_one(".sign").get_text() for tag in marks}
    # Told apart without colour, but for the two that mean "too slow".
    assert len(set(signs.values())) == len(Outcome) - 1
    assert signs["slow"] == signs["regressed"]
    assert all(tag["title"] for tag in marks)


def test_every_outcome_is_told_with_its_reason():
    page = soup(render(with_failures()))
    text = page.get_text(" ", strip=True)
    assert "why tcp vxlan failed" in text
    assert "not measured" in text
    slow = next(td for td in page.find_all("td") if "too slow" in td.get_text())
    assert slow.select_one(".value")
    dead = next(td for td in page.find_all("td") if "why tcp vxlan failed" in td.get_text())
    assert dead.select_one(".value") is None


def test_the_matrix_shows_what_is_broken_cut_behind_a_word():
    dead = samples.failed(
        "tcp", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "no payload " + "at all " * 40
    )
    found = {"sentence": "node1 has no BGP session with node2 " + "because port 179 is blocked " * 9}
    for result, begin in (
        (dead, "no payload at all"),
        (dataclasses.replace(dead, diagnosis=found), "node1 has no BGP"),
    ):
        reason = soup(render(samples.record(results=[result]))).select_one("table.cells .reason").get_text()
        assert reason.startswith(begin)
        assert len(reason) <= 144
        whole = found["sentence"] if result.diagnosis else dead.reason
        assert reason.endswith(" ...")
        assert whole.startswith(f"{reason.removesuffix(' ...')} ")


def test_a_block_within_a_page_of_the_same_title_has_none():
    assert soup(render(samples.record())).h2.get_text() == "Calico modes on lab"
    assert soup(render(samples.record(), titled=False)).h2 is None


def test_every_clause_is_a_sentence_and_the_quiet_one_small():
    clauses = soup(render(samples.record())).select(".headline .clause")
    assert len(clauses) == 3
    assert all(clause.get_text().endswith(".") for clause in clauses)
    assert [("quiet" in clause["class"]) for clause in clauses] == [False, False, True]


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
    assert "<script>" in page.select_one(".place").get_text()


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


def test_details_show_samples_and_reason_and_lead_to_the_rest():
    r = next(r for r in samples.record().results if r.cell.probe == "tcp" and r.cell.mode is Mode.IPIP)
    details = soup(details_html(dataclasses.replace(r, outcome=Outcome.SLOW, reason="too slow")))
    text = details.get_text(" ", strip=True)
    assert "slow too slow" in text
    assert "Gbit/s, higher is better; median of 10 rounds; interval with 98 % confidence" in text
    assert details.a["href"] == "#cell-tcp-host-to-pod-ipip"
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


def test_ratios_are_rounded_as_on_the_page():
    result = next(r for r in samples.record(probes=("tcp",), noise=0.9).results if r.control)
    value, low, high = ratio_numbers(paired_ratio(result.control, result.by_round))
    shown = soup(row_cells(result)[2])
    shown.span.decompose()  # what the column is sorted by
    assert shown.get_text() == f"{value} ({low} to {high})"
