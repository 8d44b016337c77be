"""The lab on paper: addresses, names, routes and configuration texts follow Calico."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.cluster.lab import bird, felix, shaping, wiring
from pytest_calico_perf.cluster.lab.readiness import ExpectedRoute, absent, expected_routes
from pytest_calico_perf.cluster.lab.topology import Topology
from pytest_calico_perf.clusterfile import LabFile, load
from pytest_calico_perf.model import Encapsulation, Mode

NONE, IPIP, VXLAN = Encapsulation


def lab(name: str = "lab", **changes: object) -> LabFile:
    file = load(name)
    assert isinstance(file, LabFile)
    return file.model_copy(update=changes)


ONE = Topology.of(lab(), tuple(Mode))
TWO = Topology.of(lab("lab-two-subnets"), tuple(Mode))


def test_addresses_of_the_shipped_lab():
    node = ONE.node("node2")
    assert node.address == IPv4Address("198.18.0.3")
    assert node.subnet.router == IPv4Address("198.18.0.1")
    assert node.blocks[Mode.BGP] == IPv4Network("198.19.0.64/26")
    assert node.tunnels == {IPIP: IPv4Address("198.19.4.64"), VXLAN: IPv4Address("198.19.12.64")}
    pod = node.pod(Mode.BGP, 1)
    assert pod
    assert (pod.name, pod.address, pod.node) == ("bgp-node2-1", IPv4Address("198.19.0.65"), "node2")
    assert node.pod(Mode.BGP, 3) is None


def test_names_are_derived_as_calico_derives_them():
    # printf node1 | sha1sum: what Felix prefixes with 0x66; printf calico-perf.bgp-node1-1 | sha1sum: 11 digits.
    assert ONE.node("node1").vxlan_mac == "66:f9:37:c3:7e:94"
    assert ONE.node("node1").pods[0].veth == "cali723949ae57e"


@given(
    nodes=st.integers(1, 20),
    others=st.integers(1, 20),
    pods=st.integers(1, 16),
    modes=st.lists(st.sampled_from(list(Mode)), unique=True, min_size=1),
)
def test_nothing_is_given_out_twice(nodes, others, pods, modes):
    file = lab("lab-two-subnets", pods_per_node=pods)
    first, second = file.subnets
    subnets = (first.model_copy(update={"nodes": nodes}), second.model_copy(update={"nodes": others}))
    pools = {
        mode: IPv4Network((int(IPv4Address("198.19.0.0")) + number * 8192, 19))
        for number, mode in enumerate(Mode)
    }
    topology = Topology.of(file.model_copy(update={"subnets": subnets, "pools": pools, "pair": None}), modes)
    all_pods = [pod for node in topology.nodes for pod in node.pods]
    assert len(all_pods) == (nodes + others) * pods * len(modes)
    addresses = [subnet.router for subnet in topology.subnets]
    addresses += [address for node in topology.nodes for address in (node.address, *node.tunnels.values())]
    addresses += [pod.address for pod in all_pods]
    assert len(set(addresses)) == len(addresses)
    assert len({pod.veth for pod in all_pods}) == len({pod.mac for pod in all_pods}) == len(all_pods)
    assert all(len(pod.veth) <= 15 for pod in all_pods)  # IFNAMSIZ
    for node in topology.nodes:
        assert node.address in node.subnet.range
        assert all(pod.address in node.blocks[pod.pool.mode] for pod in node.pods)
        assert all(
            address in node.blocks[first_pool(topology, kind)] for kind, address in node.tunnels.items()
        )
    blocks = [block for node in topology.nodes for block in node.blocks.values()]
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))


def first_pool(topology: Topology, encapsulation: Encapsulation) -> Mode:
    return next(pool.mode for pool in topology.pools if pool.carried_as.tunnel is encapsulation)


def test_pods_have_the_mtu_of_a_cluster_of_their_mode_alone():
    mtus = {pool.mode: pool.pod_mtu for pool in ONE.pools}
    assert mtus == {
        Mode.BGP: 1500,
        Mode.IPIP: 1480,
        Mode.IPIP_CROSS_SUBNET: 1480,
        Mode.VXLAN: 1450,
        Mode.VXLAN_CROSS_SUBNET: 1450,
        Mode.CURRENT: 1480,
    }


def test_the_pair_is_of_two_subnets_where_there_are_two():
    assert ONE.pair == ("node1", "node2")
    assert Topology.of(lab("lab-two-subnets", pair=None), [Mode.BGP]).pair == ("node1", "node3")
    assert Topology.of(lab(pair=("node3", "node1")), [Mode.BGP]).pair == ("node3", "node1")


@pytest.mark.parametrize(
    ("mode", "near", "far"),
    [
        (Mode.BGP, NONE, NONE),
        (Mode.IPIP, IPIP, IPIP),
        (Mode.IPIP_CROSS_SUBNET, NONE, IPIP),
        (Mode.VXLAN, VXLAN, VXLAN),
        (Mode.VXLAN_CROSS_SUBNET, NONE, VXLAN),
        (Mode.CURRENT, IPIP, IPIP),
    ],
)
def test_encapsulation_by_mode_and_subnet(mode, near, far):
    node1, node2, node3, _ = TWO.nodes
    pool = TWO.pool(mode)
    assert TWO.encapsulation(pool, node1, node1) is NONE
    assert TWO.encapsulation(pool, node1, node2) is near
    assert TWO.encapsulation(pool, node1, node3) is far
    assert TWO.carries(pool, node1, node2)
    assert TWO.carries(pool, node1, node3) is (mode is not Mode.BGP)


def test_a_router_that_peers_carries_bare_pods():
    file = lab("lab-two-subnets")
    peering = Topology.of(
        file.model_copy(update={"router": file.router.model_copy(update={"bgp": True})}), [Mode.BGP]
    )
    assert peering.carries(peering.pool(Mode.BGP), peering.nodes[0], peering.nodes[2])


def test_only_pools_of_the_modes_in_use_are_planned():
    topology = Topology.of(lab(), [Mode.BGP])
    assert [pool.mode for pool in topology.pools] == [Mode.BGP]
    assert topology.tunnels == frozenset()
    assert "tunl0" not in bird.node_config(topology, topology.nodes[0])


def test_expected_routes_are_those_of_calico():
    routes = {
        (route.mode, route.destination): str(route) for route in expected_routes(TWO) if route.node == "node1"
    }
    assert len(routes) == 6 * 3
    assert sorted(routes.values()) == sorted(
        [
            "198.19.0.64/26 via 198.18.0.3 dev eth0",
            "198.19.0.128/26 via 198.18.0.1 dev eth0",
            "198.19.0.192/26 via 198.18.0.1 dev eth0",
            "198.19.4.64/26 via 198.18.0.3 dev tunl0",
            "198.19.4.128/26 via 198.18.1.2 dev tunl0",
            "198.19.4.192/26 via 198.18.1.3 dev tunl0",
            "198.19.8.64/26 via 198.18.0.3 dev eth0",
            "198.19.8.128/26 via 198.18.1.2 dev tunl0",
            "198.19.8.192/26 via 198.18.1.3 dev tunl0",
            "198.19.12.64/26 via 198.19.12.64 dev vxlan.calico",
            "198.19.12.128/26 via 198.19.12.128 dev vxlan.calico",
            "198.19.12.192/26 via 198.19.12.192 dev vxlan.calico",
            "198.19.16.64/26 via 198.18.0.3 dev eth0",
            "198.19.16.128/26 via 198.19.12.128 dev vxlan.calico",
            "198.19.16.192/26 via 198.19.12.192 dev vxlan.calico",
            "198.19.20.64/26 via 198.18.0.3 dev tunl0",
            "198.19.20.128/26 via 198.18.1.2 dev tunl0",
            "198.19.20.192/26 via 198.18.1.3 dev tunl0",
        ]
    )


def test_a_route_over_the_wrong_device_counts_as_absent():
    expected = ExpectedRoute("node1", Mode.IPIP, "198.19.4.64/26", "198.18.0.3", "tunl0")
    right = {"dst": "198.19.4.64/26", "gateway": "198.18.0.3", "dev": "tunl0", "protocol": "bird"}
    assert absent([expected], [right]) == []
    assert absent([expected], [right | {"dev": "eth0"}]) == [expected]
    assert absent([expected], [{"dst": "default", "gateway": "198.18.0.1", "dev": "eth0"}]) == [expected]


def test_felix_writes_a_neighbour_a_forwarding_entry_and_a_route_per_peer():
    node = TWO.nodes[0]
    lines = felix.vxlan_links(TWO, node).splitlines()
    peer = TWO.node("node3")
    assert f"neigh replace 198.19.12.128 lladdr {peer.vxlan_mac} dev vxlan.calico nud permanent" in lines
    assert "route add 198.19.12.128/26 via 198.19.12.128 dev vxlan.calico onlink" in lines
    assert "route add 198.19.16.64/26 via 198.18.0.3 dev eth0 proto 80 onlink" in lines
    assert "route add blackhole 198.19.12.0/26 proto 80" in lines
    assert felix.vxlan_forwarding(TWO, node).splitlines()[1] == (
        f"fdb replace {peer.vxlan_mac} dev vxlan.calico dst 198.18.1.2 self permanent"
    )


def test_exactly_one_side_of_each_session_dials():
    dials = set()
    for node in TWO.nodes:
        for part in bird.node_config(TWO, node).split("protocol bgp mesh_")[1:]:
            if "passive off;" in part:
                dials.add(frozenset((node.name, part.split()[0])))
    assert dials == {frozenset((one.name, other.name)) for one, other in combinations(TWO.nodes, 2)}


@pytest.mark.parametrize("rate", [10**6, 2 * 10**8, 10**10, 10**11])
def test_the_bucket_holds_a_merged_packet_and_the_queue_more(rate):
    words = shaping.link_rate(rate).split()
    burst, limit = int(words[words.index("burst") + 1]), int(words[words.index("limit") + 1])
    assert words[words.index("rate") + 1] == f"{rate}bit"
    assert 65536 < burst < limit < 2**32


def test_offloads_are_switched_at_every_device_a_segment_passes():
    places = {(namespace, argv[2]) for namespace, argv in shaping.offload_commands(ONE, ONE.nodes[0])}
    node = ONE.nodes[0]
    assert {("node1", "eth0"), ("node1", "tunl0"), ("node1", "vxlan.calico")} < places
    assert all({("node1", pod.veth), (pod.name, "eth0")} < places for pod in node.pods)
    assert len(places) == 3 + 2 * len(node.pods)


def test_pods_are_wired_as_by_the_cni_plugin():
    pod = ONE.nodes[0].pods[0]
    assert wiring.pod_links(pod).splitlines()[-3:] == [
        "address add 198.19.0.1/32 dev eth0",
        "route add 169.254.1.1 dev eth0 scope link",
        "route add default via 169.254.1.1 dev eth0",
    ]
    assert f"route add 198.19.0.1/32 dev {pod.veth} scope link proto 80" in wiring.pod_host_ends(ONE.nodes[0])
