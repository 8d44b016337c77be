"""The comparison as a value: who is compared with whom, over which rounds."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, Ratio, Unit
from pytest_calico_perf.probes.link import parse_link
from pytest_calico_perf.report.facts import FactsTable, flatten, in_words
from pytest_calico_perf.report.table import ProbeTable, Verdict, comparison, explanation, verdict
from tests.unit.report import samples

BGP, IPIP, VXLAN = Mode.BGP, Mode.IPIP, Mode.VXLAN


def result(mode, values, path=Path.POD_TO_POD, probe="tcp", control=(), **fields):
    return CellResult(
        Cell(probe, path, mode),
        fields.pop("outcome", Outcome.OK),
        Unit.BIT_PER_SECOND,
        Better.HIGHER,
        samples=tuple(values.values()),
        rounds=tuple(values),
        control=dict(control),
        **fields,
    )


def table(*results, modes=(BGP, IPIP)):
    (only,) = comparison(samples.record(modes=modes, results=results))
    return only


def test_a_whole_run_is_one_table_per_probe_and_facts_last():
    tables = comparison(samples.record())
    assert [t.probe for t in tables] == ["ping", "tcp", "http", "link"]
    assert [type(t) for t in tables] == [ProbeTable, ProbeTable, ProbeTable, FactsTable]
    tcp = tables[1]
    assert [row.mode for row in tcp.rows] == [BGP, IPIP, VXLAN]
    assert tcp.paths == (Path.HOST_TO_POD, Path.POD_TO_HOST, Path.POD_TO_POD, Path.POD_TO_POD_SAME_NODE)
    assert all(entry is not None for row in tcp.rows for entry in row.entries)
    assert tcp.direction == "Gbit/s, higher is better"
    assert tcp.rounds == "10 rounds"


def test_the_first_mode_is_the_base_whatever_the_order_of_the_results():
    tcp = table(result(IPIP, {1: 8e9}), result(BGP, {1: 10e9}), modes=(BGP, IPIP))
    assert [row.mode for row in tcp.rows] == [BGP, IPIP]
    assert tcp.rows[0].entries[0].to_base is None
    assert tcp.rows[1].entries[0].to_base.value == pytest.approx(0.8)


def test_ratios_are_taken_within_rounds_and_over_common_rounds_only():
    # The machine halves its speed after round 1: pooled medians would say 0.4, every round says 0.8.
    tcp = table(result(BGP, {1: 10e9, 2: 5e9, 3: 5e9}), result(IPIP, {1: 8e9, 3: 4e9, 7: 1e9}))
    ratio = tcp.rows[1].entries[0].to_base
    assert (ratio.value, ratio.n) == (pytest.approx(0.8), 2)
    assert (ratio.low, ratio.high) == (pytest.approx(0.8), pytest.approx(0.8))


def test_the_host_ratio_divides_by_the_control_of_the_same_round():
    entry = table(result(BGP, {1: 9e9, 2: 4.5e9}, control={1: 10e9, 2: 5e9, 3: 99e9})).rows[0].entries[0]
    assert (entry.to_host.value, entry.to_host.n) == (pytest.approx(0.9), 2)


def test_a_failed_base_leaves_the_others_without_a_ratio_but_with_values():
    tcp = table(
        samples.failed("tcp", Path.POD_TO_POD, BGP, Outcome.UNREACHABLE, "no route"), result(IPIP, {1: 8e9})
    )
    base, other = tcp.rows[0].entries[0], tcp.rows[1].entries[0]
    assert (base.summary, base.failed) == (None, True)
    assert (other.to_base, other.summary.median) == (None, 8e9)


def test_host_to_host_that_was_no_control_stands_apart_and_cells_that_were_not_measured_are_none():
    tcp = table(
        result(None, {1: 10e9}, path=Path.HOST_TO_HOST),
        result(BGP, {1: 9e9}, path=Path.HOST_TO_POD),
        result(IPIP, {1: 9e9}, path=Path.POD_TO_POD),
    )
    assert tcp.host.summary.median == 10e9
    assert tcp.paths == (Path.HOST_TO_POD, Path.POD_TO_POD)
    assert [[entry is None for entry in row.entries] for row in tcp.rows] == [[False, True], [True, False]]


def test_every_path_has_the_control_of_its_own_rounds():
    tcp = table(
        result(None, {1: 53e6, 2: 53e6}, path=Path.HOST_TO_HOST),
        result(BGP, {1: 62e6, 2: 62e6}, path=Path.HOST_TO_POD, control={1: 53e6, 2: 53e6}),
        result(BGP, {1: 62e6, 2: 62e6}, control={1: 47e6, 2: 48e6}),
        result(IPIP, {2: 50e6}, control={1: 47e6, 2: 48e6}),
    )
    assert [control.path for control in tcp.controls] == [Path.HOST_TO_POD, Path.POD_TO_POD]
    assert [control.summary.median for control in tcp.controls] == [53e6, 47.5e6]
    assert [control.summary.n for control in tcp.controls] == [2, 2]
    assert tcp.host is None  # shown once, as that row
    # What a reader divides is what was divided.
    entry = tcp.rows[0].entries[1]
    assert entry.to_host.value == pytest.approx(entry.summary.median / 47.5e6, rel=1e-3)


def test_a_path_without_a_control_says_why_where_that_is_known():
    lost = {"control_problem": "node2: no echo came"}
    tcp = table(
        result(BGP, {1: 62e6}, path=Path.HOST_TO_POD, control={1: 53e6}),
        result(BGP, {1: 62e6}, path=Path.POD_TO_HOST, details=lost),
        result(BGP, {1: 62e6}),
    )
    assert [(control.summary is None, control.problem) for control in tcp.controls] == [
        (False, ""),
        (True, "node2: no echo came"),
        (True, ""),
    ]
    assert table(result(BGP, {1: 62e6})).controls == ()


def test_host_to_host_that_failed_is_told_beside_its_row():
    slow = result(None, {1: 53e6}, path=Path.HOST_TO_HOST, outcome=Outcome.SLOW, reason="too slow")
    tcp = table(slow, result(BGP, {1: 62e6}, control={1: 53e6}))
    assert tcp.host.result is slow
    assert len(tcp.controls) == 1


def test_only_the_control_was_measured():
    tcp = table(result(None, {1: 10e9}, path=Path.HOST_TO_HOST))
    assert (tcp.rows, tcp.paths) == ((), ())
    assert tcp.entries == (tcp.host,)


def test_reverse_is_the_median_of_the_runs():
    runs = ({"reverse": {"goodput": 7e9}}, {"reverse": {"goodput": 9e9}}, {"reverse": {"goodput": 8e9}}, {})
    assert table(result(BGP, {1: 1e9}, runs=runs)).rows[0].entries[0].reverse.median == 8e9
    assert table(result(BGP, {1: 1e9}, details={"reverse": 3e9})).rows[0].entries[0].reverse.median == 3e9
    assert table(result(BGP, {1: 1e9}, details={"reverse": None})).rows[0].entries[0].reverse is None


def test_rounds_that_differ_are_said_as_a_span():
    assert table(result(BGP, {1: 1e9, 2: 1e9}), result(IPIP, {1: 1e9})).rounds == "1 to 2 rounds"
    assert table(result(BGP, {1: 1e9})).rounds == "1 round"
    assert table(samples.failed("tcp", Path.POD_TO_POD, BGP, Outcome.TOOL_ERROR, "x")).rounds == ""


@pytest.mark.parametrize(
    ("ratio", "better", "says"),
    [
        (Ratio(1.1, 1.05, 1.2, 10), Better.HIGHER, Verdict.BETTER),
        (Ratio(1.1, 1.05, 1.2, 10), Better.LOWER, Verdict.WORSE),
        (Ratio(0.9, 0.8, 0.95, 10), Better.HIGHER, Verdict.WORSE),
        (Ratio(0.9, 0.8, 0.95, 10), Better.LOWER, Verdict.BETTER),
        (Ratio(0.99, 0.9, 1.01, 10), Better.HIGHER, Verdict.UNDECIDED),
        (Ratio(1.0, 1.0, 1.0, 3), Better.HIGHER, Verdict.UNDECIDED),
        (Ratio(2.0, None, None, 1), Better.HIGHER, Verdict.UNDECIDED),
    ],
)
def test_a_verdict_needs_an_interval_on_one_side_of_1(ratio, better, says):
    assert verdict(ratio, better) is says


def test_the_explanation_tells_of_what_is_there_and_nothing_else():
    whole = " ".join(explanation(comparison(samples.record())))
    assert all(
        word in whole for word in ("host-to-host:", "of bgp:", "of host:", "reverse:", "95 % confidence")
    )
    ping = " ".join(explanation(comparison(samples.record(modes=(BGP,), probes=("ping",)))))
    assert not any(word in ping for word in ("of bgp:", "reverse:"))
    assert "at least 94 % confidence" in explanation(comparison(samples.record(rounds=5)))[0]
    assert "single round" in explanation(comparison(samples.record(rounds=1)))[0]
    dead = samples.failed("tcp", Path.POD_TO_POD, BGP, Outcome.UNREACHABLE, "no route")
    assert explanation(comparison(samples.record(results=[dead]))) == ()
    assert explanation(()) == ()


def test_facts_have_a_column_per_node():
    facts = comparison(samples.record())[-1]
    assert facts.columns == ("node1", "node2")
    rows = dict(facts.rows)
    assert rows["nominal speed"] == ("10.0 Gbit/s", "10.0 Gbit/s")
    assert rows["speed"] == ("unknown", "unknown")
    assert rows["TCP segmentation offload"] == ("on", "on")
    assert facts.failures == ()


def test_facts_without_places_are_those_of_the_path_and_failures_are_kept():
    told = replace(samples.link(), details={"mtu": 1500, "speed": None})
    facts = comparison(samples.record(results=[told]))[0]
    assert facts.columns == ("host-to-host",)
    assert dict(facts.rows) == {"MTU": ("1500",), "speed": ("unknown",)}
    broken = samples.failed("link", Path.HOST_TO_HOST, None, Outcome.TOOL_ERROR, "ethtool is not installed")
    assert comparison(samples.record(results=[broken]))[0].failures == (broken,)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("interface", "interface"),
        ("nominal_speed", "nominal speed"),
        ("link_detected", "link detected"),
        ("offloads.tx-checksum", "TX checksum offload"),
        ("offloads.gso", "generic segmentation offload"),
        ("ring.rx_max", "RX max ring"),
    ],
)
def test_names_of_facts_are_words(name, words):
    assert in_words(name) == words


def test_every_name_the_link_probe_records_is_words():
    report = parse_link(
        "eth0",
        1500,
        settings="\tSpeed: 1000Mb/s\n\tDuplex: Full\n\tLink detected: yes\n",
        driver="driver: igb\n",
        features="".join(
            f"{feature}: on\n"
            for feature in (
                "tcp-segmentation-offload",
                "generic-segmentation-offload",
                "generic-receive-offload",
                "tx-checksumming",
                "rx-checksumming",
            )
        ),
    )
    told = replace(samples.link(), details={"node1": report.as_details()})
    names = [name for name, _ in comparison(samples.record(results=[told]))[0].rows]
    assert len(names) == 12
    assert not [name for name in names if set(name) & set("._-") or re.search(r"\b[tg][sr]o\b", name)]


def test_nested_facts_become_words():
    assert flatten({"a": {"b": {"c": False}}, "d": [1, 2.5], "e": list(range(20)), "f": 1 / 3, "g": "x"}) == {
        "a.b.c": "no",
        "d": "1, 2.5",
        "e": "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... (20 in all)",
        "f": "0.333333",
        "g": "x",
    }
