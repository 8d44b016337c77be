"""What the lab's inspector says of Calico is what BIRD is at that moment, not what was planned."""

from __future__ import annotations

import pytest

from pytest_calico_perf.cluster.inspection import Inspector
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.model import Encapsulation, Mode, Path
from tests.lab.faults import injected
from tests.lab.labs import lab

NONE, IPIP, VXLAN = Encapsulation


@pytest.fixture
def inspector(one: LabCluster) -> Inspector:
    return one.inspector()


@pytest.fixture
def pair(one: LabCluster):
    return one.pair(Path.POD_TO_POD, Mode.BGP)


def test_nodes_have_addresses_of_their_own_and_of_their_tunnels(inspector):
    nodes = inspector.nodes().value
    assert nodes
    assert [(node.name, node.address, node.subnet, node.as_number) for node in nodes] == [
        ("node1", "198.18.0.2", "198.18.0.0/24", None),
        ("node2", "198.18.0.3", "198.18.0.0/24", None),
        ("node3", "198.18.0.4", "198.18.0.0/24", None),
    ]
    assert nodes[1].tunnels == {IPIP: "198.19.4.64", VXLAN: "198.19.12.64"}
    assert nodes[1].vxlan_mac == "66:2d:bf:44:a6:8b"  # printf node2 | sha1sum


def test_pools_say_how_packets_travel_and_blocks_where_they_live(inspector):
    pools = {pool.name: (pool.range, pool.mode, pool.disabled) for pool in inspector.pools().value}
    assert pools["vxlan"] == ("198.19.12.0/22", Mode.VXLAN, False)
    assert pools["current"] == ("198.19.20.0/22", Mode.IPIP, False)
    blocks = {block.range: block.node for block in inspector.blocks().value}
    assert blocks["198.19.0.64/26"] == "node2"
    assert len(blocks) == 3 * len(pools)


def test_a_healthy_lab(inspector):
    assert inspector.mesh().value is True
    assert inspector.daemons("node1").value == {"bird": True}
    sessions = inspector.sessions("node1").value
    assert [(each.peer, each.peer_node, each.state, each.info) for each in sessions] == [
        ("198.18.0.3", "node2", "Established", ""),
        ("198.18.0.4", "node3", "Established", ""),
    ]
    assert [inspector.route_writer(each).value for each in Encapsulation] == ["bird", "bird", "felix"]
    assert inspector.policies("node1", "198.19.0.1").value == ()


def test_another_as_is_told_and_refused(one, inspector, pair):
    with injected(one, pair, "bgp-wrong-as"):
        assert [node.as_number for node in inspector.nodes().value] == [None, 65099, None]
        infos = [session.info for node in ("node1", "node2") for session in inspector.sessions(node).value]
        assert any("Bad peer AS" in info for info in infos), infos
        assert inspector.mesh().value is True


def test_a_session_that_is_off_is_down_and_meant_to_be_there(one, inspector, pair):
    with injected(one, pair, "bgp-session-missing"):
        state = {session.peer_node: session.state for session in inspector.sessions("node2").value}
        assert state == {"node1": "down", "node3": "Established"}
        assert inspector.mesh().value is True


def test_a_session_only_one_end_was_told_of_is_meant_to_be_there(one, inspector, pair):
    with injected(one, pair, "bgp-session-missing@unconfigured"):
        assert [session.peer_node for session in inspector.sessions("node1").value] == ["node3"]
        assert inspector.mesh().value is True


def test_without_mesh_there_is_no_session(one, inspector, pair):
    with injected(one, pair, "bgp-mesh-off"):
        assert inspector.mesh().value is False
        assert inspector.sessions("node1").value == ()
        assert inspector.daemons("node1").value == {"bird": True}


def test_a_dead_bird_is_seen_and_what_it_would_have_said_is_not(one, inspector, pair):
    with injected(one, pair, "bird-dead"):
        assert inspector.daemons("node2").value == {"bird": False}
        assert inspector.daemons("node1").value == {"bird": True}
        sessions = inspector.sessions("node2")
        assert sessions.value is None
        assert "Unable to connect to server control socket" in sessions.why_not
        assert inspector.mesh().value is True  # as its file says


def test_of_a_lab_that_is_down_it_says_so():
    with LabCluster(lab("lab", pods_per_node=1), (Mode.BGP,)) as cluster:
        inspector = cluster.inspector()
    for look in (inspector.mesh(), inspector.sessions("node1"), inspector.daemons("node1")):
        assert look.value is None
        assert "the lab is down" in look.why_not
    assert inspector.nodes().value
