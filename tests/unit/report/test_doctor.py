"""A diagnosis as text: everything that matters is in it, within the terminal's width, whatever it was read from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.diagnosis.finding import Check, Diagnosis, Fault, Finding, Link, State
from pytest_calico_perf.model import Better, Cell, CellResult, Mode, Outcome, Path, RunRecord, Unit
from pytest_calico_perf.report.doctor import closing, details, examined, footnote, in_short, tally

BLOCKED = Fault(
    "bgp-port-blocked",
    Link.BGP,
    title="TCP 179 is blocked",
    shows="neither end establishes",
    meaning="BGP cannot exchange routes.",
    remedy="let TCP 179 pass",
)
DOWN = Fault(
    "tunnel-device-down",
    Link.TUNNEL,
    title="t",
    shows="s",
    meaning="No packet leaves it.",
    remedy="ip link set",
)
SILENT = "a small ping got no answer"


def diagnosis(*findings: Finding, works: tuple[Mode, ...] = (Mode.VXLAN,)) -> dict[str, Any]:
    checks = (Check(Link.FILTER, "node2", State.NOT_SEEN, "not allowed to run nft"),)
    found = Diagnosis(Path.POD_TO_POD, Mode.BGP, "small-ping", SILENT, findings, checks, works, ())
    return json.loads(json.dumps(found.to_json()))


ONE = Finding(BLOCKED, "no BGP session comes up between node1 and node2", ("node1 says Active",), "open 179")
TWO = Finding(DOWN, "tunl0 of node1 is down", ("ip says state DOWN",))


def result(outcome: Outcome, probe: str = "reachability", mode: Mode = Mode.BGP, **fields: Any) -> CellResult:
    return CellResult(Cell(probe, Path.POD_TO_POD, mode), outcome, Unit.SECOND, Better.LOWER, **fields)


def dead(*findings: Finding, **fields: Any) -> CellResult:
    return result(Outcome.UNREACHABLE, diagnosis=diagnosis(*findings), **fields)


WHOLE = result(
    Outcome.OK,
    evidence={
        "path_mtu": 1480,
        "forward": {"device": "tunl0", "gateway": "10.0.0.12", "protocol": "bird"},
        "backward": {"device": "tunl0", "gateway": "10.0.0.11", "protocol": "bird"},
        "reachability": {"not_checked": {"TCP bulk": "iperf3 is not installed there"}},
    },
)


def test_a_whole_path_is_one_line():
    (line,) = examined(WHOLE, 200)
    assert line == (
        "pod-to-pod bgp: ok (path MTU 1480, route dev tunl0 via 10.0.0.12 proto bird, "
        "back dev tunl0 via 10.0.0.11 proto bird, TCP bulk not checked: iperf3 is not installed there)"
    )


def test_a_service_whose_mtu_cannot_be_probed_says_so():
    (line,) = examined(replace(WHOLE, evidence={}), 200)
    assert line == "pod-to-pod bgp: ok (path MTU not checked)"


def test_a_dead_path_is_explained():
    assert examined(dead(ONE), 200) == [
        "pod-to-pod bgp: unreachable: no BGP session comes up between node1 and node2",
        "  seen: a small ping got no answer",
        "  fact: node1 says Active",
        "  it means: BGP cannot exchange routes.",
        "  do: open 179",
        "  would work, as far as was seen: vxlan",
        "  not seen: filter of node2: not allowed to run nft",
    ]


def test_two_faults_have_their_facts_apart():
    lines = examined(dead(ONE, TWO), 200)
    first = lines.index("  broken: no BGP session comes up between node1 and node2")
    second = lines.index("  broken: tunl0 of node1 is down")
    assert lines[first + 1] == "  fact: node1 says Active"
    assert lines[second + 1 :][:3] == [
        "  fact: ip says state DOWN",
        "  it means: No packet leaves it.",
        "  do: ip link set",
    ]


def test_where_nothing_was_found_the_symptom_and_a_way_on_are_told():
    lines = examined(dead(), 200)
    assert lines[0].startswith(f"pod-to-pod bgp: unreachable: {SILENT}; every link that could be looked at")
    assert any(line.startswith("  do: look at what could not be seen from here") for line in lines)


def test_what_ended_otherwise_has_its_reason():
    assert examined(result(Outcome.UNSUPPORTED, reason="one subnet"), 200) == [
        "pod-to-pod bgp: unsupported: one subnet"
    ]


def test_many_facts_are_counted():
    facts = tuple(f"fact {number}" for number in range(30))
    lines = details(diagnosis(replace(ONE, facts=facts)), 200)
    assert "  fact: and 18 more" in lines
    assert sum(line.startswith("  fact: ") for line in lines) == 13


def test_in_short_each_path_is_told_once():
    cells = [dead(ONE, probe=probe) for probe in ("ping", "tcp", "http")]
    assert in_short([WHOLE], 200) == []
    assert in_short([*cells, WHOLE], 200) == [
        "",
        "pod-to-pod bgp: unreachable",
        "  do: open 179",
        "  would work, as far as was seen: vxlan",
    ]


def test_a_footnote_is_symptom_and_sentence_and_without_a_diagnosis_the_reason():
    assert footnote(dead(ONE)) == f"{SILENT}; no BGP session comes up between node1 and node2"
    assert footnote(dead()).count(SILENT) == 1
    assert footnote(result(Outcome.UNSUPPORTED, reason="one subnet")) == "one subnet"


def test_the_tally():
    assert tally([WHOLE]) == "1 of 1 path carries payload"
    assert tally([WHOLE, dead(ONE), result(Outcome.UNSUPPORTED, mode=Mode.IPIP)]) == (
        "1 of 3 paths carries payload; unreachable: pod-to-pod bgp; unsupported: pod-to-pod ipip"
    )


def test_the_end_says_what_kept_it_from_looking():
    record = RunRecord({}, {}, (Mode.BGP,), (), "", 1.0, 0.0, problem="the API is away")
    assert closing(record, ["a note"], 80) == ["the API is away", "a note"]


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_lines_keep_to_the_width(width):
    long = replace(ONE, facts=("word " * 80,))
    lines = [*examined(dead(long, TWO), width), *in_short([dead(long)], width), *examined(WHOLE, width)]
    assert all(len(line) <= max(width, 40) for line in lines)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("said", "sentence", "remedy", "works", "findings", "not_seen")


@given(
    st.fixed_dictionaries(dict.fromkeys(KEYS, ANY)),
    st.dictionaries(st.sampled_from(["path_mtu", "forward"]), ANY),
)
def test_a_diagnosis_of_any_shape(found, evidence):
    lines = examined(result(Outcome.UNREACHABLE, diagnosis=found), 80)
    lines += in_short([result(Outcome.UNREACHABLE, diagnosis=found)], 80)
    lines += examined(result(Outcome.OK, evidence=evidence), 80)
    assert all(line.isprintable() for line in lines)
