"""The lab's data plane is Calico's: its routes, real packets on the wire, MTUs, faults. Nothing is simulated."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator

import pytest

from pytest_calico_perf.cluster.base import EndpointPair
from pytest_calico_perf.cluster.lab.cluster import LabCluster
from pytest_calico_perf.cluster.lab.topology import FABRIC
from pytest_calico_perf.model import Encapsulation, Mode, Path
from tests.lab.labs import lab, ping, run

NONE, IPIP, VXLAN = Encapsulation
MODES = tuple(Mode)


@pytest.fixture(scope="module")
def two() -> Iterator[LabCluster]:
    with LabCluster(lab("lab-two-subnets"), MODES) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def near() -> Iterator[LabCluster]:
    """Two subnets, but client and server in the same one."""
    with LabCluster(lab("lab-two-subnets", pair=("node1", "node2")), MODES) as cluster:
        yield cluster


def on_the_wire(cluster: LabCluster, action: Callable[[], object], *options: str) -> list[str]:
    """What tcpdump sees leave the client's node while something is done; the line after a tunnel's is joined to it."""
    port = cluster.topology.pair[0]
    argv = ["tcpdump", "-i", port, "-Q", "in", "-nn", "-l", "--immediate-mode", "-t", *options, "not", "arp"]
    with cluster.sandbox.start_command(FABRIC, argv, limit=30) as capture:
        capture.wait_for_output("listening on", deadline=10)
        action()
        out = capture.finish(deadline=0.3).stdout  # time to print what its socket holds already
    return [
        line
        for line in re.sub(r"\n\s+(?=\d|IP)", " ", out.replace("4096\nIP", "4096 IP")).splitlines()
        if line
    ]


class TestRoutes:
    """What a node's table says in each mode.

    As BIRD writes it by node/filesystem/etc/calico/confd/templates/bird_ipam.cfg.template, and for VXLAN Felix by
    felix/dataplane/linux/vxlan_mgr.go.
    """

    def routes(self, cluster: LabCluster, pool: str) -> list[str]:
        lines = run(cluster.host("node1"), "ip", "route", "show", "root", pool).splitlines()
        # A pod's own /32 is named after its veth, which has a test elsewhere.
        return [line.strip() for line in lines if " cali" not in line]

    @pytest.mark.parametrize(
        ("pool", "routes"),
        [
            (
                "198.19.0.0/22",
                [
                    "blackhole 198.19.0.0/26 proto bird",
                    "198.19.0.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                    "198.19.0.128/26 via 198.18.0.4 dev eth0 proto bird metric 1024",
                ],
            ),
            (
                "198.19.4.0/22",
                [
                    "blackhole 198.19.4.0/26 proto bird",
                    "198.19.4.64/26 via 198.18.0.3 dev tunl0 proto bird metric 1024 onlink",
                    "198.19.4.128/26 via 198.18.0.4 dev tunl0 proto bird metric 1024 onlink",
                ],
            ),
            (
                "198.19.8.0/22",
                [
                    "blackhole 198.19.8.0/26 proto bird",
                    "198.19.8.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                    "198.19.8.128/26 via 198.18.0.4 dev eth0 proto bird metric 1024",
                ],
            ),
            (
                "198.19.12.0/22",
                [
                    "blackhole 198.19.12.0/26 proto 80",
                    "198.19.12.64/26 via 198.19.12.64 dev vxlan.calico onlink",
                    "198.19.12.128/26 via 198.19.12.128 dev vxlan.calico onlink",
                ],
            ),
            (
                "198.19.16.0/22",
                [
                    "blackhole 198.19.16.0/26 proto 80",
                    "198.19.16.64/26 via 198.18.0.3 dev eth0 proto 80 onlink",
                    "198.19.16.128/26 via 198.18.0.4 dev eth0 proto 80 onlink",
                ],
            ),
        ],
    )
    def test_one_subnet(self, one, pool, routes):
        assert self.routes(one, pool) == routes

    @pytest.mark.parametrize(
        ("pool", "near", "far"),
        [
            (
                "198.19.0.0/22",
                "198.19.0.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                "198.19.0.128/26 via 198.18.0.1 dev eth0 proto bird metric 1024",
            ),
            (
                "198.19.8.0/22",
                "198.19.8.64/26 via 198.18.0.3 dev eth0 proto bird metric 1024",
                "198.19.8.128/26 via 198.18.1.2 dev tunl0 proto bird metric 1024 onlink",
            ),
            (
                "198.19.16.0/22",
                "198.19.16.64/26 via 198.18.0.3 dev eth0 proto 80 onlink",
                "198.19.16.128/26 via 198.19.12.128 dev vxlan.calico onlink",
            ),
        ],
    )
    def test_two_subnets(self, two, pool, near, far):
        assert self.routes(two, pool)[1:3] == [near, far]

    def test_the_router_knows_no_pod(self, two):
        table = two.sandbox.run(FABRIC, ["ip", "route"], limit=5).check().stdout
        assert "198.18.0.0/24 dev br0" in table
        assert "198.19." not in table

    def test_devices_are_as_felix_makes_them(self, one):
        (link,) = json.loads(run(one.host("node1"), "ip", "-d", "-j", "link", "show", "vxlan.calico"))
        vxlan = link["linkinfo"]["info_data"]
        assert (link["mtu"], vxlan["id"], vxlan["port"], vxlan["learning"]) == (1450, 4096, 4789, False)
        (tunnel,) = json.loads(run(one.host("node1"), "ip", "-j", "address", "show", "tunl0"))
        assert tunnel["mtu"] == 1480
        addresses = [(entry["local"], entry["prefixlen"]) for entry in tunnel["addr_info"]]
        assert addresses == [("198.19.4.0", 32)]

    def test_a_pod_sees_its_gateway_and_nothing_else(self, one):
        pod = one.pair(Path.POD_TO_POD, Mode.BGP).client
        run(pod, "ping", "-n", "-c", "1", "-W", "1", one.host("node3").address)
        assert "169.254.1.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee" in run(pod, "ip", "neigh")


PLAIN = r"IP {client} > {server}: ICMP echo"
WIRE = {
    NONE: PLAIN,
    IPIP: r"IP {node} > {peer}: IP {client} > {server}: ICMP echo",
    VXLAN: r"IP {node}\.\d+ > {peer}\.4789: VXLAN, flags \[I\] \(0x08\), vni 4096 IP {client} > {server}: ICMP echo",
}


class TestWire:
    """What tcpdump sees in the fabric: no header too few, none too many."""

    def check(self, cluster: LabCluster, pair: EndpointPair, expected: Encapsulation) -> None:
        assert cluster.expected_encapsulation(pair) is expected
        packets = on_the_wire(cluster, lambda: ping(pair).check())
        pattern = WIRE[expected].format(
            client=re.escape(pair.client.address),
            server=re.escape(pair.server.address),
            node=re.escape(cluster.host(pair.client.node).address),
            peer=re.escape(cluster.host(pair.server.node).address),
        )
        echoes = [packet for packet in packets if "ICMP echo request" in packet]
        assert len(echoes) == 2, packets
        for echo in echoes:
            assert re.match(pattern, echo), echo

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.BGP, NONE),
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, NONE),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, NONE),
            (Mode.CURRENT, IPIP),
        ],
    )
    def test_one_subnet(self, one, mode, expected):
        self.check(one, one.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, IPIP),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, VXLAN),
        ],
    )
    def test_across_subnets(self, two, mode, expected):
        self.check(two, two.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize(
        ("mode", "expected"),
        [
            (Mode.BGP, NONE),
            (Mode.IPIP, IPIP),
            (Mode.IPIP_CROSS_SUBNET, NONE),
            (Mode.VXLAN, VXLAN),
            (Mode.VXLAN_CROSS_SUBNET, NONE),
        ],
    )
    def test_two_subnets_but_a_pair_in_one(self, near, mode, expected):
        self.check(near, near.pair(Path.POD_TO_POD, mode), expected)

    @pytest.mark.parametrize("mode", [Mode.IPIP, Mode.VXLAN])
    def test_to_a_host_nothing_is_wrapped(self, one, mode):
        self.check(one, one.pair(Path.POD_TO_HOST, mode), NONE)

    @pytest.mark.parametrize(("mode", "expected"), [(Mode.IPIP, IPIP), (Mode.VXLAN, VXLAN), (Mode.BGP, NONE)])
    def test_from_a_host_the_tunnel_is_the_source(self, one, mode, expected):
        pair = one.pair(Path.HOST_TO_POD, mode)
        assert one.expected_encapsulation(pair) is expected
        (echo, *_) = [line for line in on_the_wire(one, lambda: ping(pair).check()) if "echo request" in line]
        node = one.topology.node(pair.client.node)
        source = node.tunnels.get(expected, node.address)
        assert f"IP {source} > {pair.server.address}: ICMP echo request" in echo

    @pytest.mark.parametrize("mode", MODES)
    def test_on_one_node_nothing_is_on_the_wire(self, one, mode):
        pair = one.pair(Path.POD_TO_POD_SAME_NODE, mode)
        assert one.expected_encapsulation(pair) is NONE
        assert pair.client.node == pair.server.node
        assert not [line for line in on_the_wire(one, lambda: ping(pair).check()) if "ICMP" in line]

    def test_outer_header_of_ipip_is_the_kernels(self, one):
        pair = one.pair(Path.POD_TO_POD, Mode.IPIP)
        options = ("-M", "do", "-t", "33", "-Q", "0xfe")
        (packet, *_) = [
            line
            for line in on_the_wire(one, lambda: ping(pair, *options).check(), "-vv")
            if "echo request" in line
        ]
        outer, _, inner = packet.partition("198.18.0.2 > 198.18.0.3: ")
        # TTL and DF of the inner header, of its TOS the congestion bits; a right checksum and the right length.
        assert re.search(
            r"tos 0x2,ECT\(0\), ttl 32, id 0, offset 0, flags \[DF\], proto IPIP \(4\), length 104", outer
        )
        assert re.search(
            r"tos 0xfe,ECT\(0\), ttl 32, id \d+, offset 0, flags \[DF\], proto ICMP \(1\), length 84", inner
        )
        assert "bad cksum" not in packet

    def test_fragments_of_large_packets_pass_the_tunnel(self, one):
        for path in (Path.POD_TO_POD, Path.HOST_TO_POD):
            for mode in (Mode.IPIP, Mode.VXLAN):
                assert "2 received" in ping(one.pair(path, mode), "-M", "dont", "-s", "4000").check().stdout

    @pytest.mark.parametrize("mode", [Mode.BGP, Mode.IPIP, Mode.VXLAN])
    def test_bulk_data_is_the_same_at_the_other_end(self, two, near, mode):
        """Merged TCP segments through the tunnels: what fails here passes every ping."""
        pair = (near if mode is Mode.BGP else two).pair(Path.POD_TO_POD, mode)
        port = str(pair.server.allocate_port())
        with pair.server.start([sys.executable, "-c", SINK, port], limit=30) as server:
            server.wait_for_output("ready", deadline=10)
            sent = run(pair.client, sys.executable, "-c", SOURCE, pair.server.address, port)
            received = server.finish(deadline=10).check().stdout
        assert received == f"ready\n{sent}"


SINK = """
import hashlib, socket, sys
with socket.create_server(("", int(sys.argv[1]))) as listener:
    print("ready", flush=True)
    connection, _ = listener.accept()
    digest, size = hashlib.sha256(), 0
    while chunk := connection.recv(1 << 16):
        digest.update(chunk)
        size += len(chunk)
print(size, digest.hexdigest())
"""
SOURCE = """
import hashlib, os, socket, sys
data = os.urandom(16 << 20)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.sendall(data)
print(len(data), hashlib.sha256(data).hexdigest())
"""


class TestBarePodsAcrossSubnets:
    def test_a_router_without_bgp_drops_them_and_the_lab_is_up_all_the_same(self, two):
        for path in (Path.POD_TO_POD, Path.HOST_TO_POD, Path.POD_TO_HOST):
            result = ping(two.pair(path, Mode.BGP))
            assert result.exit_code == 1
            assert "100% packet loss" in result.stdout
        # The router says so to whom it knows: a host; a pod hears nothing.
        assert "Net Unreachable" in ping(two.pair(Path.HOST_TO_POD, Mode.BGP)).stdout
        assert "Unreachable" not in ping(two.pair(Path.POD_TO_POD, Mode.BGP)).stdout

    def test_a_router_that_peers_carries_them(self):
        file = lab("lab-two-subnets")
        peering = file.model_copy(update={"router": file.router.model_copy(update={"bgp": True})})
        with LabCluster(peering, (Mode.BGP,)) as cluster:
            table = cluster.sandbox.run(FABRIC, ["ip", "route"], limit=5).check().stdout
            assert "198.19.0.128/26 via 198.18.1.2 dev br1 proto bird" in table
            pair = cluster.pair(Path.POD_TO_POD, Mode.BGP)
            packets = on_the_wire(cluster, lambda: ping(pair).check())
            assert f"IP {pair.client.address} > {pair.server.address}: ICMP echo request" in packets[0]


@pytest.mark.parametrize(
    ("mode", "mtu"),
    [(Mode.BGP, 1500), (Mode.IPIP, 1480), (Mode.IPIP_CROSS_SUBNET, 1480), (Mode.VXLAN, 1450), (Mode.VXLAN_CROSS_SUBNET, 1450)],
)  # fmt: skip
class TestMtu:
    def test_a_full_packet_passes_and_a_byte_more_does_not(self, one, two, mode, mtu):
        for cluster in (one,) if mode is Mode.BGP else (one, two):
            pair = cluster.pair(Path.POD_TO_POD, mode)
            headers = 20 + 8  # IPv4 and ICMP
            assert "2 received" in ping(pair, "-M", "do", "-s", str(mtu - headers)).check().stdout
            refused = ping(pair, "-M", "do", "-s", str(mtu - headers + 1))
            assert refused.exit_code != 0
            assert f"message too long, mtu={mtu}" in refused.stdout + refused.stderr

    def test_a_host_learns_of_the_tunnels_mtu(self, two, mode, mtu):
        if mode is Mode.BGP:
            return
        refused = ping(two.pair(Path.HOST_TO_POD, mode), "-M", "do", "-s", "1472")
        assert f"message too long, mtu={mtu}" in refused.stdout + refused.stderr

    def test_tcp_uses_what_the_mtu_leaves(self, one, mode, mtu):
        pair = one.pair(Path.POD_TO_POD, mode)
        port = str(pair.server.allocate_port())
        with pair.server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"], limit=30) as server:
            server.wait_for_output("listening", deadline=10)
            report = json.loads(
                run(pair.client, "iperf3", "-J", "-c", pair.server.address, "-p", port, "-n", "1M")
            )
        assert (
            report["start"]["tcp_mss_default"] == mtu - 20 - 20 - 12
        )  # IPv4, TCP, its timestamps (RFC 7323)


def test_other_link_mtus_carry_through():
    with LabCluster(lab("lab", mtu=9000), (Mode.BGP, Mode.IPIP, Mode.VXLAN)) as cluster:
        for mode, mtu in ((Mode.BGP, 9000), (Mode.IPIP, 8980), (Mode.VXLAN, 8950)):
            pair = cluster.pair(Path.POD_TO_POD, mode)
            assert "2 received" in ping(pair, "-M", "do", "-s", str(mtu - 28)).check().stdout
            assert ping(pair, "-M", "do", "-s", str(mtu - 27)).exit_code != 0


@pytest.mark.parametrize(
    ("mode", "counted"),
    [(Mode.BGP, None), (Mode.IPIP, IPIP), (Mode.VXLAN, VXLAN), (Mode.VXLAN_CROSS_SUBNET, None)],
)
def test_tunnels_count_exactly_what_goes_through_them(one, mode, counted):
    pair = one.pair(Path.POD_TO_POD, mode)
    for node in (pair.client.node, pair.server.node):
        before = one.tunnel_packets(node)
        assert set(before) == set(one.tunnel_devices()) == {IPIP, VXLAN}
        run(pair.client, "ping", "-n", "-q", "-c", "20", "-i", "0.01", pair.server.address)
        after = one.tunnel_packets(node)
        grown = {tunnel: after[tunnel] - before[tunnel] for tunnel in after}
        assert grown == {IPIP: 0, VXLAN: 0} | ({counted: 20} if counted else {})
