from __future__ import annotations

import json

import pytest

from pytest_calico_perf.errors import ToolProblem, Unreachable
from pytest_calico_perf.evidence import collect, contradiction, reverse
from pytest_calico_perf.model import Encapsulation, Mode, Path


def pings(pair, count):
    argv = ["ping", "-n", "-q", "-c", str(count), "-i", "0.002", "-W", "1", pair.server.address]
    assert f"{count} received" in pair.client.run(argv, limit=10).stdout


def test_evidence_of_an_unencapsulated_path(network):
    evidence = collect(network, network.pair(Path.POD_TO_POD, Mode.BGP))
    assert (evidence.forward.device, evidence.forward.protocol) == ("eth0", "bird")
    assert evidence.backward.destination == "198.19.201.0/26"
    assert json.loads(json.dumps(evidence.to_json())) == {
        "client": {"name": "pod1", "node": "node1", "address": "198.19.201.2"},
        "server": {"name": "pod2", "node": "node2", "address": "198.19.202.2"},
        "expected_encapsulation": "none",
        "forward": evidence.forward.to_json(),
        "backward": evidence.backward.to_json(),
        "tunnel_packets": {},
    }


def test_counters_of_both_looks_are_in_the_record(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    before = collect(network, pair)
    pings(pair, 5)
    counts = before.to_json(collect(network, pair))["tunnel_packets"]["vxlan"]
    assert counts["after"] - counts["before"] == 5
    assert before.to_json()["tunnel_packets"]["vxlan"]["after"] is None


@pytest.mark.parametrize("path", [Path.POD_TO_POD, Path.HOST_TO_POD, Path.POD_TO_HOST])
@pytest.mark.parametrize("mode", [Mode.BGP, Mode.VXLAN])
def test_traffic_that_goes_as_its_mode_says_is_believed(network, path, mode):
    if mode is Mode.VXLAN:
        network.encapsulate()
    pair = network.pair(path, mode)
    before = collect(network, pair)
    pings(pair, 6)
    assert contradiction(network, pair, before, collect(network, pair), packets_expected=6) is None


def test_a_route_beside_the_tunnel_is_seen_before_any_packet(network):
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    text = contradiction(network, pair, collect(network, pair))
    assert text == (
        "packets from pod1 to pod2 (198.19.202.2) should go through vxlan.calico, but node1 sends them through "
        "eth0 (198.19.202.0/26 via 198.18.201.1 dev eth0 proto bird mtu 1500)"
    )


def test_a_tunnel_under_an_unencapsulated_mode_is_seen(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.BGP)
    text = contradiction(network, pair, collect(network, pair))
    assert text is not None
    assert "should go unencapsulated, but node1 sends them through vxlan.calico" in text


def test_the_way_back_is_judged_too(network):
    network.encapsulate()
    network.route_around_tunnel("node2")
    pair = network.pair(Path.POD_TO_POD, Mode.VXLAN)
    text = contradiction(network, pair, collect(network, pair))
    assert text is not None
    assert text.startswith("packets from pod2 to pod1")
    assert "node2 sends them through eth0" in text


def test_a_mode_whose_tunnel_the_cluster_does_not_have_is_a_contradiction(network):
    pair = network.pair(Path.POD_TO_POD, Mode.IPIP)
    text = contradiction(network, pair, collect(network, pair))
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
    text = contradiction(network, pair, before, collect(network, pair), packets_expected=6)
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
    pings(pair, 6)
    after = collect(network, pair)
    text = contradiction(network, pair, before, after, packets_expected=6)
    assert (
        text
        == "vxlan.calico of node1 sent 6 packets while only unencapsulated ones were sent to 198.19.202.2"
    )
    assert (
        contradiction(network, pair, before, after, packets_expected=6, in_use={Encapsulation.VXLAN}) is None
    )


def test_a_route_that_changed_meanwhile_is_seen_even_when_nobody_can_know_the_mode(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.CURRENT)
    before = collect(network, pair)
    assert contradiction(network, pair, before, collect(network, pair), packets_expected=6) is None
    network.route_around_tunnel("node1")
    text = contradiction(network, pair, before, collect(network, pair), packets_expected=6)
    assert text is not None
    assert text.startswith(
        "node1 changed its route to 198.19.202.2 while we measured: from 198.19.202.0/26 via"
    )


def test_a_route_back_that_changed_meanwhile_names_the_other_node(network):
    network.encapsulate()
    pair = network.pair(Path.POD_TO_POD, Mode.CURRENT)
    before = collect(network, pair)
    network.route_around_tunnel("node2")
    text = contradiction(network, pair, before, collect(network, pair))
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
