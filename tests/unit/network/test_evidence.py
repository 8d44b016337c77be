from __future__ import annotations

import json

import pytest

from pytest_calico_perf.cluster.inspection import PoolState
from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.evidence import Ground, Moved, OwnRun, collect, contradiction, document, read, reverse
from pytest_calico_perf.model import Mode, Path

SIX = Moved(runs=6, forward=6, backward=6)
POOLS = Ground(
    (
        PoolState("all", "198.19.0.0/16", Mode.BGP),
        PoolState("ours", "198.19.128.0/17", Mode.VXLAN),
    ),
    all_pools=True,
)


def own_run(network, pair, count, *, shared=False) -> OwnRun:
    before = read(network, pair)
    pings(pair, count)
    return OwnRun(before, read(network, pair), Moved(1, count, count), shared)


def pings(pair, count):
    argv = ["ping", "-n", "-q", "-c", str(count), "-i", "0.002", "-W", "1", pair.server.address]
    assert f"{count} received" in pair.client.run(argv, limit=10).stdout


def test_evidence_of_an_unencapsulated_path(network):
    evidence = collect(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert (evidence.forward.device, evidence.forward.owner) == ("eth0", "bird")
    assert evidence.backward.destination == "198.19.201.0/26"
    shown = json.loads(json.dumps(document(evidence)))
    assert shown.pop("line") == (
        "node1 198.18.201.11 -> node2 198.18.202.12: pod 198.19.202.2 by eth0 via 198.18.201.1 proto bird, mtu 1500"
    )
    assert shown == {
        "client": {
            "name": "pod1",
            "node": "node1",
            "node_address": "198.18.201.11",
            "address": "198.19.201.2",
            "pool": None,
        },
        "server": {
            "name": "pod2",
            "node": "node2",
            "node_address": "198.18.202.12",
            "address": "198.19.202.2",
            "pool": None,
        },
        "expected_encapsulation": "none",
        "expected_back": "none",
        "forward": evidence.forward.to_json(),
        "backward": evidence.backward.to_json(),
        "underlay": None,
        "after": None,
        "tunnel_packets": {},
        "tunnel_packets_server": {},
        "path_mtu": None,
        "data_plane": "",
    }


def test_an_encapsulated_path_is_told_with_its_underlay_and_the_counters_of_both_nodes(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    before = collect(network, pair, POOLS)
    own = own_run(network, pair, 5)
    after = collect(network, pair, POOLS)
    shown = document(before, after, own=own, path_mtu=1450, mss=1398)
    assert shown["line"] == (
        "node1 198.18.201.11 -> node2 198.18.202.12: pod 198.19.202.2 (pool ours 198.19.128.0/17) by "
        "vxlan.calico via 198.19.202.1 proto 80 (felix), mtu 1450, mss 1398; "
        "vxlan.calico +5 packets on node1, +5 on node2 while it sent at least 5"
    )
    assert shown["server"]["pool"] == {"name": "ours", "range": "198.19.128.0/17", "mode": "vxlan"}
    assert shown["underlay"]["forward"]["mtu"] == 1500
    assert shown["underlay"]["backward"]["device"] == "eth0"
    assert shown["after"] == {"forward": shown["forward"], "backward": shown["backward"]}
    server = shown["tunnel_packets_server"]["vxlan"]
    assert server["after"] - server["before"] == 5
    assert shown["mss"] == 1398


def test_a_path_whose_replies_go_another_way_tells_both(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_HOST, Mode.VXLAN)
    before = collect(network, pair)
    assert document(before, own=own_run(network, pair, 5))["line"] == (
        "node1 198.18.201.11 -> node2 198.18.202.12: host 198.18.202.12 by eth0 via 198.18.201.1, mtu 1500; "
        "back to pod 198.19.201.2 by vxlan.calico via 198.19.201.1 proto 80 (felix); "
        "vxlan.calico +0 packets on node1, +5 on node2 while it sent at least 5"
    )


def test_counters_of_its_own_run_are_in_the_record(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    before = collect(network, pair)
    pings(pair, 7)  # somebody else's
    own = own_run(network, pair, 5)
    pings(pair, 7)
    counts = document(before, collect(network, pair), own=own)["tunnel_packets"]["vxlan"]
    assert counts["after"] - counts["before"] == 5
    assert document(before)["tunnel_packets"]["vxlan"]["after"] is None


@pytest.mark.parametrize("path", [Path.POD_TO_POD, Path.HOST_TO_POD, Path.POD_TO_HOST])
@pytest.mark.parametrize("mode", [Mode.BGP, Mode.VXLAN])
def test_traffic_that_goes_as_its_mode_says_is_believed(network, path, mode):
    if mode is Mode.VXLAN:
        network.encapsulate()
    pair = network.pair(path, mode)
    before = collect(network, pair)
    own = own_run(network, pair, 6)
    assert contradiction(pair, before, collect(network, pair), moved=SIX, own=own) is None


def test_a_route_beside_the_tunnel_is_seen_before_any_packet(network):
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    text = contradiction(pair, collect(network, pair))
    assert text == (
        "packets from pod1 to pod2 (198.19.202.2) should go through vxlan.calico, but node1 sends them through "
        "eth0 (198.19.202.0/26 via 198.18.201.1 dev eth0 proto bird mtu 1500)"
    )


def test_a_tunnel_under_an_unencapsulated_mode_is_seen(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.BGP)
    text = contradiction(pair, collect(network, pair))
    assert text is not None
    assert "should go unencapsulated, but node1 sends them through vxlan.calico" in text


def test_the_way_back_is_judged_too(network):
    network.encapsulate()
    network.route_around_tunnel("node2")
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    text = contradiction(pair, collect(network, pair))
    assert text is not None
    assert text.startswith("packets from pod2 to pod1")
    assert "node2 sends them through eth0" in text


def test_a_mode_whose_tunnel_the_cluster_does_not_have_is_a_contradiction(network):
    pair = network.pair(Path.POD_TO_POD, Mode.IPIP)
    text = contradiction(pair, collect(network, pair))
    assert text is not None
    assert "should go through a device for ipip" in text


def test_a_counter_that_did_not_move_is_seen(network):
    """Policy routing takes the packets elsewhere than the main table says: only the counter knows."""
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    network.ip("node1", "route", "add", "198.19.202.0/26", "via", "198.18.201.1", "table", "77")
    network.ip("node1", "rule", "add", "from", "198.19.201.2", "table", "77")
    before = collect(network, pair)
    pings(pair, 6)
    text = contradiction(pair, before, collect(network, pair), moved=SIX)
    assert text == (
        "vxlan.calico of node1 sent 0 packets while at least 6 were sent to 198.19.202.2, which should go through it"
    )


def test_a_counter_that_moved_under_an_unencapsulated_mode_is_seen_unless_others_use_the_tunnel(network):
    network.encapsulate()
    network.route_around_tunnel("node1")
    network.route_around_tunnel("node2")
    pair = network.pair(Path.POD_TO_POD, Mode.BGP)
    network.ip("node1", "route", "add", "198.19.202.0/26", "via", "198.19.202.1", "dev", "vxlan.calico", "onlink", "table", "77")  # fmt: skip
    network.ip("node1", "rule", "add", "from", "198.19.201.2", "table", "77")
    before = collect(network, pair)
    text = contradiction(pair, before, own=own_run(network, pair, 10))
    assert text == (
        "vxlan.calico of node1 sent 10 packets while only unencapsulated ones, at least 10, were sent to "
        "198.19.202.2"
    )
    assert contradiction(pair, before, own=own_run(network, pair, 10, shared=True)) is None


def test_a_route_that_changed_meanwhile_is_seen_even_when_nobody_can_know_the_mode(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.CURRENT)
    before = collect(network, pair)
    assert contradiction(pair, before, collect(network, pair), moved=SIX) is None
    network.route_around_tunnel("node1")
    text = contradiction(pair, before, collect(network, pair), moved=SIX)
    assert text is not None
    assert text.startswith(
        "node1 changed its route to 198.19.202.2 while we measured: from 198.19.202.0/26 via"
    )


def test_a_route_back_that_changed_meanwhile_names_the_other_node(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.CURRENT)
    before = collect(network, pair)
    network.route_around_tunnel("node2")
    text = contradiction(pair, before, collect(network, pair))
    assert text is not None
    assert text.startswith("node2 changed its route to 198.19.201.2")


def test_a_node_without_a_route_is_unreachable(network):
    network.ip("node2", "route", "replace", "blackhole", "198.19.201.0/26")
    with pytest.raises(Unreachable, match=r"node2: no usable route to 198\.19\.201\.2"):
        collect(network, network.pair(Path.POD_TO_POD, Mode.BGP))


def test_a_node_without_ip_gives_no_evidence_and_says_so(network):
    network.host("node2").without.add("ip")
    with pytest.raises(ToolProblem, match="node2: ip is not installed there"):
        collect(network, network.pair(Path.POD_TO_POD, Mode.BGP))


def test_the_way_back_of_host_to_pod_is_pod_to_host(network):
    pair = network.pair(Path.HOST_TO_POD, Mode.BGP)
    back = reverse(pair)
    assert (back.path, back.client, back.server) == (Path.POD_TO_HOST, pair.server, pair.client)
    assert reverse(back) == pair
