"""The run as OpenMetrics text, read by Prometheus' own parsers: the new format's, and the one collectors use."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics

from pytest_calico_perf.model import LOOK_PROBE, Mode, Outcome, Path
from pytest_calico_perf.report.openmetrics import exposition
from pytest_calico_perf.stats import paired_ratio, summarize
from tests.unit.report import made, samples
from tests.unit.report.test_spreadsheet import without_host_to_host
from tests.unit.report.test_terminal import with_failures

THROUGHPUT = "calico_perf_throughput_bytes_per_second"


def parsed(record):
    """Samples by name and labels; both parsers must find the same."""
    text = exposition(record)
    assert text.endswith("# EOF\n")
    new, old = (
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in module.text_string_to_metric_families(text)
            for sample in family.samples
        }
        for module in (openmetrics, prometheus)
    )
    assert new == old
    assert len(new) == sum(not line.startswith("#") for line in text[:-1].split("\n"))
    return new


def value(found, name, **labels):
    return found.get((name, tuple(sorted(labels.items()))))


def test_every_family_is_a_gauge_with_help_and_the_unit_it_is_named_after():
    families = list(openmetrics.text_string_to_metric_families(exposition(with_failures())))
    assert {family.type for family in families} == {"gauge"}
    for family in families:
        assert family.documentation
        assert not family.unit or family.name.endswith(f"_{family.unit}")
        assert all(sample.timestamp is None and sample.exemplar is None for sample in family.samples)
    units = {family.unit for family in families}
    assert units == {"", "seconds", "ratio", "bytes_per_second", "requests_per_second"}


def test_median_interval_and_ratios_are_those_of_the_other_reports():
    record = samples.record()
    found = parsed(record)
    base, ipip = (
        next(
            r
            for r in record.results
            if (r.cell.probe, r.cell.path, r.cell.mode) == ("tcp", Path.POD_TO_POD, mode)
        )
        for mode in (Mode.BGP, Mode.IPIP)
    )
    labels = {"cluster": "lab", "probe": "tcp", "path": "pod-to-pod", "mode": "ipip"}
    summary = summarize(ipip.samples)
    for stat in ("median", "low", "high"):
        assert value(found, THROUGHPUT, stat=stat, **labels) == getattr(summary, stat) / 8
    ratio, host = paired_ratio(base.by_round, ipip.by_round), paired_ratio(ipip.control, ipip.by_round)
    assert value(found, "calico_perf_of_mode_ratio", stat="mean", base="bgp", **labels) == ratio.value
    assert value(found, "calico_perf_of_mode_ratio", stat="high", base="bgp", **labels) == ratio.high
    assert value(found, "calico_perf_of_host_ratio", stat="low", **labels) == host.low
    assert value(found, "calico_perf_cell_rounds", **labels) == 10
    hosts = {"cluster": "lab", "probe": "ping", "path": "host-to-host"}
    assert value(found, "calico_perf_latency_seconds", stat="median", **hosts) < 1e-3
    assert value(found, "calico_perf_run_start_timestamp_seconds", cluster="lab") == 1795444800


def test_a_failure_has_an_outcome_and_no_figure():
    found = parsed(with_failures())
    for mode, path, outcome in (
        ("vxlan", "pod-to-pod", "unreachable"),
        ("ipip", "pod-to-host", "wrong-path"),
    ):
        labels = {"cluster": "lab", "probe": "tcp", "path": path, "mode": mode}
        assert value(found, THROUGHPUT, stat="median", **labels) is None
        assert value(found, "calico_perf_of_host_ratio", stat="mean", **labels) is None
        assert value(found, "calico_perf_cell_rounds", **labels) == 0
        states = {
            str(each): value(found, "calico_perf_cell_outcome", outcome=str(each), **labels)
            for each in Outcome
        }
        assert states == {str(each): float(each == outcome) for each in Outcome}


def test_the_speed_of_a_link_is_no_throughput():
    record = samples.record(results=[samples.link()])
    names = {name for name, _ in parsed(record)}
    assert "calico_perf_link_speed_bytes_per_second" in names
    assert THROUGHPUT not in names


def test_a_run_that_measured_nothing_says_so():
    found = parsed(samples.record(results=[], problem="no BIRD", interrupted=True))
    assert value(found, "calico_perf_run_broken", cluster="lab") == 1
    assert value(found, "calico_perf_run_interrupted", cluster="lab") == 1
    assert value(found, "calico_perf_run_duration_seconds", cluster="lab") == 171


def test_the_way_back_and_the_control_have_series_of_their_own():
    record = without_host_to_host()
    found = parsed(record)
    first = record.results[0]
    labels = {"cluster": "lab", "probe": "tcp", "path": "pod-to-pod", "mode": "bgp", "stat": "median"}
    back = summarize([run["reverse"]["goodput"] for run in first.runs])
    assert value(found, THROUGHPUT, direction="reverse", **labels) == back.median / 8
    assert value(found, THROUGHPUT, **labels) == summarize(first.samples).median / 8
    hosts = {"cluster": "lab", "probe": "tcp", "path": "host-to-host", "stat": "median"}
    control = summarize(list(first.control.values()))
    assert value(found, THROUGHPUT, beside="pod-to-pod", **hosts) == control.median / 8
    assert value(found, THROUGHPUT, **hosts) is None


def test_a_diagnosis_says_which_paths_are_alive_and_counts_no_rounds():
    outcomes = {Mode.BGP: Outcome.OK, Mode.IPIP: Outcome.UNREACHABLE, Mode.VXLAN: Outcome.TOOL_ERROR}
    looked = [
        samples.failed("ping", Path.POD_TO_POD, mode, outcome, "") for mode, outcome in outcomes.items()
    ]
    looked = [dataclasses.replace(r, cell=dataclasses.replace(r.cell, probe=LOOK_PROBE)) for r in looked]
    found = parsed(samples.record(results=looked))
    alive = {
        dict(labels)["mode"]: state
        for (name, labels), state in found.items()
        if name == "calico_perf_path_alive"
    }
    assert alive == {"bgp": 1.0, "ipip": 0.0}
    assert not any(name == "calico_perf_cell_rounds" for name, _ in found)


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a\\nb", 'x"} 1\ny{z="', "caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
def test_hostile_names_stay_labels(name):
    record = dataclasses.replace(with_failures(), cluster={"name": name})
    clusters = {dict(labels)["cluster"] for _, labels in parsed(record)}
    assert clusters == {name}


@settings(max_examples=60, deadline=None)
@given(record=made.records())
def test_any_run_is_read_by_both_parsers(record):
    assert parsed(record)
