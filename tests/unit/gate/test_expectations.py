"""Mode against mode, as written on a command line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.gate.expectations import Expectation
from pytest_calico_perf.gate.limits import direction
from pytest_calico_perf.model import Better, Cell, Mode, Path
from pytest_calico_perf.probes import probe_names
from tests.unit.gate.results import cell


def test_the_sign_says_for_which_probes_it_is_meant():
    least = Expectation.parse("bgp >= ipip * 0.95", "here")
    greatest = Expectation.parse("bgp <= ipip", "here")
    assert least.of(cell("tcp")).ratio == 0.95
    assert least.of(cell("http")).text == "bgp >= ipip * 0.95"
    assert least.of(cell("ping")) is None
    assert greatest.of(cell("ping")).ratio == 1.0
    assert greatest.of(cell("tcp")) is None
    assert least.of(cell("tcp", Mode.IPIP)) is None
    assert least.of(Cell("tcp", Path.HOST_TO_HOST, None)) is None
    assert least.of(Cell("link", Path.HOST_TO_HOST, None)) is None


def test_probe_path_and_hosts():
    one = Expectation.parse("vxlan  >= host * 0.7 for tcp on pod-to-pod", "here")
    assert one.text == "vxlan >= host * 0.7 for tcp on pod-to-pod"
    assert one.of(cell("tcp", Mode.VXLAN)).base is None
    assert one.of(cell("http", Mode.VXLAN)) is None
    assert one.of(cell("tcp", Mode.VXLAN, Path.HOST_TO_POD)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bgp > ipip", "is not an expectation: write bgp >= ipip"),
        ("bgp>=ipip", "is not an expectation"),
        ("bgp >= ipip * -1", "is not an expectation"),
        ("bgp >= ipip * 0", "is not a ratio"),
        ("bgp >= ipip * 1" + 400 * "0", "is not a ratio"),
        ("bpg >= ipip", "unknown mode 'bpg', did you mean 'bgp'?"),
        ("bgp >= ipp", "unknown mode 'ipp', did you mean 'ipip'?"),
        ("host >= ipip", "unknown mode 'host'"),
        ("bgp >= bgp", "divided by itself"),
        ("bgp >= ipip for tcq", "unknown probe 'tcq', did you mean 'tcp'?"),
        ("bgp >= ipip for tcp on pod-to-pot", "unknown path 'pod-to-pot', did you mean 'pod-to-pod'?"),
        ("bgp >= ipip for ping", "ping is better when lower: write <="),
        ("bgp <= ipip for tcp", "tcp is better when higher: write >="),
        ("bgp >= ipip for link", "link states facts"),
        ("bgp >= ipip on host-to-host", "host-to-host has no mode"),
    ],
)
def test_what_is_none_says_why(text: str, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        Expectation.parse(text, "here")


@given(
    st.sampled_from(list(Mode)),
    st.sampled_from(list(Mode)),
    st.sampled_from([">=", "<="]),
    st.floats(0.001, 1000).map(lambda value: f"{value:.3f}"),
    st.sampled_from([name for name in probe_names() if name != "link"]),
)
def test_it_demands_what_it_says(mode, base, sign, ratio, probe):
    if mode is base:
        return
    found = Expectation.parse(f"{mode} {sign} {base} * {ratio}", "here").of(cell(probe, mode))
    meant = direction(probe) is (Better.HIGHER if sign == ">=" else Better.LOWER)
    assert (found is not None) is meant
    if found:
        assert (found.base, found.ratio, found.better) == (base, float(ratio), direction(probe))


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text):
    try:
        found = Expectation.parse(text, "here")
    except ValueError as refused:
        assert str(refused)
    else:
        assert found.ratio > 0
