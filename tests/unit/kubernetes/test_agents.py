"""What calico-node's complaints and reports say, and what of Calico's objects is believed, whatever their shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.inspection import BlockState, SessionState
from pytest_calico_perf.cluster.kubernetes.agents import BIRD, FELIX, judge
from pytest_calico_perf.cluster.kubernetes.inspection import _affinities, _blocks, _node
from pytest_calico_perf.cluster.kubernetes.node_status import sessions_of
from pytest_calico_perf.cluster.kubernetes.resource import Json
from pytest_calico_perf.model import Encapsulation
from tests.unit.kubernetes.objects import named, node
from tests.unit.kubernetes.test_any_json import VALUES


def unhealthy(said: str, at: str = "2026-11-23T10:00:00Z") -> Json:
    """As the kubelet quotes the probe, Calico's log lines before it."""
    log = "2026-11-23 10:00:00.123 [INFO][642] node/health.go 202: Number of node(s) with BGP peering established = 0"
    message = f"Readiness probe failed: {log}\ncalico/node is not ready: {said}\n"
    return {"type": "Warning", "reason": "Unhealthy", "message": message, "lastTimestamp": at}


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("BIRD is not ready: BGP not established with 10.0.0.12,10.0.0.13", {BIRD: True, FELIX: True}),
        ("BIRD is not ready: graceful restart in progress", {BIRD: True, FELIX: True}),
        (
            "BIRD is not ready: error querying BIRD: unable to connect to BIRDv4 socket: dial unix",
            {BIRD: False},
        ),
        ("bird/confd is not live: Service bird is not running. Output << down: bird: 3s >>", {BIRD: False}),
        ("felix is not ready: readiness probe reporting 503", {FELIX: False}),
        (
            "Felix is not live: Get http://localhost:9099/liveness: connect: connection refused",
            {FELIX: False},
        ),
        ("something new", {}),
    ],
    ids=["no-session", "restarting", "no-socket", "not-running", "felix-unready", "felix-away", "unknown"],
)
def test_complaints(said, known):
    assert judge([unhealthy(said)], (BIRD, FELIX)) == (known, said)


def test_the_latest_complaint_counts_and_only_the_probes():
    events = [
        unhealthy("felix is not ready: x", "2026-11-23T09:00:00Z"),
        unhealthy("BIRD is not ready: BGP not established with 10.0.0.12", "2026-11-23T10:00:00Z"),
        {"reason": "BackOff", "message": "calico/node is not ready: felix is not ready"},
    ]
    assert judge(events, (FELIX,)) == ({FELIX: True}, "BIRD is not ready: BGP not established with 10.0.0.12")
    assert judge([], (BIRD,)) == ({}, "")


def test_a_report():
    peers = [
        {"peerIP": "10.0.0.12", "type": "NodeMesh", "state": "Established", "since": "10:00:00"},
        {"peerIP": "10.0.0.13", "type": "NodeMesh", "state": "Active", "since": "10:00:00"},
        {"peerIP": "10.0.0.14", "type": "NodeMesh", "since": "10:00:00"},  # Passive, or down
    ]
    assert sessions_of({"status": {"bgp": {"peersV4": peers}}}) == (
        SessionState("10.0.0.12", "", established=True, state="Established"),
        SessionState("10.0.0.13", "", established=False, state="Active"),
        SessionState("10.0.0.14", "", established=False, state="unknown"),
    )


@pytest.mark.parametrize(
    ("noted", "number"),
    [("64512", 64512), ("1.10", 65546), ("", None), ("64512x", None), ("1.2.3", None), ("9" * 4000, None)],
    ids=["plain", "dotted", "none", "word", "too-many-dots", "too-long"],
)
def test_as_numbers(noted, number):
    assert _node(node("one", annotations={"projectcalico.org/ASNumber": noted})).as_number == number


def test_a_mac_is_felixs_where_none_is_noted():
    notes = {"projectcalico.org/IPv4VXLANTunnelAddr": "10.244.1.1"}
    state = _node(node("node1", annotations=notes))
    assert state.vxlan_mac == "66:f9:37:c3:7e:94"  # printf node1 | sha1sum
    assert state.tunnels == {Encapsulation.VXLAN: "10.244.1.1"}
    assert _node(node("node1")).vxlan_mac == ""


def test_blocks_and_affinities_that_count():
    blocks = [
        named("a", spec={"cidr": "10.244.1.0/26", "affinity": "host:node1"}),
        named("b", spec={"cidr": "10.244.2.0/26"}),
        named("c", spec={"cidr": "10.244.3.0/26", "affinity": "virtual:load-balancer"}),
        named("d", spec={"cidr": "10.244.4.0/26", "affinity": "host:node1", "deleted": True}),
        named("e", spec={"cidr": "fd00::/122", "affinity": "host:node1"}),
    ]
    assert list(_blocks(blocks)) == [BlockState("10.244.1.0/26", "node1")]
    affinities = [
        named("a", spec={"cidr": "10.244.1.0/26", "node": "node1", "state": "confirmed", "deleted": "false"}),
        named("b", spec={"cidr": "10.244.2.0/26", "node": "node1", "state": "pending"}),
        named("c", spec={"cidr": "10.244.3.0/26", "node": "node1", "state": "confirmed", "deleted": "true"}),
    ]
    assert list(_affinities(affinities)) == [BlockState("10.244.1.0/26", "node1")]


@given(st.lists(st.fixed_dictionaries({"metadata": VALUES, "spec": VALUES, "status": VALUES}), max_size=3))
def test_objects_of_any_shape(objects):
    for each in objects:
        assert _node(each).name.isprintable()
        sessions_of(each)
    list(_blocks(objects))
    list(_affinities(objects))
    judge(objects, (BIRD, FELIX))
