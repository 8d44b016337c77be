"""The charts: what is drawn is what was measured, and what is said of it has its numbers."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from bs4 import BeautifulSoup

from pytest_calico_perf.model import Mode, PastValue, Path, Unit
from pytest_calico_perf.report.charts import figures as figures_room
from pytest_calico_perf.report.charts.distribution import distribution
from pytest_calico_perf.report.charts.dots import dots
from pytest_calico_perf.report.charts.drawing import thinned
from pytest_calico_perf.report.charts.figures import figures
from pytest_calico_perf.report.charts.past import past
from pytest_calico_perf.report.charts.timeline import timeline
from pytest_calico_perf.report.table import comparison
from pytest_calico_perf.stats import summarize
from tests.unit.report import samples


def table(probe="tcp", **fields):
    return comparison(samples.record(probes=(probe,), **fields))[0]


def changed(probe, change):
    """The table of a run whose results were changed one by one."""
    record = samples.record(probes=(probe,))
    return comparison(dataclasses.replace(record, results=tuple(map(change, record.results))))[0]


def drawn(chart):
    return BeautifulSoup(*figures([chart], "k-"), "html.parser")


def test_every_round_is_a_dot_beside_its_interval():
    found = table(rounds=7)
    page = drawn(dots(found))
    cells = 4 * (1 + 3)  # paths, the control and three modes
    assert len(page.select("circle")) == 7 * cells
    assert len(page.select("g[stroke-width='7'] line")) == cells


def test_dots_lie_where_their_values_are():
    page = drawn(dots(table(paths=(Path.POD_TO_POD,), modes=(Mode.BGP,))))
    bgp = samples.record(probes=("tcp",), paths=(Path.POD_TO_POD,), modes=(Mode.BGP,)).results[1]
    xs = [float(c["cx"]) for c in page.select("circle[fill='var(--bgp)']") or page.select("circle")][
        -len(bgp.samples) :
    ]
    ordered = [x for _, x in sorted(zip(bgp.samples, xs, strict=True))]
    assert ordered == sorted(ordered)
    assert len(set(ordered)) > 5


def test_colours_are_the_styles_and_nothing_is_loaded():
    [markup] = figures([dots(table())])
    assert "var(--bgp)" in markup
    assert "var(--host)" in markup
    for foreign in ("#000", "http", "url(", "<image", "<script", 'class="mark'):
        assert foreign not in markup


def test_a_picture_tells_its_numbers():
    found = table()
    chart = dots(found)
    page = drawn(chart)
    assert page.svg["role"] == "img"
    assert [page.find(id=name).name for name in page.svg["aria-labelledby"].split()] == ["title", "desc"]
    shown = found.scale.summary(found.rows[1].entries[2].summary)
    assert f"IPIP {shown}" in page.desc.get_text()
    assert "higher is better" in page.desc.get_text()


def test_no_chart_of_no_samples():
    failed = changed("tcp", lambda r: dataclasses.replace(r, samples=(), rounds=(), control={}))
    assert [draw(failed) for draw in (dots, distribution, timeline, past)] == [None] * 4


def test_the_spread_of_echoes_is_pooled_over_the_rounds():
    def with_times(result):
        times = [1e-4 * n for n in range(1, 101)]
        return dataclasses.replace(result, runs=({"percentiles": times}, {"percentiles": times}))

    chart = distribution(changed("ping", with_times))
    assert "BGP half within 5.00 ms, 99 % within 9.90 ms" in chart.says
    rows = [row for row in chart.spec["data"]["values"] if row["mode"] == "BGP"]
    assert max(row["share"] for row in rows) == 1
    assert [row["time"] for row in rows if row["path"] == "pod-to-pod"] == sorted(
        row["time"] for row in rows if row["path"] == "pod-to-pod"
    )
    assert "100%" in drawn(chart).get_text()


@pytest.mark.parametrize("told", [None, "many", [], ["x"], [0.0, float("nan")]])
def test_times_that_are_none_are_not_drawn(told):
    assert (
        distribution(changed("ping", lambda r: dataclasses.replace(r, runs=({"percentiles": told},)))) is None
    )


def test_the_line_inside_a_run_is_the_median_of_the_rounds():
    def with_intervals(result):
        runs = ({"interval_seconds": 0.5, "intervals": [pace, 2e9, 3e9]} for pace in (1e9, 4e9, 9e9))
        return dataclasses.replace(result, runs=tuple(runs))

    chart = timeline(changed("tcp", with_intervals))
    first = chart.spec["data"]["values"][0]
    assert (first["low"], first["median"], first["high"], first["second"]) == (1, 4, 9, 0.25)
    assert "BGP between 2.00 and 4.00" in chart.says
    assert drawn(chart).select("path")


def test_long_runs_are_drawn_in_means_of_neighbours():
    long = ({"interval_seconds": 1.0, "intervals": [1e9] * 600},)
    chart = timeline(changed("tcp", lambda r: dataclasses.replace(r, runs=long)))
    bgp = [row for row in chart.spec["data"]["values"] if (row["mode"], row["path"]) == ("BGP", "pod-to-pod")]
    assert len(bgp) == 60
    assert bgp[-1]["second"] == 595


def test_earlier_runs_stand_left_of_this_one():
    earlier = PastValue("2026-11-20 02:00 UTC", summarize([5e9, 5.1e9, 5.2e9]))
    chart = past(changed("tcp", lambda r: dataclasses.replace(r, past=(earlier,))))
    page = drawn(chart).get_text()
    assert "this run" in page
    assert "BGP 5.10 (5.00 to 5.20) on 2026-11-20 02:00 UTC, 1" in chart.says
    assert past(table()) is None


def test_hostile_names_are_text():
    found = dataclasses.replace(table(), probe="<script>x</script>")
    page = drawn(dots(found))
    assert page.find_all("script") == []
    assert "<script>" in page.figcaption.get_text()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os; os.abort()", "ended with exit code -6"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("print('no JSON')", "printed no JSON"),
        ("print('[]')", "drew something else"),
        ("print('[null]')", "says nothing"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_whatever_becomes_of_the_renderer_a_chart_is_told_in_words(tmp_path, monkeypatch, program, why):
    (tmp_path / "renderer.py").write_text(program)
    monkeypatch.setattr(figures_room, "_RENDERER", tmp_path / "renderer.py")
    monkeypatch.setattr(figures_room, "_DEADLINE", 1 if "sleep" in program else 60)
    page = drawn(dots(table()))
    assert page.svg is None
    assert "IPIP" in page.p.get_text()
    assert why in page.p.get_text()


def test_one_chart_that_cannot_be_drawn_costs_no_other():
    broken = dataclasses.replace(dots(table()), spec={"mark": "no such mark"})
    first, second = figures([broken, dots(table())])
    assert "<svg" not in first
    assert "<svg" in second


def test_the_renderer_is_no_part_of_this_process():
    figures([dots(table())])
    assert "vl_convert" not in sys.modules


def test_thinning_keeps_both_ends():
    assert thinned(list(range(1000)), 5) == [0, 250, 500, 749, 999]
    assert thinned([1.0, 2.0], 5) == [1.0, 2.0]


def test_paths_are_drawn_in_the_order_of_the_table():
    paths = (Path.POD_TO_POD, Path.HOST_TO_POD, Path.POD_TO_HOST)

    def told(result):
        runs = ({"percentiles": [1e-5, 2e-5], "interval_seconds": 0.5, "intervals": [1e9, 2e9]},)
        earlier = PastValue("2026-11-20 02:00 UTC", summarize(result.samples))
        return dataclasses.replace(result, runs=runs, past=(earlier,) if result.cell.mode else ())

    for probe, draw in (("tcp", dots), ("tcp", past), ("tcp", timeline), ("ping", distribution)):
        record = samples.record(probes=(probe,), paths=paths)
        made = comparison(dataclasses.replace(record, results=tuple(map(told, record.results))))[0]
        facet = draw(made).spec["facet"]
        assert (
            facet.get("row", facet)["sort"] == [str(path) for path in made.paths] == [str(p) for p in paths]
        )
        heads = [t for t in drawn(draw(made)).stripped_strings if t in {str(p) for p in paths}]
        assert heads == [str(path) for path in paths]


def test_the_spread_of_echoes_has_the_hosts_beside_it():
    def with_times(result):
        pace = 1e-6 if result.cell.mode is None else 1e-4
        return dataclasses.replace(result, runs=({"percentiles": [pace * n for n in range(1, 101)]},))

    chart = distribution(changed("ping", with_times))
    hosts = [row for row in chart.spec["data"]["values"] if row["mode"] == "host-to-host"]
    assert {row["path"] for row in hosts} == {str(path) for path in samples.SHARE}
    assert "host-to-host half within 0.05" in chart.says
    assert "the same in every part" in chart.how
    assert "var(--host)" in figures([chart])[0]


def test_units_other_than_time_have_no_spread_of_round_trips():
    found = table("http")
    assert found.unit is not Unit.SECOND
    assert distribution(found) is None
