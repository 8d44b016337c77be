"""Several runs beside one another: what is compared, what is refused, and how sure it claims to be."""

from __future__ import annotations

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Unit
from pytest_calico_perf.report import rendering, side_by_side_html, side_by_side_text
from pytest_calico_perf.report.side_by_side import NamedRun, compare
from pytest_calico_perf.report.table import Verdict, verdict
from tests.unit.report import made, samples
from tests.unit.report.test_terminal import HOSTILE, with_failures

CELL = Cell("tcp", Path.POD_TO_POD, Mode.BGP)
NODE = {"name": "node1", "kernel": "6.1", "cpu": "a CPU"}
PLACE = {"name": "prod", "kind": "kubernetes", "nodes": [NODE]}


def run(label="before", values=(9e9, 9.1e9, 9.2e9), cell=CELL, better=Better.HIGHER, host=10e9, **fields):
    unit = Unit.BIT_PER_SECOND if better is Better.HIGHER else Unit.SECOND
    result = CellResult(
        cell,
        Outcome.OK,
        unit,
        better,
        samples=tuple(values),
        rounds=tuple(range(len(values))),
        control=dict.fromkeys(range(len(values)), host),
        details=fields.pop("details", {}),
    )
    record = samples.record(modes=(Mode.BGP,), results=[result], **{"cluster": PLACE, **fields})
    return NamedRun(label, record)


def sides(*runs):
    (table,) = compare(runs).tables
    (row,) = table.rows
    return row.sides


def test_a_change_is_the_ratio_of_the_means_and_knows_its_direction():
    before, after = run(values=(10e9, 10e9, 10.1e9)), run("after", values=(5e9, 5e9, 5.05e9))
    first, second = sides(before, after)
    assert (first.change, first.change_of_host) == (None, None)
    assert second.change.value == pytest.approx(0.5, rel=0.01)
    assert second.change.low < second.change.value < second.change.high < 1
    assert verdict(second.change, Better.HIGHER) is Verdict.WORSE
    assert second.change_of_host.value == pytest.approx(0.5, rel=0.01)
    longer = sides(
        run(values=(1e-3, 1e-3, 1.01e-3), better=Better.LOWER),
        run("after", values=(2e-3, 2e-3, 2.02e-3), better=Better.LOWER),
    )[1].change
    assert longer.value == pytest.approx(2, rel=0.01)
    assert verdict(longer, Better.LOWER) is Verdict.WORSE


def test_a_faster_machine_changes_the_value_and_not_the_ratio_to_host():
    after = run("after", values=(18e9, 18.2e9, 18.4e9), host=20e9)
    second = sides(run(), after)[1]
    assert second.change.value == pytest.approx(2)
    assert second.change_of_host.value == pytest.approx(1)
    assert verdict(second.change_of_host, Better.HIGHER) is Verdict.UNDECIDED


def test_days_that_differ_as_rounds_do_raise_few_alarms():
    # The promise of the sentence "up to about 5 % would": simulated A/A pairs, each day with a shift of its own.
    random = np.random.default_rng(7)
    excluded = 0
    for _ in range(400):
        before, after = (
            run(label, 1e9 * np.exp(random.normal(0, 0.03) + random.normal(0, 0.03, 5)))
            for label in ("a", "b")
        )
        change = sides(before, after)[1].change
        excluded += verdict(change, Better.HIGHER) is not Verdict.UNDECIDED
    assert excluded <= 40  # expected at most 20; P(more than 40) < 1e-4


def test_one_round_has_a_ratio_and_no_interval():
    change = sides(run(values=(1e9,)), run("after", values=(2e9,)))[1].change
    assert (change.value, change.low, change.high, change.n) == (pytest.approx(2), None, None, 1)


@pytest.mark.parametrize(
    ("other", "obstacle"),
    [
        (
            {"profile": {"name": "quick", "probes": {"tcp": {"command": "iperf3 -P 4"}}}},
            "other parameters: `iperf3 -t 2` there, `iperf3 -P 4` here",
        ),
        ({"details": {"version_client": "3.17.1"}}, "iperf3 before 3.16 there, 3.16 or later here"),
        ({"better": Better.LOWER}, "measured in bit/s there, in s here"),
    ],
    ids=["parameters", "iperf3", "unit"],
)
def test_what_is_not_the_same_measurement_is_not_compared(other, obstacle):
    usual = {"profile": {"name": "quick", "probes": {"tcp": {"command": "iperf3 -t 2"}}}}
    before = run(details={"version_client": "3.12"}, **usual)
    after = run("after", **{"details": {"version_client": "3.12"}, **usual, **other})
    second = sides(before, after)[1]
    assert (second.obstacle, second.change, second.change_of_host) == (obstacle, None, None)
    assert f"[1] {obstacle}" in text(before, after)
    assert "not comparable [1]" in text(before, after)


def test_only_intervals_that_exist_are_counted():
    one = text(run(values=(1e9,)), run("after", values=(2e9,)))
    assert "better, worse: the interval" not in one
    assert "nothing is paired" in " ".join(one.split())
    both = " ".join(text(run(), run("after")).split())
    assert "Of the 2 intervals here" in both  # of the value, and of its ratio to host


def test_host_to_host_that_was_only_the_control_is_told_as_such():
    host = run(cell=Cell("tcp", Path.HOST_TO_HOST, None), values=(10e9, 10e9, 10e9))
    told = " ".join(text(host, run("after", host=8e9)).split())
    assert "before 10.0 (10.0 to 10.0)" in told
    assert "after 8.00 (8.00 to 8.00) as the control" in told


def test_where_nothing_was_measured_there_is_no_unit():
    dead = samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "node2 is down")
    runs = [NamedRun(label, samples.record(results=[dead], cluster=PLACE)) for label in ("a", "b")]
    assert "\ntcp\n" in text(*runs)


def test_cluster_and_start_are_not_broken_on_the_page():
    soup = BeautifulSoup(side_by_side_html.render(compare((run(), run("after")))), "html.parser")
    kept = [cell.text for cell in soup.table.tbody.find_all("td") if "nowrap" in cell.get("style", "")]
    assert kept == ["prod", "2026-11-23 14:40:00+00:00"] * 2


def test_a_cell_that_one_run_lacks_or_could_not_measure_says_so():
    dead = samples.failed("tcp", Path.POD_TO_POD, Mode.BGP, Outcome.UNREACHABLE, "node2 is down")
    after = NamedRun("after", samples.record(results=[dead], cluster=PLACE))
    nothing = NamedRun("nothing", samples.record(results=[], cluster=PLACE, problem="no lab"))
    first, second, third = sides(run(), after, nothing)
    assert first.summary is not None
    assert (second.change, third.change, third.result) == (None, None, None)
    told = text(run(), after, nothing)
    assert "after unreachable nothing not measured" in " ".join(told.split())
    assert "nothing could be measured: no lab" in " ".join(told.split())


def test_fingerprints_say_what_changed_and_whether_the_places_differ():
    upgraded = run("after", cluster={**PLACE, "nodes": [{**NODE, "kernel": "6.18"}]})
    elsewhere = run("other", cluster={**PLACE, "name": "test", "nodes": [{**NODE, "cpu": "another CPU"}]})
    broken = run("broken", cluster={"name": "prod"})
    told = text(run(), upgraded, elsewhere, broken)
    assert "Changed in after: kernel 6.1 there, 6.18 here." in told
    assert (
        "other is of another place: cluster prod there, test here; processors a CPU there, another CPU here."
        in told
    )
    assert "The places differ, so that a changed value says more about the machines" in told
    assert "broken: a record does not say enough" in told
    assert "The places differ" not in text(run(), upgraded)


def text(*runs, width=100):
    lines = [line.text for line in side_by_side_text.render(compare(runs), width)]
    assert all(line.isprintable() for line in lines)
    return "\n".join(lines)


def test_the_text_fits_and_says_that_nothing_is_paired():
    runs = (
        NamedRun("before", with_failures()),
        NamedRun("after-the-upgrade-of-the-whole-fleet", samples.record(noise=0.05)),
    )
    told = text(*runs)
    assert max(map(len, told.splitlines())) <= 100
    flat = " ".join(told.split())
    assert "nothing is paired, and two days differ even where nothing changed" in flat
    assert "better, worse: the interval excludes 1. Of the " in flat
    assert "ping [us, lower is better]" in told
    assert "  after-the-upgrade-of-..." in told


def test_the_page_holds_the_comparison_and_each_run_once_and_nothing_that_runs_or_loads():
    runs = (NamedRun("before", with_failures()), NamedRun("after", samples.record(cluster={"name": HOSTILE})))
    page = rendering.page(runs)
    soup = BeautifulSoup(page, "html.parser")
    assert soup.h2.text == "Runs side by side"
    assert [head.text for head in soup.table.find_all("th", scope="row")] == ["before", "after"]
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert not soup.find_all(["script", "link", "img", "iframe", "object", "base", "form"])
    assert not [
        tag for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on") or name == "src"
    ]
    assert soup.html["lang"] == "en"
    assert "default-src 'none'" in soup.find("meta", {"http-equiv": True})["content"]


def test_the_page_of_one_run_is_that_runs_report():
    soup = BeautifulSoup(rendering.page([NamedRun("x", samples.record())]), "html.parser")
    assert soup.title.text == "Calico modes on lab"
    assert "Runs side by side" not in soup.text


@settings(max_examples=30, deadline=None)
@given(records=st.lists(made.records(), min_size=2, max_size=3))
def test_any_runs_are_shown(records):
    runs = [NamedRun(f"run{number}", record) for number, record in enumerate(records)]
    assert text(*runs)
    soup = BeautifulSoup(side_by_side_html.render(compare(runs)), "html.parser")
    assert len(soup.table.tbody.find_all("tr")) == len(runs)
