from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.contender import Visit, merged, outcome_of
from pytest_calico_perf.errors import (
    ClusterProblem,
    NotReady,
    ToolProblem,
    Unreachable,
    Unsupported,
    WrongPath,
)
from pytest_calico_perf.model import Measurement, Mode, Outcome
from pytest_calico_perf.reachability import Reachability
from tests.unit.campaign.world import POD, World

PAIR = World().pair(POD, Mode.IPIP)


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (Unsupported("no ipip device"), Outcome.UNSUPPORTED),
        (Unreachable("no packet"), Outcome.UNREACHABLE),
        (WrongPath("through eth0"), Outcome.WRONG_PATH),
        (ToolProblem("died"), Outcome.TOOL_ERROR),
        (ClusterProblem("gone"), Outcome.TOOL_ERROR),
        (NotReady("late"), Outcome.TOOL_ERROR),
    ],
)
def test_every_problem_is_an_outcome(problem, outcome):
    assert outcome_of(problem) is outcome


@pytest.mark.parametrize(("path_mtu", "certain"), [(1480, 1428), (1450, None)], ids=["as-told", "told-less"])
def test_a_segment_is_held_against_the_path_only_where_nobody_tells_ends_to_send_less(path_mtu, certain):
    visit = Visit(PAIR, Reachability(interface_mtu=1480, path_mtu=path_mtu))
    visit.taken.update({0: Measurement(1.0, 1.0, {"mss": 1428}), 1: Measurement(1.0, 1.0, {})})
    assert (visit.mss, visit.certain_mss) == (1428, certain)


def test_numbers_become_medians_and_mappings_are_merged():
    rounds = [
        {"p99": 3.0, "cpu": {"client": 10, "server": 20}},
        {"p99": 1.0, "cpu": {"client": 30, "server": 25}},
        {"p99": 9.0, "cpu": {"client": 20, "server": 90}},
    ]
    assert merged(rounds) == {"p99": 3.0, "cpu": {"client": 20, "server": 25}}


def test_what_is_no_number_is_kept_where_all_runs_agree():
    rounds = [
        {"version": "3.12", "port": "5201", "gso": True, "intervals": [1, 2]},
        {"version": "3.12", "port": "5202", "gso": True, "intervals": [3, 4]},
    ]
    assert merged(rounds) == {"version": "3.12", "gso": True}


def test_truth_values_are_no_numbers():
    assert merged([{"gso": True}, {"gso": False}]) == {}
    assert merged([{"gso": True}, {"gso": 1}]) == {}


def test_what_only_some_runs_know_is_told_by_these():
    assert merged([{"jitter": None}, {"jitter": 2.0, "note": "late"}, {}]) == {"jitter": 2.0, "note": "late"}
    assert merged([{"speed": None}, {"speed": None}]) == {"speed": None}


def test_a_key_of_several_kinds_is_left_out():
    assert merged([{"mtu": 1500}, {"mtu": "unknown"}]) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), json_values), st.integers(1, 4))
def test_runs_that_agree_are_told_as_they_are(details, count):
    assert merged([details] * count) == details


@given(st.lists(st.dictionaries(st.sampled_from("abc"), json_values), max_size=5))
def test_any_details_can_be_merged(rounds):
    assert set(merged(rounds)) <= {key for details in rounds for key in details}
